"""A server that was killed is one line in the log of a run, and not a traceback for each event."""

import io
import logging

import httpx
import pytest

from flows.server import api


@pytest.fixture(autouse=True)
def _answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "_told", [])


def said(name: str, line: str, error: Exception | None = None) -> list[str]:
    """Log as Prefect does; return what comes through, tracebacks too."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    logging.getLogger(name).addHandler(handler)
    logging.getLogger(name).error(line, exc_info=error)
    logging.getLogger(name).removeHandler(handler)
    return out.getvalue().splitlines()


EVENTS = (
    ("prefect.events.clients", "Unable to connect to 'ws://127.0.0.1:4200/api/events/in'. Please check"),
    ("prefect._internal.concurrency", "Service 'EventsWorker' failed to process item Event(occurred=...)"),
)


def test_events_that_do_not_arrive_are_told_once_until_the_server_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = OSError(111, "Connection refused")
    first = [line for name, text in EVENTS * 3 for line in said(name, text)]
    assert len(first) == 1
    assert first[0].endswith("Prefect's server does not take events: its page shows less; the work goes on")
    assert said("prefect._internal.concurrency", "another fault", refused)[-1].endswith("Connection refused")
    monkeypatch.setattr(api, "get_client", _Answers)
    api.check()
    assert said(*EVENTS[0])


class _Answers:
    def __init__(self, **_: object) -> None: ...

    def __enter__(self) -> "_Answers":
        return self

    def __exit__(self, *_: object) -> None: ...

    def api_healthcheck(self) -> None: ...


@pytest.mark.parametrize(("error", "n"), [(httpx.ConnectError("refused"), 1), (ValueError("a bug"), 2)])
def test_request_that_fails_is_a_line_and_a_bug_has_its_traceback(error: Exception, n: int) -> None:
    lines = said("prefect.flow_runs", "Encountered exception during execution", error)
    assert len(lines) == n
    assert lines[0] == "Encountered exception during execution"
    assert n == 1 or lines[-1] == "ValueError: a bug"
