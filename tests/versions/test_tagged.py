"""What a tag leads to: the export of a release, fetched once, and refused when a byte of it changed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny
from toy import run

from assay import Classifier, state
from assay.errors import AssayError
from assay.versions import tagged


def test_champion_is_what_the_newest_tag_names(release: Callable[..., str]) -> None:
    release("v0.0.1", 1, stage=1)
    commit = release("v0.0.2", 2, stage=2)
    release("v0.0.3", 3)
    found = tagged.read("champion")
    assert (found.version, found.commit) == ("v0.0.2", commit)
    assert tagged.read("v0.0.3").version == "v0.0.3"


def test_classifier_of_a_version_comes_from_the_cache_whatever_lies_in_the_checkout(
    release: Callable[..., str], exports: Path
) -> None:
    release("v0.0.1", 1, stage=1)
    release("v0.0.2", 2)
    pixels = tiny.pixels(5)
    for version, seed, name in (("champion", 1, "v0.0.1"), ("v0.0.2", 2, "v0.0.2")):
        classifier = Classifier.load(version=version)
        assert classifier.version == name
        assert classifier.predict(pixels) == Classifier.load(exports / str(seed)).predict(pixels)


def test_second_load_needs_neither_cache_nor_dvc(release: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    release("v0.0.1", 1, stage=1)
    first = tagged.export("champion")
    monkeypatch.setattr(tagged, "_fetch", None)
    assert tagged.export("v0.0.1") == first


def test_byte_changed_in_the_cache_is_refused(release: Callable[..., str]) -> None:
    release("v0.0.1", 1, stage=1)
    found = json.loads(Path("models/export/model.json").read_text())["files"]["model.onnx"]
    same = [file for file in Path(".dvc/cache").rglob("*") if file.is_file() and sha256(file) == found]
    content = bytearray(same[0].read_bytes())
    content[len(content) // 2] ^= 1
    same[0].chmod(0o644)
    same[0].write_bytes(content)
    with pytest.raises(AssayError, match=r"model\.onnx: its SHA-256 is .* changed or damaged, so it is not used"):
        Classifier.load(version="champion")


def sha256(file: Path) -> str:
    from assay import files

    return files.sha256(file)


def test_description_changed_in_the_cache_is_refused_by_the_hash_in_git(release: Callable[..., str]) -> None:
    release("v0.0.1", 1, stage=1)
    place = tagged.export("champion").folder
    text = (place / "model.json").read_text()
    (place / "model.json").chmod(0o644)
    (place / "model.json").write_text(text.replace('"ant"', '"cat"'))
    assert Classifier.load(version="champion").about.classes == tiny.CLASSES  # fetched again
    release("v0.0.2", 2, export="0" * 64)
    with pytest.raises(AssayError, match=r"model\.json: its SHA-256 is .*, the release says 0000"):
        Classifier.load(version="v0.0.2")


def test_what_nobody_has_is_named(release: Callable[..., str]) -> None:
    with pytest.raises(AssayError, match="champion: there is none; `assay release` makes one"):
        tagged.read("champion")
    release("v0.0.1", 1)
    with pytest.raises(AssayError, match=r"no version 'v9' was released; there are: v0\.0\.1"):
        tagged.read("v9")
    run(Path.cwd(), "rm", "-rf", ".dvc/cache")
    with pytest.raises(AssayError, match=r"v0\.0\.1: models/export of .* is neither in DVC's cache nor in a remote"):
        tagged.export("v0.0.1")
    assert not list(state.EXPORTS.iterdir())


def test_old_release_without_an_export_says_so(release: Callable[..., str]) -> None:
    release("v0.0.1", 1, export=None)
    with pytest.raises(AssayError, match=r"v0\.0\.1: was released without an export"):
        tagged.export("v0.0.1")


@pytest.mark.slow
def test_exports_that_were_used_last_are_kept(release: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tagged, "KEPT", 2)
    for seed in (1, 2, 3):
        release(f"v0.0.{seed}", seed)
        tagged.export(f"v0.0.{seed}")
    kept = {place.name for place in state.EXPORTS.iterdir()}
    assert kept == {tagged.export(version).folder.name for version in ("v0.0.2", "v0.0.3")}


def test_keras_file_of_a_version_that_is_another_or_nowhere_is_refused(
    release: Callable[..., str],
) -> None:
    file = Path("models/model.keras")
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"first")
    release("v0.0.1", 1, stage=1, model={"sha256": sha256(file)})
    file.write_bytes(b"second")
    release("v0.0.2", 2, model={"sha256": "0" * 64})
    assert tagged.model("v0.0.1") == tagged.model("champion") == b"first"
    with pytest.raises(AssayError, match=r"v0\.0\.2: models/model\.keras of .*: not the bytes that were released"):
        tagged.model("v0.0.2")
    file.unlink()
    release("v0.0.3", 3, model={"sha256": "0" * 64})
    with pytest.raises(AssayError, match=r"v0\.0\.3: models/model\.keras of .* is neither in DVC's cache"):
        tagged.model("v0.0.3")
