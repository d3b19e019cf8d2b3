"""What the model of a run was made from, for people: data, parameters, versions, and how its training went."""

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

import pandas as pd

from assay import files, params
from assay.dataset.records.contents import Index

PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn", "scipy", "pandas", "pillow")


@dataclass(frozen=True, kw_only=True)
class Provenance:
    index: Index
    manifest_sha256: str
    model_sha256: str
    parameters: dict[str, str]  # by their place in params.yaml
    versions: dict[str, str]
    history: pd.DataFrame  # of the training: epoch, loss, val_loss, accuracy, val_accuracy, and perhaps rate
    trained: Mapping[str, Any]  # what metrics/train.json says


def read(paths: params.Paths, index: Index, **sections: Any) -> Provenance:
    """Return what is known of the run; `sections` of params.yaml, each a number or a dataclass."""
    return Provenance(
        index=index,
        manifest_sha256=files.sha256(paths.manifest),
        model_sha256=files.sha256(paths.model),
        parameters=flat(sections),
        versions={"python": f"{sys.version_info.major}.{sys.version_info.minor}"} | _versions(),
        history=pd.read_csv(paths.history),
        trained=files.read_json(paths.metrics.train)["train"],
    )


def _versions() -> dict[str, str]:
    known = {each.metadata["Name"].lower() for each in metadata.distributions()}
    return {name: metadata.version(name) for name in PACKAGES if name in known}


def flat(sections: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return each value as text by its dotted name."""
    found: dict[str, str] = {}
    for name, value in sections.items():
        held = value if isinstance(value, dict) else asdict(value) if hasattr(value, "__dataclass_fields__") else None
        if held is None:
            text = ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
            found[f"{prefix}{name}"] = "null" if value is None else text
        else:
            found |= flat(held, f"{prefix}{name}.")
    return found
