"""git's merge of params.yaml: the file of the new version, with the values that this project changed.

`python -m assay.operations.params_merge BASE OURS THEIRS` writes OURS, as git asks of a merge driver (gitattributes).
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from assay.errors import AssayError
from assay.operations import params_lines


def merged(base: str, ours: str, theirs: str) -> tuple[str, dict[str, Any]]:
    """Return the text of `theirs` with each value that `ours` changed since `base`, and those with no place any more.

    Comments are those of `theirs`. Raises `AssayError` for a value that stands on no line of its own.
    """
    before, own, new = (_flat(yaml.safe_load(text)) for text in (base, ours, theirs))
    changed = {key: value for key, value in own.items() if key not in before or before[key] != value}
    lost = {key: value for key, value in changed.items() if key not in new}
    kept = {key: value for key, value in changed.items() if key in new and new[key] != value}
    return params_lines.changed(theirs, kept), lost


def _flat(content: dict[str, Any], above: str = "") -> dict[str, Any]:
    """Return the values by dotted key."""
    found: dict[str, Any] = {}
    for key, value in content.items():
        found |= _flat(value, f"{above}{key}.") if isinstance(value, dict) else {f"{above}{key}": value}
    return found


def main(base: Path, ours: Path, theirs: Path) -> int:
    """Return the exit code for git: 0, or that of its own merge, where this one cannot be."""
    try:
        text, lost = merged(*(file.read_text() for file in (base, ours, theirs)))
    except (AssayError, AttributeError, yaml.YAMLError) as error:
        print(f"params.yaml: {error}: merged line by line", file=sys.stderr)
        return subprocess.run(["git", "merge-file", "--", ours, base, theirs], check=False).returncode
    ours.write_text(text)
    for key, value in lost.items():
        print(f"params.yaml: {key} is no parameter any more; yours was {value!r}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:4])))
