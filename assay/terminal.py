"""The edge that prints: whatever name is told there, a terminal obeys nothing of it."""

import sys
from typing import Any

from assay import words


class Printable:
    """A text stream that shows control characters escaped; its `buffer`, for bytes that programs read, is as it was."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        if not isinstance(text, str):  # click finds out so that this is no stream of bytes
            raise TypeError(f"a text is wanted, not {type(text).__name__}")
        self._stream.write(words.printable(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def guard() -> None:
    """Show control characters escaped on stdout from now on. On stderr bars need them: see `complain`."""
    if not isinstance(sys.stdout, Printable):
        sys.stdout = Printable(sys.stdout)


def complain(*lines: str) -> None:
    """Print the lines on stderr, control characters escaped."""
    print(*map(words.printable, lines), sep="\n", file=sys.stderr, flush=True)
