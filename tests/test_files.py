from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay import files
from assay.errors import AssayError


def read(folder: Path, text: str) -> object:
    (folder / "a.yaml").write_text(text)
    return files.read_yaml(folder / "a.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", "'a' stands here twice.*line 3"),
        ("rules:\n  - {min: 1, min: 2}\n", "'min' stands here twice"),
        ("until: 2027-02-30\n", "day is out of range for month"),
        ("a: [\n", "expected the node content"),
        ("a: " + "9" * 5000, "digits"),
    ],
)
def test_what_yaml_would_take_in_silence_or_end_with_a_traceback_is_told_with_its_file(
    text: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(AssayError, match=rf"a\.yaml: not YAML: .*{said}"):
        read(tmp_path, text)


def test_keys_may_be_merged_from_an_anchor(tmp_path: Path) -> None:
    text = "base: &base {a: 1, b: 2}\nother: {<<: *base, b: 3}\n"
    assert read(tmp_path, text) == {"base": {"a": 1, "b": 2}, "other": {"a": 1, "b": 3}}


def test_numbers_are_those_that_dvc_reads(tmp_path: Path) -> None:
    assert read(tmp_path, "[1e-3, 1E5, -2.e+1, 1.0e-3, 1, e5, 1e, v1e5]") == [
        1e-3,
        1e5,
        -20,
        1e-3,
        1,
        "e5",
        "1e",
        "v1e5",
    ]


def test_text_that_is_not_utf_8_is_told_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"a: \xff")
    with pytest.raises(AssayError, match=r"a\.yaml: not YAML"):
        files.read_yaml(tmp_path / "a.yaml")
    (tmp_path / "a.json").write_bytes(b'{"a": "\xff"}')
    with pytest.raises(AssayError, match=r"a\.json: not JSON"):
        files.read_json(tmp_path / "a.json")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.text(st.sampled_from("a\r\n\",; =#'é")), st.floats(0, 1)), min_size=1))
def test_table_is_read_as_it_was_written(tmp_path: Path, rows: list[tuple[str, float]]) -> None:
    frame = pd.DataFrame(rows, columns=["path", "value"])
    files.write_csv(tmp_path / "a.csv", frame)
    again = pd.read_csv(tmp_path / "a.csv", dtype={"path": "str"}, keep_default_na=False, float_precision="round_trip")
    pd.testing.assert_frame_equal(again, frame, check_dtype=False)


def test_decimals_are_written_as_wanted(tmp_path: Path) -> None:
    files.write_csv(tmp_path / "a.csv", pd.DataFrame({"path": ["a", "b"], "value": [0.123456, 1.0]}), "%.2f")
    assert (tmp_path / "a.csv").read_text() == "path,value\na,0.12\nb,1.00\n"
