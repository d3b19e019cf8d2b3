"""Files that are whole or absent: each is written beside its place and then moved there."""

import csv
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import yaml

from assay.errors import AssayError

if TYPE_CHECKING:  # slow, and not every command needs it
    import pandas as pd

CSV_ROWS = 100_000  # that are text at once


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


def write_csv(file: Path, rows: "pd.DataFrame", decimals: str | None = None) -> None:
    """Write the rows without their index; `decimals`: the format of every float, such as "%.6f"."""
    with replacing(file) as out:
        for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONNUMERIC):
            out.seek(0)
            has_return = False
            for start in range(0, max(len(rows), 1), CSV_ROWS):
                text = rows.iloc[start : start + CSV_ROWS].to_csv(
                    index=False, header=start == 0, lineterminator="\n", float_format=decimals, quoting=quoting
                )
                has_return |= "\r" in text
                out.write(text.encode())
            if not has_return:  # left bare by the csv module, and the end of a row for who reads it
                break


def read_json(file: Path) -> Any:
    """Return the content of a JSON file; raises `AssayError` for what a merge or an edit made of it."""
    try:
        return json.loads(file.read_bytes())
    except ValueError as error:
        raise AssayError(f"{file}: not JSON: {error}") from None


class _Loader(yaml.SafeLoader):
    """PyYAML's, but for a key that stands twice: it takes the last one without a word."""


class _FastLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The same ten times as fast; of a mistake it does not show the line."""


def _mapping(loader: Any, node: yaml.MappingNode) -> Iterator[Any]:
    seen = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} stands here twice", key.start_mark)
            seen.add(key.value)
    return loader.construct_yaml_map(node)  # type: ignore[no-any-return]


for each in (_Loader, _FastLoader):
    each.add_constructor("tag:yaml.org,2002:map", _mapping)
    # DVC reads 1e-3 as YAML 1.2 does, a number; to YAML 1.1, and so to PyYAML, it is a text.
    each.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), "-+0123456789"
    )


def read_yaml(file: Path) -> Any:
    """Return the content of a YAML file; raises `AssayError` where it is none, and for a key that stands twice."""
    content = file.read_bytes()
    try:
        with suppress(yaml.YAMLError):
            return yaml.load(content, _FastLoader)
        return yaml.load(content, _Loader)
    except (yaml.YAMLError, ValueError) as error:  # of a day that no month has PyYAML says the latter
        raise AssayError(f"{file}: not YAML: {' '.join(str(error).split())}") from None


def sha256(file: Path) -> str:
    """Return the SHA-256 of the file's bytes, 64 hex digits."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
