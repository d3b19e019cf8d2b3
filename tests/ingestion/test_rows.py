"""The rows of the manifest, put together of what is known of each content."""

import pandas as pd

from assay.dataset import splits
from assay.ingestion import rows


def test_forgotten_image_keeps_its_name_and_label_and_nothing_that_was_measured() -> None:
    measured = pd.DataFrame(
        {"path": ["a", "b", "c"], "label": ["x", "y", None], "sha256": ["1", None, "3"], "fact": [0, 1, 2]}
    ).assign(decodable=True, reason="", bytes=pd.array([5, 6, 7], "Int64"))
    known = pd.DataFrame({"sha256": ["3", "1"], "split": ["train", splits.FORGOTTEN]})
    found = rows.without_forgotten(measured, known)
    first = found.iloc[0]
    assert (first["path"], first["label"], first["decodable"]) == ("a", "x", False)
    assert first["reason"] == "forgotten: delete it in the source too"
    assert first[["sha256", "fact", "bytes"]].isna().all()
    assert found["fact"].tolist()[1:] == [1, 2]
    assert rows.without_forgotten(measured, known[:1]) is measured


def test_rows_get_what_is_known_of_their_content() -> None:
    some = pd.DataFrame({"sha256": ["2", None, "1", "2", "3"]}, index=[4, 5, 6, 7, 8])
    found = rows.joined(some, pd.DataFrame({"sha256": ["1", "2"], "batch": ["one", "two"]}, index=[7, 9]))
    assert found.index.tolist() == [4, 5, 6, 7, 8]
    assert found["batch"].fillna("none").tolist() == ["two", "none", "one", "two", "none"]
