"""Takes the champion back: one tag and one small commit, whatever the size of the data. No stage runs, no file moves.

The commit adds the old champion to champions.json on a branch of its own, so that the next retraining is held against
it. It is made without a checkout. The branch and the tag are sent in one step.
"""

import tempfile
from pathlib import Path

from assay import files, state
from assay.errors import AssayError
from assay.evaluation import registry
from assay.versions import git, history, lock, releases, worktree
from assay.versions.tagged import ARTIFACT, STAGE, Release


def previous() -> str:
    """Return the version that was the champion before this one; raises `AssayError` if none was."""
    found = history.champions(history.read())
    if len(found) < 2:
        seen = f"{found[-1]} is the first" if found else "there is none"
        raise AssayError(f"rollback: no champion before this one: {seen}; `assay promote VERSION` takes any release")
    return found[-2]


def roll_back(release: Release, ref: str, why: str) -> str:
    """Make the release the champion again and send that to the remote; return what was done."""
    git.check_own(about="rollback")
    last = worktree.last(ref)
    base = git.commit(last or ref, about="rollback")
    branch = f"{state.BRANCHES}promote-{release.version}"
    subject = f"Roll back {ARTIFACT} to {release.version}: {why}"
    commit = _commit(base, release, subject)
    git.run("update-ref", git.LAST, f"refs/heads/{branch}", commit, about="rollback")
    tag = _tag(release, why)
    done = [f"{ARTIFACT} {release.version} is the champion again"]
    if remote := git.remote():
        refs = [f"+refs/heads/{branch}", f"refs/tags/{tag}"]
        git.talk("push", "--quiet", "--atomic", git.LAST, remote, *refs, about="rollback")
        done.append(f"pushed {branch} and {tag} to {remote}")
    if running := lock.holder():
        done.append(f"a retraining runs ({running['holder']}): look at the champion again when it has ended")
    return "; ".join(done)


def _commit(base: str, release: Release, subject: str) -> str:
    """Return a commit on `base` whose champions end with the release; nothing of the checkout takes part."""
    path = release.paths["champions"]
    content, where = git.show(path, base, about="rollback"), f"rollback: {path.as_posix()} of {base[:12]}"
    log = f"`git log --oneline -- {path.as_posix()}` lists the commits that changed it"
    champions = registry.champions_of(content, where, f"mend and commit it on the newest branch; {log}")
    entry = releases.as_champion(release.version, release.candidate)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "champions.json"
        files.write_json(made, [*champions, entry])
        blob = git.run("hash-object", "-w", git.LAST, str(made), about="rollback")
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        git.run("read-tree", git.LAST, base, folder=Path(), about="rollback", **index)
        git.run(
            "update-index", "--cacheinfo", f"100644,{blob},{path.as_posix()}", folder=Path(), about="rollback", **index
        )
        tree = git.run("write-tree", folder=Path(), about="rollback", **index)
    return git.run(
        "commit-tree", "-p", base, "-m", subject, git.LAST, tree, folder=Path(), about="rollback", **git.signature()
    )


def _tag(release: Release, why: str) -> str:
    """Set the champion's next tag, as GTO does, and return its name."""
    tags = git.run("tag", "--list", f"{ARTIFACT}#{STAGE}#*", about="rollback").split()
    number = 1 + max((int(tag.rpartition("#")[2]) for tag in tags), default=0)
    name = f"{ARTIFACT}#{STAGE}#{number}"
    message = f"back to {release.version}: {why}"
    git.run(
        "tag", "-a", "-m", message, git.LAST, name, release.commit, folder=Path(), about="rollback", **git.signature()
    )
    return name
