"""The page of a comparison: its head has a colour where the verdict is one, and not where points alone differ."""

import re
from typing import Any

import numpy as np
import pytest
from checkouts import ROOT

from assay import params
from assay.evaluation import against
from assay.evaluation.against import Sides
from assay.evaluation.noise import Noise
from assay.versions import changes_page
from assay.versions.changes import Changes
from assay.versions.model_change import ModelChange

P = params.load(ROOT / "params.yaml")


def model(n_new: int, n_gone: int, n: int = 400) -> ModelChange:
    """Return the comparison of two models of which the new one has so many new errors, and so many fewer."""
    old, new = np.ones(n, bool), np.ones((n, 1), bool)
    new[:n_new] = False
    old[n_new : n_new + n_gone] = False
    sides = Sides(
        actual=np.ones((n, 1), bool),
        old=None,
        old_right=old,
        new=new,
        groups=np.arange(n),
        classes=("",),
        task="single_label",
    )
    found = against.against(sides, Noise(), 1, P.register)
    return ModelChange(task="single_label", n_old=n, n_new=n, against=found, differences={}, flips=(), remarks=())


def changes(**said: Any) -> Changes:
    kept: dict[str, Any] = {"is_open": True, "stale": (), "metrics": (), "parameters": (), "data": None, "remarks": ()}
    return Changes(old="v1", new="v2", **kept | {"model": None} | said)


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ({"model": model(n_new=3, n_gone=0)}, ""),  # -0.0075, p = 0.25
        ({"model": model(n_new=0, n_gone=1)}, ""),  # +0.0025, p = 1
        ({"model": model(n_new=0, n_gone=0)}, ""),
        ({"model": model(n_new=20, n_gone=2)}, "bad"),
        ({"model": model(n_new=2, n_gone=20)}, "good"),
        ({}, ""),
        ({"is_open": False}, "bad"),
    ],
)
def test_head_has_the_colour_of_the_verdict(said: dict[str, Any], wanted: str) -> None:
    page = changes_page.build(changes(**said), P)
    assert re.findall(r'<div class="verdict ?([a-z]*)\s*">', page) == [wanted]
