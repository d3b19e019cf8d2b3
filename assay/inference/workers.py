"""Predictions by the workers of a cluster: each reads, decodes and answers some images, and loads the export once.

The batches are those of one machine, for how many images a session is given can decide the last bit of an answer.
"""

import pickle
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

from assay.compute import backend, fingerprint
from assay.errors import AssayError
from assay.evaluation import ood
from assay.images import colour, decode, depth, resizing
from assay.inference import exported, model
from assay.inference.inputs import Input
from assay.inference.model import BATCH_IMAGES, Model, Prediction

CHUNK_IMAGES = 4 * BATCH_IMAGES
CODE = (colour, decode, depth, resizing, exported, model, ood)


@dataclass(frozen=True, kw_only=True)
class Chunk:
    made_by: str  # the fingerprint of the code that must answer
    folder: str  # of the export
    sha256: str  # of its model.json
    top: int
    inputs: tuple[Input, ...]


def stream(asked: Model, inputs: Iterable[Input], *, top: int) -> Iterator[Prediction]:
    """Yield the prediction of each image, in order, as `predict.stream` does on one machine.

    Raises `AssayError` where the cluster does not answer, a worker has another version, or it cannot read what this
    machine can.
    """
    given: deque[tuple[Input, ...]] = deque()
    # Of a cluster the number of images decides nothing, and nobody has counted them.
    for said in backend.results(answered, _chunks(asked, inputs, top, given), backend.PROCESSES_FROM):
        for each, prediction in zip(given.popleft(), said, strict=True):
            _check_seen(asked, each, prediction)
            yield prediction


def answered(chunk: Chunk) -> list[Prediction]:
    """Return the predictions of a chunk, by this process."""
    fingerprint.check(chunk.made_by, CODE)
    asked = _loaded(chunk.folder, chunk.sha256)
    return list(asked.said(((each.name, each.pixels(asked)) for each in chunk.inputs), top=chunk.top))


def _chunks(asked: Model, inputs: Iterable[Input], top: int, given: deque[tuple[Input, ...]]) -> Iterator[Chunk]:
    made_by, folder = fingerprint.fingerprint(CODE), str(Path(asked.folder or "").absolute())
    for some in backend.batches(inputs, CHUNK_IMAGES):
        given.append(some)
        travelling = tuple(map(_travelling, some))
        yield Chunk(made_by=made_by, folder=folder, sha256=asked.sha256, top=top, inputs=travelling)


def _travelling(each: Input) -> Input:
    """Return the image as another process can read it: with its content, where only this one can."""
    try:
        pickle.dumps(each.read)
    except (pickle.PicklingError, AttributeError, TypeError):
        return replace(each, read=partial(_as_read, _read(each)))
    return each


def _read(each: Input) -> bytes | OSError:
    try:
        return each.read()
    except OSError as error:
        return error


def _as_read(content: bytes | OSError) -> bytes:
    if isinstance(content, OSError):
        raise content
    return content


@lru_cache(maxsize=1)
def _loaded(folder: str, sha256: str) -> Model:
    try:
        return Model(exported.read(Path(folder), sha256))
    except AssayError as error:
        raise AssayError(f"a worker: {error}; let it see the same paths as this machine") from None


def _check_seen(asked: Model, each: Input, prediction: Prediction) -> None:
    """Raise `AssayError` for an image that a worker could not read and this process can."""
    if prediction.problem and not isinstance(each.pixels(asked), str):
        raise AssayError(
            f"{backend.BACKEND}={backend.name()}: a worker cannot read {each.name} ({prediction.problem}) and this "
            "machine can; let the workers see the same paths, or name the images by URLs"
        )
