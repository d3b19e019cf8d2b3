"""One retraining, whoever asked for it: a schedule, new data, drift or a person (`python -m flows.retrain`).

It works in a git worktree of its own at `ref`, so that nobody's uncommitted edits take part. It looks at the source
again, runs the stages, leaves one commit on a branch `retrain/<snapshot>` with its tags, and sends commit, tags and
data to the remotes that are set. It ends as one of these states, and `python -m flows.retrain` with this exit code:

    Completed            0  there is a new champion
    Completed (Skipped)  5  nothing is new, or another run is on
    Completed (Held)     4  there is a new model, but it is not the champion: no better, or approval was asked for
    Failed (Rejected)    3  the gate is closed
    Failed               1  anything else that could be told
    Crashed            128+ the process was ended: the number of the signal is added
"""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

os.environ.setdefault("DO_NOT_TRACK", "1")  # Prefect asks for it while it is imported

from prefect import flow, get_run_logger, runtime, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from assay import files, params, state
from assay.errors import AssayError
from assay.operations import disk, messages, outbox, source_changes
from assay.validation import waivers
from assay.versions import dvc_repo, git, lock, publishing, releases, storage, worktree
from assay.versions.tagged import ARTIFACT
from flows import child
from flows.running import dag, relay, show, stages
from flows.server import api, reconcile
from flows.server.tell import flush, tell

CODES = {"Completed": 0, "Failed": 1, "Rejected": 3, "Held": 4, "Skipped": 5}
SNAPSHOTS = 3  # tries, where images come in while the first stage reads them
HOME = Path()


@flow(
    persist_result=False,
    flow_run_name="{reason}",
    on_failure=[reconcile.tell_failure],
    on_crashed=[reconcile.tell_crash],
)
def retrain(ref: str = "main", approval: bool = False, reason: str = "by hand", spread: bool = False) -> State[Any]:
    """Return how the run ended, as in the module's docstring; people were told of all but Completed and Skipped.

    `spread`: its stages run on the machines of their pools (flows/running/relay.py).
    """
    child.end_with_server()
    with lock.taken(str(runtime.flow_run.id)) as taken:
        if not taken:
            source_changes.ask_again()  # by the next look, should it have asked for this
            return Completed(name="Skipped", message=f"another run has this checkout ({lock.FILE} is locked)")
        reconcile.sign()
        reconcile.close_dead_runs()
        flush()
        free, wanted = disk.room(HOME)
        if free < wanted:
            tell(messages.low_disk(free, wanted, HOME.absolute()))
        try:
            tree = checkout(ref)
        except AssayError as error:
            return _fail(error)
        end = _in(tree, ref, approval, spread)
        if end.is_completed():
            for over in ("crashed: retrain:", "retrain:", "publish:"):
                outbox.forget(over)
        if end.name == "Failed" and not tree.continued:
            get_run_logger().info("the next run goes on in %s", tree.folder)
        else:  # one that fails twice is begun anew
            worktree.remove()
        return end


def _fail(error: AssayError) -> State[Any]:
    tell(messages.failed(str(error)))
    return Failed(message=str(error).splitlines()[0])


def _in(tree: worktree.Worktree, ref: str, approval: bool, spread: bool) -> State[Any]:
    try:
        return _retrain(tree, ref, approval, spread)
    except AssayError as error:
        return _fail(error)


def _retrain(tree: worktree.Worktree, ref: str, approval: bool, spread: bool) -> State[Any]:
    """Do all that is done in the worktree."""
    name = snapshot(tree.folder)
    last = worktree.last(ref)
    if not _reasons(tree, last):
        return Completed(name="Skipped", message="nothing is new since the last retraining")
    fetch(tree.folder)
    declared = dag.stages(tree.folder)
    p = params.load(tree.folder / params.FILE)
    tries = 0

    def source_has_changed(stage: str, end: State[Any]) -> bool:
        nonlocal name, tries
        before, tries = name, tries + 1
        if stage != declared[0].name or end.name != "Failed" or tries >= SNAPSHOTS:
            return False
        name = snapshot(tree.folder)
        return name != before

    ends = relay.run(declared, tree.folder, name) if spread else stages.run(declared, tree.folder, source_has_changed)
    kept = worktree.keep_reports(tree.folder, name)
    show.metrics(declared, ends)
    show.verdicts(declared, ends, tree.folder, kept)
    show.diagnosis(declared, ends, tree.folder)
    if ending := waivers.ending_soon(tree.folder / p.paths.validation / "results.json", datetime.now(UTC).date()):
        tell(messages.ending(ending))
    if aside := stages.set_aside(ends, tree.folder, kept):
        tell(aside)
    if bad := stages.bad_end(ends, tree.folder, kept):
        tell(bad)
        return stages.end(declared, ends)
    stages.end(declared, ends)
    return _publish(tree, f"{state.BRANCHES}{name}", last, approval, kept / p.paths.verdict.name / "index.html")


def _reasons(tree: worktree.Worktree, last: str | None) -> list[str]:
    """Return why there is something to do: a changed source, stages out of date, or an end that was not reached."""
    status = git.run("status", "--porcelain", folder=tree.folder)
    reasons = ["the source changed"] if status else [f"{name} is out of date" for name in dvc_repo.due(tree.folder)]
    if not reasons and _head(tree) != tree.base:
        reasons = ["a run ended before its end"]
    if not reasons and last and not _is_finished(last):
        reasons = [f"{last} was not released or published"]
    if reasons:
        get_run_logger().info("to do: %s", "; ".join(reasons))
    return reasons


def _head(tree: worktree.Worktree) -> str:
    return git.run("rev-parse", "HEAD", folder=tree.folder)


def _is_finished(branch: str) -> bool:
    tagged = git.run("tag", f"--points-at={branch}", f"{ARTIFACT}@*", folder=HOME)
    released = git.run("log", "-1", "--format=%s", git.LAST, branch, folder=HOME).startswith("Release ")
    return (bool(tagged) or not released) and publishing.is_published(branch, HOME)


def _publish(tree: worktree.Worktree, branch: str, last: str | None, approval: bool, report: Path) -> State[Any]:
    """Release what the stages made, send it to the remotes, and return the end of the run.

    Where they made nothing new, the `last` retraining may still have to be sent: its push was refused.
    """
    commit(tree.folder, branch, approval)
    if _head(tree) == tree.base and (branch != last or publishing.is_published(branch, HOME)):
        git.run("switch", "--quiet", "--detach", folder=tree.folder)
        if branch != last:
            git.run("branch", "--quiet", "-D", git.LAST, branch, folder=tree.folder)
        return Completed(name="Skipped", message="the stages made nothing new")
    _show_changes(tree)
    try:
        sent = send(branch, tree.folder)
    except AssayError as error:
        tell(messages.unpublished(str(error)))
        return Failed(message=" ".join(f"{branch} is complete here, but {error}".split())[:500])
    where = "".join(f", pushed {each}" for each in sent)
    paths = params.load(tree.folder / params.FILE).paths
    candidate = files.read_json(tree.folder / paths.candidate)
    version = releases.version_of(candidate["model"]["sha256"], tree.folder)
    if releases.is_champion(version, tree.folder):
        return Completed(message=f"{version} is the champion: {branch}{where}")
    checks = [f"{'+' if check['passed'] else '-'} {check['text']}" for check in candidate["checks"]]
    if beside := candidate.get("against"):
        checks += [f"this model: {beside['model_verdict']}", f"this change: {beside['change_verdict']}"]
    if (diagnosis := tree.folder / paths.evaluation / "diagnosis.json").exists():
        checks += files.read_json(diagnosis)["headline"]
    if candidate["verdict"] == "promote":
        checks = ["it may be promoted, and waits for approval", *checks]
    tell(messages.held(version, "\n".join(checks), report))
    return Completed(name="Held", message=f"{version} is not the champion: {branch}{where}")


def _show_changes(tree: worktree.Worktree) -> None:
    """Leave what the run changed as a page."""
    log = get_run_logger()
    command = (sys.executable, "-m", "assay", "compare", tree.base, "HEAD")
    _, page, _ = child.run("flows.child", *command, folder=tree.folder, log=log)
    if page:
        create_markdown_artifact(key="changes", markdown=page, description="Against the commit that it began at.")


@task(cache_policy=NO_CACHE, persist_result=False)
def checkout(ref: str) -> worktree.Worktree:
    """Return the worktree to work in."""
    if remote := git.remote(HOME):
        try:
            git.run("fetch", "--quiet", "--prune", "--tags", git.LAST, remote, folder=HOME, about="retrain")
        except AssayError as error:  # what is here is retrained then
            get_run_logger().warning("%s", error)
    tree = worktree.ready(ref, HOME)
    get_run_logger().info("%s %s at %s", "continues" if tree.continued else "new", tree.folder, tree.base[:12])
    return tree


@task(cache_policy=NO_CACHE, persist_result=False)
def snapshot(folder: Path) -> str:
    """Look at the source again, and return the first 12 digits of what it holds now."""
    _assay("snapshot", folder=folder)
    source = params.load(folder / params.FILE).paths.source
    return str(files.read_json(folder / source)["fingerprint"])[:12]


@task(cache_policy=NO_CACHE, persist_result=False)
def fetch(folder: Path) -> None:
    """Put what the last run made in its place, from the cache or the remote; what is damaged is not used."""
    for file in storage.damaged(folder):
        get_run_logger().warning("damaged: %s is not what was put in; deleted, to be pulled or made anew", file)
    storage.checkout(folder)


@task(cache_policy=NO_CACHE, persist_result=False)
def commit(folder: Path, branch: str, approval: bool) -> None:
    """Release on the branch."""
    git.run("switch", "--quiet", "-C", branch, folder=folder)
    _assay("release", *(["--hold"] if approval else []), folder=folder)


@task(cache_policy=NO_CACHE, persist_result=False)
def send(branch: str, folder: Path) -> list[str]:
    """Return what was sent to the remotes."""
    return publishing.publish(branch, folder)


def _assay(*command: str, folder: Path) -> None:
    """Run the `assay` of the checkout; raises `AssayError` with its last words."""
    log = get_run_logger()
    code, said, last = child.run("flows.child", sys.executable, "-m", "assay", *command, folder=folder, log=log)
    if said.strip():
        log.info("%s", said.strip())
    if code:
        words = last[-1:] if any(line.startswith("  File ") for line in last) else last  # of a traceback, the error
        raise AssayError("\n".join(words).removeprefix("assay: ") or f"assay {command[0]} ended with {code}")


@click.command()
@click.option("--ref", default="main", show_default=True, help="What to retrain: a branch, tag or commit.")
@click.option("--approval", is_flag=True, help="Leave it to a person to make a good model the champion.")
@click.option("--reason", default="by hand", show_default=True, help="What the run is called.")
def main(ref: str, approval: bool, reason: str) -> None:
    """Retrain once, in a checkout of its own, and release what comes out.

    Exit code 0: a new champion. 5: nothing new, or another run is on. 4: a model that is held. 3: the gate is closed.
    1: it failed.
    """
    try:
        api.check()
        end = retrain(ref=ref, approval=approval, reason=reason, return_state=True)
    except AssayError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(CODES.get(end.name or "", 1))


if __name__ == "__main__":
    main()
