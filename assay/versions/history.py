"""The history of the champions, from the tags alone: they are made in one step, and every clone has them.

GTO's tags `classifier@v0.0.3` (a release) and `classifier#champion#2` (what is in use from then on).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay import state
from assay.evaluation import registry
from assay.versions import git
from assay.versions.tagged import ARTIFACT, STAGE

FIELDS = ("refname:short", "creatordate:iso-strict", "taggername", "contents:subject", "*objectname")
APART = "\x1f"


@dataclass(frozen=True, kw_only=True)
class Event:
    """A version was released, or became the champion."""

    tag: str
    when: str  # ISO 8601
    who: str
    why: str  # what whoever tagged it said
    commit: str
    version: str

    @property
    def is_promotion(self) -> bool:
        return self.tag.startswith(f"{ARTIFACT}#{STAGE}#")


def read() -> list[Event]:
    """Return what happened, oldest first; a champion's tag whose release is not known here has an empty version."""
    listed = git.run(
        "for-each-ref",
        f"--format={APART.join(f'%({field})' for field in FIELDS)}",
        f"refs/tags/{ARTIFACT}@*",
        f"refs/tags/{ARTIFACT}#*",
        about="history",
    ).splitlines()
    # An exclamation mark: GTO deprecated a version.
    rows = [line.split(APART) for line in listed if "!" not in line.partition(APART)[0]]
    versions = {row[4]: row[0].partition("@")[2] for row in rows if "@" in row[0]}
    events = [
        Event(tag=tag, when=when, who=who, why=why, commit=commit, version=versions.get(commit, ""))
        for tag, when, who, why, commit in rows
        if "@" in tag or tag.startswith(f"{ARTIFACT}#{STAGE}#")
    ]
    return sorted(events, key=lambda each: (each.when, each.is_promotion, _number(each)))


def _number(event: Event) -> int:
    last = event.tag.rpartition("#")[2]
    return int(last) if event.is_promotion and last.isdigit() else 0


def champions(events: Sequence[Event]) -> list[str]:
    """Return the versions that a rollback can go back through, the one in use last.

    To make an earlier champion the champion again takes back all that came after it: so a second rollback goes one
    further, and not to the model that was just taken back.
    """
    found: list[str] = []
    for event in sorted((each for each in events if each.is_promotion), key=_number):
        if event.version in found:
            del found[found.index(event.version) + 1 :]
        else:
            found.append(event.version)
    return found


def lines(events: Sequence[Event], candidates: dict[str, dict[str, Any]]) -> list[str]:
    """Return the history for people; `candidates`: candidate.json by version."""
    found = []
    for event in events:
        what = "became the champion" if event.is_promotion else "released"
        found.append(f"{event.when}  {event.version or event.commit[:12]:10} {what}, by {event.who}: {event.why}")
        if not event.is_promotion and (candidate := candidates.get(event.version)):
            found.append(
                f"    {candidate['verdict']}; data {candidate['data']['manifest'][:12]}, commit {event.commit[:12]}"
            )
            found += [f"    {'+' if check['passed'] else '-'} {check['text']}" for check in candidate["checks"]]
    return found


def behind(events: Sequence[Event], file: Path) -> str:
    """Return what is wrong where champions.json of this checkout does not end with the champion of the tags, and what
    mends it; empty: nothing.

    The file is what `register` holds a model against, and part of a commit, so that a commit gives one verdict; tags
    move without it.
    """
    kept, found = [str(each["version"]) for each in registry.champions(file)], champions(events)
    if not found or found[-1] in kept[-1:]:
        return ""
    remote, branch = git.remote(), f"{state.BRANCHES}promote-{found[-1]}"
    here = [name for name in (branch, f"{remote}/{branch}") if git.has(name)]
    mends = f"`git merge {here[0]}`" if here else f"merge the branch on which {found[-1]} became the champion"
    return (
        f"{file.as_posix()} of this checkout ends with {kept[-1] if kept else 'none'}, by the tags the champion is "
        f"{found[-1]}: a model made here would be held against the former; {mends}"
    )


def candidates(events: Sequence[Event], path: Path) -> dict[str, dict[str, Any]]:
    """Return the candidate.json of each release."""
    commits = {event.version: event.commit for event in events if not event.is_promotion}
    return {version: json.loads(git.show(path, commit, about="history")) for version, commit in commits.items()}
