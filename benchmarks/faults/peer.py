"""CleanVision on a folder: `python peer.py FOLDER` prints {issue: [path, ...]} as JSON; needs nothing of Assay.

Exact and near-duplicates come as sets: {"near_duplicates": [[path, path], ...]}.
"""

import contextlib
import json
import logging
import sys
from pathlib import Path
from typing import Any

from cleanvision import Imagelab


def main(folder: str) -> dict[str, list[Any]]:
    with contextlib.redirect_stdout(sys.stderr):
        lab = Imagelab(data_path=folder)
        lab.find_issues(n_jobs=1, verbose=False)
    root = Path(folder).resolve()

    def named(path: str) -> str:
        return Path(path).resolve().relative_to(root).as_posix()

    found: dict[str, list[Any]] = {}
    for issue in [
        column.removesuffix("_issue").removeprefix("is_") for column in lab.issues if column.startswith("is_")
    ]:
        flagged = lab.issues[lab.issues[f"is_{issue}_issue"]]
        found[issue] = [named(path) for path in flagged.index]
    for kind in ("exact_duplicates", "near_duplicates"):
        found[kind] = [[named(path) for path in set_] for set_ in lab.info[kind]["sets"]]
    return found


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    print(json.dumps(main(sys.argv[1])))
