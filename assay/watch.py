"""Has the source changed so much that it is worth a retraining?"""

import json
from dataclasses import dataclass
from pathlib import Path

from assay import files, git, params, source, worktree
from assay.errors import AssayError

TOLD = Path(".assay/watch.json")


@dataclass(frozen=True, kw_only=True)
class Change:
    """`share`: of the images of the last retraining, at least, that came, went or were changed."""

    fingerprint: str
    n_before: int
    n_now: int
    share: float


def look(ref: str) -> Change | None:
    """Return how the source differs from what the last retraining saw, None if it does not.

    Where the numbers are equal at least one image was replaced, and how many is not known without reading them.
    """
    file = params.load().paths.source.as_posix()
    seen_by = worktree.last(ref) or ref
    try:
        taken = json.loads(git.run("show", f"{seen_by}:{file}", about="watch"))
        now = source.snapshot(source.open_source(taken["source"], taken.get("options")))
    except (ValueError, KeyError):
        raise AssayError(f"watch: {file} of {seen_by} is no snapshot") from None
    if now["fingerprint"] == taken["fingerprint"]:
        return None
    before, n = taken["n_images"], now["n_images"]
    share = max(abs(n - before), 1) / max(before, 1)
    return Change(fingerprint=now["fingerprint"], n_before=before, n_now=n, share=share)


def is_news(change: Change) -> bool:
    """Say whether this state of the source was not announced yet, and remember it."""
    try:
        told = files.read_json(TOLD)
    except (OSError, AssayError):
        told = None
    if told == change.fingerprint:
        return False
    files.write_json(TOLD, change.fingerprint)
    return True
