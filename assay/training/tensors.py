"""TensorFlow and Keras, without their chatter, on oneDNN: `from assay.training.tensors import keras, tf`.

TensorFlow 2.21 logs half a dozen lines before any of its settings for that is read
(github.com/tensorflow/tensorflow/issues/100442), among them an error on every machine that has no GPU.

It uses oneDNN on some processors and not on others, which gives other bits: here it always does, and is twice as fast
on those where it would not. `set_up` bounds the instructions that oneDNN uses, and with them all that training
computes: https://uxlfoundation.github.io/oneDNN/dev_guide_cpu_dispatcher_control.html
"""

import os
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from assay.errors import AssayError


@contextmanager
def quiet() -> Iterator[None]:
    """Keep from people what the block writes to stderr, unless it raises."""
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        except BaseException:
            said.seek(0)
            os.write(stderr, said.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"  # read while TensorFlow is imported
with quiet():
    import keras
    import tensorflow as tf
    from keras.src.random import seed_generator

__all__ = ["draw_from", "keras", "quiet", "set_up", "tf"]

INSTRUCTIONS = "ONEDNN_MAX_CPU_ISA"  # oneDNN reads it when it computes for the first time
PORTABLE = "AVX2"
_chosen: list[bool] = []  # whether this process is portable, once that was decided


def set_up(*, threads: int, seed: int = 0, portable: bool = True, deterministic: bool = True) -> str:
    """Return the device, after making what follows give the same bits in every process.

    To be called before any other use of TensorFlow. `portable`: the same on every x86 processor with AVX2, for the
    same number of threads and the same versions; else on the same kind of processor only. Raises `AssayError` where
    the process decided otherwise before.
    """
    if _chosen and _chosen[0] != portable:
        raise AssayError(f"portable: {portable}, and this process began with {_chosen[0]}; oneDNN asks only once")
    if not _chosen:
        _chosen.append(portable)
        os.environ |= {INSTRUCTIONS: PORTABLE} if portable else {}
    keras.utils.clear_session()  # names that Keras gives are counted from here, and stand in the model's file
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    if deterministic:  # Keras then compiles nothing with XLA
        tf.config.experimental.enable_op_determinism()
    draw_from(seed)
    with quiet():
        gpus = tf.config.list_physical_devices("GPU")
    return f"{len(gpus)} GPU" if gpus else f"the CPU, {threads} threads"


def draw_from(seed: int) -> None:
    """Let what Keras and TensorFlow draw from now on be what the seed gives, whatever other threads draw.

    Keras takes the seeds of its layers from Python's own generator, which is everybody's: it gets one of its own, with
    the same numbers. Its `set_random_seed` alone does not reach that one.
    """
    keras.utils.set_random_seed(seed)
    seed_generator.python_random = random.Random(seed)
