import dataclasses
import hashlib
import io
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from checkouts import ROOT, png
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from records_made import PREPARED, P, paths, set_aside, write

from assay import files, labels, params
from assay.dataset import batches, manifest, sharding
from assay.dataset.records import contents, shard
from assay.errors import AssayError
from assay.images import decode
from assay.training.tensors import tf
from tasks import preprocess as task
from tasks import verify

__all__ = ["paths"]  # fixtures


def preprocess(p: params.Preprocess = P) -> None:
    loaded = params.load(ROOT / "params.yaml")
    task.main(dataclasses.replace(loaded, preprocess=p))


def shards(paths: params.Paths) -> dict[str, str]:
    return {file.name: files.sha256(file) for file in paths.records.iterdir()}


def examples(paths: params.Paths, split: str) -> list[tuple[str, int, np.ndarray]]:
    """Return (SHA-256, label, pixels) of every record, as TensorFlow reads them."""
    names = contents.read_index(paths.index).splits[split].shards
    found = []
    for payload in tf.data.TFRecordDataset([str(paths.records / name) for name in names]).as_numpy_iterator():
        features = tf.train.Example.FromString(payload).features.feature
        pixels = np.frombuffer(features["image"].bytes_list.value[0], np.uint8).reshape(4, 6, 3)
        found.append((features["sha256"].bytes_list.value[0].decode(), features["label"].int64_list.value[0], pixels))
    return found


def test_records_hold_the_decoded_pixels_of_every_image(paths: params.Paths) -> None:
    preprocess()
    rows = manifest.read(paths.manifest).set_index("sha256")
    seen = {split: examples(paths, split) for split in labels.SPLITS}
    assert {split: len(found) for split, found in seen.items()} == {"train": 7, "val": 1, "test": 2}
    for split, found in seen.items():
        for sha256, label, pixels in found:
            number = int(rows.loc[sha256, "path"].removesuffix(".png"))
            assert (rows.loc[sha256, "split"], "ab"[label]) == (split, "ab"[number % 2])
            assert (
                pixels == decode.prepare(png(number), height_px=4, width_px=6, colour="rgb", resize="stretch")
            ).all()


def test_index_counts_and_names_the_shards(paths: params.Paths) -> None:
    preprocess()
    index = contents.read_index(paths.index)
    assert (index.classes, index.channels, index.height_px, index.width_px) == (("a", "b"), 3, 4, 6)
    assert index.splits["train"].class_counts == (4, 3)
    assert [split.n_images for split in index.splits.values()] == [7, 1, 2]
    assert sorted(name for split in index.splits.values() for name in split.shards) == sorted(shards(paths))


def test_no_shard_is_larger_than_asked_or_spans_two_batches(paths: params.Paths) -> None:
    preprocess()
    batches = manifest.read(paths.manifest).set_index("sha256")["batch"]
    for plan in sharding.plan(planned(paths), PREPARED, P.shard_images):
        assert len(plan.members) <= 3
        assert batches[plan.members["sha256"]].nunique() == 1


def test_declared_white_reaches_the_records_and_their_verification(paths: params.Paths) -> None:
    deep = io.BytesIO()
    Image.fromarray(np.full((4, 6), 2048, np.uint16)).save(deep, "PNG")
    sha256 = hashlib.sha256(deep.getvalue()).hexdigest()
    batches.write(paths.raw / "3", [(sha256, deep.getvalue())])
    row = manifest.read(paths.manifest).iloc[:1].assign(
        path="deep.png", split="val", sha256=sha256, batch="3", bytes=len(deep.getvalue()),
        offset=batches.read_offsets(paths.raw / "3")[sha256],
    )  # fmt: skip
    write(paths, pd.concat([manifest.read(paths.manifest), row]))
    loaded = params.load(ROOT / "params.yaml")
    p = dataclasses.replace(loaded, preprocess=P, ingest=dataclasses.replace(loaded.ingest, white_level=4095))
    task.main(p)
    found = {sha256: pixels for sha256, _, pixels in examples(paths, "val")}
    assert (found[sha256] == 128).all()
    shutil.copytree(ROOT / "expectations", paths.expectations)
    verify.main(p)


def test_another_white_is_another_shard(paths: params.Paths) -> None:
    preprocess()
    white = dataclasses.replace(PREPARED, white_level=4095)
    keys = [{plan.key for plan in sharding.plan(planned(paths), each, 3)} for each in (PREPARED, white)]
    assert keys[0].isdisjoint(keys[1])


def planned(paths: params.Paths) -> pd.DataFrame:
    return manifest.read(paths.manifest).sort_values("sha256").assign(encoded=0)


@given(st.sets(st.integers(0, 2**256 - 1), min_size=1, max_size=60), st.integers(1, 8), st.data())
def test_shards_divide_the_images_and_one_that_goes_changes_no_other_shard(
    hashes: set[int], most: int, data: st.DataObject
) -> None:
    names = sorted(f"{each:064x}" for each in hashes)
    parts = [part["sha256"].tolist() for part in sharding._divide(pd.DataFrame({"sha256": names}), most)]
    assert [name for part in parts for name in part] == names
    assert all(0 < len(part) <= most for part in parts)
    gone = data.draw(st.sampled_from(names))
    left = pd.DataFrame({"sha256": [name for name in names if name != gone]})
    changed = [part["sha256"].tolist() for part in sharding._divide(left, most)]
    # Its own shard is smaller, or its two halves, now few enough, are one.
    assert len([part for part in parts if part not in changed]) <= 2


def test_second_run_writes_nothing_and_gives_the_same(paths: params.Paths, capsys: pytest.CaptureFixture[str]) -> None:
    preprocess()
    before = {file: file.stat().st_mtime_ns for file in paths.records.iterdir()}
    index = paths.index.read_bytes()
    preprocess()
    assert "0 of them new" in capsys.readouterr().out
    assert {file: file.stat().st_mtime_ns for file in paths.records.iterdir()} == before
    assert paths.index.read_bytes() == index


def test_shard_is_remembered_when_the_disk_has_it(paths: params.Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    remembered = []

    def settle(shard: Path) -> None:
        known = files.read_json(paths.memo.shards)["shards"].values() if paths.memo.shards.exists() else ()
        remembered.append((shard.name in known, len(known)))

    monkeypatch.setattr(shard, "settle", settle)
    preprocess()
    assert remembered == [(False, n) for n in range(len(list(paths.records.iterdir())))]


def test_lost_memo_costs_work_and_changes_nothing(paths: params.Paths, capsys: pytest.CaptureFixture[str]) -> None:
    preprocess()
    whole, index = shards(paths), paths.index.read_bytes()
    paths.memo.shards.unlink()
    preprocess()
    assert "0 of them new" not in capsys.readouterr().out.splitlines()[1]
    assert (shards(paths), paths.index.read_bytes()) == (whole, index)


@pytest.mark.parametrize("left", [b"", b"half a record"])
def test_half_written_or_broken_shard_is_written_again(paths: params.Paths, left: bytes) -> None:
    preprocess()
    whole = shards(paths)
    victim = next(paths.records.iterdir())
    victim.write_bytes(left or victim.read_bytes()[:-7])
    (paths.records / ".train-x.tfrecord.tmp").write_bytes(b"left by a killed run")
    preprocess()
    assert shards(paths) == whole


def test_changed_label_changes_only_its_shard_and_equals_a_clean_build(paths: params.Paths) -> None:
    preprocess()
    before = shards(paths)
    rows = manifest.read(paths.manifest)
    rows.loc[rows["path"] == "0.png", "label"] = "b"
    write(paths, rows)
    preprocess()
    after = shards(paths)
    assert len(set(before) - set(after)) == len(set(after) - set(before)) == 1
    for file in paths.records.iterdir():
        file.unlink()
    preprocess()
    assert shards(paths) == after


def test_multi_label_records_hold_a_mark_for_each_class(paths: params.Paths) -> None:
    sets = ["", "c", "a|c", "b", "a|b|c"]
    rows = manifest.read(paths.manifest)
    rows["label"] = [sets[int(path.removesuffix(".png")) % 5] for path in rows["path"]]
    write(paths, rows, "multi_label")
    preprocess()
    index = contents.read_index(paths.index)
    assert (index.task, index.classes) == ("multi_label", ("a", "b", "c"))
    assert index.splits["train"].class_counts == (2, 2, 4)  # of images 0 to 6
    assert index.splits["train"].n_images == 7
    label_of = rows.set_index("sha256")["label"]
    marks = {"image": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([3], tf.int64)}
    for name in index.splits["train"].shards:
        for payload in tf.data.TFRecordDataset(str(paths.records / name)):
            found = tf.io.parse_single_example(payload, marks | {"sha256": tf.io.FixedLenFeature([], tf.string)})
            label = label_of[found["sha256"].numpy().decode()]
            assert found["label"].numpy().tolist() == [int(name in label.split("|")) for name in "abc"]


def test_corrected_set_of_labels_changes_only_its_shard(paths: params.Paths) -> None:
    rows = manifest.read(paths.manifest).assign(label="a|b")
    write(paths, rows, "multi_label")
    preprocess()
    before = shards(paths)
    rows.loc[rows["path"] == "0.png", "label"] = ""
    write(paths, rows, "multi_label")
    preprocess()
    assert len(set(before) - set(shards(paths))) == len(set(shards(paths)) - set(before)) == 1


def test_other_parameters_give_other_shards(paths: params.Paths) -> None:
    preprocess()
    before = set(shards(paths))
    preprocess(params.Preprocess(height_px=4, width_px=4, colour="rgb", resize="stretch", shard_images=3))
    assert not before & set(shards(paths))


def test_image_set_aside_is_not_in_the_records_and_a_copy_is_there_once(paths: params.Paths) -> None:
    rows = manifest.read(paths.manifest)
    rows.loc[rows["path"] == "0.png", "split"] = None
    copy = rows[rows["path"] == "1.png"].assign(path="copy.png")
    write(paths, pd.concat([rows, copy]))
    preprocess()
    assert len(examples(paths, "train")) == 6


@pytest.mark.parametrize("passed", [None, "of another manifest"])
def test_closed_gate_lets_nothing_be_written(paths: params.Paths, passed: str | None) -> None:
    if passed is None:
        paths.passed.unlink()
    else:
        files.write_json(paths.passed, {"gate": "open", "manifest": passed})
    with pytest.raises(AssayError, match="run `dvc repro gate`"):
        preprocess()
    assert not paths.records.exists()
    assert not paths.index.exists()


def test_altered_original_is_named(paths: params.Paths) -> None:
    tar = paths.raw / "1"
    content = tar.read_bytes()
    offset = manifest.read(paths.manifest).query("batch == '1'")["offset"].min()
    tar.write_bytes(content[: offset + 20] + b"\0\1\2" + content[offset + 23 :])
    with pytest.raises(AssayError, match="1: not the bytes that were put in"):
        preprocess()


def test_image_that_is_set_aside_is_in_no_record_and_comes_back(paths: params.Paths) -> None:
    preprocess()
    before = shards(paths)
    set_aside(paths, "3.png")
    preprocess()
    names = {f"{number}.png" for number in range(7)} - {"3.png"}
    shown = manifest.read(paths.manifest).set_index("sha256")["path"]
    assert {shown[sha256] for sha256, _, _ in examples(paths, "train")} == names
    assert contents.read_index(paths.index).splits["train"].n_images == 6
    set_aside(paths)
    preprocess()
    assert shards(paths) == before


@pytest.mark.parametrize("change", ["a label", "a new class", "an image gone", "a copy of it, set aside"])
def test_pixels_of_a_shard_that_changes_are_copied_and_not_decoded_again(
    paths: params.Paths, capsys: pytest.CaptureFixture[str], change: str
) -> None:
    preprocess()
    assert "10 decoded" in capsys.readouterr().out
    rows = manifest.read(paths.manifest)
    match change:
        case "a label":
            rows.loc[rows["path"] == "0.png", "label"] = "b"
        case "a new class":  # the number of every label is another then
            rows.loc[rows["path"] == "0.png", "label"] = "A"
        case "an image gone":
            rows = rows[rows["path"] != "0.png"]
        case _:
            rows.loc[rows["path"] == "0.png", "split"] = None
    write(paths, rows)
    preprocess()
    said = capsys.readouterr().out
    assert "0 decoded" in said
    assert "0 of them new" not in said
    grown, index = shards(paths), paths.index.read_bytes()
    shutil.rmtree(paths.records)
    preprocess()
    assert " 0 decoded" not in capsys.readouterr().out
    assert (shards(paths), paths.index.read_bytes()) == (grown, index)


def test_pixels_of_other_parameters_or_of_a_broken_shard_are_not_copied(
    paths: params.Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    preprocess()
    preprocess(dataclasses.replace(P, resize="pad"))
    rows = manifest.read(paths.manifest)
    rows.loc[rows["path"] == "0.png", "label"] = "b"
    write(paths, rows)
    for file in paths.records.iterdir():
        file.write_bytes(file.read_bytes()[:-3])
    preprocess(dataclasses.replace(P, resize="pad"))
    assert capsys.readouterr().out.count(", 10 decoded") == 3
