import hashlib
import io
import os
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.dataset import batches
from assay.errors import AssayError

CONTENTS = [b"one", b"", b"three" * 300]
MEMBERS = [(hashlib.sha256(content).hexdigest(), content) for content in CONTENTS]


def write(folder: Path) -> Path:
    file = folder / "batch.tar"
    batches.write(file, MEMBERS)
    return file


def test_images_come_back_by_their_offset(tmp_path: Path) -> None:
    file = write(tmp_path)
    offsets = batches.read_offsets(file)
    with file.open("rb") as tar:
        for sha256, content in MEMBERS:
            assert batches.read_image(tar, offset=offsets[sha256], size=len(content), sha256=sha256) == content


def test_any_tar_program_reads_it(tmp_path: Path) -> None:
    listed = subprocess.run(["tar", "tf", write(tmp_path)], capture_output=True, text=True, check=True).stdout
    assert listed.split() == [sha256 for sha256, _ in MEMBERS]


def test_equal_members_give_equal_bytes(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    assert write(tmp_path).read_bytes() == write(tmp_path / "other").read_bytes()


def as_tarfile_writes(members: list[tuple[str, bytes]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for sha256, content in members:
            member = tarfile.TarInfo(sha256)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


@given(st.lists(st.integers(0, 3 * 512).map(bytes) | st.binary(), max_size=30), st.integers(0, 30))
def test_bytes_are_those_of_tarfile_written_whole_or_in_parts(contents: list[bytes], cut: int) -> None:
    members = [(hashlib.sha256(content).hexdigest(), content) for content in contents]
    offsets, size = batches.layout([len(content) for content in contents])
    with tempfile.TemporaryDirectory() as folder:
        whole, parts = Path(folder) / "whole.tar", Path(folder) / "parts.tar"
        batches.write(whole, members)
        parts.touch()
        os.truncate(parts, size)
        for some in (slice(cut, None), slice(cut)):
            if members[some]:
                batches.write_part(parts, offsets[some][0], members[some])
        assert whole.read_bytes() == parts.read_bytes() == as_tarfile_writes(members)
        assert batches.read_offsets(whole) == dict(zip([sha256 for sha256, _ in members], offsets, strict=True))


@given(st.binary(max_size=8), st.integers(0, 8**11 - 1))
def test_headers_are_those_of_tarfile_up_to_8_gib(content: bytes, size: int) -> None:
    member = tarfile.TarInfo(hashlib.sha256(content).hexdigest())
    member.size = size
    assert batches.header(member.name, size) == member.tobuf(tarfile.USTAR_FORMAT)


def test_no_header_lies_about_a_larger_image() -> None:
    with pytest.raises(ValueError, match="memoryview"):
        batches.header("0" * 64, 8**11)


def test_altered_or_cut_batch_is_named(tmp_path: Path) -> None:
    file = write(tmp_path)
    whole = file.read_bytes()
    offsets = batches.read_offsets(file)
    three = MEMBERS[2][0]
    for broken in (whole[: offsets[three]] + b"T" + whole[offsets[three] + 1 :], whole[: offsets[three] + 100]):
        file.write_bytes(broken)
        with pytest.raises(AssayError, match=r"batch\.tar: not the bytes that were put in"):
            batches.read_offsets(file)
        with pytest.raises(AssayError, match=r"batch\.tar"), file.open("rb") as tar:
            batches.read_image(tar, offset=offsets[three], size=1500, sha256=three)


def test_killed_writer_leaves_no_batch(tmp_path: Path) -> None:
    def killed_half_way() -> object:
        yield MEMBERS[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        batches.write(tmp_path / "batch.tar", killed_half_way())
    assert list(tmp_path.iterdir()) == []
