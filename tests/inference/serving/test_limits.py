"""What the server refuses, and that nothing which is sent to it makes an error."""

import asyncio
import base64
import gc
import random
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from fastapi.testclient import TestClient
from served import IMAGE, client, export, ready, server, until

from assay import Classifier
from assay.inference import difficult
from assay.inference.serving import uploads
from assay.inference.serving.desk import Desk
from assay.inference.serving.limits import Limits, Refused

__all__ = ["export", "server"]  # fixtures


@pytest.mark.parametrize(
    ("request_", "status", "said"),
    [
        ({"content": b"x", "headers": {"content-type": "text/plain"}}, 415, "must be multipart"),
        ({"content": b"x"}, 415, "no type"),
        ({"json": {"images": []}}, 422, "no image"),
        ({"json": {"images": "x"}}, 422, "JSON"),
        ({"json": {"images": ["%%%"]}}, 422, "JSON"),
        ({"json": {"images": [{"name": 1, "content": "aa=="}]}}, 422, "JSON"),
        ({"json": []}, 422, "JSON"),
        ({"content": b"[" * 100_000, "headers": {"content-type": "application/json"}}, 422, "JSON"),
        ({"data": {"a": "b"}}, 415, "x-www-form-urlencoded"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 422, "multipart"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=a"}}, 422, ""),
        ({"files": [("images", ("a", IMAGE))] * 17}, 413, "17 images, at most 16"),
        ({"files": [("images", ("a", IMAGE))] * 40}, 422, "multipart"),
    ],
)
def test_bodies_that_are_no_images_are_refused(
    server: TestClient, request_: dict[str, Any], status: int, said: str
) -> None:
    answer = server.post("/predict", **request_)
    assert answer.status_code == status
    assert said in answer.json()["detail"]


def test_body_is_counted_whatever_its_header_says(export: Path) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * 1000

    with client(export / "plain", body_bytes=50_000) as asked:
        ready(asked)
        for content in (b"x" * 60_000, parts()):
            answer = asked.post("/predict", content=content, headers={"content-type": "image/png"})
            assert answer.status_code == 413
            assert "larger than 0.05 MB" in answer.json()["detail"]


def test_bomb_is_refused_before_it_is_decoded(server: TestClient) -> None:
    bomb = blank_png(7000, 6000)
    assert len(bomb) < 50_000
    process = psutil.Process()
    before = process.memory_info().rss
    for explain in ("false", "true"):
        (image,) = server.post(f"/predict?explain={explain}", files={"images": ("a.png", bomb)}).json()["images"]
        assert image["problem"] == "decompression bomb: 42,000,000 pixels, at most 40,000,000"
    assert process.memory_info().rss - before < 50_000_000


def blank_png(width: int, height: int) -> bytes:
    """A grey PNG of one level, packed row by row so that it takes no memory here."""
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(1 + width)) for _ in range(height)) + packer.flush()

    def chunk(kind: bytes, content: bytes) -> bytes:
        return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 0, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.slow
def test_mutated_uploads_never_make_an_error(server: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    rng, statuses = random.Random(7), set()
    contents = [content for name, content in sorted(difficult.files().items()) if name != "huge.jpg"]
    for number in range(1000):
        content = mutated(rng, rng.choice(contents))
        path = "/predict?explain=true" if number % 5 == 0 else "/predict"
        match number % 4:
            case 0:
                answer = server.post(path, content=content, headers={"content-type": "image/x"})
            case 1:
                answer = server.post(path, json={"images": [base64.b64encode(content).decode()]})
            case 2:
                answer = server.post(path, files={"images": ("x", content)})
            case _:
                form = httpx.Request("POST", "http://x", files={"images": ("x.png", content)})
                body = mutated(rng, form.read())
                kind = {"content-type": form.headers["content-type"]}
                answer = server.post(path, content=body, headers=kind)
        statuses.add(answer.status_code)
        assert answer.status_code in (200, 413, 415, 422), answer.text
        if answer.status_code == 200:
            for image in answer.json()["images"]:
                assert (image["label"] is None) == bool(image["problem"])
    assert statuses >= {200, 422}
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]


def mutated(rng: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    match rng.randrange(5):
        case 0:
            return bytes(changed[: rng.randrange(len(changed) + 1)])
        case 1:
            for _ in range(rng.randrange(1, 30)):
                changed[rng.randrange(len(changed))] = rng.randrange(256)
        case 2:
            at = rng.randrange(len(changed))
            changed[at : at + rng.randrange(64)] = rng.randbytes(rng.randrange(64))
        case 3:
            for place in range(min(len(changed), 40)):
                changed[place] ^= rng.randrange(256) if rng.random() < 0.2 else 0
        case _:
            return rng.randbytes(rng.randrange(2000))
    return bytes(changed)


def test_token_is_asked_for_everywhere_but_at_the_door(export: Path) -> None:
    with client(export / "plain", token="secret") as asked:
        for path in ("/", "/page.js", "/healthz"):
            assert asked.get(path).status_code == 200
        ready(asked)
        for headers in (
            {},
            {"authorization": "Bearer wrong"},
            {"authorization": "secret"},
            {"authorization": "Bearer ü"},
        ):
            encoded = {key: value.encode() for key, value in headers.items()}
            for path in ("/metrics", "/openapi.json", "/other"):
                assert asked.get(path, headers=encoded).status_code == 401
            assert asked.post("/predict", files={"images": ("a", IMAGE)}, headers=encoded).status_code == 401
        good = {"authorization": "Bearer secret"}
        assert asked.post("/predict", files={"images": ("a", IMAGE)}, headers=good).status_code == 200


def test_request_for_another_name_is_refused(server: TestClient) -> None:
    for path in ("/", "/readyz"):
        assert server.get(path, headers={"host": "evil.example"}).status_code == 421


def test_full_queue_says_503_and_then_answers_again(export: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = threading.Event()
    monkeypatch.setattr(Desk, "__init__", one_worker(Desk.__init__))
    with client(export / "plain", waiting=2) as asked:
        ready(asked)
        answers = Classifier.answers
        monkeypatch.setattr(Classifier, "answers", lambda *a, **k: free.wait(20) and answers(*a, **k))
        with ThreadPoolExecutor(8) as pool:
            waiting = [pool.submit(asked.post, "/predict", files={"images": ("a", IMAGE)}) for _ in range(8)]
            until(lambda: sum(each.done() for each in waiting) == 5)
            early = [each.result() for each in waiting if each.done()]
            assert [each.status_code for each in early] == [503] * 5
            assert early[0].headers["retry-after"] == "1"
            free.set()
            assert sorted(each.result().status_code for each in waiting) == [200] * 3 + [503] * 5
        assert asked.post("/predict", files={"images": ("a", IMAGE)}).status_code == 200


def one_worker(begin: Any) -> Any:
    def do(self: Desk, limits: Limits) -> None:
        begin(self, limits)
        self.workers, self._pool = 1, ThreadPoolExecutor(1)

    return do


def test_answer_that_takes_too_long_is_given_up_and_its_place_kept_until_the_thread_is_done(
    export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = threading.Event()
    with client(export / "plain", work_s=0.05) as asked:
        ready(asked)
        answers = Classifier.answers
        monkeypatch.setattr(Classifier, "answers", lambda *a, **k: free.wait(20) and answers(*a, **k))
        answer = asked.post("/predict", files={"images": ("a", IMAGE)})
        assert (answer.status_code, answer.json()["detail"]) == (503, "no answer in 0.05 s, try again later")
        assert "assay_requests_taken 1.0" in asked.get("/metrics").text
        free.set()
        until(lambda: "assay_requests_taken 0.0" in asked.get("/metrics").text)


def test_body_that_does_not_come_is_given_up() -> None:
    async def never() -> dict[str, Any]:
        await asyncio.sleep(10)
        return {}

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", b"image/png")]}
    with pytest.raises(Refused, match=r"did not come in 0\.01 s") as refused:
        asyncio.run(uploads.read(uploads.Request(scope, never), Limits(upload_s=0.01)))
    assert refused.value.status == 408


@pytest.mark.slow
def test_memory_is_steady(server: TestClient) -> None:
    process, seen = psutil.Process(), []
    for _ in range(3):
        for _ in range(60):
            server.post("/predict?explain=true", files={"images": ("a", IMAGE)})
        gc.collect()
        seen.append(process.memory_info().rss)
    assert seen[2] - seen[1] < 10_000_000
