from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from assay import params
from assay.evaluation import noise

RECORDED = {
    "metrics": {"accuracy": [0.90, 0.92, 0.91]},
    "disagreement": 0.04,
    "recipe": "r",
    "ledger": "l",
}


def asked(recorded: dict[str, Any], recipe: str | None = "r", ledger: str | None = "l") -> noise.Noise:
    return noise.of(recorded, "accuracy", recipe=recipe, ledger=ledger, before="champion v3")


def test_runs_of_this_recipe_and_of_these_images_tell() -> None:
    found = asked(RECORDED)
    assert (found.runs, found.disagreement) == ((0.90, 0.92, 0.91), 0.04)
    assert asked({key: value for key, value in RECORDED.items() if key != "disagreement"}).disagreement == 0


@pytest.mark.parametrize(
    ("recorded", "recipe", "ledger", "said"),
    [
        ({}, "r", "l", "`assay noise` records that"),
        (
            RECORDED,
            "other",
            "l",
            "the runs in registry/noise.json are not of the recipe of champion v3; `assay noise` ",
        ),
        (RECORDED, "r", "other", "the runs in registry/noise.json are not of these test images; `assay noise` records"),
        (RECORDED | {"recipe": None}, "r", "l", "do not say whether they are of the recipe of champion v3; `assay no"),
        (RECORDED | {"ledger": None}, "r", "l", "do not say whether they are of these test images; `assay noise` rec"),
        (RECORDED, None, "l", "the recipe of champion v3 cannot be told, nor whether the runs in registry/noise.json "),
    ],
)
def test_runs_of_anything_else_do_not_and_it_is_said_why(
    recorded: dict[str, Any], recipe: str | None, ledger: str | None, said: str
) -> None:
    found = asked(recorded, recipe, ledger)
    assert found.runs == ()
    assert said in found.why


@given(*[st.sampled_from([None, "a", "b"])] * 4)
def test_only_what_is_known_to_be_the_same_counts(
    recipe: str | None, ledger: str | None, its_recipe: str | None, its_ledger: str | None
) -> None:
    found = asked(RECORDED | {"recipe": its_recipe, "ledger": its_ledger}, recipe, ledger)
    assert bool(found.runs) == (None not in (recipe, ledger) and (recipe, ledger) == (its_recipe, its_ledger))


def test_recipe_is_another_when_training_is_and_not_when_a_limit_is() -> None:
    content = yaml.safe_load(params.FILE.read_text())
    one = noise.recipe(content)
    assert noise.recipe(content | {"register": {}, "seed": 99}) == one
    assert noise.recipe(content | {"train": content["train"] | {"epochs": 1}}) != one
    assert noise.recipe({"train": {}}) is None
