"""The model card: what the model does, how good it is, what it was made from, and what it was not tested on."""

from collections.abc import Mapping
from typing import Any

import yaml

from assay import files, pages, params
from assay.dataset.records.contents import Index

TASK = "image-classification"  # the hub's word


def build(
    paths: params.Paths, index: Index, candidate: Mapping[str, Any], *, n_set_aside: int, p: params.Train, threads: int
) -> str:
    """Return MODEL_CARD.md; `n_set_aside`: images that the gate set aside beside those that did not decode.

    It begins with the header that hubs read: https://huggingface.co/docs/hub/model-cards#model-card-metadata
    """
    data = files.read_json(paths.metrics.data)["data"]
    n_unused = data["n_set_aside"] + n_set_aside
    n_used = sum(split.n_images for split in index.splits.values())
    metrics, source = files.read_json(paths.metrics.eval)["eval"], files.read_json(paths.source)["source"]
    return pages.render(
        "evaluation/card.md",
        header=yaml.safe_dump(header(metrics, source), sort_keys=False, allow_unicode=True),
        candidate=candidate,
        metrics=metrics,
        source=source,
        trained=files.read_json(paths.metrics.train)["train"],
        p=p,
        threads=threads,
        answering=files.read_json(paths.answering),
        classes=index.classes,
        splits=index.splits,
        n_images=data["n_images"],
        n_set_aside=n_unused,
        n_copies=data["n_images"] - n_unused - n_used,
        height_px=index.height_px,
        width_px=index.width_px,
        channels=index.channels,
    )


def header(metrics: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return what hubs know a model by: what it is for, and what it was measured to be on which data."""
    measured = [{"type": kind, "value": metrics[name]} for kind, name in (("accuracy", "accuracy"), ("f1", "f1_macro"))]
    result = {
        "task": {"type": TASK},
        "dataset": {"name": source, "type": source, "split": "test"},
        "metrics": measured,
    }
    return {
        "pipeline_tag": TASK,
        "library_name": "keras",
        "tags": [TASK, "onnx"],
        "model-index": [{"name": "classifier", "results": [result]}],
    }
