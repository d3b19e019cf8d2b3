"""What people see of a run: what it will cost, a bar at a terminal, and one plain line an epoch."""

import resource
import sys
from collections.abc import Mapping
from typing import Any

from tqdm import tqdm

from assay.labels import ACCURACY, Task


def duration(seconds: float) -> str:
    """Return it with as many digits as people want: 42 s, 12 min, 3.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def memory() -> str:
    """Return the most that this process has used so far."""
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return f"{kilobytes / 2**20:.1f} GB"


def expected(*, n_images: int, steps: int, epochs: int, n_parameters: int, step_s: float | None) -> str:
    """Return what is said before the first step; `step_s`: the time of one that was measured, None if none was."""
    sizes = f"{n_images:,} images in {steps:,} steps an epoch, {epochs} epochs, {n_parameters:,} parameters"
    if step_s is None:
        return f"{sizes}, {memory()} of memory so far"
    whole = duration(step_s * steps * epochs)
    return f"{sizes}, {memory()} of memory; a step takes {step_s * 1e3:.0f} ms: about {whole} in all"


class Bar:
    """A bar of the steps of an epoch where somebody watches, else nothing."""

    def __init__(self, title: str, steps: int) -> None:
        self.bar = tqdm(total=steps, desc=title, leave=False, disable=not sys.stderr.isatty(), unit="step")

    def step(self, logs: Mapping[str, float], accuracy: str) -> None:
        if not self.bar.disable:
            self.bar.set_postfix_str(f"loss {logs['loss']:.4f}, {accuracy} {logs['accuracy']:.4f}", refresh=False)
            self.bar.update()

    def close(self) -> None:
        self.bar.close()


def line(row: Mapping[str, Any], *, epochs: int, task: Task, seconds: float) -> str:
    """Return one line about an epoch."""
    word = ACCURACY[task]
    return (
        f"epoch {row['epoch']:>{len(str(epochs))}}/{epochs}"
        f"  train: loss {row['cross_entropy']:.4f}, {word} {row['accuracy']:.4f}"
        f"  val: loss {row['val_loss']:.4f}, {word} {row['val_accuracy']:.4f}"
        f"  rate {row['rate']:.2g}, {duration(seconds)}"
    )
