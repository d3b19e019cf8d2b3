"""Tensors out of a file that torch saved, without torch and without trusting the file.

The layout is that of torch before 1.6 (https://github.com/pytorch/pytorch/blob/main/torch/serialization.py,
`_legacy_load`): a pickled magic number, version and machine, the pickled dict of tensors, the pickled keys of their
storages, then each storage as its length and its numbers. A pickle may call any function; this one knows dicts and
tensors, and refuses the rest.
"""

import collections
import pickle
import struct
from pathlib import Path
from typing import IO, Any

import numpy as np

from assay.errors import AssayError

MAGIC = 0x1950A86A20F9469CFC6C
WRONG = (AttributeError, IndexError, KeyError, TypeError, ValueError)  # what comes of unpickling anything else
TYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


def read(file: Path) -> dict[str, np.ndarray]:
    """Return the tensors by name.

    Raises `AssayError` for a file of another layout, and for one that holds anything but tensors by name.
    """
    try:
        with file.open("rb") as stream:
            return _read(stream)
    except (pickle.UnpicklingError, EOFError, struct.error, *WRONG) as error:
        raise AssayError(f"{file}: no dict of tensors as torch saved it before 1.6: {error}") from None


def _read(stream: IO[bytes]) -> dict[str, np.ndarray]:
    if _unpickled(stream) != MAGIC:
        raise ValueError("the magic number is another one")
    _unpickled(stream), _unpickled(stream)  # version and machine
    tensors, keys = _unpickled(stream), _unpickled(stream)
    kinds = {kind.key: kind.dtype for kind, *_ in tensors.values()}
    storages = {key: _storage(stream, kinds[key]) for key in keys}
    return {name: _tensor(storages[kind.key], *shape) for name, (kind, *shape) in tensors.items()}


class _Storage:
    """Where a tensor's numbers are, before they were read."""

    def __init__(self, kind: str, dtype: np.dtype[Any], key: str) -> None:
        if kind != "storage":
            raise pickle.UnpicklingError(f"{kind!r} where a storage should be")
        self.dtype, self.key = dtype, key


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, strides, *_: (storage, offset, shape, strides)
        if module == "torch" and name in TYPES:
            return TYPES[name]
        raise pickle.UnpicklingError(f"it calls for {module}.{name}")

    def persistent_load(self, pid: Any) -> _Storage:
        return _Storage(*pid[:3])


def _unpickled(stream: IO[bytes]) -> Any:
    return _Unpickler(stream).load()


def _storage(stream: IO[bytes], dtype: np.dtype[Any]) -> np.ndarray:
    (n,) = struct.unpack("<q", stream.read(8))
    content = stream.read(n * dtype.itemsize)
    return np.frombuffer(content, dtype, count=n)


def _tensor(numbers: np.ndarray, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> np.ndarray:
    last = offset + sum((side - 1) * stride for side, stride in zip(shape, strides, strict=True))
    if min((offset, *shape, *strides), default=0) < 0 or (0 not in shape and last >= len(numbers)):
        raise ValueError(f"a tensor of {shape} reaches beyond its {len(numbers)} numbers")
    in_bytes = [stride * numbers.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(numbers[offset:], shape, in_bytes).copy()
