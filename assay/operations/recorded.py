"""What DVC recorded of a stage's inputs, held against their bytes.

DVC knows a file by size and time, so that a byte that a disk flipped in its cache comes back by `dvc checkout`, and
`dvc status` calls it up to date.
"""

import hashlib
import json
from collections.abc import Collection
from pathlib import Path

from assay import files
from assay.errors import AssayError

LOCK = Path("dvc.lock")
CACHE = Path(".dvc/cache")
CHECKED = (".tar", ".tfrecord")  # batches and shards, whose readers hold each image against its own checksum
MOST_BYTES = 64 * 2**20  # of a file that is read for it: a tenth of a second


def check(inputs: Collection[str]) -> None:
    """Raise `AssayError` for the first input that a stage made and that is not as dvc.lock has it.

    Large files and folders are not read, nor what has checksums of its own, of which the stages say more.
    """
    made = _made() if LOCK.exists() else {}
    for name in sorted(made.keys() & set(inputs)):
        file, md5 = Path(name), made[name]
        if file.is_file() and file.stat().st_size <= MOST_BYTES and _md5(file) != md5:
            seen = f"{name} is not what dvc.lock has (md5 {md5}): damaged, or changed by hand"
            raise AssayError(f"{seen}; {_mend(file, md5)}")


def _made() -> dict[str, str]:
    """Return the MD5 of each output that is a file, and of each file of a small output that is a folder."""
    stages = (files.read_yaml(LOCK) or {}).get("stages", {})
    outs = [out for stage in stages.values() for out in stage.get("outs", []) if out.get("hash") == "md5"]
    folders = [out for out in outs if out["md5"].endswith(".dir")]
    inside = [each for out in folders if out.get("size", 0) <= MOST_BYTES for each in _inside(out["path"], out["md5"])]
    return {out["path"]: out["md5"] for out in outs if out not in folders} | dict(inside)


def _inside(folder: str, md5: str) -> list[tuple[str, str]]:
    """Return the files of a folder with their MD5 as DVC's cache lists them; nothing where it has no such list."""
    try:
        listed = json.loads(_cached(md5).read_text())
        known = [(f"{folder}/{each['relpath']}", each["md5"]) for each in listed]
        return [(name, md5) for name, md5 in known if not name.endswith(CHECKED)]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _mend(file: Path, md5: str) -> str:
    """Return the commands: DVC takes what lies in its cache for sound, so that what is not has to go first."""
    cached = _cached(md5)
    if not cached.is_file():
        return f"`rm {file}`, then `dvc pull`, or `dvc repro` makes it anew"
    if _md5(cached) == md5:
        return f"`rm {file}`, then `dvc checkout {file}`"
    return f"`rm -f {file} {cached}`, then `dvc pull`, or `dvc repro` makes it anew"


def _cached(md5: str) -> Path:
    return CACHE / "files/md5" / md5[:2] / md5[2:]


def _md5(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "md5").hexdigest()
