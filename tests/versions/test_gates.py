"""Which gates of `assay compare` are kept, which are not, and which cannot be held."""

from typing import Any

import pytest

from assay.errors import AssayError
from assay.versions import gates
from assay.versions.changes import Change, Changes

ACCURACY = "eval.accuracy"


def changes(old: Any, new: Any, *, is_open: bool = True) -> Changes:
    """Return a comparison of `v1` with `v2` where the accuracy and the number of images are all that is known."""
    metrics = [Change(name=ACCURACY, old=old, new=new)] if old is not None or new is not None else []
    images = Change(name="data.n_images", old=100, new=90)
    return Changes(
        old="v1",
        new="v2",
        is_open=is_open,
        stale=(),
        metrics=(images, *metrics),
        parameters=(),
        data=None,
        model=None,
        remarks=(),
    )


def fallen(found: Changes, *asked: str) -> list[str]:
    return gates.fallen(found, [gates.parse(text) for text in asked])


@pytest.mark.parametrize("change", ["nan", "inf", "-inf"])
def test_change_that_holds_nothing_is_refused(change: str) -> None:
    with pytest.raises(
        AssayError, match=f"'test.f1_macro:{change}': a change of {change} holds nothing; give a number"
    ):
        gates.parse(f"test.f1_macro:{change}")


@pytest.mark.parametrize("text", ["accuracy", ":-0.01", "test.accuracy:", "test.accuracy:much"])
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(AssayError, match="must be METRIC:CHANGE, such as"):
        gates.parse(text)


def test_drop_to_the_very_limit_is_kept() -> None:
    assert 0.94 - 0.95 < -0.01
    assert fallen(changes(0.95, 0.94), "test.accuracy:-0.01") == []
    assert fallen(changes(0.95, 0.9399), "test.accuracy:-0.01") == [
        "accuracy drops by 0.0101 from v1 to v2, the limit is 0.01"
    ]


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (0.9, "accuracy does not change from v1 to v2, it must rise by 0.01 or more"),
        (0.905, "accuracy rises by 0.0050 from v1 to v2, it must rise by 0.01 or more"),
        (0.89, "accuracy drops by 0.0100 from v1 to v2, it must rise by 0.01 or more"),
    ],
)
def test_gate_that_wants_more_says_so(new: float, said: str) -> None:
    assert fallen(changes(0.9, new), "test.accuracy:0.01") == [said]


def test_gate_at_zero_names_the_smallest_drop() -> None:
    assert fallen(changes(0.9, 0.89999), "test.accuracy:0") == ["accuracy drops by 1e-05 from v1 to v2, the limit is 0"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (None, 0.9, "v1 has no eval.accuracy; name a commit that has them"),
        (0.9, None, "v2 has no eval.accuracy; name a commit that has them"),
        (None, None, "no metric 'eval.accuracy' at either; metrics/ has those that there are"),
        (float("nan"), 0.9, "eval.accuracy is no number: nan at v1, 0.9 at v2"),
        ("high", 0.9, "eval.accuracy is no number: high at v1, 0.9 at v2"),
    ],
)
def test_gate_that_cannot_be_held_fails_and_says_where_what_is_missing(old: Any, new: Any, said: str) -> None:
    with pytest.raises(AssayError, match=f"--gate test.accuracy:-0.01 cannot be held: {said}") as error:
        fallen(changes(old, new), "test.accuracy:-0.01")
    assert error.value.exit_code == 1
    assert gates.fallen(changes(old, new), [gates.usual(margin=0)]) == []


def test_gate_that_fell_is_told_beside_one_that_cannot_be_held() -> None:
    with pytest.raises(AssayError, match=r"v1 has no eval\.accuracy; .*; data\.n_images drops by 10 "):
        fallen(changes(None, 0.9), "test.accuracy:0", "data.n_images:-5")


def test_gate_of_a_model_is_not_held_behind_a_closed_gate_of_the_data() -> None:
    found = changes(0.9, 0.5, is_open=False)
    with pytest.raises(AssayError, match="the gate of the data is closed at v2"):
        fallen(found, "test.accuracy:-0.01")
    assert gates.fallen(found, [gates.usual(margin=0)]) == []
    assert fallen(found, "data.n_images:-5") == ["data.n_images drops by 10 from v1 to v2, the limit is 5"]
