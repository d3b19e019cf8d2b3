from dataclasses import fields
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from checkouts import png

from assay import files
from assay.dataset import manifest
from assay.ingestion.measure import Measurements, measure


def table() -> pd.DataFrame:
    """Return the row of an image, and before it that of a file that is none."""
    measured = {"b.png": measure(png(1), "b.png"), "a.png": measure(b"", "a.png")}
    rows = [vars(of) | {"path": path, "label": "cat", "bytes": 9} for path, of in measured.items()]
    return pd.DataFrame(rows).reindex(columns=manifest.SCHEMA.names)


def test_every_measurement_has_its_column() -> None:
    assert {field.name for field in fields(Measurements)} - {"thumbnail"} <= set(manifest.SCHEMA.names)


def test_rows_come_back_sorted_by_path_and_whole(tmp_path: Path) -> None:
    manifest.write(tmp_path / "manifest.parquet", table())
    found = manifest.read(tmp_path / "manifest.parquet").set_index("path")
    assert found.index.tolist() == ["a.png", "b.png"]
    for name, value in vars(measure(png(1), "b.png")).items():
        kept = name not in ("thumbnail", *manifest.PIXELS)
        assert not kept or (pd.isna(found.loc["b.png", name]) if value is None else found.loc["b.png", name] == value)
    unknown = found.loc["a.png"].drop(["label", "bytes", "decodable", "reason", "named_format"])
    assert unknown.isna().all()


def test_border_and_centre_are_read_apart_and_are_nothing_where_there_is_no_picture(tmp_path: Path) -> None:
    manifest.write(tmp_path / "manifest.parquet", table())
    assert set(manifest.PIXELS) & set(manifest.read(tmp_path / "manifest.parquet")) == set()
    found, measured = manifest.read_pixels(tmp_path / "manifest.parquet"), measure(png(1), "b.png")
    assert found.shape == (2, 2, 60)
    assert not found[0].any()
    assert [found[1, 0].tobytes(), found[1, 1].tobytes()] == [measured.border, measured.centre]


def test_task_is_kept_beside_the_rows(tmp_path: Path) -> None:
    manifest.write(tmp_path / "one.parquet", table())
    manifest.write(tmp_path / "many.parquet", table(), task="multi_label")
    assert manifest.task(tmp_path / "one.parquet") == "single_label"
    assert manifest.task(tmp_path / "many.parquet") == "multi_label"


def test_whole_numbers_stay_whole_where_one_is_missing(tmp_path: Path) -> None:
    manifest.write(tmp_path / "manifest.parquet", table())
    found = manifest.read(tmp_path / "manifest.parquet")
    assert {str(found[name].dtype) for name in ("width_px", "bit_depth", "orientation", "n_frames")} == {"Int64"}


def test_what_was_measured_gives_the_same_bytes_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest.write(tmp_path / "one.parquet", table())
    monkeypatch.setattr(manifest, "ROW_GROUP", 1)
    manifest.write(tmp_path / "by_one.parquet", table())
    apart = table().sort_values("path")[["path", "label", "bytes"]].assign(fact=[1, 0])

    def measured(name: str, fact: "pd.Series[int]") -> pa.Array:
        return pa.array(table()[name].iloc[fact], manifest.SCHEMA.field(name).type, from_pandas=True)

    manifest.write(tmp_path / "apart.parquet", apart, measured=measured)
    assert files.sha256(tmp_path / "apart.parquet") == files.sha256(tmp_path / "by_one.parquet")
    one, by_one = (pq.read_table(tmp_path / name) for name in ("one.parquet", "by_one.parquet"))
    assert one.equals(by_one)


def test_columns_are_read_alone(tmp_path: Path) -> None:
    manifest.write(tmp_path / "manifest.parquet", table())
    assert list(manifest.read(tmp_path / "manifest.parquet", ("path", "bytes"))) == ["path", "bytes"]


def test_equal_rows_in_another_order_give_equal_bytes(tmp_path: Path) -> None:
    manifest.write(tmp_path / "one.parquet", table())
    manifest.write(tmp_path / "other.parquet", table()[::-1])
    assert files.sha256(tmp_path / "one.parquet") == files.sha256(tmp_path / "other.parquet")


def test_pairs_of_before_turned_ones_were_looked_for_are_read(tmp_path: Path) -> None:
    pairs = pd.DataFrame(
        {"path": ["a"], "partner": ["b"], "distance": [0.1], "one_group": [False], "turned": ["mirrored"]}
    )
    manifest.write_pairs(tmp_path / "now.parquet", pairs)
    pairs.drop(columns="turned").to_parquet(tmp_path / "before.parquet")
    assert manifest.read_pairs(tmp_path / "now.parquet").equals(pairs)
    assert manifest.read_pairs(tmp_path / "before.parquet").equals(pairs.assign(turned=""))
