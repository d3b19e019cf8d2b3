"""Code: what a result depends on beside its inputs."""

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType

import PIL

from assay import files
from assay.errors import AssayError


def fingerprint(modules: Iterable[ModuleType], settings: object = "") -> str:
    """Return a hash over the source of the modules, what reads images here, and what the settings print as."""
    parts = [_of_file(str(module.__file__)) for module in modules]
    return hashlib.sha256("".join([*parts, PIL.__version__, _heif(), str(settings)]).encode()).hexdigest()


@lru_cache
def _heif() -> str:
    try:
        return version("pillow-heif")
    except PackageNotFoundError:
        return ""


@lru_cache
def _of_file(file: str) -> str:
    return files.sha256(Path(file))


def check(expected: str, modules: Iterable[ModuleType]) -> None:
    """Raise `AssayError` if this process does not run the code that `expected` is the fingerprint of."""
    if fingerprint(modules) != expected:
        raise AssayError(
            f"a worker has another version of Assay or Pillow ({PIL.__version__} there); install the same everywhere"
        )
