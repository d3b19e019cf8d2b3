"""Large images: refused beyond a limit, and decoded one at a time."""

import fcntl
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pictures import encode, grey
from PIL import Image

from assay.images import decode


def prepare(content: bytes) -> list[list[int]]:
    found = decode.prepare(content, height_px=2, width_px=2, colour="grey", resize="stretch")
    return found.squeeze().tolist()


def test_more_pixels_than_may_be_are_refused_before_they_are_decoded() -> None:
    content = encode(Image.new("L", (40, 30)))
    assert decode.decode(content, decode.Reading(max_pixels=1200)).size == (40, 30)
    with pytest.raises(decode.TooLarge, match=r"1,200 pixels, at most 1,199"):
        decode.decode(content, decode.Reading(max_pixels=1199))


def test_large_images_are_decoded_one_at_a_time_and_small_ones_beside_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(decode, "LARGE_PIXELS", 20)
    small, large = encode(grey([1] * 20)), encode(Image.new("L", (7, 3), 9))
    prepare(large)
    (lock,) = tmp_path.iterdir()
    with lock.open() as held, ThreadPoolExecutor(1) as other:
        fcntl.flock(held, fcntl.LOCK_EX)  # another process is at work on a large one
        waiting = other.submit(prepare, large)
        assert prepare(small) == [[1, 1], [1, 1]]
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.2)
        fcntl.flock(held, fcntl.LOCK_UN)
        assert waiting.result(timeout=60) == [[9, 9], [9, 9]]


def test_large_images_are_decoded_where_no_turns_can_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    monkeypatch.setattr(decode, "LARGE_PIXELS", 20)
    assert prepare(encode(Image.new("L", (7, 3), 9))) == [[9, 9], [9, 9]]
