"""Predictions of any number of images, in constant memory: decoded by threads, answered by one session, in their order.

Pillow and ONNX Runtime let other threads run, so decoding costs no process. No more than `WINDOW` images wait.
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from assay.images import decode
from assay.inference.classifier import Classifier
from assay.inference.inputs import Input
from assay.inference.model import Prediction, problem

WINDOW = 128  # images that are decoded or wait for it


def stream(classifier: Classifier, inputs: Iterable[Input], *, top: int = 3) -> Iterator[Prediction]:
    """Yield the prediction of each image, in order; one that cannot be read is one with a problem.

    Raises `AssayError` where a network is down: that is no fault of the image.
    """
    pool = ThreadPoolExecutor(_cores(), "decode")
    try:
        yield from classifier.said(_prepared(classifier, inputs, pool), top=top)
    finally:
        pool.shutdown(cancel_futures=True)


def _prepared(
    classifier: Classifier, inputs: Iterable[Input], pool: ThreadPoolExecutor
) -> Iterator[tuple[str, np.ndarray | str]]:
    waiting: deque[tuple[str, Future[np.ndarray | str]]] = deque()
    for each in inputs:
        waiting.append((each.name, pool.submit(_pixels, classifier, each)))
        if len(waiting) == WINDOW:
            name, first = waiting.popleft()
            yield name, first.result()
    while waiting:
        name, first = waiting.popleft()
        yield name, first.result()


def _pixels(classifier: Classifier, each: Input) -> np.ndarray | str:
    try:
        return classifier.pixels(each.read())
    except (decode.Undecodable, OSError) as error:
        return problem(error)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
