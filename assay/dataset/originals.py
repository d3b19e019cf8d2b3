"""Originals: where the bytes of the manifest's images lie, and how they are read."""

from dataclasses import dataclass
from pathlib import Path

from assay.images import decode


@dataclass(frozen=True)
class Originals:
    folder: Path  # with the batches
    reading: decode.Reading = decode.USUAL
