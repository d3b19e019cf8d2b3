"""Predictions by the workers of a cluster: those of this machine, or an error that says what the workers lack."""

import contextlib
import dataclasses
import pickle
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from checkouts import draw, png
from predicted import N, classifier, images, told

from assay import Classifier
from assay.compute import backend
from assay.errors import AssayError
from assay.inference import inputs, predict, workers
from assay.inference.inputs import Input
from assay.inference.monitoring import look
from assay.sources import opening

__all__ = ["classifier", "images"]  # fixtures


def here(function: Callable[[workers.Chunk], object], chunks: Iterator[workers.Chunk], _: int) -> Iterator[object]:
    """What a cluster does, in this process: what goes there and back is pickled, and is at work in another folder."""
    for chunk in chunks:
        with contextlib.chdir("/"):
            said = pickle.dumps(function(pickle.loads(pickle.dumps(chunk))))
        yield pickle.loads(said)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(backend.BACKEND, "dask")
    monkeypatch.setattr(backend, "results", here)
    workers._loaded.cache_clear()


@pytest.mark.usefixtures("cluster")
def test_answers_are_those_of_one_machine(
    classifier: Classifier, images: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = told(predict.stream(classifier, inputs.listed(images)))
    monkeypatch.delenv(backend.BACKEND)
    assert there == told(predict.stream(classifier, inputs.listed(images)))
    assert len(there) == N + 2


@pytest.mark.usefixtures("cluster")
def test_image_that_only_this_process_has_is_sent(classifier: Classifier, images: list[str]) -> None:
    content = png(1)

    def gone() -> bytes:
        raise OSError(2, "No such file or directory")

    asked = [Input(name="a", read=lambda: content), Input(name="b", read=gone), Input(name="c", read=partial(bytes, 3))]
    found = list(predict.stream(classifier, asked))
    assert [each.problem for each in found] == ["", "No such file or directory", "not an image"]


@pytest.mark.usefixtures("cluster")
def test_image_that_a_worker_does_not_see_stops_the_run(
    classifier: Classifier, images: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def elsewhere(
        function: Callable[[workers.Chunk], object], chunks: Iterator[workers.Chunk], n: int
    ) -> Iterator[object]:
        for chunk in chunks:
            moved = [dataclasses.replace(each, read=partial(open, "nowhere")) for each in chunk.inputs]
            yield function(dataclasses.replace(chunk, inputs=tuple(moved)))

    monkeypatch.setattr(backend, "results", elsewhere)
    with pytest.raises(
        AssayError, match=r"a worker cannot read new/001.png \(No such file or directory\) and this machine can"
    ):
        list(predict.stream(classifier, inputs.listed(images)))


@pytest.mark.usefixtures("cluster")
def test_worker_without_the_export_or_with_other_code_is_an_error(classifier: Classifier, images: list[str]) -> None:
    chunk = next(workers._chunks(classifier, inputs.listed(images), 1, workers.deque()))
    with pytest.raises(AssayError, match="another version of Assay or Pillow"):
        workers.answered(dataclasses.replace(chunk, made_by="other code"))
    with pytest.raises(AssayError, match=r"a worker: nowhere/model.json: No such .*; let it see the same paths"):
        workers.answered(dataclasses.replace(chunk, folder="nowhere"))
    with pytest.raises(AssayError, match=r"a worker: .*the release says 000000000000"):
        workers.answered(dataclasses.replace(chunk, sha256="0" * 64))


@pytest.mark.parametrize(("source", "can_travel"), [("folder:set", True), ("sklearn:digits", False)])
def test_look_at_new_images_reads_them_anywhere_or_sends_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, can_travel: bool
) -> None:
    """`assay monitor set` names its images by a path from this folder, which is none from a worker's."""
    monkeypatch.chdir(tmp_path)
    draw(Path("set"), 2)
    found = opening.open_source(source)
    entries = list(found.entries)[1:3]
    asked = [Input(name="", read=read) for read in look._reads(found, entries)]
    assert [workers._travelling(each) is each for each in asked] == [can_travel] * 2
    sent = pickle.dumps([workers._travelling(each).read for each in asked])
    contents = [found.read(entry) for entry in entries]
    with contextlib.chdir("/"):
        assert [read() for read in pickle.loads(sent)] == contents
