"""Release: commit what a run made and tag it as a version of the classifier, in GTO's format.

No stage, for it needs the commit. It can be called again after it was killed at any point, and then goes on.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gto.api
from gto.versions import SemVer

from assay import files, params
from assay.errors import AssayError
from assay.evaluation import registry
from assay.evaluation.decided import two_verdicts
from assay.labels import ACCURACY
from assay.versions import dvc_repo, git
from assay.versions.tagged import ARTIFACT, STAGE


def release(p: params.Params, *, hold: bool = False) -> str:
    """Return what was done: the version, its commit and whether it is the champion now; `hold`: it does not become it.

    Raises `AssayError` if the pipeline is not up to date or anything but its results changed since the last commit.
    """
    made = _check_up_to_date(p, "release")
    candidate = files.read_json(p.paths.candidate)
    latest = latest_version()
    if latest and candidate_of(latest, p)["model"]["sha256"] == candidate["model"]["sha256"]:
        version, known = latest, True
    else:
        version, known = str(SemVer(latest).bump_patch().version if latest else "v0.0.1"), False
    verdict = "hold" if hold else candidate["verdict"]
    if verdict == "promote":
        _crown(version, candidate, p.paths, "release")
    _commit(made, *_message(version, verdict, candidate, p))
    if not known:
        gto.api.register(".", ARTIFACT, ref="HEAD", version=version, message=f"{verdict}: {version}")
    promoted = verdict == "promote" and _assign(version)
    commit = git.run("rev-parse", "--short", f"{ARTIFACT}@{version}^{{commit}}")
    new = "released" if not known else "was released before"
    return f"{ARTIFACT} {version} {new} at {commit}, {'now the champion' if promoted else verdict}"


def promote(version: str, p: params.Params) -> str:
    """Make a released version the champion, whatever its verdict was, and return what was done.

    An older version may be named to go back to it. Raises `AssayError` like `release`.
    """
    check_version(version)
    made = _check_up_to_date(p, "promote", but=p.paths.champions)
    _crown(version, candidate_of(version, p), p.paths, "promote")
    _commit(made, f"Promote {ARTIFACT} {version}", "by hand, as `assay promote` was told")
    return f"{ARTIFACT} {version} {'is now the champion' if _assign(version) else 'was the champion already'}"


def check_version(version: str, folder: Path = Path()) -> None:
    """Raise `AssayError` if nothing was released as the version."""
    if not git.has(f"{ARTIFACT}@{version}", folder):
        known = git.run("tag", "--list", f"{ARTIFACT}@v*", "--sort=-v:refname", folder=folder).split()
        there = ", ".join(tag.partition("@")[2] for tag in known[:5]) + (", ..." if len(known) > 5 else "")
        raise AssayError(f"promote: no version {version!r}; {f'there are {there}' if known else 'none was released'}")


def _check_up_to_date(p: params.Params, about: str, but: Path | None = None) -> list[str]:
    """Return the files that a release may commit, after checking that nothing else changed.

    `about`: the command, which errors begin with. `but`: a file that may differ from what a stage read. After a
    rollback that is champions.json, which no stage saw.
    """
    git.check_own(about=about)
    with dvc_repo.opened(about) as repo:
        stale = sorted(stage for stage, why in repo.status().items() if but is None or not _is_of(why, but))
        outs = [out for stage in repo.index.stages for out in stage.outs]
        # DVC has git ignore what it caches, in a file beside it.
        files_made = [Path(out.fs_path).parent / ".gitignore" if out.use_cache else Path(out.fs_path) for out in outs]
        made = sorted({file.relative_to(repo.root_dir).as_posix() for file in files_made})
    if stale:
        raise AssayError(f"{about}: {', '.join(stale)} not up to date; run `dvc repro` first")
    made += [
        str(f)
        for f in (params.FILE, p.paths.source, p.paths.approved, p.paths.relabels, p.paths.champions, Path("dvc.lock"))
    ]
    status = git.run("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all")
    dirty = sorted(entry[3:] for entry in status.split("\0") if entry and entry[3:] not in made)
    if dirty:
        shown = ", ".join(dirty[:5]) + (f" and {len(dirty) - 5} more" if len(dirty) > 5 else "")
        raise AssayError(f"{about}: changes that no run made: {shown}; commit or stash them first")
    return [file for file in made if Path(file).exists()]


def _is_of(why: list[Any], file: Path) -> bool:
    """Say whether DVC finds a stage out of date for this file alone."""
    return why == [{"changed deps": {file.as_posix(): "modified"}}]


def _crown(version: str, candidate: dict[str, Any], paths: params.Paths, about: str) -> None:
    """Append the model to the champions; `register` then runs again, finds the same and is up to date."""
    champions = registry.champions(paths.champions)
    model = candidate["model"]["sha256"]
    if champions and champions[-1]["model"] == model:
        return
    files.write_json(paths.champions, [*champions, as_champion(version, candidate)])
    dvc_repo.reproduce("register", about)


def as_champion(version: str, candidate: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry of champions.json: what the next model is held against."""
    return {
        "version": version,
        "model": candidate["model"]["sha256"],
        "task": candidate["task"],
        "classes": candidate["classes"],
        "last_batch": candidate["last_batch"],
        "ledger": candidate.get("ledger"),  # older releases name none
        "recipe": candidate.get("recipe"),  # nor this
        "errors": candidate["errors"],
        "named": candidate.get("named"),
    }


def _message(version: str, verdict: str, candidate: dict[str, Any], p: params.Params) -> list[str]:
    """Return the paragraphs of the commit's message: the verdict, its reasons, what changed since the last commit."""
    from assay.versions import changes  # here, for SciPy takes longer to import than a rollback does its work

    accuracy = files.read_json(p.paths.metrics.eval)["eval"]["accuracy"]
    checks = "\n".join(f"{'+' if check['passed'] else '-'} {check['text']}" for check in candidate["checks"])
    said = "\n".join(f"this {word}: {text}" for word, text in two_verdicts(candidate).items())
    measured = f"{ACCURACY[candidate['task']]} {accuracy}"
    changed = changes.markdown(changes.look("HEAD", dvc_repo.WORKSPACE, p))
    return [f"Release {ARTIFACT} {version}: {verdict}, {measured}", *filter(None, (checks, said, changed))]


def _commit(made: list[str], *paragraphs: str) -> None:
    git.run("add", "--", *made)
    if git.run("diff", "--cached", "--name-only"):
        git.run("commit", "-q", *(f"--message={paragraph}" for paragraph in paragraphs))


def _assign(version: str) -> bool:
    """Return whether the version became the champion now, and was not before."""
    tags = git.run(
        "tag", "--list", f"{ARTIFACT}#{STAGE}#*", "--sort=-v:refname", "--format=%(refname:short) %(*objectname)"
    )
    commit = git.commit(f"{ARTIFACT}@{version}")
    if tags and tags.splitlines()[0].split()[1:] == [commit]:
        return False
    gto.api.assign(".", ARTIFACT, STAGE, version=version, message=f"{version} is the champion", force=True)
    return True


def latest_version() -> str | None:
    tags = git.run("tag", "--list", f"{ARTIFACT}@v*", "--sort=-v:refname").splitlines()
    return tags[0].partition("@")[2] if tags else None


def candidate_of(version: str, p: params.Params) -> dict[str, Any]:
    """Return the candidate.json that was released as the version."""
    content: dict[str, Any] = json.loads(git.show(p.paths.candidate, f"{ARTIFACT}@{version}"))
    return content


def version_of(model_sha256: str, folder: Path = Path()) -> str:
    """Return the newest version with this model; raises `AssayError` if it was not released."""
    p = params.load(folder / params.FILE)
    for tag in git.run("tag", "--list", f"{ARTIFACT}@v*", "--sort=-v:refname", folder=folder).split():
        candidate = json.loads(git.show(p.paths.candidate, tag, folder))
        if candidate["model"]["sha256"] == model_sha256:
            return tag.partition("@")[2]
    raise AssayError(f"release: the model {model_sha256[:12]} was not released")


def is_champion(version: str, folder: Path = Path()) -> bool:
    """Say whether the version is what the newest champion tag points at."""
    tags = git.run("tag", "--list", f"{ARTIFACT}#{STAGE}#*", "--sort=-v:refname", folder=folder).split()
    if not tags:
        return False
    commits = [git.commit(tag, folder) for tag in (tags[0], f"{ARTIFACT}@{version}")]
    return commits[0] == commits[1]
