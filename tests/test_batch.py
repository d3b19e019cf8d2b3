import hashlib
import subprocess
from pathlib import Path

import pytest

from assay import batch
from assay.errors import AssayError

CONTENTS = [b"one", b"", b"three" * 300]
MEMBERS = [(hashlib.sha256(content).hexdigest(), content) for content in CONTENTS]


def write(folder: Path) -> Path:
    file = folder / "batch.tar"
    assert batch.write(file, MEMBERS) == batch.read_offsets(file)
    return file


def test_images_come_back_by_their_offset(tmp_path: Path) -> None:
    file = write(tmp_path)
    offsets = batch.read_offsets(file)
    with file.open("rb") as tar:
        for sha256, content in MEMBERS:
            assert batch.read_image(tar, offset=offsets[sha256], size=len(content), sha256=sha256) == content


def test_any_tar_program_reads_it(tmp_path: Path) -> None:
    listed = subprocess.run(["tar", "tf", write(tmp_path)], capture_output=True, text=True, check=True).stdout
    assert listed.split() == [sha256 for sha256, _ in MEMBERS]


def test_equal_members_give_equal_bytes(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    assert write(tmp_path).read_bytes() == write(tmp_path / "other").read_bytes()


def test_altered_or_cut_batch_is_named(tmp_path: Path) -> None:
    file = write(tmp_path)
    whole = file.read_bytes()
    offsets = batch.read_offsets(file)
    three = MEMBERS[2][0]
    for broken in (whole[: offsets[three]] + b"T" + whole[offsets[three] + 1 :], whole[: offsets[three] + 100]):
        file.write_bytes(broken)
        with pytest.raises(AssayError, match=r"batch\.tar: not the bytes that were put in"):
            batch.read_offsets(file)
        with pytest.raises(AssayError, match=r"batch\.tar"), file.open("rb") as tar:
            batch.read_image(tar, offset=offsets[three], size=1500, sha256=three)


def test_killed_writer_leaves_no_batch(tmp_path: Path) -> None:
    def killed_half_way() -> object:
        yield MEMBERS[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        batch.write(tmp_path / "batch.tar", killed_half_way())
    assert list(tmp_path.iterdir()) == []
