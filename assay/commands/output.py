"""A file of a person's choice that a command writes: never in the place of what it reads, nor under a wrong name."""

from collections.abc import Iterable
from pathlib import Path

from assay.errors import AssayError


def check(out: Path, read: Iterable[Path], *, of: str, suffix: str | None = None) -> None:
    """Raise `AssayError` where `out` is one of the files that are read, or its name does not end in `suffix`.

    `of`: the command and its option, such as "explain: --out".
    """
    if suffix and out.suffix.lower() != suffix:
        raise AssayError(f"{of} {out}: a {suffix} file is written; the name must end so, not in {out.suffix!r}")
    for file in read:
        if _is_same(out, file):
            raise AssayError(f"{of} {out}: that file is read, and would be lost; name another one")


def _is_same(out: Path, file: Path) -> bool:
    try:
        return out.samefile(file)
    except OSError:  # one of them is not there
        return False
