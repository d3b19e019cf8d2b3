"""The server: what it answers, what it refuses, and that nothing of it can be made to fall over."""

import base64
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
import tiny
from fastapi.testclient import TestClient
from PIL import Image
from served import IMAGE, client, export, png, ready, server, until

from assay import Classifier
from assay.images import decode
from assay.inference import difficult
from assay.inference.serving import app, current
from assay.inference.serving.answered import Log
from assay.inference.serving.current import Current

__all__ = ["export", "server"]  # fixtures


def test_upload_base64_and_body_get_what_the_classifier_says_in_python(server: TestClient, export: Path) -> None:
    classifier = Classifier.load(export / "whole")
    for name, content in difficult.files().items():
        said = classifier.predict(content)[0]
        as_form = server.post("/predict", files={"images": (name, content)}).json()
        as_json = server.post("/predict", json={"images": [base64.b64encode(content).decode()]}).json()
        as_body = server.post("/predict", content=content, headers={"content-type": "image/png"}).json()
        for answer in (as_form, as_json, as_body):
            (image,) = answer["images"]
            assert (image["label"], image["ordinary"]) == (said.label, said.is_ordinary), name
            assert image["probability"] == pytest.approx(said.probability, abs=1e-6)
        assert as_form["sha256"] == classifier.sha256
        assert as_form["images"][0]["name"] == name


def test_pixels_of_an_upload_are_those_of_training(export: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[np.ndarray] = []
    answers = Classifier.answers
    monkeypatch.setattr(Classifier, "answers", lambda self, pixels, **how: seen.append(pixels) or answers(self, pixels))
    with client(export / "plain") as asked:
        ready(asked)
        seen.clear()
        contents = difficult.files()
        for content in contents.values():
            asked.post("/predict", files={"images": ("x", content)})
    size = {"height_px": 16, "width_px": 16, "colour": "rgb", "resize": "stretch"}
    trained = [decode.prepare(content, **size) for content in contents.values()]
    np.testing.assert_array_equal(np.concatenate(seen), np.stack(trained))


def test_several_images_are_answered_in_order_and_a_broken_one_has_its_reason(server: TestClient) -> None:
    files = [("images", ("a.png", IMAGE)), ("images", ("b.txt", b"no image")), ("images", ("c.png", IMAGE))]
    found = server.post("/predict?top=1", files=files).json()["images"]
    assert [each["name"] for each in found] == ["a.png", "b.txt", "c.png"]
    assert [each["problem"] for each in found] == [None, "not an image", None]
    assert [len(each["top"]) for each in found] == [1, 0, 1]


def test_explanation_has_a_heat_map_and_the_nearest_train_images(server: TestClient) -> None:
    content = png(np.asarray(difficult.drawn(40, 20)))
    (image,) = server.post("/predict?explain=true", files={"images": ("a.png", content)}).json()["images"]
    kind, _, encoded = image["heat_map"]["png"].partition("base64,")
    heat = Image.open(io.BytesIO(base64.b64decode(encoded)))
    assert (kind, heat.mode, heat.size) == ("data:image/png;", "RGBA", (160, 80))
    assert (image["width_px"], image["height_px"]) == (40, 20)
    assert image["heat_map"]["of"] == image["label"]
    assert [len(each["sha256"]) for each in image["nearest"]] == [64] * 5
    likeness = [each["likeness"] for each in image["nearest"]]
    assert likeness == sorted(likeness, reverse=True)
    assert image["preview"] is None
    (tiff,) = server.post("/predict?explain=true", files={"images": ("a.tif", difficult.files()["rgb.tif"])}).json()[
        "images"
    ]
    assert tiff["preview"].startswith("data:image/")


def test_page_needs_nothing_from_elsewhere(server: TestClient) -> None:
    for path, kind in (("/", "text/html"), ("/page.js", "text/javascript"), ("/page.css", "text/css")):
        answer = server.get(path)
        assert answer.headers["content-type"].startswith(kind)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "http://" not in answer.text and "https://" not in answer.text
        assert "innerHTML" not in answer.text


def test_interface_is_described_with_examples(server: TestClient) -> None:
    said = server.get("/openapi.json").json()["paths"]["/predict"]["post"]
    assert set(said["requestBody"]["content"]) == {"multipart/form-data", "application/json", "image/*"}
    assert said["responses"]["200"]["content"]["application/json"]["example"]["images"][0]["label"] == "cat"
    assert server.get("/docs").status_code == 404


def test_metrics_count_requests_and_images(export: Path) -> None:
    with client(export / "whole") as asked:
        ready(asked).post("/predict", files=[("images", ("a", IMAGE)), ("images", ("b", b"x"))])
        asked.post("/predict", json={})
        text = asked.get("/metrics").text
    assert 'assay_requests_total{status="200"} 1.0' in text
    assert 'assay_requests_total{status="422"} 1.0' in text
    assert 'assay_images_total{outcome="unreadable"} 1.0' in text
    assert "assay_requests_taken 0.0" in text
    assert "assay_ready 1.0" in text


def test_log_tells_what_was_said_and_keeps_no_name_and_no_image(export: Path, tmp_path: Path) -> None:
    with client(export / "whole", Log(tmp_path / "log", None)) as asked:
        files = [("images", ("my secret.png", IMAGE)), ("images", ("b", b"x"))]
        (image, _) = ready(asked).post("/predict", files=files).json()["images"]
    (file,) = (tmp_path / "log").iterdir()
    assert file.stat().st_mode & 0o77 == 0
    (said,) = [json.loads(line) for line in file.read_text().splitlines()]
    assert set(said) == {"time", "version", "sha256", "predicted", "probability", "ordinary"}
    assert (said["predicted"], said["probability"]) == (image["label"], image["probability"])
    assert "secret" not in file.read_text()


def test_images_are_kept_where_somebody_asked_for_it(export: Path, tmp_path: Path) -> None:
    with client(export / "plain", Log(None, tmp_path / "kept")) as asked:
        ready(asked).post("/predict", files={"images": ("../../evil.png", IMAGE)})
    (kept,) = (tmp_path / "kept").iterdir()
    assert kept.read_bytes() == IMAGE
    assert len(kept.name) == 64


def test_a_log_that_cannot_be_written_costs_no_answer_and_is_said_once(
    export: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "log").write_text("a file where the folder should be")
    with client(export / "plain", Log(tmp_path / "log", tmp_path / "log")) as asked:
        for _ in range(2):
            assert asked.post("/predict", files={"images": ("x.png", IMAGE)}).status_code == 200
    said = [each.getMessage() for each in caplog.records if "not noted" in each.getMessage()]
    assert len(said) == 1
    assert str(tmp_path / "log") in said[0]


def test_old_logs_go(tmp_path: Path, export: Path) -> None:
    (tmp_path / "log").mkdir()
    for day in range(1, 32):
        (tmp_path / f"log/2020-01-{day:02}.jsonl").touch()
    log = Log(tmp_path / "log", None)
    log.add("v1", IMAGE, Classifier.load(export / "plain").predict(IMAGE)[0])
    assert len(list((tmp_path / "log").iterdir())) == 30


def test_newer_export_is_used_and_a_broken_one_is_not(export: Path, tmp_path: Path) -> None:
    place = tmp_path / "export"
    tiny.copy(export / "plain", place)
    found = Current(str(place))
    first = found.classifier
    assert not found.look()
    (place / "model.onnx").write_bytes((export / "other/model.onnx").read_bytes())
    (place / "model.json").write_text(
        (export / "other/model.json").read_text().replace('"model.onnx": "', '"model.onnx": "0')
    )
    assert not found.look()
    assert (found.classifier, found.failures) == (first, 1)
    tiny.copy(export / "other", place)
    assert found.look()
    assert (found.classifier.sha256, found.reloads) == (Classifier.load(export / "other").sha256, 1)
    (place / "model.json").unlink()
    assert not found.look()


@pytest.mark.slow
def test_no_request_is_lost_while_classifiers_change(
    export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "export"
    tiny.copy(export / "plain", place)
    monkeypatch.setattr(app, "LOOK_S", 0.01)
    known = {Classifier.load(export / name).sha256: Classifier.load(export / name) for name in ("plain", "other")}
    wanted = {sha256: each.predict(IMAGE)[0].probability for sha256, each in known.items()}
    with client(place) as asked, ThreadPoolExecutor(4) as pool:
        ready(asked)
        stop = threading.Event()
        swapping = pool.submit(swap, place, export, stop)
        answers = list(pool.map(lambda _: asked.post("/predict", files={"images": ("a", IMAGE)}), range(300)))
        stop.set()
        swapping.result()
    assert {each.status_code for each in answers} == {200}
    for each in (answer.json() for answer in answers):
        assert each["images"][0]["probability"] == pytest.approx(wanted[each["sha256"]], abs=1e-6)
    assert {answer.json()["sha256"] for answer in answers} == set(known)


def swap(place: Path, export: Path, stop: threading.Event) -> None:
    number = 0
    while not stop.is_set():
        number += 1
        tiny.copy(export / ("other", "plain")[number % 2], place)
        time.sleep(0.15)


def test_not_ready_is_said_so(export: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current.Current, "warm", lambda self: None)
    with client(export / "plain") as asked:
        assert asked.get("/healthz").status_code == 200
        assert asked.get("/readyz").status_code == 503
        assert asked.post("/predict", files={"images": ("a", IMAGE)}).status_code == 503


@pytest.mark.slow
def test_process_answers_on_loopback_alone_and_ends_when_asked_after_what_is_at_work(
    export: Path, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "assay", "serve", "--model", str(export / "whole"), "--port", str(port)]
    variables = {key: value for key, value in os.environ.items() if key != "ASSAY_TOKEN"}
    process = subprocess.Popen(command, cwd=tmp_path, env=variables | {"PYTHONPATH": str(Path(__file__).parents[3])})
    try:
        until(lambda: answers(port))
        listening = {each.laddr.ip for each in psutil.Process(process.pid).net_connections() if each.status == "LISTEN"}
        assert listening == {"127.0.0.1"}
        with socket.create_connection(("127.0.0.1", port), 10) as at_work, ThreadPoolExecutor(4) as pool:
            head = (
                f"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: image/png\r\ncontent-length: {len(IMAGE)}"
            )
            at_work.sendall(f"{head}\r\n\r\n".encode() + IMAGE[:20])
            until(lambda: taken(port) == 1)
            asked = [pool.submit(post, port) for _ in range(20)]
            process.send_signal(signal.SIGTERM)
            found = [each.result() for each in asked]
            at_work.sendall(IMAGE[20:])
            assert at_work.recv(15) == b"HTTP/1.1 200 OK"
        assert set(found) <= {200, None}  # None: it came after the end
        assert process.wait(20) in (0, -signal.SIGTERM)  # uvicorn ends by it once all is done
    finally:
        process.kill()


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def taken(port: int) -> float:
    """Return how many requests are at work or wait."""
    lines = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("assay_requests_taken "))


def post(port: int) -> int | None:
    try:
        return httpx.post(f"http://127.0.0.1:{port}/predict", files={"images": ("a", IMAGE)}, timeout=10).status_code
    except (httpx.ConnectError, httpx.RemoteProtocolError):  # nobody listens, or reads what is connected, any more
        return None
