"""Alerts reach a real receiver on this machine, and never stop a run."""

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from assay import alert

ROOT = Path(__file__).parent.parent
DEAD = "json://127.0.0.1:1"  # nothing listens on port 1


@contextmanager
def receiving() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Yield the Apprise URL of a receiver and the list of what it was sent."""
    received: list[dict[str, str]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"json://127.0.0.1:{server.server_port}", received
        server.shutdown()


def test_receiver_gets_one_post_with_title_and_body(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as (url, received):
        monkeypatch.setenv(alert.URLS, url)
        assert alert.send("Assay: gate rejected the data", "balance: 'cat' holds 71%\n<b>second</b> line")
    assert [(each["title"], each["message"]) for each in received] == [
        ("Assay: gate rejected the data", "balance: 'cat' holds 71%\n<b>second</b> line")
    ]


def test_dead_receiver_is_logged_and_does_not_keep_the_next_from_hearing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with receiving() as (url, received), caplog.at_level(logging.ERROR, logger="assay.alert"):
        monkeypatch.setenv(alert.URLS, f"{DEAD}/secret {url}")
        assert not alert.send("title", "body")
    assert len(received) == 1
    said = [record.getMessage() for record in caplog.records if record.name == "assay.alert"]
    assert said == [f"alert: not delivered to json://...; is the URL right? ({alert.URLS})"]


@pytest.mark.parametrize("url", ["nosuch://x", "nonsense"])
def test_url_that_means_nothing_is_logged(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(alert.URLS, url)
    with caplog.at_level(logging.ERROR, logger="assay.alert"):
        assert not alert.send("title", "body")
    assert "assay.alert" in {record.name for record in caplog.records}


def test_without_urls_nothing_is_sent_and_apprise_is_not_imported() -> None:
    code = "import sys; from assay import alert; sys.exit(alert.send('t', 'b') or 'apprise' in sys.modules)"
    environment = os.environ | {alert.URLS: " ", "PYTHONPATH": str(ROOT)}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0


@pytest.mark.parametrize(
    ("code", "title"),
    [(3, "Assay: gate rejected the data"), (75, "Assay: gate saw its inputs change"), (1, "Assay: gate failed")],
)
def test_title_tells_a_closed_gate_from_a_failure(code: int, title: str) -> None:
    assert alert.title("gate", code) == title
