"""Files that are whole or absent: each is written beside its place and then moved there."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO


@contextmanager
def replacing(file: Path) -> Iterator[BinaryIO]:
    """Yield a binary file that becomes `file` when the block ends well, and vanishes when it does not."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.tmp")
    try:
        with unfinished.open("wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)


def write_text(file: Path, text: str) -> None:
    with replacing(file) as out:
        out.write(text.encode())


def write_json(file: Path, content: Any) -> None:
    """Write `content` for people and for `git diff`: indented, keys in their order, a newline at the end."""
    write_text(file, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(file: Path) -> Any:
    return json.loads(file.read_text())


def sha256(file: Path) -> str:
    """Return the SHA-256 of the file's bytes, 64 hex digits."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
