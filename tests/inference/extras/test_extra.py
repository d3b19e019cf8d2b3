"""`assay export` in a small checkout: what it writes, prints and refuses, and what a kill leaves."""

import contextlib
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from checkouts import ROOT
from click.testing import CliRunner, Result
from shards_made import write_data, write_sets

from assay import Classifier, files, params
from assay.commands.main import cli
from assay.dataset.records import contents, reader
from assay.errors import AssayError
from assay.inference import export, exported
from assay.inference.extras import conversion, extra
from assay.labels import Task
from assay.training import keras_file
from assay.training.tensors import keras
from assay.versions import tagged

P = params.load(ROOT / "params.yaml")
TASKS: tuple[Task, ...] = ("single_label", "multi_label")
KINDS = ("savedmodel", "litert", "litert-int8")
Killed = dict[str, tuple[Path, dict[str, bytes]]]

# Two forks of one process: most of what each takes is the import of TensorFlow, which has not computed yet.
KILLED = """
import os, signal, sys
from pathlib import Path
from assay.commands.main import main
from assay.inference.extras import extra
rename, seen = Path.rename, []
def die(*arguments, **named):
    os.kill(os.getpid(), signal.SIGKILL)
def die_at_the_second(self, to):
    seen.append(to)
    return die() if len(seen) == 2 else rename(self, to)
def killed(at, folder):
    os.chdir(folder)
    if at == "measuring":
        extra._measured = die
    else:
        Path.rename = die_at_the_second
    sys.argv[1:] = ["export", "litert", "--model", "models/export/"]
    main()
for at, folder in zip(("measuring", "renaming"), sys.argv[1:], strict=True):
    if not (child := os.fork()):
        try:
            killed(at, folder)
        finally:
            os._exit(1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def write_checkout(folder: Path, task: Task) -> None:
    """Write records, an untrained model, its export and params.yaml."""
    if task == "single_label":
        index = write_data(folder, counts={"train": (6, 6, 6), "val": (1, 1, 1), "test": (13, 14, 13)})
    else:
        index = write_sets(folder, n_images={"train": 16, "val": 8, "test": 40})
    model = tiny.network(task=task, channels=1)
    keras_file.write(folder / P.paths.model, model, index.classes, task)
    sha256 = files.sha256(folder / P.paths.model)
    about = tiny.about(task=task, channels=1, classes=index.classes, model=sha256, temperature=1.5)
    export.write(folder / P.paths.export, export.graph(model, task=task, temperature=1.5), about, {})
    shutil.copy(ROOT / "params.yaml", folder)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[Task, Path]:
    made: dict[Task, Path] = {task: tmp_path_factory.mktemp(task) for task in TASKS}
    for task, folder in made.items():
        write_checkout(folder, task)
    return made


@pytest.fixture
def checkout(
    request: pytest.FixtureRequest, written: dict[Task, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A checkout with single labels, or those of the test's parameter; the current folder."""
    shutil.copytree(written[getattr(request, "param", "single_label")], tmp_path / "checkout")
    monkeypatch.chdir(tmp_path / "checkout")
    return tmp_path / "checkout"


@pytest.fixture(scope="module")
def right(written: dict[Task, Path]) -> bytes:
    """The LiteRT file of the model with single labels."""
    model = keras_file.read(written["single_label"] / P.paths.model)
    return conversion.litert(conversion.answering(model, task="single_label", temperature=1.5))


@pytest.fixture
def quick(right: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the conversion done already."""
    monkeypatch.setattr(conversion, "litert", lambda _: right)


def run(*arguments: str) -> Result:
    done = CliRunner().invoke(cli, ["export", *arguments, "--model", "models/export/"])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def refused(*arguments: str) -> str:
    with pytest.raises(AssayError) as raised:
        run(*arguments)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def in_records(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels and labels of the split, read without TensorFlow."""
    index = contents.read_index(P.paths.index)
    found = [each for name in index.splits[split].shards for each in reader.read(P.paths.records / name, index)]
    return np.stack([each.image for each in found]), np.array([each.label for each in found])


def ask(folder: Path, kind: str) -> conversion.Ask:
    if kind == "savedmodel":
        return conversion.ask_saved_model(folder / "1")
    return conversion.ask_litert((folder / "model.tflite").read_bytes(), threads=1)


def content_of(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def network_of_another_seed(*_: Any, **named: Any) -> keras.Model:
    return answering(tiny.network(channels=1, seed=2), **named)


answering = conversion.answering


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("checkout", TASKS, indirect=True)
def test_extra_answers_as_is_printed_and_written(checkout: Path, kind: str) -> None:
    output = run(kind).output
    folder = P.paths.extras / kind
    said, about = files.read_json(folder / "model.json"), files.read_json(P.paths.export / "model.json")
    pixels, labels = in_records("test")
    found, onnx = ask(folder, kind)(pixels), Classifier.load(P.paths.export).answers(pixels).probabilities
    wanted = export.keras_probabilities(
        keras_file.read(P.paths.model), [pixels], task=about["task"], temperature=about["temperature"]
    )
    np.testing.assert_allclose(found, wanted, atol=0.1 if kind == "litert-int8" else 1e-6)

    limits = np.array(about["thresholds"] or 0.5)
    decide = (lambda p: p >= limits) if about["task"] == "multi_label" else (lambda p: p.argmax(axis=1))
    measured = said["agreement"]
    assert measured["n_images"] == len(pixels) == 40
    assert measured["alike"] == pytest.approx((decide(found) == decide(onnx)).mean())
    assert measured["largest"] == pytest.approx(np.abs(found - onnx).max(), abs=1e-6)
    right = (decide(found) == labels).reshape(len(pixels), -1).all(axis=1)
    assert measured["accuracy"] == right.mean()
    assert f"40 test images: {measured['n_other']} of {measured['n_answers']} answers are not those" in output

    for name in ("task", "classes", "thresholds", "temperature", "preprocessing", "model"):
        assert said[name] == about[name]
    assert said["export"] == files.sha256(P.paths.export / "model.json")
    on_disk = {name: files.sha256(folder / name) for name in content_of(folder) if name != "model.json"}
    assert said["files"] == on_disk
    n_train = len(in_records("train")[0])
    assert said["quantised_by"] == ({"train_images": n_train, "seed": P.seed} if kind == "litert-int8" else None)
    assert [each.name for each in P.paths.extras.iterdir()] == [kind]


def test_default_place_is_not_for_git() -> None:
    place = P.paths.extras.relative_to("models")
    assert f"/{place}" in (ROOT / "models/.gitignore").read_text().splitlines()


@pytest.mark.slow
def test_integers_that_answer_otherwise_are_refused_and_leave_what_was_there(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, right: bytes
) -> None:
    monkeypatch.setattr(conversion, "litert_int8", lambda *_: right)
    run("litert-int8")
    before = content_of(P.paths.extras)
    wrong = conversion.litert(network_of_another_seed(task="single_label", temperature=1.0))
    monkeypatch.setattr(conversion, "litert_int8", lambda *_: wrong)
    said = refused("litert-int8")
    assert "export: litert-int8: 40 test images: " in said
    assert "at least 98.00% must be alike (params.yaml: export.int8_min_agreement), so it is not written" in said
    assert content_of(P.paths.extras) == before
    text = (checkout / "params.yaml").read_text()
    (checkout / "params.yaml").write_text(text.replace("int8_min_agreement: 0.98", "int8_min_agreement: 0.0"))
    assert "answers are not those" in run("litert-int8").output
    assert content_of(P.paths.extras) != before


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["savedmodel", "litert"])
def test_floats_that_answer_otherwise_are_refused(checkout: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(conversion, "answering", network_of_another_seed)
    assert "the limit is 0.0001, so it is not written" in refused(kind)
    assert not any(P.paths.extras.iterdir())


def test_model_that_is_missing_or_another_than_the_exports_is_named(checkout: Path) -> None:
    wanted = files.sha256(P.paths.model)[:12]
    keras_file.write(P.paths.model, tiny.network(channels=1, seed=5), ("a", "b", "c"))
    seen = files.sha256(P.paths.model)[:12]
    assert f"models/model.keras is {seen}…, and the export was made of {wanted}…: `dvc repro register`" in refused(
        "litert"
    )
    P.paths.model.unlink()
    assert f"models/model.keras is not here, and the export was made of {wanted}…" in refused("litert")
    assert not P.paths.extras.exists() or not any(P.paths.extras.iterdir())


def test_model_of_a_release_comes_from_where_dvc_has_it(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    released = P.paths.model.read_bytes()
    keras_file.write(P.paths.model, tiny.network(channels=1, seed=5), ("a", "b", "c"))
    monkeypatch.setattr(tagged, "model", {"v0.0.1": released}.__getitem__)
    classifier = Classifier(exported.read(P.paths.export), "v0.0.1")
    assert (Classifier.load(P.paths.export).is_release, classifier.is_release) == (False, True)
    made = extra.write(Path("out"), "litert", classifier, P)
    assert made.agreement.n_other == 0


def test_export_or_records_that_are_missing_are_named(checkout: Path) -> None:
    shutil.move(P.paths.index, "elsewhere.json")
    assert "data/records.json: not here, and it is measured on test images; `dvc repro preprocess`" in refused("litert")
    shutil.move("elsewhere.json", P.paths.index)
    shutil.rmtree(P.paths.export)
    assert "models/export/model.json: No such file or directory; `dvc repro register` makes" in refused("litert")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"classes": ["a", "b", "z"]}, "holds images of other classes or another size than sha256:"),
        ({"height_px": 32}, "holds images of other classes or another size than sha256:"),
        ({"task": "multi_label"}, "holds images of other classes or another size than sha256:"),
        (
            {"splits": {"test": {"n_images": 0, "class_counts": [0, 0, 0], "shards": []}}},
            "holds no test image, so nothing says how the extra answers",
        ),
    ],
)
def test_records_that_cannot_judge_the_model_are_refused(checkout: Path, change: dict[str, Any], said: str) -> None:
    files.write_json(P.paths.index, files.read_json(P.paths.index) | change)
    assert said in refused("litert")


@pytest.mark.parametrize("there", ["notes.txt", "model.json"])
def test_folder_that_holds_something_else_is_left_alone(checkout: Path, there: str) -> None:
    Path("mine").mkdir()
    (Path("mine") / there).write_text('{"format": 1}')
    assert "export: mine: holds something else; --out is a folder that is new, empty or an extra" in refused(
        "litert", "--out", "mine"
    )
    assert "holds something else" in refused("litert", "--out", ".")
    assert "holds something else" in refused("litert", "--out", "models/export")
    assert content_of(Path("mine")) == {there: b'{"format": 1}'}


@pytest.mark.slow
def test_new_empty_and_earlier_folder_are_written(checkout: Path, quick: None) -> None:
    Path("empty").mkdir()
    for out in ("empty", "new/deep", "new/deep"):
        run("litert", "--out", out)
        assert set(content_of(Path(out))) == {"model.tflite", "model.json"}
    run("savedmodel", "--out", "empty")
    assert "model.tflite" not in content_of(Path("empty"))
    assert (checkout / "empty/1/saved_model.pb").exists()


def test_interrupted_one_leaves_the_earlier_one_and_nothing_else(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, quick: None
) -> None:
    run("litert")
    before = content_of(checkout)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "write_json", interrupt)
    with pytest.raises(KeyboardInterrupt):
        extra.write(P.paths.extras / "litert", "litert", Classifier.load(P.paths.export), P)
    assert content_of(checkout) == before


@pytest.fixture(scope="module")
def killed(written: dict[Task, Path], tmp_path_factory: pytest.TempPathFactory) -> Killed:
    """Checkouts whose second export was killed, by what it was at; with what the first left."""
    found = {}
    for at in ("measuring", "renaming"):
        folder = Path(shutil.copytree(written["single_label"], tmp_path_factory.mktemp("killed") / at))
        with contextlib.chdir(folder):
            run("litert")
        found[at] = (folder, content_of(folder / P.paths.extras / "litert"))
    command = [sys.executable, "-c", KILLED, *(str(folder) for folder, _ in found.values())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.stdout.split() == [str(-signal.SIGKILL)] * 2, done.stdout + done.stderr
    return found


@pytest.mark.slow
@pytest.mark.parametrize("at", ["measuring", "renaming"])
def test_killed_one_leaves_nothing_that_looks_whole(killed: Killed, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    folder, before = killed[at]
    monkeypatch.chdir(folder)
    assert content_of(P.paths.extras / "litert") == (before if at == "measuring" else {})
    assert all(each.name.startswith(".") for each in P.paths.extras.iterdir() if each.name != "litert")
    run("litert")
    assert [each.name for each in P.paths.extras.iterdir()] == ["litert"]


def test_ranges_are_chosen_by_train_images_that_the_seed_draws(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index, train = contents.read_index(P.paths.index), in_records("train")[0]
    monkeypatch.setattr(extra, "TRAIN_IMAGES", 7)
    found = extra._representative(P, index)
    wanted = np.sort(np.random.default_rng(P.seed).choice(18, 7, replace=False))
    np.testing.assert_array_equal(found, train[wanted])
    monkeypatch.setattr(extra, "TRAIN_IMAGES", 500)
    np.testing.assert_array_equal(extra._representative(P, index), train)
