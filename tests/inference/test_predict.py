"""Predictions of files, folders, globs, tables, tars, URLs and standard input."""

import io
import json
import tarfile
import threading
import weakref
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import tiny
from asked_of import export, images
from PIL import Image

from assay import Classifier
from assay.dataset import batches
from assay.errors import AssayError
from assay.images import decode
from assay.inference import difficult, inputs, predict
from assay.inference.inputs import Input
from assay.inference.model import BATCH_IMAGES

__all__ = ["export", "images"]  # fixtures

SIZE = {"height_px": tiny.SIDE_PX, "width_px": tiny.SIDE_PX, "colour": "rgb", "resize": "stretch"}


@pytest.fixture(scope="module")
def classifier(export: Path) -> Classifier:
    return Classifier.load(export)


def names(*given: str | Path, stdin: bytes = b"") -> list[str]:
    return [each.name for each in inputs.listed([str(each) for each in given], io.BytesIO(stdin))]


def test_folder_is_walked_in_order_without_what_is_hidden(images: Path) -> None:
    found = [str(Path(name).relative_to(images)) for name in names(images)]
    assert found == ["0.png", "1.png", "3.png", "4.png", "deep/2.png", "notes.txt"]
    assert inputs.count([str(images)]) == 6


def test_link_to_a_folder_above_ends(images: Path) -> None:
    (images / "deep/loop").symlink_to(images)
    assert len(names(images)) == 6


def test_linked_folder_is_walked(images: Path, tmp_path: Path) -> None:
    """It was passed over without a word."""
    (tmp_path / "disk").mkdir()
    Image.fromarray(tiny.pixels(1)[0]).save(tmp_path / "disk/9.png")
    (images / "more").symlink_to(tmp_path / "disk")
    assert f"{images}/more/9.png" in names(images)


def test_files_globs_and_prefixes(images: Path) -> None:
    assert names(images / "0.png", f"{images}/*.txt") == [f"{images}/0.png", f"{images}/notes.txt"]
    assert names(f"{images}/**/2.png") == [f"{images}/deep/2.png"]
    assert names(f"folder:{images}") == names(images)
    for gone, said in (("gone.png", "no such file or folder"), ("gone*.png", "matches no file")):
        with pytest.raises(AssayError, match=said):
            names(images / gone)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_tables_name_images_below_their_folder_and_no_others(images: Path, suffix: str) -> None:
    paths = ["0.png", "deep/2.png", "../secret.png", "/etc/passwd", "gone.png", "s3://bucket/x.png"]
    table = images / f"table{suffix}"
    if suffix == ".csv":
        table.write_text("\ufeffid,path\n" + "".join(f"1,{path}\n" for path in paths), encoding="utf-8")
    elif suffix == ".jsonl":
        table.write_text("".join(json.dumps({"path": path}) + "\n" for path in paths))
    else:
        import pyarrow as pa

        pq.write_table(pa.table({"path": paths}), table)
    found = list(inputs.listed([str(table)]))
    assert [each.name for each in found] == paths
    assert found[0].read() == (images / "0.png").read_bytes()
    for each in (found[2], found[3], found[5]):
        with pytest.raises(OSError, match="leaves the folder of the table"):
            each.read()


def test_table_without_paths_says_so(images: Path) -> None:
    (images / "a.csv").write_text("file\n0.png\n")
    (images / "b.jsonl").write_text('{"file": 1}\n')
    for name in ("a.csv", "b.jsonl"):
        with pytest.raises(AssayError, match="no column 'path'"):
            names(images / name)
    (images / "c.parquet").write_bytes(b"PAR1")
    with pytest.raises(AssayError, match=r"c\.parquet: cannot be read"):
        names(images / "c.parquet")


def test_tar_gives_its_images_and_a_broken_one_is_named(images: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "shard.tar", "w") as tar:
        for file in sorted(images.rglob("*")):
            if file.is_file():
                tar.add(file, file.relative_to(images).as_posix())
    found = list(inputs.listed([f"tar:{tmp_path}/*.tar"]))
    assert {each.read() for each in found} >= {(images / f"{n}.png").read_bytes() for n in (0, 1, 3, 4)}
    assert not any(each.name.endswith(".txt") for each in found)
    (tmp_path / "cut.tar").write_bytes((tmp_path / "shard.tar").read_bytes()[:700])
    with pytest.raises(AssayError, match=r"cut\.tar: no whole tar"):
        names(tmp_path / "cut.tar")


def test_url_is_one_image_or_a_table() -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe("/set/one.png", b"one")
    memory.pipe("/set/table.csv", b"path\none.png\n")
    for given in ("memory://set/one.png", "memory://set/table.csv"):
        assert [each.read() for each in inputs.listed([given])] == [b"one"]
    assert inputs.count(["memory://set/one.png"]) is None
    with pytest.raises(OSError, match="no such file"):
        next(inputs.listed(["memory://set/gone.png"])).read()


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(difficult.files()))
def test_standard_input_is_an_image_whatever_its_format(name: str) -> None:
    content = difficult.files()[name]
    (found,) = inputs.listed(["-"], io.BytesIO(content))
    assert (found.name, found.read()) == ("-", content)


def test_standard_input_may_be_a_list_of_paths(images: Path) -> None:
    listed = "\n".join([f"{images}/0.png", "", f"{images}/größe.png"]).encode()
    assert names("-", stdin=listed) == [f"{images}/0.png", f"{images}/größe.png"]
    cut = (b"x" * 63 + "ö".encode()) + b".png\nb.png\n"
    assert names("-", stdin=cut) == ["x" * 63 + "ö.png", "b.png"]


def test_list_file_batch_and_standard_input_give_the_pixels_of_training(classifier: Classifier, tmp_path: Path) -> None:
    """The bytes as `ingest` keeps them, prepared as `preprocess` does, against each way into a prediction."""
    contents = difficult.files()
    members = [(f"{number:064x}", content) for number, content in enumerate(contents.values())]
    batches.write(tmp_path / "0001-a.tar", members)
    offsets, _ = batches.layout([len(content) for _, content in members])
    for (name, content), offset in zip(contents.items(), offsets, strict=True):
        with (tmp_path / "0001-a.tar").open("rb") as tar:
            tar.seek(offset)
            trained = decode.prepare(tar.read(len(content)), **SIZE)
        (tmp_path / name).write_bytes(content)
        (piped,) = inputs.listed(["-"], io.BytesIO(content))
        (listed,) = inputs.listed(["-"], io.BytesIO(f"{tmp_path / name}\n".encode()))
        for way in (piped, listed, *inputs.listed([str(tmp_path / name)])):
            np.testing.assert_array_equal(way.pixels(classifier), trained, err_msg=name)


def test_answers_come_in_order_whatever_takes_long(classifier: Classifier) -> None:
    late = threading.Event()

    def read(number: int) -> bytes:
        if number == 0:
            assert late.wait(10)
        if number == 20:
            late.set()
        if number % 7 == 3:
            raise OSError(0, "gone")
        return content[number % 5]

    content = [png(each) for each in tiny.pixels(5)]
    asked = (Input(name=str(number), read=partial(read, number)) for number in range(300))
    found = list(predict.stream(classifier, asked))
    assert [each.name for each in found] == [str(number) for number in range(300)]
    alone = [classifier.predict(each)[0].label for each in content]
    for number, each in enumerate(found):
        assert (each.label, each.problem) == ((None, "gone") if number % 7 == 3 else (alone[number % 5], ""))


def png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def test_no_more_than_a_window_waits(classifier: Classifier) -> None:
    asked, answered = 0, 0

    def items() -> Iterator[Input]:
        nonlocal asked
        for number in range(1000):
            asked += 1
            assert asked - answered <= predict.WINDOW + 17
            yield Input(name=str(number), read=lambda: b"x")

    for _ in predict.stream(classifier, items()):
        answered += 1
    assert answered == 1000


def test_no_more_images_are_held_than_wait_or_are_answered(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[None] = []
    gone: list[None] = []
    most = 0

    def decoded(each: Input, _: Classifier) -> np.ndarray:
        nonlocal most
        pixels = decode.prepare(each.read(), **SIZE)
        made.append(None)
        most = max(most, len(made) - len(gone))
        weakref.finalize(pixels, gone.append, None)
        return pixels

    monkeypatch.setattr(Input, "pixels", decoded)
    content = png(tiny.pixels(1)[0])
    asked = (Input(name=str(number), read=lambda: content) for number in range(1000))
    assert sum(1 for _ in predict.stream(classifier, asked)) == 1000
    assert most <= predict.WINDOW + 2 * BATCH_IMAGES
    assert len(gone) == len(made) == 1000


def test_network_that_is_down_stops_the_run(classifier: Classifier) -> None:
    def down() -> bytes:
        raise AssayError("s3://bucket/x.png: cannot be reached")

    with pytest.raises(AssayError, match="cannot be reached"):
        list(predict.stream(classifier, [Input(name="x", read=down)]))
