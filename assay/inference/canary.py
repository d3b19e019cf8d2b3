"""The canary: difficult files with the answers of the network that was exported, to be had again on any machine.

The files are made in code (`difficult`), so no picture of anybody's data leaves with an export. The answers are those
of Keras: ONNX Runtime adds up otherwise with AVX-512 than with AVX2 and cannot be told not to, so an export that held
its answers would have other bytes on another processor.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.errors import AssayError
from assay.inference.exported import CANARY
from assay.inference.model import Model

ANSWERS = f"{CANARY}/answers.json"
LIMIT = 1e-5  # of a difference of two probabilities
EMBEDDING_LIMIT = 1e-3  # of a difference of two embeddings, as a share of the length of the first


@dataclass(frozen=True, kw_only=True)
class Outcome:
    n_files: int
    other_pixels: tuple[str, ...]  # files that this machine decodes otherwise
    largest: float  # difference of a probability
    largest_embedding: float  # difference of an embedding, as a share of its length

    @property
    def is_same(self) -> bool:
        return not self.other_pixels and self.largest <= LIMIT and self.largest_embedding <= EMBEDDING_LIMIT

    @property
    def text(self) -> str:
        decoded = f"other pixels of {', '.join(self.other_pixels)}" if self.other_pixels else "the same pixels"
        return (
            f"canary of {self.n_files} files: {decoded}, probabilities differ by {self.largest:.1e} at most (limit "
            f"{LIMIT:g}), embeddings by {self.largest_embedding:.1e} of their length (limit {EMBEDDING_LIMIT:g})"
        )


def made(
    files: Mapping[str, bytes], pixels: np.ndarray, probabilities: np.ndarray, embedding: np.ndarray
) -> dict[str, bytes]:
    """Return the files of the canary by their path in the export, with answers.

    `files`: the difficult ones by name. `pixels`: what they were prepared to, uint8 [N, H, W, C]; the others are the
    network's answers to these, float32 [N, K] and [N, D].
    """
    rows = zip(pixels, probabilities, embedding, strict=True)
    answers = {name: _said(*row) for name, row in zip(files, rows, strict=True)}
    text = json.dumps(answers, indent=1) + "\n"
    return {ANSWERS: text.encode(), **{f"{CANARY}/{name}": content for name, content in files.items()}}


def sing(model: Model, contents: Mapping[str, bytes]) -> Outcome:
    """Return how the answers of this machine differ from those in the export's `contents`.

    Raises `AssayError` for an export without a canary.
    """
    if ANSWERS not in contents:
        raise AssayError(f"canary: the export has no {ANSWERS}; `dvc repro register` makes one that has")
    wanted = json.loads(contents[ANSWERS])
    found = {name: _answer(model, contents[f"{CANARY}/{name}"]) for name in wanted}
    apart = [
        (_apart(wanted[name], found[name], "probabilities"), _apart_by_length(wanted[name], found[name]))
        for name in wanted
    ]
    return Outcome(
        n_files=len(wanted),
        other_pixels=tuple(name for name in wanted if wanted[name]["pixels"] != found[name]["pixels"]),
        largest=max(probability for probability, _ in apart),
        largest_embedding=max(embedding for _, embedding in apart),
    )


def _answer(model: Model, content: bytes) -> dict[str, Any]:
    pixels = model.pixels(content)
    found = model.answers(pixels[None])
    return _said(pixels, found.probabilities[0], found.embedding[0])


def _said(pixels: np.ndarray, probabilities: np.ndarray, embedding: np.ndarray) -> dict[str, Any]:
    return {
        "pixels": hashlib.sha256(pixels.tobytes()).hexdigest(),
        "probabilities": probabilities.tolist(),
        "embedding": embedding.tolist(),
    }


def _apart(wanted: Mapping[str, Any], found: Mapping[str, Any], key: str) -> float:
    return float(np.abs(np.subtract(wanted[key], found[key])).max())


def _apart_by_length(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> float:
    one, other = (np.asarray(each["embedding"], np.float64) for each in (wanted, found))
    return float(np.linalg.norm(one - other) / max(float(np.linalg.norm(one)), 1e-12))
