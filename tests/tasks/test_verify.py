"""Records that are not what the manifest says stop the run, by name of shard and image."""

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from checkouts import ROOT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from records_made import PREPARED, P, paths, set_aside, write

from assay import files, labels, params
from assay.dataset import manifest
from assay.dataset.records import contents, reader
from assay.dataset.records import shard as records
from assay.errors import AssayError, GateClosed
from assay.validation import record_tables
from tasks import preprocess, verify

__all__ = ["paths"]  # fixtures

RULES = [rule["rule"] for rule in yaml.safe_load((ROOT / "expectations/records.yaml").read_text())["expectations"]]


@pytest.fixture
def recorded(paths: params.Paths) -> params.Paths:
    """Seven training images, one to choose by and two to test with, in shards of at most three."""
    (paths.expectations).mkdir()
    files.write_text(paths.expectations / "records.yaml", (ROOT / "expectations/records.yaml").read_text())
    preprocess.main(loaded())
    return paths


def loaded(sample_images: int = 100) -> params.Params:
    sampling = params.Verify(sample_images=sample_images)
    return dataclasses.replace(params.load(ROOT / "params.yaml"), preprocess=P, verify=sampling)


def shard(of: params.Paths, split: str = "test") -> Path:
    return of.records / contents.read_index(of.index).splits[split].shards[0]


def examples(of: params.Paths, split: str = "test") -> list[contents.Example]:
    return list(reader.read(shard(of, split), contents.read_index(of.index)))


def replace_shard(of: params.Paths, split: str, changed: list[contents.Example], into: str = "") -> None:
    """Put other examples in the place of the first shard of a split, and its name into the index."""
    content = files.read_json(of.index)
    old = content["splits"][split]["shards"]
    content["splits"][split]["shards"] = old[1:]
    content["splits"][into or split]["shards"].append(records.write(of.records, split, changed))
    files.write_json(of.index, content)


def closed(of: params.Paths, sample_images: int = 100) -> list[str]:
    """Return the lines that verify ends with; there is no word that the records are right then."""
    with pytest.raises(GateClosed) as error:
        verify.main(loaded(sample_images))
    assert not of.verified.exists()
    lines = str(error.value).splitlines()
    results = files.read_json(of.verification / "results.json")
    assert not results["passed"]
    assert [r["message"] for r in results["expectations"] if not r["success"]] == lines[1:]
    return lines


def broken(lines: list[str]) -> list[str]:
    return [line.partition(":")[0] for line in lines[1:]]


def path_of(of: params.Paths, sha256: str) -> str:
    return str(manifest.read(of.manifest).set_index("sha256").loc[sha256, "path"])


def test_good_records_are_verified_for_their_index(recorded: params.Paths, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    verify.main(loaded())
    assert files.read_json(recorded.verified) == {"records": "verified", "index": files.sha256(recorded.index)}
    n_shards = sum(len(split.shards) for split in contents.read_index(recorded.index).splits.values())
    results = files.read_json(recorded.verification / "results.json")
    assert (results["passed"], results["n_images"], len(results["expectations"])) == (True, 10, len(RULES))
    assert "<img" not in (recorded.verification / "index.html").read_text()
    said = f"10 images in {n_shards} shards are as the manifest has them, 10 were decoded again\n"
    assert capsys.readouterr().out == said


def test_sample_is_no_larger_than_wanted_and_the_same_each_time(recorded: params.Paths) -> None:
    rows = manifest.read(recorded.manifest)
    index = contents.read_index(recorded.index)
    found = [
        record_tables.build(
            recorded.records, recorded.raw, index, rows, PREPARED, n_samples=n, proven=recorded.memo.proofs
        )["samples"]
        for n in (4, 4, 9)
    ]
    assert found[0].equals(found[1])
    assert (len(found[0]), len(found[2])) == (4, 9)
    assert set(found[0]["path"]) < set(found[2]["path"])


def test_altered_byte_names_the_shard_and_the_image(recorded: params.Paths) -> None:
    first, file = examples(recorded)[0], shard(recorded)
    content = bytearray(file.read_bytes())
    content[content.index(first.image.tobytes()) + 5] ^= 1
    file.write_bytes(content)
    lines = closed(recorded)
    assert lines[0] == "the records broke 4 critical expectations"
    n_shards = sum(len(split.shards) for split in contents.read_index(recorded.index).splits.values())
    assert lines[1] == (
        f"whole shards: 1 of {n_shards} shards: the shard must be whole: '{file.name}' (record 1: its content is cut or"
        f" altered, the one of {path_of(recorded, first.sha256)}) (expectations/records.yaml: whole shards)"
    )


def test_missing_and_cut_shards_are_named(recorded: params.Paths) -> None:
    file = shard(recorded)
    whole = file.read_bytes()
    for content in (whole[:-1], whole[:5], whole + b"x"):
        file.write_bytes(content)
        assert f"'{file.name}' (record" in closed(recorded)[1]
    file.unlink()
    assert f"'{file.name}' (cannot be read: No such file or directory)" in closed(recorded)[1]


def test_lost_image_is_named(recorded: params.Paths) -> None:
    lost, *others = examples(recorded)
    replace_shard(recorded, "test", others)
    lines = closed(recorded)
    assert broken(lines) == ["images per split and class", "each image in its split", "each image under its label"]
    assert "'test/*' (2, 1)" in lines[1]
    assert f"{path_of(recorded, lost.sha256)} ('test', missing)" in lines[2]


def test_image_that_is_recorded_twice_is_named(recorded: params.Paths) -> None:
    first, *others = examples(recorded)
    replace_shard(recorded, "test", [first, first, *others])
    lines = closed(recorded)
    assert broken(lines) == ["images per split and class", "each image in its split"]
    assert f"{path_of(recorded, first.sha256)} ('test', 'test once more'; in test-" in lines[2]


def test_leak_is_named_though_all_counts_are_right(recorded: params.Paths) -> None:
    """A test image and a training image of one class have changed places."""
    mine = examples(recorded, "test")
    theirs = examples(recorded, "train")
    wanted = next(each for each in theirs if each.label == mine[0].label)
    swapped = [wanted if each is mine[0] else each for each in mine]
    replace_shard(recorded, "test", swapped)
    replace_shard(recorded, "train", [mine[0] if each is wanted else each for each in theirs])
    lines = closed(recorded)
    assert broken(lines) == ["each image in its split"]
    assert f"{path_of(recorded, mine[0].sha256)} ('test', 'train'; in train-" in lines[1]


def test_wrong_label_is_named(recorded: params.Paths) -> None:
    first, *others = examples(recorded)
    assert isinstance(first.label, int)
    replace_shard(recorded, "test", [dataclasses.replace(first, label=1 - first.label), *others])
    lines = closed(recorded)
    assert broken(lines) == ["images per split and class", "each image under its label"]
    right, wrong = "ab"[first.label], "ab"[1 - first.label]
    assert f"{path_of(recorded, first.sha256)} ('{right}', '{wrong}'; in test-" in lines[2]
    replace_shard(recorded, "test", [dataclasses.replace(first, label=7), *others])
    assert f"{path_of(recorded, first.sha256)} ('{right}', '(class 7)'; in test-" in closed(recorded)[2]


def test_wrong_pixel_is_named(recorded: params.Paths) -> None:
    first, *others = examples(recorded)
    pixels = first.image.copy()
    pixels[0, 0, 0] += np.uint8(3) if pixels[0, 0, 0] < 250 else np.uint8(253)  # by 3, or by -3
    replace_shard(recorded, "test", [dataclasses.replace(first, image=pixels), *others])
    lines = closed(recorded)
    assert broken(lines) == ["pixels of the image"]
    path = path_of(recorded, first.sha256)
    assert f"{path} (3; in test-" in lines[1]
    with (recorded.verification / "failures.csv").open() as listed:
        (row,) = csv.DictReader(listed)
    assert (row["path"], row["expectation"], row["status"], row["value"]) == (path, broken(lines)[0], "failed", "3")
    page = (recorded.verification / "index.html").read_text()
    assert "<strong>Closed</strong>:\n10 images, 5 expectations,\n1 critical one failed." in page
    assert f'data-sha256="{first.sha256}"' in page


def test_every_rule_on_records_was_broken_above() -> None:
    text = Path(__file__).read_text()
    assert [rule for rule in RULES if f'"{rule}' not in text] == []


@pytest.mark.parametrize("rule", RULES)
def test_without_its_rule_what_breaks_it_goes_unseen(recorded: params.Paths, rule: str) -> None:
    """The mutation test of the suite: the smallest fault that each rule is for."""
    first, *others = examples(recorded)
    other = 1 - first.label if isinstance(first.label, int) else 0
    match rule:
        case "whole shards":
            shard(recorded).write_bytes(shard(recorded).read_bytes() + b"x")
        case "images per split and class" | "each image under its label":
            replace_shard(recorded, "test", [dataclasses.replace(first, label=other), *others])
        case "each image in its split":
            replace_shard(recorded, "test", [first, *others], into="val")
        case "pixels of the image":
            replace_shard(recorded, "test", [dataclasses.replace(first, image=255 - first.image), *others])
    with_it = broken(closed(recorded))
    assert rule in with_it
    file = recorded.expectations / "records.yaml"
    suite = yaml.safe_load(file.read_text())
    suite["expectations"] = [each for each in suite["expectations"] if each["rule"] != rule]
    file.write_text(yaml.safe_dump(suite))
    if with_it == [rule]:
        verify.main(loaded())
    else:
        assert broken(closed(recorded)) == [name for name in with_it if name != rule]


def test_image_that_is_set_aside_must_not_be_recorded(recorded: params.Paths) -> None:
    set_aside(recorded, "3.png")
    lines = closed(recorded)
    assert broken(lines)[1] == "each image in its split"
    set_aside(recorded)
    verify.main(loaded())
    set_aside(recorded, "3.png")
    preprocess.main(loaded())
    verify.main(loaded())


def test_multi_label_records_are_verified(recorded: params.Paths) -> None:
    rows = manifest.read(recorded.manifest)
    rows["label"] = ["a", "a|b", "", "b", "a|b", "b", "a", "", "a", "b"]
    write(recorded, rows, "multi_label")
    preprocess.main(loaded())
    verify.main(loaded())
    with_both = next(each for each in examples(recorded, "train") if each.label == (1, 1))
    changed = [
        dataclasses.replace(each, label=(1, 0)) if each is not with_both and each.sha256 == with_both.sha256 else each
        for each in examples(recorded, "train")
    ]
    replace_shard(recorded, "train", changed)
    lines = closed(recorded)
    assert broken(lines) == ["images per split and class", "each image under its label"]
    assert f"{path_of(recorded, with_both.sha256)} ('a|b', 'a'; in train-" in lines[2]


def test_nothing_is_verified_behind_a_closed_gate(recorded: params.Paths) -> None:
    recorded.passed.unlink()
    with pytest.raises(AssayError, match="the gate is closed or was not asked"):
        verify.main(loaded())


def test_counts_are_those_of_each_class_and_of_all() -> None:
    wanted = pd.DataFrame({"split": ["train", "train", "test"], "label": ["a|b", "", "b"]})
    seen = wanted.rename(columns={"split": "recorded_split", "label": "recorded_label"}).iloc[:2]
    found = record_tables.counts(wanted, seen, "multi_label")
    assert found.to_numpy().tolist() == [
        ["test", "*", 1, 0],
        ["test", "b", 1, 0],
        ["train", "*", 2, 2],
        ["train", "a", 1, 1],
        ["train", "b", 1, 1],
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(
    label=st.one_of(st.integers(0, 2**40), st.lists(st.sampled_from([0, 1]), min_size=1, max_size=300).map(tuple)),
    seed=st.integers(0, 9),
)
def test_record_comes_back_as_it_was_written(tmp_path: Path, label: int | tuple[int, ...], seed: int) -> None:
    task: labels.Task = "single_label" if isinstance(label, int) else "multi_label"
    n_classes = 1 if isinstance(label, int) else len(label)
    pixels = np.random.default_rng(seed).integers(0, 256, (5, 4, 3)).astype(np.uint8)
    written = contents.Example(image=pixels, label=label, sha256="0f" * 32)
    index = contents.Index(
        height_px=5, width_px=4, channels=3, classes=tuple(map(str, range(n_classes))), splits={}, task=task
    )
    (read,) = reader.read(tmp_path / records.write(tmp_path, "train", [written]), index)
    assert (read.label, read.sha256) == (written.label, written.sha256)
    assert (read.image == written.image).all()
