"""A look at the source, by the flow itself: what stops it is told in words of its own, until the next good look."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from receiver import receiving

from assay import state
from assay.errors import AssayError
from assay.operations import alert, outbox, source_changes
from assay.versions import lock
from flows import monitor, promote, retrain, watch
from flows.server import reconcile


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """What people were told, in a folder where nobody was told of anything."""
    monkeypatch.chdir(tmp_path)
    with receiving() as (url, received):
        monkeypatch.setenv(alert.URLS, url)
        yield received


def lost(ref: str) -> None:
    raise AssayError(f"folder:/gone of {ref}: no such folder\na second line")


def test_look_that_fails_is_told_once_and_forgotten_by_the_next_good_one(
    told: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_changes, "look", lost)
    for _ in range(2):
        end = watch.watch.fn("main")
        assert (end.name, end.message) == ("Failed", "folder:/gone of main: no such folder")
    assert [each["title"] for each in told] == ["Assay: the source was not looked at"]
    assert "retraining" not in told[0]["message"]
    outbox.note("crashed: watch: out of memory")
    outbox.note("retrain: another cause")
    monkeypatch.setattr(source_changes, "look", lambda _: None)
    assert watch.watch.fn("main").name == "Skipped"
    assert "another cause" in (state.ALERTS / "told.json").read_text()
    assert "watch" not in (state.ALERTS / "told.json").read_text()
    monkeypatch.setattr(source_changes, "look", lost)
    watch.watch.fn("main")
    assert len(told) == 2


@pytest.mark.parametrize("flow", [retrain.retrain, watch.watch, monitor.monitor, promote.promote])
def test_run_that_crashes_tells_people(flow: Any) -> None:
    assert flow.on_failure_hooks == [reconcile.tell_failure]
    assert flow.on_crashed_hooks == [reconcile.tell_crash]


@pytest.fixture
def events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The events of looks at a source that has changed since the last retraining."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(alert.URLS, raising=False)
    emitted: list[str] = []
    change = source_changes.Change(fingerprint="f00d", n_before=10, n_now=20, share=1.0)
    monkeypatch.setattr(source_changes, "look", lambda _: change)
    monkeypatch.setattr(watch, "emit_event", lambda name, **_: emitted.append(name))
    return emitted


def test_retraining_that_another_run_kept_out_is_asked_for_again_by_the_next_look(events: list[str]) -> None:
    watch.watch.fn("main")
    assert "was asked for before" in str(watch.watch.fn("main").message)
    assert events == [watch.CHANGED]
    outbox.note(f"{monitor.ASKED} brightness")
    with lock.taken("a long retraining") as taken:  # it began between the look and the retraining
        assert taken
        end = retrain.retrain.fn("main")
        assert (end.name, str(end.message).split(" (")[0]) == ("Skipped", "another run has this checkout")
    watch.watch.fn("main")
    assert events == [watch.CHANGED] * 2
    assert outbox.note(f"{monitor.ASKED} brightness")[0] is not None  # a look at new images asks again too


def test_look_while_a_retraining_runs_asks_for_none_and_the_next_one_does(events: list[str]) -> None:
    with lock.taken("a long retraining") as taken:
        assert taken
        end = watch.watch.fn("main")
        assert end.name == "Skipped"
        assert "a long retraining has this checkout; the next look asks" in str(end.message)
        assert events == []
    watch.watch.fn("main")
    assert events == [watch.CHANGED]
