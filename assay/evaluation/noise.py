"""What runs of one recipe that differ in the seed only say of a metric, where they say anything of this comparison."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

RECIPE = ("preprocess", "train")  # of params.yaml: how images are prepared and learned from
RUNS = "the runs in registry/noise.json"
AGAIN = "`assay noise` records that"


@dataclass(frozen=True, kw_only=True)
class Noise:
    runs: tuple[float, ...] = ()  # the metric of each
    disagreement: float = 0.0  # of two of them, as a share of the images
    why: str = AGAIN  # nothing is told, if there are no runs


def recipe(content: Mapping[str, Any]) -> str | None:
    """Return one hash for the recipe; `content`: of params.yaml. None where an older one has no such section."""
    if not set(RECIPE) <= set(content):
        return None
    kept = {name: content[name] for name in RECIPE}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def of(recorded: Mapping[str, Any], metric: str, *, recipe: str | None, ledger: str | None, before: str) -> Noise:
    """Return what registry/noise.json says of a metric: nothing, unless its runs are of that recipe and ledger.

    `before`: the model whose recipe and test images these are, in words; None: they are not known of it.
    """
    runs = recorded.get("metrics", {}).get(metric, ())
    if not runs:
        return Noise()
    for key, wanted, thing in (("recipe", recipe, f"the recipe of {before}"), ("ledger", ledger, "these test images")):
        if why := _obstacle(recorded.get(key), wanted, thing):
            return Noise(why=why)
    return Noise(runs=tuple(runs), disagreement=recorded.get("disagreement", 0.0))


def _obstacle(known: str | None, wanted: str | None, thing: str) -> str:
    if wanted is None:
        return f"{thing} cannot be told, nor whether {RUNS} are of it; the next release records it"
    if known is None:
        return f"{RUNS} do not say whether they are of {thing}; `assay noise` records new ones"
    return f"{RUNS} are not of {thing}; `assay noise` records new ones" if known != wanted else ""
