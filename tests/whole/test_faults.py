"""The benchmark's faults are what they say, and what the stages find of them is counted right."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from assay.images import decode
from benchmarks.faults import faults, inject, pictures
from benchmarks.faults.checkout import checkout, validated
from benchmarks.faults.pictures import Picture
from benchmarks.faults.run import ours
from benchmarks.faults.score import Hit, scores

K = 3


@pytest.fixture(scope="module")
def set_(tmp_path_factory: pytest.TempPathFactory) -> list[Picture]:
    """100 tiles of two photos, 48 px a side, the photo being the class."""
    folder = tmp_path_factory.mktemp("tiles")
    for name, photo in zip(("china", "flower"), load_sample_images().images, strict=True):
        (folder / name).mkdir()
        for n in range(50):
            top, left = 48 * (n // 10), 48 * (n % 10)
            Image.fromarray(photo[top : top + 48, left : left + 48]).save(folder / name / f"{n}.png")
    return pictures.draw(f"folder:{folder}", 100)


def test_every_variant_has_its_victims_and_its_truth(set_: list[Picture]) -> None:
    for name, make in inject.variants(set_).items():
        variant = make(set_, name, K)
        known = {item.path for item in variant.items} | {each.label for each in set_} | {"(drift)"}
        assert {each.path for each in variant.truth} <= known, name
        if name in {*faults.IMAGES, *faults.SAVED, *faults.FILES, *faults.ROWS, "label_case", "group_leak"}:
            assert len({each.path for each in variant.truth}) == K, name
    assert inject.variants(set_)["dup"](set_, "dup", K).truth[0].partner in {each.path for each in set_}


def test_a_variant_is_the_same_every_time(set_: list[Picture]) -> None:
    for name in ("noise", "bit_rot", "leak", "batch_noise"):
        make = inject.variants(set_)[name]
        assert make(set_, name, K) == make(set_, name, K)


def test_benign_has_the_same_pixels_in_other_bytes(set_: list[Picture]) -> None:
    benign = {item.path: item.content for item in inject.benign(set_, "benign", K).items}
    for each in set_:
        assert benign[each.path] != each.content
        assert np.array_equal(np.asarray(decode.decode(benign[each.path] or b"")), np.asarray(each.image))
    jpeg = pictures.encode(set_[0].image, ".jpg")
    commented = Image.open(io.BytesIO(faults.same_pixels(jpeg)))
    assert commented.info["comment"] == b"seen"
    assert np.array_equal(np.asarray(commented), np.asarray(Image.open(io.BytesIO(jpeg))))


@pytest.mark.parametrize("name", ["zero_byte", "html", "truncated", "cut_tail", "bit_rot", "not_image"])
def test_a_broken_png_does_not_decode(set_: list[Picture], name: str) -> None:
    with pytest.raises(decode.Undecodable):
        decode.decode(faults.FILES[name](set_[0].content, pictures.random_of(name)))


def test_a_leak_is_in_test_and_its_original_in_train(set_: list[Picture]) -> None:
    variant = inject.variants(set_)["leak"](set_, "leak", K)
    split = {item.path: item.split for item in variant.items}
    assert {(split[each.path], split[each.partner]) for each in variant.truth} == {("test", "train")}


def test_a_group_leak_puts_a_group_in_two_splits(set_: list[Picture]) -> None:
    grouped = [Picture(p.path, p.label, str(n // 10), p.split, p.image, p.content) for n, p in enumerate(set_)]
    torn = inject.group_leak(grouped, "group_leak", K)
    by_path = {item.path: item for item in torn.items}
    for each in torn.truth:
        group = by_path[each.path].group
        assert {"train", "test"} <= {item.split for item in torn.items if item.group == group}


def test_files_that_are_the_same_are_not_written_again(set_: list[Picture], tmp_path: Path) -> None:
    clean = inject.variants(set_)["clean"](set_, "clean", K)
    dark = inject.variants(set_)["dark"](set_, "dark", K)
    inject.write(tmp_path, clean)
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "images").rglob("*.png")}
    inject.write(tmp_path, dark)
    changed = {file for file, time in before.items() if file.stat().st_mtime_ns != time}
    assert {file.relative_to(tmp_path / "images").as_posix() for file in changed} == {t.path for t in dark.truth}


def test_scores_count_the_images_that_are_named() -> None:
    truth = [inject.Truth("a/1.png", "dark"), inject.Truth("a/2.png", "dark")]
    truth += [inject.Truth("b/1.png", "leak", "q60", "b/2.png"), inject.Truth("b/3.png", "leak", "q60", "b/4.png")]
    hits = [Hit("brightness", "a/1.png"), Hit("near", "b/2.png", "near-duplicate of b/1.png"), Hit("odd", "b/3.png")]
    dark, leak = scores(truth, hits)
    assert (dark.fault, dark.n, dark.caught, dark.is_met) == ("dark", 2, 1, False)
    assert (leak.fault, leak.n, leak.caught) == ("leak q60", 2, 1)


def test_a_copy_counts_that_is_named_with_its_original_or_that_goes_no_further() -> None:
    truth = [inject.Truth("b/1.png", "dup", "scale", "b/2.png")]
    for hit, caught in [
        (Hit("image width", "b/1.png", "", is_critical=True), 1),
        (Hit("image width", "b/2.png", "", is_critical=True), 0),
        (Hit("usual size", "b/1.png"), 0),
        (Hit("near-duplicates", "b/2.png", "0.01 b/1.png"), 1),
    ]:
        assert scores(truth, [hit])[0].caught == caught, hit


@pytest.mark.slow
def test_faults_go_through_the_real_stages(set_: list[Picture], tmp_path: Path) -> None:
    checkout(tmp_path / "checkout", ["china", "flower"])
    for name in ("zero_byte", "label_null"):
        variant = inject.variants(set_)[name](set_, name, K)
        (score,) = scores(variant.truth, ours(validated(tmp_path / "checkout", variant)))
        assert (score.caught, score.n) == (K, K), name
