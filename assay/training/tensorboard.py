"""Logs that TensorBoard shows, for who uses it: they are no output, hold times, and stand in a folder that git ignores.

TensorBoard itself is not needed to write them: `pip install tensorboard`, then `tensorboard --logdir .assay/training`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from assay.training.tensors import keras, tf

What = Literal["none", "scalars", "histograms"]


def write(folder: Path, row: Mapping[str, Any], learner: keras.Model, *, what: What) -> None:
    """Add what an epoch measured, and with `histograms` its weights too."""
    if what == "none":
        return
    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default(step=row["epoch"]):
        for name, value in row.items():
            tf.summary.scalar(name, value)
        for weight in learner.weights if what == "histograms" else []:
            tf.summary.histogram(weight.path, weight.value)
    writer.close()
