"""How counts, shares and names are said to people, and which known name somebody meant."""

import difflib
import re
import unicodedata
from collections.abc import Collection
from typing import Any

from assay.errors import AssayError

FEW, NEAREST = 20, 5  # names in a sentence: all of so few, else so many
FORMULA = re.compile(r"'*[=+\-@\t\r＝＋－＠]")  # noqa: RUF001  (the wide ones too: a spreadsheet takes them for the same)


def check_known(where: str, value: Any, known: Collection[str]) -> None:
    """Raise `AssayError` with the nearest known value, or a few, unless the value is one of them."""
    if isinstance(value, str) and value in known:
        return
    hint = meant(value, known, f"known: {few(known, value)}")
    raise AssayError(f"{where}: unknown {value!r}; {hint}")


def meant(value: Any, known: Collection[str], otherwise: str = "") -> str:
    """Return `did you mean 'x'?` for the known value that is nearest, or `otherwise`."""
    close = difflib.get_close_matches(str(value), known, n=1)
    return f"did you mean {close[0]!r}?" if close else otherwise


def few(names: Collection[str], asked: Any) -> str:
    """Return all names with commas between them; of many the nearest to what was asked, and how many more there are."""
    if len(names) <= FEW:
        return ", ".join(names)
    near = difflib.get_close_matches(str(asked), names, n=NEAREST, cutoff=0)
    return f"{', '.join(near)} and {len(names) - len(near):,} more"


def counted(n: int, noun: str) -> str:
    """Return `1 row`, `1,240 rows`."""
    return f"{n:,} {noun}{'s' * (n != 1)}"


def some(names: Collection[str]) -> str:
    """Return the first three names, and whether there are more: `'ape', 'bee', 'cow', ...`."""
    return ", ".join([*(repr(name) for name in list(names)[:3]), *["..."] * (len(names) > 3)])


def plain(value: Any) -> str:
    """Return a value as params.yaml has it: `[16, 32]`, `rgb`."""
    return f"[{', '.join(map(str, value))}]" if isinstance(value, list | tuple) else str(value)


def percent(share: float) -> str:
    return f"{100 * share:.4g}%"


def spelling(name: str) -> str:
    """Return what is left of a name without case and white space, each letter in one form, a whole number as its value.

    A Mac writes the accents of file names as letters of their own, which look the same and are another text. `3`, `03`
    and `3.0` are one number.
    """
    text = unicodedata.normalize("NFKC", "".join(name.split())).casefold()
    return re.sub(r"^([+-]?)0*(\d+?)(\.0*)?$", r"\1\2", text)


def nearest(name: Any, known: Collection[str]) -> str | None:
    """Return the known name that is spelt alike, or else is nearest; None: none is near."""
    if not isinstance(name, str):
        return None
    alike = [each for each in known if spelling(each) == spelling(name)]
    return next(iter(alike or difflib.get_close_matches(name, known, n=1)), None)


def printable(text: str) -> str:
    """Return the text without what a terminal would obey: the name of a file may hold anything. Lines stay lines."""
    return "".join(each if each.isprintable() or each in "\n\t" else _escaped(each) for each in text)


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode()


def cell(value: Any) -> Any:
    """Return a text so that no spreadsheet runs it as a formula: with an apostrophe before one that begins like one.

    `of_cell` takes it off again, of every text; other values are as they were.
    """
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value


def of_cell(text: str) -> str:
    """Return the text that `cell` made this of."""
    return text[1:] if text.startswith("'") and FORMULA.match(text) else text
