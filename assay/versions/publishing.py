"""Sends what a retraining made to the remotes: data first, so that no commit points at what cannot be fetched."""

from pathlib import Path

from assay.versions import git, storage


def publish(branch: str, folder: Path = Path()) -> list[str]:
    """Push data, then branch and tags in one step, and return what was pushed; nothing where no remote is set.

    Raises `AssayError` if a remote refuses: the branch and its tags are then not there either, and it may be repeated.
    """
    done = []
    if data := storage.remote(folder):
        storage.push(folder)
        done.append(f"data to {data}")
    if remote := git.remote(folder):
        refs = [f"refs/heads/{branch}", *_tags(branch, folder)]
        git.talk("push", "--quiet", "--atomic", git.LAST, remote, *refs, folder=folder, about="publish")
        done.append(f"{branch} and {len(refs) - 1} tags to {remote}")
    return done


def _tags(branch: str, folder: Path) -> list[str]:
    """Return the versions and stages whose commits are part of the branch."""
    listed = git.run("for-each-ref", f"--merged={branch}", "--format=%(refname)", "refs/tags/", folder=folder)
    return [ref for ref in listed.split() if "@" in ref or "#" in ref]


def is_published(branch: str, folder: Path = Path()) -> bool:
    """Say whether the branch is at the remote as it is here; yes where no remote is set.

    The remote is asked only if the last fetch or push did not tell. Raises `AssayError` if it does not answer.
    """
    remote = git.remote(folder)
    if not remote or branch.startswith(f"{remote}/"):
        return True
    here, seen = git.commit(branch, folder), f"refs/remotes/{remote}/{branch}"
    if git.has(seen, folder) and git.commit(seen, folder) == here:
        return True
    there = git.talk("ls-remote", git.LAST, remote, f"refs/heads/{branch}", folder=folder, about="publish").split()
    return there[:1] == [here]
