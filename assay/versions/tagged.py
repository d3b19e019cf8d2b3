"""What was released as a version: its commit, its candidate.json, and its export, from the cache or a remote.

The tag names the commit, candidate.json in that commit names the SHA-256 of the export's model.json, and that names
those of all files: so nothing that DVC hands over is used unless it is what was released.
"""

import hashlib
import json
import os
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from assay import files, params, state
from assay.errors import AssayError
from assay.versions import git

ARTIFACT = "classifier"  # its name in dvc.yaml
STAGE = "champion"  # GTO's word for what a version is in use as: tags `classifier#champion#N`
CHAMPION = "champion"  # stands for the version that is in use
ABOUT = "model.json"  # of an export
KEPT = 5  # exports that were fetched


@dataclass(frozen=True, kw_only=True)
class Release:
    version: str
    commit: str
    candidate: dict[str, Any]  # candidate.json
    paths: dict[str, Path]  # of params.yaml, as they were


@dataclass(frozen=True, kw_only=True)
class Exported:
    version: str
    folder: Path
    sha256: str  # that its model.json must have


def read(version: str) -> Release:
    """Return what was released as `version`, such as v0.0.3, or as the champion; raises `AssayError` if nothing was."""
    number, commit = champion() if version == CHAMPION else (version, _commit(version))
    content = yaml.safe_load(git.show(params.FILE, commit, about=version))
    # Not `params.load`: another version of Assay may have written the rest.
    paths = {name: Path(path) for name, path in content["paths"].items() if isinstance(path, str)}
    candidate = json.loads(git.show(paths["candidate"], commit, about=version))
    return Release(version=number, commit=commit, candidate=candidate, paths=paths)


def has_champion() -> bool:
    return bool(git.run("tag", "--list", f"{ARTIFACT}#{STAGE}#*", about="champion"))


def champion() -> tuple[str, str]:
    """Return version and commit of the champion; raises `AssayError` if there is none."""
    tags = git.run("tag", "--list", f"{ARTIFACT}#{STAGE}#*", "--sort=-v:refname", about="champion").split()
    if not tags:
        raise AssayError("champion: there is none; `assay release` makes one, `git fetch --tags` brings another's")
    commit = git.commit(tags[0], about="champion")
    return version_at(tags[0], commit), commit


def version_at(tag: str, commit: str) -> str:
    """Return the version that was released as the commit of a champion's tag; raises `AssayError` if none was."""
    tags = git.run("tag", "--list", f"{ARTIFACT}@*", f"--points-at={commit}", about="champion").split()
    if not tags:
        raise AssayError(
            f"champion: the tag {tag} names {commit[:12]}, and no tag {ARTIFACT}@vN does; if it is only missing here, "
            "`git fetch --tags` brings it, else `assay promote` another version"
        )
    return tags[0].partition("@")[2]


def _commit(version: str) -> str:
    if not git.has(f"{ARTIFACT}@{version}"):
        known = git.run("tag", "--list", f"{ARTIFACT}@v*", "--sort=-v:refname", about="version").split()
        there = ", ".join(tag.partition("@")[2] for tag in known[:5]) or "none"
        raise AssayError(f"no version {version!r} was released; there are: {there} (`git fetch --tags` may bring it)")
    return git.commit(f"{ARTIFACT}@{version}", about=version)


def model(version: str) -> bytes:
    """Return the Keras file of a released version; raises `AssayError` if nobody has it, or it is another."""
    from assay.versions import dvc_repo  # here, for DVC takes a second to import

    release = read(version)
    file, about = release.paths["model"], f"{release.version}: {release.paths['model']} of {release.commit[:12]}"
    content = dvc_repo.read_bytes(file, release.commit)
    if content is None:
        raise AssayError(f"{about} is neither in DVC's cache nor in a remote")
    if hashlib.sha256(content).hexdigest() != release.candidate["model"]["sha256"]:
        raise AssayError(f"{about}: not the bytes that were released, so they are not used")
    return content


def export(version: str) -> Exported:
    """Return the export of a released version, in `.assay/exports`; raises `AssayError` if nobody has it."""
    release = read(version)
    sha256 = release.candidate.get("export")
    if sha256 is None:
        raise AssayError(f"{release.version}: was released without an export; `dvc repro` and `assay release` make one")
    place = state.EXPORTS / sha256[:16]
    if not (place / ABOUT).exists() or files.sha256(place / ABOUT) != sha256:
        _fetch(release, place)
    place.touch()
    _prune(place)
    return Exported(version=release.version, folder=place, sha256=sha256)


def _fetch(release: Release, place: Path) -> None:
    from assay.versions import dvc_repo  # here, for DVC takes a second to import

    unfinished = place.with_name(f".{place.name}.{uuid.uuid4().hex}.tmp")
    try:
        if not dvc_repo.bring_folder(release.paths["export"], release.commit, unfinished):
            raise AssayError(
                f"{release.version}: {release.paths['export']} of {release.commit[:12]} is neither in DVC's cache nor "
                "in a remote"
            )
        shutil.rmtree(place, ignore_errors=True)
        try:
            os.rename(unfinished, place)  # noqa: PTH104
        except OSError:  # another process was first
            if not (place / ABOUT).exists():
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _prune(place: Path) -> None:
    """Keep the exports that were used last."""
    found = [each for each in place.parent.iterdir() if not each.name.startswith(".")]
    for old in sorted(found, key=lambda each: each.stat().st_mtime)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
