"""Does the export say what the Keras model says? Asked by `register` before anything is promoted.

`python -m assay.inference.parity EXPORT` reads questions from stdin, in a process of its own that never imports
TensorFlow: it decodes the original bytes as users will, and holds its answers against those of Keras on the pixels of
training.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from assay.errors import AssayError
from assay.inference import exported
from assay.inference.model import Model

LIMIT = 1e-5  # of a difference of two probabilities
MOST = 10_000  # test images that are asked about
BATCH_IMAGES = 16


@dataclass(frozen=True, kw_only=True)
class Question:
    """An image, where its bytes are, and what Keras says of it."""

    name: str
    file: str
    offset: int
    bytes: int
    probabilities: tuple[float, ...]  # [K]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    n_images: int
    n_other: int  # whose answer is another one
    largest: float  # difference of a probability
    worst: str  # the image of that

    @property
    def is_same(self) -> bool:
        return self.n_images > 0 and not self.n_other and self.largest <= LIMIT

    @property
    def text(self) -> str:
        return (
            f"the export answers otherwise than Keras on {self.n_other:,} of {self.n_images:,} images, a probability "
            f"differs by {self.largest:.1e} at most (limit {LIMIT:g}): {self.worst}"
        )


def check(folder: Path, questions: list[Question]) -> Outcome:
    """Return the outcome, asked in a fresh process; raises `AssayError` if it is not the same."""
    asked = "".join(json.dumps(asdict(each)) + "\n" for each in questions)
    command = [sys.executable, "-m", "assay.inference.parity", str(folder)]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssayError(f"parity: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else 'was killed'}")
    outcome = Outcome(**json.loads(done.stdout))
    if not outcome.is_same:
        raise AssayError(f"parity: {outcome.text}; nothing may be promoted")
    return outcome


def compare(model: Model, questions: Iterable[Question]) -> Outcome:
    """Return how the model answers the questions."""
    n_images, n_other, largest, worst = 0, 0, 0.0, ""
    for part in _batches(questions):
        pixels = np.stack([model.pixels(_read(question)) for question in part])
        found = model.answers(pixels).probabilities.astype(np.float64)
        wanted = np.array([question.probabilities for question in part])
        apart = np.abs(found - wanted).max(axis=1)
        n_images, n_other = n_images + len(part), n_other + int(is_other(model, found, wanted).sum())
        if float(apart.max()) >= largest:
            largest, worst = float(apart.max()), part[int(apart.argmax())].name
    return Outcome(n_images=n_images, n_other=n_other, largest=largest, worst=worst)


def is_other(model: Model, found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return whether the answers [N, K] differ, bool [N]; of a tie within `LIMIT` either answer is the same."""
    if model.about.task == "multi_label":
        limits = np.array(model.about.limits)
        differs = (found >= limits) != (wanted >= limits)
        return np.asarray((differs & (np.abs(wanted - limits) > LIMIT)).any(axis=1))
    chosen = np.take_along_axis(wanted, found.argmax(axis=1)[:, None], axis=1)[:, 0]
    return np.asarray(wanted.max(axis=1) - chosen > LIMIT)


def _batches(questions: Iterable[Question]) -> Iterator[list[Question]]:
    waiting = iter(questions)
    while part := list(islice(waiting, BATCH_IMAGES)):
        yield part


def _read(question: Question) -> bytes:
    with open(question.file, "rb") as content:  # noqa: PTH123
        content.seek(question.offset)
        return content.read(question.bytes)


def main() -> None:
    model = Model(exported.read(Path(sys.argv[1])))
    outcome = compare(model, map(_question, sys.stdin))
    if "tensorflow" in sys.modules:
        sys.exit("TensorFlow was imported, so this shows nothing of a machine without it")
    print(json.dumps(asdict(outcome)))


def _question(line: str) -> Question:
    said = json.loads(line)
    return Question(**{**said, "probabilities": tuple(said["probabilities"])})


if __name__ == "__main__":
    main()
