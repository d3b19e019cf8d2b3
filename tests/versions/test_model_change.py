"""Which test images count as one when two models are compared."""

import io
from pathlib import Path

import pandas as pd
import pytest
from checkouts import ROOT

from assay import params
from assay.versions import at_commit, model_change

PATHS = params.load(ROOT / "params.yaml").paths


def parquet(rows: dict[str, list[object]]) -> bytes:
    content = io.BytesIO()
    pd.DataFrame(rows).to_parquet(content)
    return content.getvalue()


@pytest.mark.parametrize(
    ("pairs", "wanted"),
    [
        (parquet({"path": ["a.png"], "partner": ["b.png"], "distance": [0.1]}), [["a", "b"], ["c"], ["d", "e"]]),
        (parquet({"other": [1]}), [["a"], ["b"], ["c"], ["d", "e"]]),
        (None, [["a"], ["b"], ["c"], ["d", "e"]]),
    ],
)
def test_near_duplicates_are_one_where_the_source_gives_no_group(
    pairs: bytes | None, wanted: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = list("abcde")
    group = [None, None, None, "object 1", "object 1"]
    images = {"path": [f"{name}.png" for name in names], "label": ["ape"] * 5, "sha256": names, "split": ["test"] * 5}
    lies = {PATHS.manifest: parquet(images | {"group": group}), PATHS.candidate: b"{}", PATHS.pairs: pairs}
    monkeypatch.setattr(at_commit, "content", lambda rev, file: lies[Path(file)])
    found = (
        pd.Series(names)
        .groupby(model_change._groups(pd.DataFrame(index=names), at_commit.side("HEAD", PATHS), PATHS))
        .agg(list)
    )
    assert sorted(found) == wanted
