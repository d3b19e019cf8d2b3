"""Alerts reach real receivers on this machine, HTTP and SMTP, once per cause, and never stop a run."""

import base64
import errno
import io
import logging
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from checkouts import ROOT, png
from PIL import Image
from receiver import DEAD, receiving

from assay import files, params, state
from assay.dataset import batches, manifest
from assay.images import thumbnail
from assay.operations import alert, messages, outbox
from assay.operations.alert import Alert

NEWS = Alert(
    cause="gate: closed: size", title="Assay: gate rejected the data", text="size: 2 | <b>images</b>", todo="it"
)


@contextmanager
def receiving_mail() -> Iterator[tuple[str, list[Message]]]:
    """Yield the Apprise URL of a mailbox and the list of what came."""
    received: list[Message] = []

    class Mailbox:
        async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
            received.append(message_from_bytes(envelope.content or b""))
            return "250 OK"

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(Mailbox(), hostname="127.0.0.1", port=port, ready_timeout=60)
    controller.start()
    yield f"mailto://127.0.0.1:{port}?from=assay@example.org&to=us@example.org&mode=insecure", received
    controller.stop()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, and no waiting between the attempts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(alert, "WAITS_S", (0, 0, 0))
    return tmp_path


def later(cause: str, by: timedelta) -> None:
    """Let as much time pass since the cause was told."""
    told = files.read_json(state.ALERTS / "told.json")
    for key in ("first", "told"):
        told[cause][key] = str(outbox.datetime.fromisoformat(told[cause][key]) - by)
    files.write_json(state.ALERTS / "told.json", told)


def test_receiver_gets_one_post_with_what_happened_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as (url, received):
        monkeypatch.setenv(alert.URLS, url)
        assert alert.send(NEWS) == ()
    assert [(each["title"], each["message"]) for each in received] == [
        ("Assay: gate rejected the data", "size: 2 | <b>images</b>\n\nWhat to do: it")
    ]


def test_same_cause_is_told_once_and_counted_until_the_reminder(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as (url, received):
        monkeypatch.setenv(alert.URLS, url)
        for _ in range(5):
            assert alert.send(NEWS) == ()
        assert len(received) == 1
        later(NEWS.cause, outbox.REMIND)
        alert.send(NEWS)
        assert len(received) == 2
        assert received[1]["message"].startswith("Again: 6 times since 2")
        alert.send(Alert(cause="train: other", title="other", text="t", todo="d"))
        assert len(received) == 3


def test_cause_that_was_over_is_news_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as (url, received):
        monkeypatch.setenv(alert.URLS, url)
        alert.send(NEWS)
        outbox.forget("gate:")
        alert.send(NEWS)
    assert [each["message"].startswith("Again") for each in received] == [False, False]


def test_numbers_make_no_other_cause() -> None:
    assert alert.same("train: loss is 0.31 at 1,240") == alert.same("train: loss is 0.29 at 1,241")
    assert alert.same("train: loss") != alert.same("train: accuracy")


def test_receiver_that_refuses_twice_gets_it_at_the_third_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving(refuse=2) as (url, received):
        monkeypatch.setenv(alert.URLS, url)
        assert alert.send(NEWS) == ()
    assert len(received) == 1
    assert outbox.letters() == []


def test_dead_receiver_keeps_nobody_from_hearing_and_gets_it_when_it_is_back(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with receiving() as (gone, _):
        port = int(gone.rpartition(":")[2])
    with receiving() as (url, received), caplog.at_level(logging.ERROR, logger="assay.operations.alert"):
        monkeypatch.setenv(alert.URLS, f"{gone} {url}")
        assert alert.send(NEWS) == (outbox.receiver(gone),)
        assert alert.send(NEWS) == ()
        assert len(received) == 1
        said = [record.getMessage() for record in caplog.records if record.name == "assay.operations.alert"]
        assert said == [f"alert: not delivered to json://...; is the URL right? ({alert.URLS})"]
        with receiving(port) as (_, late):
            alert.flush()
            alert.flush()
        assert [each["title"] for each in late] == [NEWS.title]
        assert late[0]["message"].startswith("Late: from 2")
        assert len(received) == 1


def test_letter_that_came_by_another_road_is_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(alert.URLS, DEAD)
    alert.send(NEWS)
    (letter,) = outbox.letters()
    with receiving() as (url, received):
        monkeypatch.setenv(alert.URLS, url)
        monkeypatch.setattr(outbox, "receiver", lambda _: letter.receiver)
        alert.flush([letter.name])
        assert (outbox.letters(), received) == ([], [])


def test_no_password_is_written_down_and_the_outbox_is_bounded(monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    monkeypatch.setattr(outbox, "LETTERS", 3)
    for number in range(5):
        outbox.keep(f"{DEAD}/secret", f"title {number}", "body")
    assert [letter.title for letter in outbox.letters()] == ["title 2", "title 3", "title 4"]
    assert not any("secret" in file.read_text() for file in here.rglob("*") if file.is_file())


def test_broken_state_costs_a_message_more_and_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as (url, received):
        monkeypatch.setenv(alert.URLS, url)
        alert.send(NEWS)
        (state.ALERTS / "told.json").write_text('{"gate')
        outbox.keep(url, "t", "b")
        next((state.ALERTS / "letters").iterdir()).write_text("[]")
        assert alert.send(NEWS) == ()
    assert len(received) == 2


def test_folder_that_cannot_be_written_stops_nothing(monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    (here / ".assay").write_text("a file where the folder should be")
    monkeypatch.setenv(alert.URLS, DEAD)
    assert alert.send(NEWS) == (outbox.receiver(DEAD),)


@pytest.mark.parametrize("url", ["nosuch://x", "nonsense"])
def test_url_that_means_nothing_is_logged(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(alert.URLS, url)
    with caplog.at_level(logging.ERROR, logger="assay.operations.alert"):
        assert alert.send(NEWS) == (outbox.receiver(url),)
    assert "assay.operations.alert" in {record.name for record in caplog.records}


def test_without_urls_nothing_is_sent_and_apprise_is_not_imported() -> None:
    code = (
        "import sys; from assay.operations import alert; a = alert.Alert(cause='c', title='t', text='b', todo='d'); "
        "sys.exit(alert.send(a) != () or 'apprise' in sys.modules)"
    )
    environment = os.environ | {alert.URLS: " ", "PYTHONPATH": str(ROOT)}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0


@pytest.mark.parametrize(
    ("code", "title"),
    [(3, "Assay: gate rejected the data"), (75, "Assay: gate saw its inputs change"), (1, "Assay: gate failed")],
)
def test_title_tells_a_closed_gate_from_a_failure(code: int, title: str) -> None:
    assert messages.title("gate", code) == title
    assert messages.of_stage("gate", code, "gate: x").title == title


def test_long_text_keeps_its_head_and_its_end() -> None:
    short = alert.shorten("\n".join(map(str, range(1000)))).splitlines()
    assert (short[0], short[20], short[-1]) == ("0", "... 960 lines ...", "999")
    assert len(short) == alert.LINES + 1


def make_closed(folder: Path) -> Alert:
    """Return the alert of a closed gate over 12 images in a checkout that holds them."""
    (folder / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    p = params.load(folder / "params.yaml")
    contents = {f"cat/{n:02d}.png": png(n, 20 * n) for n in range(12)}
    sha256 = {name: batches.hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    batches.write(folder / p.paths.raw / "b.tar", [(sha256[name], content) for name, content in contents.items()])
    offsets = batches.read_offsets(folder / p.paths.raw / "b.tar")
    rows = pd.DataFrame(
        [
            dict.fromkeys(manifest.SCHEMA.names)
            | {"path": name, "sha256": sha256[name], "bytes": len(content), "decodable": True}
            | {"batch": "b.tar", "offset": offsets[sha256[name]]}
            for name, content in contents.items()
        ]
    )
    manifest.write(folder / p.paths.manifest, rows)
    failed = {"severity": "critical", "success": False, "table": "images"}
    mild = failed | {"severity": "warning", "failures": ["cat/11.png"]}
    rules = [
        failed | {"table": "splits", "failures": ["train/cat"]},
        failed | {"failures": list(contents)[:8]},
        mild,
        failed | {"failures": ["dog/gone.png", *list(contents)[6:11]]},
    ]
    files.write_json(folder / p.paths.validation / "results.json", {"expectations": rules})
    (folder / p.paths.validation / "index.html").write_text("page")
    return messages.of_stage("gate", 3, "gate: closed by 2\nsize: 8 images: ...\nblur: 6 images: ...", folder)


def test_closed_gate_names_ten_images_of_all_its_rules_and_the_report(here: Path) -> None:
    closed = make_closed(here)
    assert closed.cause == "gate: closed: blur, size"
    assert len(closed.pictures) == 10
    assert closed.pictures[:3] == ("cat/00.png", "dog/gone.png", "cat/01.png")
    assert "10. " in closed.body()
    assert f"Report: {here}/reports/validation/index.html" in closed.body()
    assert "expectations/" in closed.body()


def test_wrong_records_are_told_with_their_images_and_what_to_do(tmp_path: Path) -> None:
    """The page of the worktree goes away; the one that is kept is named."""
    make_closed(tmp_path)
    places = params.load(tmp_path / "params.yaml").paths
    shutil.move(tmp_path / places.validation, tmp_path / places.verification)
    shutil.copytree(tmp_path / places.verification, tmp_path / "kept/verification")
    closed = messages.of_stage("verify", 3, "verify: the records broke 1\npixels: ...", tmp_path, tmp_path / "kept")
    assert closed.title == "Assay: verify rejected the records"
    assert "\nImages:\n1. cat/00.png\n" in closed.body()
    assert "What to do: delete data/records" in closed.body()
    assert closed.body().endswith(f"Report: {tmp_path}/kept/verification/index.html")
    assert messages.of_stage("gate", 3, "gate: x", tmp_path).pictures == ()  # no page of the data is left


def test_mail_shows_the_images_and_chat_too_where_it_takes_them(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with receiving_mail() as (mail, mails), receiving() as (url, posts):
        monkeypatch.setenv(alert.URLS, f"{mail} {url}")
        assert alert.send(make_closed(here)) == ()
    (post,), (letter,) = posts, mails
    assert letter["Subject"] == "Assay: gate rejected the data"
    parts = {part.get_content_type(): part.get_payload(decode=True) for part in letter.walk()}
    assert b"1. cat/00.png" in parts["text/plain"]
    shown = [parts["image/png"], base64.b64decode(post["attachments"][0]["base64"])]
    assert shown[0] == shown[1]
    sheet = np.asarray(Image.open(io.BytesIO(shown[0])))
    assert sheet.shape == (2 * 132 + 4, 5 * 132 + 4, 3)  # nine images: the one that is gone is left out
    assert sheet[132 + 60, 4 * 132 + 60].tolist() == [255, 255, 255]


def test_images_that_cannot_be_shown_do_not_stop_the_alert(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    closed = make_closed(here)
    (here / "data/raw/b.tar").write_bytes(b"gone")
    with receiving() as (url, received):
        monkeypatch.setenv(alert.URLS, url)
        assert alert.send(closed) == ()
    assert received[0]["attachments"] == []


def test_sheet_keeps_proportions_and_order() -> None:
    wide, tall = Image.new("RGB", (200, 50), "red"), Image.new("RGB", (1, 4), "blue")
    shown = np.asarray(thumbnail.sheet([wide, tall]))
    assert shown[4 + 20, 4 + 100].tolist() == [255, 0, 0]
    assert shown[4 + 40, 4 + 100].tolist() == [255, 255, 255]
    assert shown[4 + 100, 4 + 132 + 10].tolist() == [0, 0, 255]


def test_full_disk_is_told_although_nothing_can_be_written_down(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(cause: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", cause)

    monkeypatch.setattr(outbox, "note", full)
    with receiving() as (url, received):
        monkeypatch.setenv(alert.URLS, url)
        assert alert.send(NEWS) == ()
    assert [each["title"] for each in received] == [NEWS.title]
