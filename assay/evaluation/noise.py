"""What runs of one recipe that differ in the seed only say of a metric; `assay noise` records them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Noise:
    runs: tuple[float, ...] = ()  # the metric of each
    disagreement: float = 0.0  # of two of them, as a share of the images


def of(recorded: Mapping[str, Any], metric: str) -> Noise:
    """Return what registry/noise.json says of a metric."""
    runs = recorded.get("metrics", {}).get(metric, ())
    return Noise(runs=tuple(runs), disagreement=recorded.get("disagreement", 0.0))
