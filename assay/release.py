"""Release: commit what a run made and tag it as a version of the classifier, in GTO's format.

No stage, for it needs the commit. It can be called again after it was killed at any point, and then goes on.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import gto.api
from gto.versions import SemVer

from assay import files, params, tracking
from assay.errors import AssayError
from assay.labels import ACCURACY

ARTIFACT = "classifier"  # its name in dvc.yaml
STAGE = "champion"  # GTO's word for what a version is in use as: tags `classifier#champion#N`


def release(p: params.Params) -> str:
    """Return what was done: the version, its commit and whether it is the champion now.

    Raises `AssayError` if the pipeline is not up to date or anything but its results changed since the last commit.
    """
    made = _check_up_to_date(p)
    candidate = files.read_json(p.paths.candidate)
    latest = _latest_version()
    if latest and _model_of(latest, p.paths.candidate) == candidate["model"]["sha256"]:
        version, known = latest, True
    else:
        version, known = str(SemVer(latest).bump_patch().version if latest else "v0.0.1"), False
    if candidate["verdict"] == "promote":
        _crown(version, candidate, p.paths)
    _commit(made, version, candidate, p)
    if not known:
        gto.api.register(".", ARTIFACT, ref="HEAD", version=version, message=f"{candidate['verdict']}: {version}")
    promoted = candidate["verdict"] == "promote" and _assign(version)
    commit = _git("rev-parse", "--short", f"{ARTIFACT}@{version}^{{commit}}")
    new = "released" if not known else "was released before"
    return f"{ARTIFACT} {version} {new} at {commit}, {'now the champion' if promoted else candidate['verdict']}"


def _check_up_to_date(p: params.Params) -> list[str]:
    """Return the files that a release may commit, after checking that nothing else changed."""
    with tracking.opened("release") as repo:
        stale = sorted(repo.status())
        outs = [out for stage in repo.index.stages for out in stage.outs if not out.use_cache]
        made = [Path(out.fs_path).relative_to(repo.root_dir).as_posix() for out in outs]
    if stale:
        raise AssayError(f"release: {', '.join(stale)} not up to date; run `dvc repro` first")
    made += [str(file) for file in (params.FILE, p.paths.source, p.paths.champions, Path("dvc.lock"))]
    status = _git("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all")
    dirty = sorted(entry[3:] for entry in status.split("\0") if entry and entry[3:] not in made)
    if dirty:
        shown = ", ".join(dirty[:5]) + (f" and {len(dirty) - 5} more" if len(dirty) > 5 else "")
        raise AssayError(f"release: changes that no run made: {shown}; commit or stash them first")
    return [file for file in made if Path(file).exists()]


def _crown(version: str, candidate: dict[str, Any], paths: params.Paths) -> None:
    """Append the model to the champions; `register` then runs again, finds the same and is up to date."""
    champions = files.read_json(paths.champions)
    model = candidate["model"]["sha256"]
    if champions and champions[-1]["model"] == model:
        return
    champion = {
        "version": version,
        "model": model,
        "task": candidate["task"],
        "last_batch": candidate["last_batch"],
        "errors": candidate["errors"],
    }
    files.write_json(paths.champions, [*champions, champion])
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with tracking.opened("release") as repo:
        repo.reproduce("register", single_item=True)


def _commit(made: list[str], version: str, candidate: dict[str, Any], p: params.Params) -> None:
    _git("add", "--", *made)
    if not _git("diff", "--cached", "--name-only"):
        return
    accuracy = files.read_json(p.paths.metrics.eval)["eval"]["accuracy"]
    checks = "\n".join(f"{'+' if check['passed'] else '-'} {check['text']}" for check in candidate["checks"])
    measured = f"{ACCURACY[candidate['task']]} {accuracy}"
    _git("commit", "-m", f"Release {ARTIFACT} {version}: {candidate['verdict']}, {measured}", "-m", checks)


def _assign(version: str) -> bool:
    """Return whether the version became the champion now, and was not before."""
    tags = _git(
        "tag", "--list", f"{ARTIFACT}#{STAGE}#*", "--sort=-v:refname", "--format=%(refname:short) %(*objectname)"
    )
    commit = _git("rev-parse", f"{ARTIFACT}@{version}^{{commit}}")
    if tags and tags.splitlines()[0].split()[1:] == [commit]:
        return False
    gto.api.assign(".", ARTIFACT, STAGE, version=version, message=f"{version} is the champion")
    return True


def _latest_version() -> str | None:
    tags = _git("tag", "--list", f"{ARTIFACT}@v*", "--sort=-v:refname").splitlines()
    return tags[0].partition("@")[2] if tags else None


def _model_of(version: str, candidate: Path) -> str:
    """Return the hash of the model that was released as the version."""
    content: dict[str, Any] = json.loads(_git("show", f"{ARTIFACT}@{version}:{candidate.as_posix()}"))
    return str(content["model"]["sha256"])


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssayError(f"release: git {arguments[0]}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout.rstrip("\n")
