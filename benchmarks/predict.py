"""What `assay predict` costs beside its parts: `python benchmarks/predict.py EXPORT IMAGE...`

In one run, by turns, on the same encoded images: decode alone (the threads of predict), the model alone (the session
of predict, on pixels that are there), and the whole stream. CPU seconds of the process, and wall seconds. The share is
(decode + model) / stream, in CPU: 1 means that the loop costs nothing. With --rss N: the memory of N images instead.
"""

import resource
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from assay import Classifier
from assay.inference import predict
from assay.inference.inputs import Input
from assay.inference.model import BATCH_IMAGES

N_IMAGES, ROUNDS = 1280, 5


def main() -> None:
    arguments = sys.argv[1:]
    export, *files = arguments[: arguments.index("--rss")] if "--rss" in arguments else arguments
    classifier, contents = Classifier.load(export), [Path(file).read_bytes() for file in files]
    if "--rss" in arguments:
        memory(classifier, contents, int(arguments[-1]))
        return
    pixels = [classifier.pixels(content) for content in contents]
    classifier.answers(np.stack(pixels[:1] * BATCH_IMAGES))
    print("| round | decode | model | stream | share, CPU | share, wall |\n|---|---|---|---|---|---|")
    for number in range(1, ROUNDS + 1):
        parts = [
            spent(partial(decode, classifier, contents)),
            spent(partial(answer, classifier, pixels)),
            spent(partial(stream, classifier, contents)),
        ]
        cpu, wall = zip(*parts, strict=True)
        told = " | ".join(f"{1000 * seconds / N_IMAGES:.2f}" for seconds in cpu)
        shares = f"{(cpu[0] + cpu[1]) / cpu[2]:.2f} | {(wall[0] + wall[1]) / wall[2]:.2f}"
        print(f"| {number} | {told} | {shares} |", flush=True)


def spent(do: Callable[[], None]) -> tuple[float, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    do()
    return time.process_time() - cpu, time.perf_counter() - wall


def decode(classifier: Classifier, contents: list[bytes]) -> None:
    with ThreadPoolExecutor(predict._cores()) as pool:
        for _ in pool.map(classifier.pixels, (contents[n % len(contents)] for n in range(N_IMAGES))):
            pass


def answer(classifier: Classifier, pixels: list[np.ndarray]) -> None:
    for start in range(0, N_IMAGES, BATCH_IMAGES):
        classifier.answers(np.stack([pixels[n % len(pixels)] for n in range(start, start + BATCH_IMAGES)]))


def stream(classifier: Classifier, contents: list[bytes]) -> None:
    for _ in predict.stream(classifier, inputs(contents, N_IMAGES)):
        pass


def inputs(contents: list[bytes], n: int) -> Iterator[Input]:
    for number in range(n):
        yield Input(name=str(number), read=partial(lambda content: content, contents[number % len(contents)]))


def memory(classifier: Classifier, contents: list[bytes], n: int) -> None:
    print("| images | peak RSS MB |\n|---|---|")
    steps = {n // 100, n // 10, n // 2, n}
    for number, _ in enumerate(predict.stream(classifier, inputs(contents, n)), 1):
        if number in steps:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
            print(f"| {number:,} | {peak:.0f} |", flush=True)


if __name__ == "__main__":
    main()
