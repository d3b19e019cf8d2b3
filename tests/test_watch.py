"""A look at the source, by the flow itself: what stops it is told in words of its own, until the next good look."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_alert import receiving

from assay import alert, outbox
from assay import watch as watching
from assay.errors import AssayError
from flows import monitor, promote, reconcile, retrain, watch


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
    monkeypatch.setattr(watching, "look", lost)
    for _ in range(2):
        end = watch.watch.fn("main")
        assert (end.name, end.message) == ("Failed", "folder:/gone of main: no such folder")
    assert [each["title"] for each in told] == ["Assay: the source was not looked at"]
    assert "retraining" not in told[0]["message"]
    outbox.note("crashed: watch: out of memory")
    outbox.note("retrain: another cause")
    monkeypatch.setattr(watching, "look", lambda _: None)
    assert watch.watch.fn("main").name == "Skipped"
    assert "another cause" in (outbox.FOLDER / "told.json").read_text()
    assert "watch" not in (outbox.FOLDER / "told.json").read_text()
    monkeypatch.setattr(watching, "look", lost)
    watch.watch.fn("main")
    assert len(told) == 2


@pytest.mark.parametrize("flow", [retrain.retrain, watch.watch, monitor.monitor, promote.promote])
def test_run_that_crashes_tells_people(flow: Any) -> None:
    assert flow.on_failure_hooks == [reconcile.tell_failure]
    assert flow.on_crashed_hooks == [reconcile.tell_crash]
