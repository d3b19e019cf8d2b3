"""What the shards hold, read or proven: a proof is what was read in a whole shard, under the SHA-256 of its bytes.

What a shard holds follows from its bytes, the form of the set and the code that reads them, and by these a proof is
known. The bytes are hashed anew each time, which takes a twentieth of the time of reading small records: a disk that
flips a bit changes neither the size of a file nor its time. Whether a shard holds what it should is no part of a proof.
A few shards are read though they have one, for what else may have changed: a library, the machine.

Proofs may be lost at any time. Before `verify` refuses anything it reads all shards without them.
"""

import hashlib
import json
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from assay import files, labels
from assay.compute import fingerprint, memo
from assay.dataset.records import contents, reader, shard

AGAIN = 16  # one in so many shards is read though it has a proof: others as soon as any shard of the set is another
CODE = (labels, contents, reader, shard, sys.modules[__name__])
SCHEMA = pa.schema(
    [
        ("key", pa.string()),  # SHA-256 of the shard's bytes
        ("sha256", pa.list_(pa.string())),
        ("label", pa.list_(pa.string())),
        ("start", pa.list_(pa.int64())),
        ("check", pa.string()),  # SHA-256 of the other columns, for an Arrow file has no checksum
    ]
)


@dataclass(frozen=True, kw_only=True)
class Records:
    """The records of a shard, in their order."""

    sha256: list[str]  # of the original file
    label: list[str]  # as the manifest has it
    start: list[int]  # the byte of the shard at which each begins


@dataclass(frozen=True, kw_only=True)
class Shard:
    name: str
    split: str
    records: Records  # up to the first that is not whole
    reason: str  # why the shard is not whole; empty if it is
    broken: str  # SHA-256 of the image at which it breaks, empty if that cannot be made out


def shards(folder: Path, index: contents.Index, proven: Path) -> list[Shard]:
    """Return what each shard of the index holds; `proven` is the folder of the proofs, which this brings up to date."""
    form = (index.height_px, index.width_px, index.channels, index.classes, index.task)
    made_by = fingerprint.fingerprint(CODE, form)
    known, proofs = _read(proven, made_by), dict[str, Records]()
    names = [(split, name) for split, own in index.splits.items() for name in own.shards]
    again = _again([name for _, name in names])
    found = [_shard(folder / name, split, index, {} if name in again else known, proofs) for split, name in names]
    if proofs != known:
        memo.write(proven, pa.Table.from_pylist([_row(*each) for each in proofs.items()], SCHEMA), made_by)
    return found


def forget(proven: Path) -> None:
    shutil.rmtree(proven, ignore_errors=True)


def _shard(
    file: Path, split: str, index: contents.Index, known: Mapping[str, Records], proofs: dict[str, Records]
) -> Shard:
    """Return what the shard holds, and add its proof if it is whole."""
    records, reason, broken = Records(sha256=[], label=[], start=[]), "", ""
    try:
        key = files.sha256(file)
        if key in known:
            records = known[key]
        else:
            _look(file, index, records)
        proofs[key] = records
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    except reader.Broken as error:
        reason, broken = str(error), error.sha256
    return Shard(name=file.name, split=split, records=records, reason=reason, broken=broken)


def _look(file: Path, index: contents.Index, records: Records) -> None:
    """Add the records of a shard, as far as it is whole; raises what `reader.read` does."""
    for start, example in reader.located(file, index):
        records.sha256.append(example.sha256)
        records.label.append(_label(example, index))
        records.start.append(start)


def _label(example: contents.Example, index: contents.Index) -> str:
    """Return the label as the manifest has it, or a text that no class is called by where a number stands for none."""
    marks: Iterable[int] = [example.label] if isinstance(example.label, int) else np.flatnonzero(example.label)
    names = [index.classes[mark] if mark < len(index.classes) else f"(class {mark})" for mark in marks]
    return labels.SEPARATOR.join(names)


def _again(names: list[str]) -> set[str]:
    """Return those of the shards that are read though they have a proof."""
    every = "\n".join(sorted(names))
    drawn = {name: hashlib.sha256(f"{name}\n{every}".encode()).digest() for name in names}
    return {name for name, digest in drawn.items() if digest[0] % AGAIN == 0}


def _read(proven: Path, made_by: str) -> dict[str, Records]:
    """Return what was read in each shard, by the SHA-256 of its bytes, but for proofs that are not as written."""
    rows = memo.read(proven, SCHEMA, made_by).to_pylist()
    known = {row["key"]: Records(sha256=row["sha256"], label=row["label"], start=row["start"]) for row in rows}
    return {row["key"]: known[row["key"]] for row in rows if row == _row(row["key"], known[row["key"]])}


def _row(key: str, records: Records) -> dict[str, Any]:
    check = hashlib.sha256(json.dumps([key, vars(records)]).encode()).hexdigest()
    return {"key": key, **vars(records), "check": check}
