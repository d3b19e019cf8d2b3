"""Predictions of any number of images, in constant memory: decoded by threads, answered by one session, in their order.

Pillow and ONNX Runtime let other threads run, so decoding costs no process. No more than `WINDOW` images wait. Where
`ASSAY_BACKEND` names a cluster, its workers do both.
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from assay.inference.classifier import Classifier
from assay.inference.inputs import Input
from assay.inference.model import Prediction

WINDOW = 128  # images that are decoded or wait for it


def stream(classifier: Classifier, inputs: Iterable[Input], *, top: int = 3) -> Iterator[Prediction]:
    """Yield the prediction of each image, in order; one that cannot be read is one with a problem.

    Raises `AssayError` where a network is down: that is no fault of the image.
    """
    if classifier.folder and _is_for_cluster():
        from assay.inference import workers

        yield from workers.stream(classifier, inputs, top=top)
        return
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
        waiting.append((each.name, pool.submit(each.pixels, classifier)))
        if len(waiting) == WINDOW:
            name, first = waiting.popleft()
            yield name, first.result()
    while waiting:
        name, first = waiting.popleft()
        yield name, first.result()


def _is_for_cluster() -> bool:
    if not os.environ.get("ASSAY_BACKEND"):  # joblib and pyarrow take half as long to import as all else
        return False
    from assay.compute import backend

    return backend.is_cluster()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
