"""What a run does after each epoch, and how it goes on after it was killed."""

import dataclasses
import importlib.util
import io
import shutil
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkouts import ROOT
from shards_made import write_data, write_sets

from assay import params
from assay.dataset.records import contents
from assay.errors import AssayError
from assay.training import checkpoints, fit, guards, job, measure, network, objective, phases, state, tensors

tensors.set_up(threads=2)  # here, because it must come before the first operation of any test

P = params.load(ROOT / "params.yaml")
SIMPLE: dict[str, Any] = {"normalisation": "none", "optimizer": "sgd"}  # half the time to build the graph of a step
NONE = params.Augment(preset="none")
WHOLE = {"epochs": 2, "augment": params.Augment(preset="strong", flip="both"), "imbalance": "effective_number"}
OF = {"test": "1"}


def of_train(**changes: Any) -> params.Train:
    small = {"filters": (4,), "epochs": 4, "batch_images": 4, "augment": NONE, "dropout": 0.3, "keep": "best"}
    return dataclasses.replace(P.train, **small | changes)


def prepared(folder: Path, index: contents.Index, p: params.Train) -> tuple[job.Job, list[phases.Phase]]:
    tensors.set_up(threads=2, seed=3)
    built = network.build(index, p, None, own=folder / "networks")
    return job.build(built, folder / "data/records", index, p=p, seed=3), phases.phases(built, p)


def run(folder: Path, index: contents.Index, p: params.Train) -> tuple[fit.Fit, job.Job]:
    made, parts = prepared(folder, index, p)
    return fit.fit(made, parts, place=folder / "place", of=OF), made


def bits(found: fit.Fit, made: job.Job) -> list[Any]:
    return [found.rows, found.margins.tobytes(), *(np.array(weight).tobytes() for weight in made.learner.weights)]


@pytest.fixture
def index(tmp_path: Path) -> contents.Index:
    return write_data(tmp_path, counts={"train": (9, 7), "val": (3, 3)})


@dataclasses.dataclass(frozen=True)
class Whole:
    """A run of two epochs that nothing disturbs."""

    folder: Path
    index: contents.Index
    found: fit.Fit
    bits: list[Any]
    said: list[str]

    def again(self) -> list[Any]:
        """Return the bits of another one."""
        return bits(*run(self.folder, self.index, of_train(**WHOLE)))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder = tmp_path_factory.mktemp("whole")
    index = write_data(folder, counts={"train": (9, 7), "val": (3, 3)})
    with redirect_stdout(io.StringIO()) as out:
        found, made = run(folder, index, of_train(**WHOLE))
    return Whole(folder, index, found, bits(found, made), out.getvalue().splitlines())


@pytest.fixture
def whole(undisturbed: Whole, tmp_path: Path) -> Whole:
    """The run whose checkpoint is the test's own."""
    shutil.copytree(undisturbed.folder, tmp_path / "whole")
    return dataclasses.replace(undisturbed, folder=tmp_path / "whole")


def test_few_validation_images_of_a_rare_class_count_as_few(tmp_path: Path) -> None:
    index = write_data(tmp_path, counts={"train": (26, 2), "val": (26, 2)})
    plain, balanced = (prepared(tmp_path, index, of_train(**SIMPLE, imbalance=way))[0] for way in ("none", "balanced"))
    assert plain.n_alike == 28
    assert balanced.n_alike == pytest.approx(4 / (1 / 26 + 1 / 2))
    assert (balanced.objective.method, balanced.objective.n_classes) == ("balanced", 2)
    auto = prepared(tmp_path, index, of_train(**SIMPLE, imbalance="balanced", keep="auto"))[0]
    assert auto.rule == "last"  # of 28 it would be the smoothed one


def test_logits_are_adjusted_while_they_are_learnt(tmp_path: Path) -> None:
    index = write_data(tmp_path, counts={"train": (26, 2), "val": (3, 3)})
    made = prepared(tmp_path, index, of_train(**SIMPLE, imbalance="logit_adjustment"))[0]
    found = made.learner.loss_of(np.array([0, 1]), np.zeros((2, 2), np.float32))
    np.testing.assert_allclose(found, -np.log([26 / 28, 2 / 28]), rtol=1e-5)


def test_epoch_is_kept_by_what_training_makes_small(
    tmp_path: Path, index: contents.Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = [3.0, 1.0, 2.0]
    values = iter(measured)
    monkeypatch.setattr(objective.Objective, "of", lambda *_: next(values))
    found, _ = run(tmp_path, index, of_train(**SIMPLE, epochs=3))
    assert [row["val_objective"] for row in found.rows] == measured
    assert found.kept_epoch == 2


def killed_after(epoch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the run end as a kill would in the middle of the epoch after `epoch`: its checkpoint is all that is left."""
    step = fit.Run.on_train_batch_end

    def stop(run: fit.Run, batch: int, logs: Any) -> None:
        if run.state.epoch == epoch and batch == 1:
            raise KeyboardInterrupt
        step(run, batch, logs)

    monkeypatch.setattr(fit.Run, "on_train_batch_end", stop)


@pytest.mark.slow
def test_a_run_that_was_killed_ends_in_the_same_bits(
    whole: Whole, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoints.remove(whole.folder / "place")
    with monkeypatch.context() as patched:
        killed_after(1, patched)
        with pytest.raises(KeyboardInterrupt):
            whole.again()
    assert whole.again() == whole.bits
    assert "checkpoint: goes on after epoch 1" in capsys.readouterr().out


def left_by(found: checkpoints.Checkpoint) -> list[Any]:
    arrays = {name: [array.tobytes() for array in arrays] for name, arrays in found.arrays.items()}
    return [arrays, found.state | {"elapsed_s": 0}]


def check_going_on(folder: Path, index: contents.Index, monkeypatch: pytest.MonkeyPatch, p: params.Train) -> None:
    """Check that a run that goes on after its second epoch ends as one that nothing disturbed.

    And leaves the same checkpoints on the way: whoever kills it again finds what the first kill would have left.
    """
    written: list[checkpoints.Checkpoint] = []
    write = checkpoints.write

    def keep(place: Path, checkpoint: checkpoints.Checkpoint, *, of: dict[str, str]) -> None:
        write(place, checkpoint, of=of)
        found = checkpoints.read(place, of=of)
        assert isinstance(found, checkpoints.Checkpoint)
        written.append(found)

    monkeypatch.setattr(checkpoints, "write", keep)
    whole = bits(*run(folder, index, p))
    first, second, *later = written
    assert (first.state["epoch"], second.state["epoch"]) == (1, 2)
    assert (second.state["plateau"]["factor"] < 1) == (p.schedule == "plateau")  # or nothing shows that it is taken up
    write(folder / "place", second, of=OF)
    written.clear()
    assert bits(*run(folder, index, p)) == whole
    assert [left_by(each) for each in written] == [left_by(each) for each in later]
    assert len(later) == 2


CHANGES: dict[str, dict[str, Any]] = {
    "sgd": {"optimizer": "sgd", "schedule": "one_cycle", "warmup_share": 0.3, "learning_rate": 0.05, "clip_norm": 1.0}
    | {"network": "resnet", "imbalance": "focal", "keep": "last"},
    "adam": {"optimizer": "adam", "weight_decay": 0, "l2": 0.001, "imbalance": "undersample", "label_smoothing": 0.1}
    | {"schedule": "exponential", "network": "two_branch", "scale": "symmetric"},
    "plateau": {"schedule": "plateau", "plateau_epochs": 1, "imbalance": "oversample", "keep": "smoothed"},
}


@pytest.mark.slow
@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_a_run_that_goes_on_ends_in_the_same_bits_and_may_be_killed_again(
    tmp_path: Path, index: contents.Index, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    check_going_on(tmp_path, index, monkeypatch, of_train(**changes))


@pytest.mark.slow
@pytest.mark.parametrize("head_epochs", [1, 2], ids=["killed while the backbone learns", "killed between the phases"])
def test_a_backbone_that_goes_on_ends_in_the_same_bits(
    tmp_path: Path, index: contents.Index, monkeypatch: pytest.MonkeyPatch, head_epochs: int
) -> None:
    transfer = dataclasses.replace(P.train.transfer, weights="none", side_px=32, head_epochs=head_epochs)
    of_layer = dataclasses.replace(transfer, from_layer="expanded_conv_10_project", learning_rate=0.01)
    changes = {"network": "MobileNetV3Small", "transfer": of_layer, "augment": params.Augment(preset="light")}
    check_going_on(tmp_path, index, monkeypatch, of_train(**changes))


@pytest.mark.slow
def test_a_streamed_multi_label_run_that_goes_on_ends_in_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = write_sets(tmp_path, n_images={"train": 24, "val": 8})
    monkeypatch.setattr("assay.training.batches.CACHED_BYTES", 0)
    changes = {"imbalance": "oversample", "augment": params.Augment(preset="medium"), "optimizer": "sgd"}
    check_going_on(tmp_path, index, monkeypatch, of_train(**changes))


@pytest.mark.slow
def test_a_checkpoint_of_another_run_is_said_and_not_taken_up(whole: Whole, capsys: pytest.CaptureFixture[str]) -> None:
    """It changes nothing before the first step, so nothing later; to take all steps shows no more."""
    place = whole.folder / "place"
    found = checkpoints.read(place, of=OF)
    assert isinstance(found, checkpoints.Checkpoint)
    checkpoints.write(place, found, of={"test": "2"})
    made, parts = prepared(whole.folder, whole.index, of_train(**WHOLE))
    begun = fit.Run(made, parts, place=place, of=OF, after=lambda row: None)
    before = [np.array(weight) for weight in begun.learner.variables]
    begun.resume()
    assert "checkpoint: of another test; the run begins anew" in capsys.readouterr().out
    assert (begun.state, begun.taken, begun.margins) == (state.State(), None, [])
    for one, other in zip(begun.learner.variables, before, strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(begun.best, checkpoints.take(begun.learner.weights), strict=True):
        np.testing.assert_array_equal(one, other)
    assert checkpoints.read(place, of={"test": "2"}) is None


@pytest.mark.slow
def test_a_full_disk_costs_the_checkpoint_and_not_the_run(
    whole: Whole, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoints.remove(whole.folder / "place")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "write", full)
    assert whole.again() == whole.bits
    assert "checkpoint: not written, No space left on device; the run goes on" in capsys.readouterr().out


@pytest.mark.slow
def test_what_is_said_before_the_first_step_changes_nothing(whole: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    assert whole.said[0].startswith("16 images in 4 steps an epoch, 2 epochs, ")
    assert "a step takes" in whole.said[0]
    assert [line[:9] for line in whole.said[1:]] == ["epoch 1/2", "epoch 2/2"]
    checkpoints.remove(whole.folder / "place")
    monkeypatch.setattr(fit.Run, "_expected", lambda *_: "")
    assert whole.again() == whole.bits


@pytest.mark.slow
def test_the_weights_of_the_epoch_that_is_kept_are_put_in_place(tmp_path: Path) -> None:
    index = write_data(tmp_path, counts={"train": (8, 8), "val": (8, 8)})
    found, made = run(tmp_path, index, of_train(**SIMPLE, epochs=8, learning_rate=0.5, schedule="constant"))
    losses = [row["val_loss"] for row in found.rows]
    assert found.kept_epoch == 1 + int(np.argmin(losses)) < 8
    assert measure.of(made.answer, made.val, "single_label").loss == pytest.approx(min(losses), rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "n_epochs", "said"),
    [
        ({"max_epochs": 2}, 2, "after 2 epochs (train.max_epochs)"),
        ({"max_minutes": 1e-9}, 1, "after 1e-09 minutes (train.max_minutes)"),
        ({"patience_epochs": 1, "learning_rate": 1e-12}, 2, "without a better one (train.patience_epochs)"),
    ],
)
def test_a_budget_ends_a_run_with_the_best_so_far(
    tmp_path: Path, index: contents.Index, changes: dict[str, Any], n_epochs: int, said: str
) -> None:
    found, _ = run(tmp_path, index, of_train(**SIMPLE, **changes))
    assert len(found.rows) == n_epochs
    assert found.kept_epoch in range(1, n_epochs + 1)
    assert said in str(found.ended)


def test_a_run_without_a_budget_does_all_its_epochs(undisturbed: Whole) -> None:
    assert len(undisturbed.found.rows) == 2
    assert undisturbed.found.kept_epoch in (1, 2)
    assert undisturbed.found.ended is None


def test_numbers_that_are_none_are_named_with_their_batch_and_layer(
    tmp_path: Path, index: contents.Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        AssayError, match=r"loss: nan in batch \d of epoch 1, first in the output of layer .*learning_rate"
    ):
        run(tmp_path, index, of_train(learning_rate=1e30, normalisation="none", optimizer="sgd", clip_norm=None))
    assert checkpoints.read(tmp_path / "place", of=OF) is None


@pytest.mark.slow
def test_a_run_that_learns_nothing_is_stopped_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = write_data(tmp_path, counts={"train": (8, 8), "val": (8, 8)})
    monkeypatch.setattr("assay.training.guards.SOONEST_STEPS", 1)
    said = r"nothing was learnt in 3 of 15 epochs: .* the learning rate 30 is far too high"
    with pytest.raises(AssayError, match=said):
        run(tmp_path, index, of_train(epochs=15, dropout=0.0, learning_rate=30.0, schedule="constant"))


@pytest.mark.slow
def test_a_run_that_loses_what_it_learnt_to_a_rate_far_too_high_is_stopped(
    tmp_path: Path, index: contents.Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt = guards.Signs(cross_entropy=0.1, val_loss=0.1, above_chance=9.0)
    lost = guards.Signs(cross_entropy=9.0, val_loss=9.0, above_chance=0.0)
    monkeypatch.setattr("assay.training.guards.SOONEST_STEPS", 1)
    symptoms = guards.Symptoms(grown=50.0, dead={}, vanishing=1.0, n_predicted=1)
    monkeypatch.setattr("assay.training.watch.symptoms", lambda *_, **__: symptoms)
    made = iter([learnt, *[lost] * 9])
    monkeypatch.setattr("assay.training.guards.Signs", lambda **_: next(made))
    with pytest.raises(AssayError, match=r"nothing is left of what was learnt, after 4 of 15 epochs: .* far too high"):
        run(tmp_path, index, of_train(epochs=15, **SIMPLE))
    made = iter([learnt, *[lost] * 9])
    symptoms = dataclasses.replace(symptoms, grown=1.5)
    found, _ = run(tmp_path, index, of_train(epochs=5, **SIMPLE))
    assert len(found.rows) == 5


def test_margins_are_those_of_every_image_in_every_epoch(undisturbed: Whole) -> None:
    found = undisturbed.found
    assert found.margins.shape == (2, 16)
    assert np.isfinite(found.margins).all()
    for margins, row in zip(found.margins, found.rows, strict=True):
        assert (margins > 0).mean() == pytest.approx(row["accuracy"])


@pytest.mark.slow
def test_a_loop_of_ones_own_has_the_losses_of_fit(tmp_path: Path, index: contents.Index) -> None:
    spec = importlib.util.spec_from_file_location("custom_loop", ROOT / "examples/custom_loop.py")
    assert spec
    assert spec.loader
    custom_loop = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(custom_loop)
    p = of_train(epochs=3, augment=params.Augment(preset="medium"), l2=0.001, clip_norm=1.0, keep="last")
    found, made = run(tmp_path, index, p)
    tensors.set_up(threads=2, seed=3)
    built = network.build(index, p, None, own=tmp_path)
    own = job.build(built, tmp_path / "data/records", index, p=p, seed=3)
    assert list(custom_loop.train(own)) == pytest.approx([row["loss"] for row in found.rows], rel=1e-5)
    for one, other in zip(own.learner.trainable_weights, made.learner.trainable_weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
