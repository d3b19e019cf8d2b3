"""What changed between two models: which test images count as one, what differs, and which are new errors."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from checkouts import ROOT

from assay import params
from assay.evaluation.against import Sides
from assay.versions import answers, at_commit, model_change
from assay.versions.at_commit import Side

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


def split(*names: str) -> dict[str, Any]:
    return {"test": answers.identity(names), "n_test_images": len(names)}


def side(rev: str, errors: dict[str, str], rows: pd.DataFrame | None = None, **said: Any) -> Side:
    """Return a commit with these errors, by what was named instead, on the test images a, b, c, d and e."""
    kept = {"errors": list(errors), "named": list(errors.values()), "split": split(*"abcde")} | said
    return Side(rev=rev, candidate=kept, problem="", manifest=rows)


def manifest() -> pd.DataFrame:
    """Return five test images of apes, and a train image."""
    names = list("abcdef")
    return pd.DataFrame(
        {"path": [f"{name}.png" for name in names], "label": "ape", "split": ["test"] * 5 + ["train"]}, index=names
    )


def listed(**wrong: tuple[str, float]) -> pd.DataFrame:
    """Return the list of predictions, by what was named instead and how surely."""
    said = [wrong.get(name, ("ape", 0.9)) for name in "abcde"]
    columns = {"label": "ape", "predicted": [name for name, _ in said], "probability": [sure for _, sure in said]}
    return pd.DataFrame(columns, index=list("abcde"))


def looked(
    monkeypatch: pytest.MonkeyPatch, old: Side, new: Side, lists: dict[str, pd.DataFrame]
) -> model_change.ModelChange:
    monkeypatch.setattr(at_commit, "predictions", lambda rev, paths: lists.get(rev))
    monkeypatch.setattr(at_commit, "content", lambda rev, file: None)
    return model_change.look(old, new, params.load(ROOT / "params.yaml"))


def test_new_errors_come_surest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    now = {"a": ("bee", 0.6), "b": ("bee", 0.95), "c": ("cow", 0.6), "d": ("cow", 0.8)}
    lists = {"v1": listed(), "v2": listed(**now)}
    found = looked(monkeypatch, side("v1", {}), side("v2", {}, manifest()), lists)
    assert [(flip.sha256, flip.probability) for flip in found.flips] == [
        ("b", 0.95),
        ("d", 0.8),
        ("a", 0.6),
        ("c", 0.6),
    ]
    told = [line for line in model_change.lines(found, (1.0, 0.2)) if "new error:" in line]
    assert told[0] == "- new error: `b.png`, ape taken for bee (0.9500)"


def test_answers_follow_from_errors_and_labels_where_the_old_list_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    now = {"a": ("bee", 0.7), "b": ("cow", 0.9)}
    whole = {"v1": listed(a=("bee", 0.5), e=("bee", 0.5)), "v2": listed(**now)}
    sides = side("v1", {"a": "bee", "e": "bee"}), side("v2", {"a": "bee", "b": "cow"}, manifest())
    wanted = looked(monkeypatch, *sides, whole)
    found = looked(monkeypatch, *sides, {"v2": whole["v2"]})
    assert found == wanted
    assert set(found.differences) == set(model_change.MEASURES)
    (flip,) = looked(monkeypatch, *sides, {}).flips  # by the manifest and both errors
    assert (flip.path, flip.label, flip.old, flip.new, flip.probability) == ("b.png", "ape", "ape", "cow", None)


def test_new_errors_are_named_where_nothing_but_the_errors_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    found = looked(monkeypatch, side("v1", {"a": "bee"}), side("v2", {"b": "cow"}), {})
    assert [(flip.sha256, flip.label, flip.new) for flip in found.flips] == [("b", None, "cow")]
    assert found.differences == {}
    assert "- new error: `b`, of a label that is not known here taken for cow" in model_change.lines(found, (0.8, 0.8))
    unnamed = looked(monkeypatch, side("v1", {}), side("v2", {"b": ""}, named=None), {})
    assert [(flip.sha256, flip.new) for flip in unnamed.flips] == [("b", None)]


def test_errors_say_nothing_of_other_test_images(monkeypatch: pytest.MonkeyPatch) -> None:
    other = side("v1", {}, split=split("a", "b"))
    found = looked(monkeypatch, other, side("v2", {"b": "cow"}), {})
    assert (found.flips, found.against) == ((), None)


def test_four_images_without_a_flip_leave_each_difference_open() -> None:
    same, all_right = np.eye(2, dtype=bool)[[0, 0, 1, 1]], np.ones(4, bool)
    of = Sides(
        actual=same,
        old=same,
        old_right=all_right,
        new=same,
        groups=np.arange(4),
        classes=("a", "b"),
        task="single_label",
    )
    for name, found in model_change._differences(of, 0.95).items():
        assert found.value == 0, name
        assert found.low < -0.3 < 0.3 < found.high, name  # type: ignore[operator]
