"""What a retraining sends to remotes, and what it does where they refuse or are down."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import toy
from checkouts import put_back
from receiver import receiving
from retrainings import Retrain, clean, made, own, retrain

from assay.operations import alert

__all__ = ["made", "retrain"]  # fixtures

pytestmark = pytest.mark.slow


@pytest.fixture
def checkout(made: Path, tmp_path: Path) -> Path:
    """A toy project whose source is its own; DVC adds no remote whose path has letters beyond ASCII."""
    return own(made, tmp_path / "toy")


def with_remotes(checkout: Path) -> Path:
    """Return the folder around the checkout, which now holds a bare git repository and a DVC remote."""
    folder = checkout.parent
    toy.run(folder, "git", "init", "-q", "--bare", "-b", "main", "remote.git")
    toy.run(checkout, "git", "remote", "add", "origin", str(folder / "remote.git"))
    toy.run(checkout, "git", "push", "-q", "origin", "main")
    toy.run(checkout, "dvc", "remote", "add", "-q", "--local", "-d", "store", str(folder / "store"))
    return folder


def there(folder: Path) -> list[str]:
    return toy.run(folder / "remote.git", "git", "for-each-ref", "--format=%(refname:short)").split()


class TestPublished:
    @pytest.fixture(scope="class")
    def once(self, made: Path, tmp_path_factory: pytest.TempPathFactory, server: str) -> Path:
        checkout = own(made, tmp_path_factory.mktemp("published") / "toy")
        folder = with_remotes(checkout)
        (folder / "said").write_text(toy.run(checkout, "flows.retrain", PREFECT_API_URL=server))
        return folder

    @pytest.fixture
    def published(self, once: Path) -> Iterator[Path]:
        """The folder around a checkout that published its first retraining, as it was for each test."""
        with put_back(once):
            yield once

    def test_data_branch_and_tags_arrive_and_a_clone_has_nothing_to_do(self, published: Path) -> None:
        assert "pushed data to store, pushed retrain/" in (published / "said").read_text()
        (branch,) = toy.branches(published / "checkout")
        assert there(published) == ["main", branch, "classifier#champion#1", "classifier@v0.0.1"]
        toy.run(published, "git", "clone", "-q", "-b", branch, "remote.git", "clone")
        clone = published / "clone"
        printed = toy.run(clone, "dvc", "repro", "--dry", "--allow-missing")
        assert "Running stage" not in printed
        toy.run(clone, "dvc", "remote", "add", "-q", "--local", "-d", "store", str(published / "store"))
        toy.run(clone, "dvc", "pull", "-q")
        assert (clone / "models/model.keras").exists()

    def test_new_machine_stands_on_what_the_old_one_published(self, published: Path, server: str) -> None:
        old = published / "checkout"
        (branch,) = toy.branches(old)
        (published / "new").mkdir()
        (published / "new/does").mkdir()
        toy.run(published, "git", "clone", "-q", "remote.git", "new/checkout")
        new = published / "new/checkout"
        toy.run(new, "dvc", "remote", "add", "-q", "--local", "-d", "store", str(published / "store"))
        with_server = {"PREFECT_API_URL": server}
        assert "nothing is new" in toy.run(new, "flows.retrain", code=5, **with_server)
        next((published / "images/ape").iterdir()).unlink()
        toy.run(new, "flows.retrain", code=4, **with_server)
        (second,) = toy.branches(new)
        assert toy.run(new, "git", "merge-base", "--is-ancestor", f"origin/{branch}", second) == ""
        assert "nothing is new" in toy.run(old, "flows.retrain", code=5, **with_server)
        toy.run(new, "git", "push", "-q", "origin", "--delete", branch, second)
        toy.run(new, "git", "branch", "-qD", second)
        assert "v0.0.2 is not the champion" in toy.run(old, "flows.retrain", code=4, **with_server)

    def test_remote_that_is_down_is_no_failure_while_nothing_is_new(self, published: Path, server: str) -> None:
        (published / "remote.git").rename(published / "down")
        there = {"PREFECT_API_URL": server}
        assert "nothing is new" in toy.run(published / "checkout", "flows.retrain", code=5, **there)
        next((published / "images/ape").iterdir()).unlink()
        with receiving() as (url, received):
            toy.run(published / "checkout", "flows.retrain", code=1, **there, **{alert.URLS: url})
        assert [each["title"] for each in received] == ["Assay: a retraining could not be published"]


class TestRemotes:
    @pytest.fixture(autouse=True)
    def remotes(self, checkout: Path) -> Path:
        """A bare git repository and a DVC remote, as folders."""
        return with_remotes(checkout)

    def test_refused_push_is_told_leaves_nothing_half_and_is_made_up_for(
        self, remotes: Path, checkout: Path, retrain: Retrain
    ) -> None:
        hook = remotes / "remote.git/hooks/update"
        hook.write_text('#!/bin/sh\ncase "$1" in refs/tags/*) echo "no tags today" >&2; exit 1;; esac\n')
        hook.chmod(0o755)
        with receiving() as (url, received):
            printed = retrain(code=1, **{alert.URLS: url})
        assert "no tags today" in printed
        assert "Traceback" not in printed
        assert [each["title"] for each in received] == ["Assay: a retraining could not be published"]
        assert there(remotes) == ["main"]
        hook.unlink()
        assert "v0.0.1 is the champion" in retrain()
        (branch,) = toy.branches(checkout)
        assert branch in there(remotes)
        assert clean(checkout)

    def test_push_that_was_refused_twice_is_made_up_for_too(
        self, remotes: Path, checkout: Path, retrain: Retrain
    ) -> None:
        hook = remotes / "remote.git/hooks/pre-receive"
        hook.write_text("#!/bin/sh\nexit 1\n")
        hook.chmod(0o755)
        retrain(code=1)
        retrain(code=1)
        hook.unlink()
        retrain()
        assert toy.branches(checkout)[0] in there(remotes)

    def test_remote_that_fails_half_way_publishes_no_commit(
        self, remotes: Path, checkout: Path, retrain: Retrain
    ) -> None:
        (remotes / "store/files/md5").mkdir(parents=True)
        for byte in range(256):  # some objects find a file where their folder should be
            if byte % 3:
                (remotes / f"store/files/md5/{byte:02x}").write_text("in the way")
        printed = retrain(code=1)
        assert "publish: dvc push" in printed
        assert there(remotes) == ["main"]
        for file in (remotes / "store/files/md5").iterdir():
            if file.is_file():
                file.unlink()
        retrain()
        assert toy.branches(checkout)[0] in there(remotes)

    def test_relative_remotes_are_those_of_the_checkout_and_not_of_its_worktree(
        self, remotes: Path, checkout: Path, retrain: Retrain
    ) -> None:
        toy.run(checkout, "git", "remote", "set-url", "origin", "../remote.git")
        toy.run(checkout, "dvc", "remote", "remove", "-q", "--local", "store")
        toy.run(checkout, "dvc", "remote", "add", "-q", "-d", "store", "../store")
        toy.run(checkout, "git", "commit", "-qam", "remote")
        retrain()
        (branch,) = toy.branches(checkout)
        assert branch in there(remotes)
        toy.run(remotes, "git", "clone", "-q", "-b", branch, "remote.git", "clone")
        toy.run(remotes / "clone", "dvc", "pull", "-q")
        assert (remotes / "clone/models/model.keras").exists()
        assert not list((checkout / ".assay/retrain").glob("*store*"))
