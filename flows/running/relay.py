"""The stages of a retraining on the machines of their pools, one after the other: `retrain(spread=True)`.

A stage goes to the pool `gpu` if dvc.yaml tags it so, else to `cpu`. What the machines share is a branch
`stages/<snapshot>` of git's remote, which goes when the retraining ends, and DVC's remote.
"""

import json
import os
from pathlib import Path
from typing import Any, cast

from prefect import get_run_logger
from prefect.client.schemas.objects import FlowRun, State
from prefect.deployments import run_deployment
from prefect.states import Completed, Failed

from assay.errors import AssayError, GateClosed
from assay.versions import git, storage
from flows import elsewhere, reproduce
from flows.running import dag
from flows.running.stages import Ends

POOLS = ("gpu", "cpu")
POLL_S = 2


def run(declared: list[dag.Stage], folder: Path, name: str) -> Ends:
    """Return how the stages ended, as `stages.run` does; what they made lies in the folder then.

    Raises `AssayError` where there is no remote, or one refuses.
    """
    remote = git.remote(folder)
    if not remote or not storage.remote(folder):
        raise AssayError("retrain: spread: a git remote and a default DVC remote are what machines share results by")
    branch = f"{elsewhere.BRANCHES}{name}"
    _push(remote, branch, folder)
    ends: Ends = {}
    try:
        for each in declared:
            ends[each.name] = _there(each, branch, folder)
            if not ends[each.name].is_completed():
                break
        _take(remote, branch, folder)
        for each in declared if len(ends) == len(declared) else []:
            if ends[each.name].is_completed() and not all(out.exists() for out in each.outs):  # never sent
                elsewhere.make(each, declared, folder)
    finally:
        try:
            git.talk("push", "--quiet", "--delete", git.LAST, remote, branch, folder=folder, about="retrain")
        except AssayError as error:  # the next retraining of this snapshot overwrites it
            get_run_logger().warning("%s", error)
    return ends


def pool(stage: dag.Stage) -> str:
    """Return the pool that the stage runs in."""
    return next((name for name in POOLS if name in stage.options.get("tags", [])), POOLS[-1])


def _push(remote: str, branch: str, folder: Path) -> None:
    """Send the files of the worktree, with the new snapshot, as a commit that no branch here has."""
    os.environ.update(git.signature())
    git.run("add", "--all", folder=folder)
    tree = git.run("write-tree", folder=folder)
    commit = git.run(
        "commit-tree", "-p", "HEAD", "-m", "What is to be run", git.LAST, tree, folder=folder, about="retrain"
    )
    git.run("reset", "--quiet", folder=folder)
    git.talk(
        "push", "--quiet", "--force", git.LAST, remote, f"{commit}:refs/heads/{branch}", folder=folder, about="retrain"
    )


def _there(each: dag.Stage, branch: str, folder: Path) -> State[Any]:
    """Run the stage in its pool, however long that takes; a bad end leaves its words where a stage here would."""
    get_run_logger().info("%s runs in the pool %s", each.name, pool(each))
    parameters = {"name": each.name, "branch": branch}
    run = cast(FlowRun, run_deployment(f"stage/{pool(each)}", parameters=parameters, poll_interval=POLL_S))
    state = cast(State[Any], run.state)
    if state.is_completed():
        return Completed(name=state.name, message=state.message)
    said = state.message or f"{each.name}: {state.name}"
    code = GateClosed.exit_code if state.name == "Rejected" else 1
    (folder / reproduce.OUTCOME).write_text(json.dumps({"exit_code": code, "message": said}))
    return Failed(name=state.name, message=said.splitlines()[0].removeprefix(f"{each.name}: "))


def _take(remote: str, branch: str, folder: Path) -> None:
    """Put what the stages made in the folder; no commit of theirs becomes part of its branch."""
    git.talk("fetch", "--quiet", git.LAST, remote, f"refs/heads/{branch}", folder=folder, about="retrain")
    git.run("checkout", "--quiet", "FETCH_HEAD", "--", ".", folder=folder)
    git.run("reset", "--quiet", folder=folder)
    storage.checkout(folder)
