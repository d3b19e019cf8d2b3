"""TensorFlow and Keras, without their chatter: `from assay.tensors import keras, tf`.

TensorFlow 2.21 logs half a dozen lines before any of its settings for that is read
(github.com/tensorflow/tensorflow/issues/100442), among them an error on every machine that has no GPU.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


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
with quiet():
    import keras
    import tensorflow as tf

__all__ = ["keras", "quiet", "tf"]
