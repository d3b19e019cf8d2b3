"""What registry/ keeps for the next run: the champions, the looks at the test images, and what seeds alone do.

A merge or an edit may leave anything there. What is not of its form is refused: it would be read as "no champion yet",
and whatever was just trained would be promoted. Read by commands that must not wait for SciPy.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assay.errors import AssayError

CHAMPION = {"version": str, "model": str, "last_batch": int, "errors": list}  # older ones have no more
LOOK = {"ledger": str, "last_batch": int, "model": str}
WORDS = {str: "a text", int: "a whole number", list: "a list"}


def champions(file: Path) -> list[dict[str, Any]]:
    """Return the champions, oldest first, none of `[]`; raises `AssayError` for another form."""
    return champions_of(file.read_bytes(), str(file), _mend(file))


def champions_of(content: bytes | str, where: str, mend: str) -> list[dict[str, Any]]:
    """Return the champions of a champions.json; `where` and `mend` are told of one that is not of its form."""
    return _entries(content, CHAMPION, where, f"`[]` where there is none yet; {mend}")


def looks(file: Path) -> list[dict[str, Any]]:
    """Return the looks so far, none where the file is not there yet; raises `AssayError` for another form."""
    if not file.exists():
        return []
    return _entries(file.read_bytes(), LOOK, str(file), f"`[]` where there was none yet; {_mend(file)}")


def noise(file: Path) -> dict[str, Any]:
    """Return what `assay noise` recorded, empty where it recorded nothing; raises `AssayError` for another form."""
    if not file.exists():
        return {}
    found = _json(file.read_bytes(), str(file), _mend(file))
    metrics = found.get("metrics", {}) if isinstance(found, dict) else None
    if not isinstance(metrics, dict) or not all(map(_are_numbers, metrics.values())):
        raise AssayError(
            f"{file}: must be an object whose `metrics` are lists of numbers, as `assay noise` writes it, or `{{}}`; "
            f"{_mend(file)}"
        )
    return dict(found)


def _mend(file: Path) -> str:
    return f"`git checkout HEAD -- {file.as_posix()}` brings the last commit's back"


def _json(content: bytes | str, where: str, mend: str) -> Any:
    try:
        return json.loads(content)
    except ValueError as error:
        raise AssayError(f"{where}: not JSON: {error}; {mend}") from None


def _entries(content: bytes | str, form: Mapping[str, type], where: str, mend: str) -> list[dict[str, Any]]:
    found = _json(content, where, mend)
    if not isinstance(found, list):
        raise AssayError(f"{where}: must be a list, and is {_kind(found)}; {mend}")
    for number, entry in enumerate(found, 1):
        if not isinstance(entry, dict):
            raise AssayError(
                f"{where}: entry {number} of {len(found)} must be an object, and is {_kind(entry)}; {mend}"
            )
        for key, kind in form.items():
            if type(entry.get(key)) is not kind:
                seen = f"is {entry[key]!r}" if key in entry else "is missing"
                raise AssayError(
                    f"{where}: entry {number} of {len(found)}: `{key}` {seen}, must be {WORDS[kind]}; {mend}"
                )
    return found


def _kind(value: Any) -> str:
    return "an object" if isinstance(value, dict) else "a list" if isinstance(value, list) else repr(value)


def _are_numbers(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) in (int, float) for value in values)
