"""What a retraining sends to remotes, and what it does where they refuse or are down."""

from pathlib import Path

import pytest
import toy
from receiver import receiving
from retrainings import Retrain, checkout, clean, made, retrain

from assay.operations import alert

__all__ = ["checkout", "made", "retrain"]  # fixtures

pytestmark = pytest.mark.slow


class TestRemotes:
    @pytest.fixture(autouse=True)
    def remotes(self, checkout: Path) -> Path:
        """A bare git repository and a DVC remote, as folders."""
        folder = checkout.parent
        toy.run(folder, "git", "init", "-q", "--bare", "-b", "main", "remote.git")
        toy.run(checkout, "git", "remote", "add", "origin", str(folder / "remote.git"))
        toy.run(checkout, "git", "push", "-q", "origin", "main")
        toy.run(checkout, "dvc", "remote", "add", "-q", "--local", "-d", "store", str(folder / "store"))
        return folder

    def there(self, folder: Path) -> list[str]:
        return toy.run(folder / "remote.git", "git", "for-each-ref", "--format=%(refname:short)").split()

    def test_data_branch_and_tags_arrive_and_a_clone_has_nothing_to_do(
        self, remotes: Path, checkout: Path, retrain: Retrain
    ) -> None:
        assert "pushed data to store, pushed retrain/" in retrain()
        (branch,) = toy.branches(checkout)
        assert self.there(remotes) == ["main", branch, "classifier#champion#1", "classifier@v0.0.1"]
        toy.run(remotes, "git", "clone", "-q", "-b", branch, "remote.git", "clone")
        clone = remotes / "clone"
        printed = toy.run(clone, "dvc", "repro", "--dry", "--allow-missing")
        assert "Running stage" not in printed
        toy.run(clone, "dvc", "remote", "add", "-q", "--local", "-d", "store", str(remotes / "store"))
        toy.run(clone, "dvc", "pull", "-q")
        assert (clone / "models/model.keras").exists()

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
        assert self.there(remotes) == ["main"]
        hook.unlink()
        assert "v0.0.1 is the champion" in retrain()
        (branch,) = toy.branches(checkout)
        assert branch in self.there(remotes)
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
        assert toy.branches(checkout)[0] in self.there(remotes)

    def test_remote_that_fails_half_way_publishes_no_commit(
        self, remotes: Path, checkout: Path, retrain: Retrain
    ) -> None:
        (remotes / "store/files/md5").mkdir(parents=True)
        for byte in range(256):  # some objects find a file where their folder should be
            if byte % 3:
                (remotes / f"store/files/md5/{byte:02x}").write_text("in the way")
        printed = retrain(code=1)
        assert "publish: dvc push" in printed
        assert self.there(remotes) == ["main"]
        for file in (remotes / "store/files/md5").iterdir():
            if file.is_file():
                file.unlink()
        retrain()
        assert toy.branches(checkout)[0] in self.there(remotes)

    def test_relative_remotes_are_those_of_the_checkout_and_not_of_its_worktree(
        self, remotes: Path, checkout: Path, retrain: Retrain
    ) -> None:
        toy.run(checkout, "git", "remote", "set-url", "origin", "../remote.git")
        toy.run(checkout, "dvc", "remote", "remove", "-q", "--local", "store")
        toy.run(checkout, "dvc", "remote", "add", "-q", "-d", "store", "../store")
        toy.run(checkout, "git", "commit", "-qam", "remote")
        retrain()
        (branch,) = toy.branches(checkout)
        assert branch in self.there(remotes)
        toy.run(remotes, "git", "clone", "-q", "-b", branch, "remote.git", "clone")
        toy.run(remotes / "clone", "dvc", "pull", "-q")
        assert (remotes / "clone/models/model.keras").exists()
        assert not list((checkout / ".assay/retrain").glob("*store*"))

    def test_new_machine_stands_on_what_the_old_one_published(
        self, remotes: Path, checkout: Path, server: str, retrain: Retrain
    ) -> None:
        retrain()
        (branch,) = toy.branches(checkout)
        (remotes / "new").mkdir()
        (remotes / "new/does").mkdir()
        toy.run(remotes, "git", "clone", "-q", "remote.git", "new/checkout")
        new = remotes / "new/checkout"
        toy.run(new, "dvc", "remote", "add", "-q", "--local", "-d", "store", str(remotes / "store"))
        there = {"PREFECT_API_URL": server}
        assert "nothing is new" in toy.run(new, "flows.retrain", code=5, **there)
        next((remotes / "images/ape").iterdir()).unlink()
        toy.run(new, "flows.retrain", code=4, **there)
        (second,) = toy.branches(new)
        assert toy.run(new, "git", "merge-base", "--is-ancestor", f"origin/{branch}", second) == ""
        assert "nothing is new" in retrain(code=5)
        toy.run(new, "git", "push", "-q", "origin", "--delete", branch, second)
        toy.run(new, "git", "branch", "-qD", second)
        assert "v0.0.2 is not the champion" in retrain(code=4)

    def test_remote_that_is_down_is_no_failure_while_nothing_is_new(
        self, remotes: Path, checkout: Path, retrain: Retrain
    ) -> None:
        retrain()
        (remotes / "remote.git").rename(remotes / "down")
        assert "nothing is new" in retrain(code=5)
        next((remotes / "images/ape").iterdir()).unlink()
        with receiving() as (url, received):
            retrain(code=1, **{alert.URLS: url})
        assert [each["title"] for each in received] == ["Assay: a retraining could not be published"]
