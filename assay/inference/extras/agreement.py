"""How far an extra answers as the ONNX export does, and whether that is enough.

`found` and `onnx` are probabilities [N, K] of the same images, `actual` their labels: int [N], or of a multi-label set
0 or 1 for each class [N, K].
"""

from dataclasses import dataclass

import numpy as np

from assay.inference.exported import About
from assay.labels import ACCURACY, Task

LIMIT = 1e-4  # of a difference of two probabilities in floats, which other libraries sum in another order


@dataclass(frozen=True, kw_only=True)
class Agreement:
    task: Task
    n_images: int
    n_answers: int  # one for each image; multi-label: one for each of its classes
    n_other: int  # of them, not those of the export
    largest: float  # difference of a probability
    accuracy: float  # of the extra, on these images; multi-label: share of those with all classes right
    onnx_accuracy: float

    @property
    def alike(self) -> float:
        """The share of the answers that are those of the export."""
        return 1 - self.n_other / self.n_answers

    @property
    def text(self) -> str:
        return (
            f"{self.n_images:,} test images: {self.n_other:,} of {self.n_answers:,} answers are not those of the ONNX "
            f"export ({self.alike:.2%} are), a probability differs by {self.largest:.1e} at most; "
            f"{ACCURACY[self.task]} {self.accuracy:.4f}, of the export {self.onnx_accuracy:.4f}"
        )


def measure(about: About, found: np.ndarray, onnx: np.ndarray, actual: np.ndarray) -> Agreement:
    """Return how the two answer; N must be at least 1."""
    ours, theirs = decisions(about, found), decisions(about, onnx)
    return Agreement(
        task=about.task,
        n_images=len(found),
        n_answers=ours.size,
        n_other=int((ours != theirs).sum()),
        largest=float(np.abs(found.astype(np.float64) - onnx).max()),
        accuracy=_right(ours, actual),
        onnx_accuracy=_right(theirs, actual),
    )


def decisions(about: About, probabilities: np.ndarray) -> np.ndarray:
    """Return the class of each image, int [N]; of a multi-label set whether it is in each class, bool [N, K]."""
    if about.task == "multi_label":
        return np.asarray(probabilities >= np.array(about.limits))
    return np.asarray(probabilities.argmax(axis=1))


def _right(decided: np.ndarray, actual: np.ndarray) -> float:
    return float((decided == actual).reshape(len(decided), -1).all(axis=1).mean())


def is_same(agreement: Agreement) -> bool:
    """Say whether an extra in floats answers as the export; one whose answers are no numbers does not."""
    return agreement.largest <= LIMIT
