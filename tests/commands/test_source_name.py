"""What people write for a source, and what a snapshot keeps."""

from pathlib import Path

import pytest

from assay.commands import source_name


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("photos", "folder:photos"),
        ("./photos/", "folder:photos"),
        ("/data/photos", "folder:/data/photos"),
        ("folder:photos", "folder:photos"),
        ("labels.csv", "table:labels.csv"),
        ("/data/labels.Parquet", "table:/data/labels.Parquet"),
        ("shards/0001.tar", "tar:shards/0001.tar"),
        ("table:labels.jsonl", "table:labels.jsonl"),
        ("https://host/set/", "folder:https://host/set/"),
        ("s3://bucket/labels.csv", "table:s3://bucket/labels.csv"),
        ("https://host/labels.csv?token=1", "table:https://host/labels.csv?token=1"),
        ("folder:https://host/set", "folder:https://host/set"),
        ("sklearn:digits", "sklearn:digits"),
        ("keras:mnist", "keras:mnist"),
    ],
)
def test_source_is_understood_as_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, kept: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert source_name.full(written) == kept


def test_folder_that_is_called_like_a_table_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "set.csv").mkdir()
    monkeypatch.chdir(tmp_path)
    assert source_name.full("set.csv") == "folder:set.csv"
