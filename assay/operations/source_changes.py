"""Has the source changed so much that it is worth a retraining?"""

import json
from dataclasses import dataclass

from assay import files, params
from assay.errors import AssayError
from assay.operations import outbox
from assay.sources import opening
from assay.state import SOURCES
from assay.versions import git, worktree


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
    file = params.load().paths.source
    seen_by = worktree.last(ref) or ref
    try:
        taken = json.loads(git.show(file, seen_by, about="watch"))
        now = opening.snapshot(opening.open_source(taken["source"], taken.get("options")))
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
        told = files.read_json(SOURCES)
    except (OSError, AssayError):
        told = None
    if told == change.fingerprint:
        return False
    files.write_json(SOURCES, change.fingerprint)
    return True


def ask_again() -> None:
    """Have the next look, at the source or at new images, ask for a retraining as if none was: it could not begin."""
    SOURCES.unlink(missing_ok=True)
    outbox.forget("asked: ")
