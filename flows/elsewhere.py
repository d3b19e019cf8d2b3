"""One stage on another machine, in a clone that shares nothing with the others but git's and DVC's remotes.

Its deployments `stage/cpu` and `stage/gpu` (prefect.yaml) are run by the workers of these pools. A run takes the branch
that the retraining pushed, pulls what the stage reads, runs it, pushes what it made and one commit with dvc.lock.
"""

import os
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from assay import state
from assay.errors import AssayError
from assay.versions import git, lock, storage, worktree
from flows.running import dag, stages

HOME = Path()
BRANCHES = "stages/"  # of git's remote, where the machines of a retraining share results
PLACE = state.STAGES  # with a lock of its own: the retraining that waits for the stage may be of this clone


@flow(persist_result=False, flow_run_name="{name}")
def stage(name: str, branch: str) -> State[Any]:
    """Return how the stage ended, the message all of its own words; `branch`: of git's remote, where the results go."""
    with lock.taken(f"stage {name}", PLACE) as taken:
        if not taken:
            return Failed(message=f"{name}: another stage runs in this clone; one worker a clone")
        try:
            return _stage(name, branch)
        except AssayError as error:
            return Failed(message=str(error))


def _stage(name: str, branch: str) -> State[Any]:
    if not branch.startswith(BRANCHES) or not git.is_branch(branch):
        raise AssayError(f"{name}: {branch!r} is no branch of a retraining, such as {BRANCHES}1f0c (branch)")
    git.check_worktrees(HOME, name)
    remote = git.remote(HOME)
    if not remote or not storage.remote(HOME):
        todo = "`dvc remote add -d ...`" if remote else "`git remote add origin ...`"
        raise AssayError(f"{name}: this clone has no remote to share results by: {todo}")
    folder = checkout(remote, branch)
    declared = dag.stages(folder)
    if not (wanted := next((each for each in declared if each.name == name), None)):
        raise AssayError(f"{name}: no stage of dvc.yaml (name); there are {', '.join(each.name for each in declared)}")
    end = make(wanted, declared, folder)
    if not end.is_completed():
        return Failed(name=end.name, message=stages.words(name, end, folder))
    storage.push(folder, name)
    git.run("add", "--all", folder=folder)
    os.environ.update(git.signature())  # the machine of a worker may have no name for its user
    if git.run("status", "--porcelain", folder=folder):
        git.run("commit", "--quiet", "-m", f"Run {name}", folder=folder, about=name)
        git.talk("push", "--quiet", git.LAST, remote, f"HEAD:refs/heads/{branch}", folder=folder, about=name)
    return Completed(name=end.name, message=end.message)


def checkout(remote: str, branch: str) -> Path:
    """Return a worktree of this clone at the branch as it is at the remote; it shares the clone's cache."""
    git.run("fetch", "--quiet", git.LAST, remote, f"refs/heads/{branch}", folder=HOME, about="stage")
    commit = git.commit("FETCH_HEAD", HOME)
    folder = (HOME / PLACE / state.CHECKOUT.name).absolute()
    worktree.remove(HOME, PLACE / state.CHECKOUT.name)
    git.run("worktree", "add", "--quiet", "--detach", git.LAST, str(folder), commit, folder=HOME, about="stage")
    worktree.share(HOME.absolute(), folder)
    return folder


def make(wanted: dag.Stage, declared: list[dag.Stage], folder: Path) -> State[Any]:
    """Return how the stage ended, after what it reads and adds to was put in place from the cache or the remote.

    What is never sent (`push: false` in dvc.yaml) is made here. Raises `AssayError` if that cannot be.
    """
    storage.bring([file for file in (*wanted.outs, *wanted.deps) if not file.exists()], folder)
    for each in declared:
        if each.name in wanted.upstream and any(_makes(each, dep) for dep in wanted.deps if not dep.exists()):
            get_run_logger().info("%s reads what is in no remote, so %s runs here", wanted.name, each.name)
            end = make(each, declared, folder)
            if not end.is_completed():
                raise AssayError(stages.words(each.name, end, folder))
    return stages.run([wanted], folder)[wanted.name]


def _makes(each: dag.Stage, dep: Path) -> bool:
    return any(dep == out or out in dep.parents for out in each.outs)
