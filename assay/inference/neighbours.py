"""Pictures of train images by their SHA-256, from the shards of the checkout where it has them.

An export holds no picture of anybody's data: without the shards a neighbour has its label and its likeness.
"""

import threading
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from assay.dataset.records import contents, shard
from assay.images import thumbnail


class Pictures:
    """Thumbnails of the train images that are asked for; the shards are looked through once, when first wanted."""

    def __init__(self, index: Path, records: Path) -> None:
        self._index, self._records = index, records
        self._places: dict[str, tuple[Path, int]] | None = None
        self._lock = threading.Lock()

    def of(self, sha256: str, among: Iterable[bytes]) -> str | None:
        """Return a `data:` URI, None where no shard shows the image; `among`: all that will ever be asked for."""
        with self._lock:
            if self._places is None:
                self._places = self._found({each.decode() for each in among})
        if sha256 not in self._places:
            return None
        file, offset = self._places[sha256]
        try:
            with file.open("rb") as content:
                content.seek(offset)
                pixels = np.frombuffer(content.read(int(np.prod(self._shape))), np.uint8).reshape(self._shape)
        except (OSError, ValueError):  # the shards are another run's by now
            return None
        return thumbnail.picture(pixels)

    def _found(self, wanted: set[str]) -> dict[str, tuple[Path, int]]:
        found: dict[str, tuple[Path, int]] = {}
        if not self._index.exists():
            return found
        index = contents.read_index(self._index)
        self._shape = index.height_px, index.width_px, index.channels
        for name in index.splits["train"].shards:
            file = self._records / name
            if file.exists():
                size = index.height_px * index.width_px * index.channels
                found |= {key: (file, at) for key, at in shard.pixels(file, size) if key in wanted}
        return found
