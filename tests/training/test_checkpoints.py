from pathlib import Path

import numpy as np
import pytest

from assay.training import checkpoints
from assay.training.checkpoints import Checkpoint

OF = {"data": "a1", "params": "b2"}
ARRAYS = {
    "model": [np.arange(6, dtype=np.float32).reshape(2, 3), np.array([7, 2**32 - 1], np.uint32)],
    "optimizer": [np.array(3, np.int64), *(np.full(2, n, np.float32) for n in range(11))],
}
STATE = {"epoch": 3, "rows": [{"loss": 0.1 + 0.2, "n": 1}]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    checkpoints.write(tmp_path, Checkpoint(arrays=ARRAYS, state=STATE), of=OF)
    return tmp_path


def test_what_was_written_comes_back_to_the_bit_and_in_its_order(folder: Path) -> None:
    found = checkpoints.read(folder, of=OF)
    assert isinstance(found, Checkpoint)
    assert found.state == STATE
    assert found.arrays.keys() == ARRAYS.keys()
    for name, arrays in ARRAYS.items():
        for one, other in zip(found.arrays[name], arrays, strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)


def test_there_is_none_before_the_first_and_after_it_was_removed(folder: Path, tmp_path: Path) -> None:
    assert checkpoints.read(tmp_path / "nowhere", of=OF) is None
    checkpoints.remove(folder)
    checkpoints.remove(folder)
    assert checkpoints.read(folder, of=OF) is None


@pytest.mark.parametrize(
    ("of", "said"),
    [
        ({"data": "a2", "params": "b2"}, "of another data"),
        ({"data": "a2", "params": "b3"}, "of another data, params"),
        ({**OF, "code": "c"}, "of another code"),
        ({"data": "a1"}, "of another params"),
    ],
)
def test_one_of_other_data_code_or_parameters_is_not_taken_up(folder: Path, of: dict[str, str], said: str) -> None:
    assert checkpoints.read(folder, of=of) == said


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "text"])
def test_a_damaged_one_is_not_taken_up(folder: Path, damage: str) -> None:
    file = folder / checkpoints.FILE
    content = bytearray(file.read_bytes())
    if damage == "flipped":
        content[content.index(ARRAYS["model"][0].tobytes())] ^= 1
    damaged = {"cut": content[: len(content) // 2], "empty": b"", "flipped": content, "text": b"not a zip"}[damage]
    file.write_bytes(bytes(damaged))
    assert str(checkpoints.read(folder, of=OF)).startswith("damaged: ")


def test_a_disk_that_is_full_leaves_the_last_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(np, "savez", full)
        with pytest.raises(OSError, match="No space"):
            checkpoints.write(folder, Checkpoint(arrays=ARRAYS, state={"epoch": 4}), of=OF)
    found = checkpoints.read(folder, of=OF)
    assert isinstance(found, Checkpoint)
    assert found.state == STATE
    assert [file.name for file in folder.iterdir()] == [checkpoints.FILE]


def test_the_digest_is_that_of_names_and_code(tmp_path: Path) -> None:
    (tmp_path / "code/inner").mkdir(parents=True)
    (tmp_path / "code/a.py").write_text("a")
    (tmp_path / "code/inner/b.py").write_text("b")
    (tmp_path / "alone.json").write_text("{}")
    paths = [tmp_path / "code", tmp_path / "alone.json"]
    seen = [checkpoints.digest(paths)]
    (tmp_path / "code/a.pyc").write_text("compiled")
    assert checkpoints.digest(paths) == seen[0]
    for file, text in (("code/inner/b.py", "c"), ("alone.json", "[]"), ("code/new.py", "")):
        (tmp_path / file).write_text(text)
        seen.append(checkpoints.digest(paths))
    assert len(set(seen)) == 4
