"""Values of params.yaml change, and nothing else of it does."""

import string
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.errors import AssayError
from assay.operations import params_lines

TEXT = (Path(__file__).parents[2] / "params.yaml").read_text()


def flat(content: dict[str, object], above: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in content.items():
        found |= flat(value, f"{above}{key}.") if isinstance(value, dict) else {f"{above}{key}": value}
    return found


ON_LINES = sorted(
    key for key in flat(yaml.safe_load(TEXT)) if not key.startswith(("paths.memo.", "paths.metrics.", "tune."))
)
VALUES = st.one_of(
    st.integers(-9, 10**6),
    st.booleans(),
    st.floats(0, 1).map(lambda share: round(share, 3)),
    st.text(string.ascii_letters + "_ :'\"", max_size=12),
    st.lists(st.integers(1, 512), max_size=5),
    st.none(),
)


@settings(max_examples=30, deadline=None)
@given(values=st.dictionaries(st.sampled_from(ON_LINES), VALUES, max_size=6))
def test_exactly_the_values_that_are_given_change_and_every_comment_stays(values: dict[str, object]) -> None:
    changed = params_lines.changed(TEXT, values)
    assert flat(yaml.safe_load(changed)) == flat(yaml.safe_load(TEXT)) | values
    before, after = TEXT.split("\n"), changed.split("\n")
    assert len(before) == len(after)
    for old, new in zip(before, after, strict=True):
        comment = old.partition("#")[2]
        assert new.endswith(comment)
    assert params_lines.changed(changed, values) == changed


def test_comment_stays_in_its_column_where_there_is_room() -> None:
    text = "a:\n  b: grey        # grey or rgb\n  c: 1  # next\n"
    assert params_lines.changed(text, {"a.b": "rgb", "a.c": [16, 32]}) == (
        "a:\n  b: rgb         # grey or rgb\n  c: [16, 32]  # next\n"
    )


def test_key_on_no_line_is_named() -> None:
    with pytest.raises(AssayError, match=r"params\.yaml: train\.size: on no line of its own; set it by hand"):
        params_lines.changed(TEXT, {"train.size": 3})


def test_values_within_braces_and_of_many_lines() -> None:
    text = "train:\n  rate: 0.1   # learning_rate\n  augment: {preset: none}  # rate: 0.1\n  clip: null\n  own:\n"
    values = {"train.rate": 0.25, "train.augment.preset": "strong", "train.clip": 1, "train.own": "x"}
    assert params_lines.changed(text, values) == (
        "train:\n  rate: 0.25  # learning_rate\n  augment: {preset: strong}  # rate: 0.1\n  clip: 1\n  own: x\n"
    )
    for key in ("train.depth", "filters"):
        with pytest.raises(AssayError, match=f"params.yaml: {key}: on no line of its own"):
            params_lines.changed("filters:\n  - 16\n" + text, {key: [3]})
