"""Fitting a network: its phases, what happens after each epoch, and how a run that was killed goes on.

Keras' own `fit` runs the steps. What changes in a run is its `State`, the learner and the optimizer: a checkpoint holds
the three, and everything else is a function of the epoch.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assay.errors import AssayError
from assay.labels import ACCURACY
from assay.training import (
    checkpoints,
    fingerprint,
    guards,
    inspection,
    keeping,
    measure,
    optimizers,
    progress,
    schedule,
    shuffled,
    stopping,
    tensorboard,
    watch,
)
from assay.training.fingerprint import Moment
from assay.training.job import Job
from assay.training.phases import Phase
from assay.training.state import State
from assay.training.tensors import keras, tf

After = Callable[[Mapping[str, Any]], object]
MEASURED = 5  # steps, before the first: the fastest says what to expect


@dataclass(frozen=True, kw_only=True)
class Fit:
    kept_epoch: int  # from 1
    rows: tuple[dict[str, Any], ...]  # of each epoch
    margins: np.ndarray  # float32 [epochs, N], NaN where an image was not shown
    began: dict[str, float]  # the size of each kernel
    ended: str | None  # why, if not after the last epoch
    fingerprint: dict[str, Moment]


class Stopped(AssayError):
    """A run that can't be right."""

    def __init__(self, said: str, so_far: Fit) -> None:
        super().__init__(said)
        self.so_far = so_far  # of epoch 0 where none ended


def fit(
    job: Job, phases: Sequence[Phase], *, place: Path, of: Mapping[str, str], after: After = lambda row: None
) -> Fit:
    """Return what every epoch measured; the learner keeps the weights of the epoch that the rule of the job says.

    `place`: where the checkpoint is, which only a run `of` the same takes up; `after`: is given what each epoch
    measured, and may raise to end the run. Raises `Stopped` for a run that can't be right: numbers that are none, or
    nothing learnt.
    """
    run = Run(job, phases, place=place, of=of, after=after)
    run.resume()
    for number, phase in enumerate(phases):
        if run.state.epoch < phase.end and not run.state.ended:
            run.go(number, phase)
    return run.finish()


class Run(keras.callbacks.Callback):  # type: ignore[misc]
    """One run: what Keras' `fit` calls after each step and each epoch."""

    def __init__(self, job: Job, phases: Sequence[Phase], *, place: Path, of: Mapping[str, str], after: After) -> None:
        super().__init__()
        self.after = after
        self.job, self.p, self.learner, self.task = job, job.p, job.learner, job.index.task
        self.phases, self.place, self.of = phases, place, of
        self.state = State()
        self.margins: list[np.ndarray] = []  # of each epoch
        self.best = checkpoints.take(self.learner.weights)
        self.taken: checkpoints.Checkpoint | None = None  # until its optimizer was given back

    def resume(self) -> None:
        """Take up the checkpoint, if there is one of this very run; several workers would have to agree on one."""
        if self.job.is_shared:
            return
        found = checkpoints.read(self.place, of=self.of)
        if isinstance(found, str):
            print(f"checkpoint: {found}; the run begins anew", flush=True)
            checkpoints.remove(self.place)
        if not isinstance(found, checkpoints.Checkpoint):
            return
        self.taken, self.state = found, State.of(found.state)
        checkpoints.give(self.learner.variables, found.arrays["model"])
        self.best, self.margins = found.arrays["best"], found.arrays.get("margins", [])
        print(f"checkpoint: goes on after epoch {self.state.epoch}", flush=True)

    def go(self, number: int, phase: Phase) -> None:
        """Run the epochs of a phase that are left."""
        phase.prepare()
        self.phase = phase
        self._compile()
        if self.taken and self.state.phase == number:
            checkpoints.give(self.learner.optimizer.variables, self.taken.arrays["optimizer"])
        elif number:
            self.state.phase, self.state.plateau = number, schedule.Plateau()
        self.taken = None
        self.table.factor.assign(self.state.plateau.factor)
        self.state.began = inspection.sizes(self.learner) | self.state.began
        self.begun = self._arrays()
        if self.state.epoch == 0:
            first = self.job.epochs(0, 1).take(1).cache()
            print(self._expected(first), flush=True)
            images, *_ = next(iter(first))
            self.state.fingerprint["first_batch"] = fingerprint.of_batch(self.learner, images)
        self.started = time.monotonic() - self.state.elapsed_s
        self.learner.fit(
            self.job.epochs(self.state.epoch, phase.end),
            initial_epoch=self.state.epoch,
            epochs=phase.end,
            steps_per_epoch=self.job.plan.steps,
            shuffle=False,
            callbacks=[self],
            verbose=0,
        )

    def _compile(self) -> None:
        p, phase = self.p, self.phase
        rates = schedule.rates(
            p.schedule,
            learning_rate=phase.learning_rate,
            warmup_share=p.warmup_share,
            steps=(phase.end - phase.begin) * self.job.plan.steps,
        )
        with self.learner.distribute_strategy.scope():
            self.table = schedule.Table(rates)
            optimizer = optimizers.build(
                p.optimizer, self.table, weight_decay=p.weight_decay, momentum=p.momentum, clip_norm=p.clip_norm
            )
            self.learner.compile(optimizer, jit_compile=p.jit_compile)
            self.learner.optimizer.build(self.learner.trainable_variables)

    def _arrays(self) -> dict[str, list[np.ndarray]]:
        return {
            "model": checkpoints.take(self.learner.variables),
            "optimizer": checkpoints.take(self.learner.optimizer.variables),
        }

    def _give(self, arrays: Mapping[str, list[np.ndarray]]) -> None:
        checkpoints.give(self.learner.variables, arrays["model"])
        checkpoints.give(self.learner.optimizer.variables, arrays["optimizer"])

    def _expected(self, first: tf.data.Dataset) -> str:
        """Say what the run costs, after a few steps on its `first` batch that were measured and taken back."""
        step_s = None
        if self.learner.distribute_strategy.num_replicas_in_sync == 1:
            data = iter(first.repeat(MEASURED))
            self.learner.make_train_function()
            step_s = min(_seconds(lambda: self.learner.train_function(data)) for _ in range(MEASURED))
            self._give(self.begun)
            self.learner.forget()
        return progress.expected(
            n_images=shuffled.shown(self.job.plan.rates),
            steps=self.job.plan.steps,
            epochs=self.phases[-1].end,
            n_parameters=self.learner.count_params(),
            step_s=step_s,
        )

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch_began = time.monotonic()
        self.bar = progress.Bar(f"epoch {epoch + 1}/{self.phases[-1].end}", self.job.plan.steps)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float]) -> None:
        if not math.isfinite(logs["loss"]):
            self.bar.close()
            self._give(self.begun)
            said = stopping.not_finite(self.job, self.state, batch=batch, loss=logs["loss"])
            self._give(self.begun)
            raise self._stopped(said)
        if self.state.epoch == 0 and batch == 0:
            self.state.fingerprint["first_step"] = fingerprint.of_weights(self.learner)
        self.bar.step(logs, ACCURACY[self.task])
        if self.p.max_minutes and time.monotonic() - self.started > 60 * self.p.max_minutes:
            self.state.ended = f"after {self.p.max_minutes:g} minutes (train.max_minutes)"
            self.learner.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        self.bar.close()
        state = self.state
        state.epoch = epoch + 1
        row = self._measured(logs)
        state.rows.append(row)
        state.elapsed_s = time.monotonic() - self.started
        seconds = time.monotonic() - self.epoch_began
        print(progress.line(row, epochs=self.phases[-1].end, task=self.task, seconds=seconds), flush=True)
        tensorboard.write(self.place / "tensorboard", row, self.learner, what=self.p.tensorboard)
        state.kept = keeping.step(state.kept, [each["val_objective"] for each in state.rows], self.job.rule)
        if state.kept.epoch == state.epoch:
            self.best = checkpoints.take(self.learner.weights)
        if self.p.schedule == "plateau":
            state.plateau = schedule.fall(state.plateau, row["val_objective"], patience_epochs=self.p.plateau_epochs)
            self.table.factor.assign(state.plateau.factor)
        if state.epoch == 1:
            state.fingerprint["first_epoch"] = fingerprint.of_weights(self.learner)
        self._check_learning()
        self.after(row)
        self._end()
        self.begun = self._arrays()
        self._save()

    def _measured(self, logs: Mapping[str, float]) -> dict[str, Any]:
        """Return what is known of the epoch, after its signs of learning were taken down."""
        answers, truth = measure.logits(self.job.answer, self.job.val)
        clean_answers, clean_truth = measure.logits(self.job.answer, self.job.sample)
        val = measure.measured(truth, answers, self.task)
        clean = measure.measured(clean_truth, clean_answers, self.task)
        margins = self.learner.margins.taken() if self.learner.margins else None
        self.margins += [] if margins is None else [margins]
        self.n_predicted = len(np.unique(answers.argmax(axis=1)))
        above = watch.above_chance(answers, truth, margins=margins, labels=self.job.names.labels, task=self.task)
        self.state.signs.append(
            guards.Signs(cross_entropy=float(logs["cross_entropy"]), val_loss=val.loss, above_chance=above)
        )
        n_steps = (self.state.epoch - self.phase.begin) * self.job.plan.steps
        return {
            "epoch": self.state.epoch,
            **{name: float(logs[name]) for name in ("loss", "cross_entropy", "accuracy")},
            "clean_loss": clean.loss,
            "clean_accuracy": clean.accuracy,
            "val_loss": val.loss,
            "val_accuracy": val.accuracy,
            "val_objective": self.job.objective.of(truth, answers),
            "rate": float(self.table.rates[n_steps - 1]) * self.state.plateau.factor,
            "update_ratio": math.exp(float(logs["update"])),
        }

    def _check_learning(self) -> None:
        """Raise `Stopped` once a run that could have learnt has not, or has lost it again."""
        said = stopping.nothing_learnt(
            self.job,
            self.state,
            epochs=self.phases[-1].end,
            learning_rate=self.phase.learning_rate,
            n_predicted=self.n_predicted,
        )
        if said:
            raise self._stopped(said)

    def _stopped(self, said: str) -> Stopped:
        checkpoints.remove(self.place)
        return Stopped(said, self._found())

    def _end(self) -> None:
        p, state = self.p, self.state
        if p.patience_epochs and state.kept.waited >= p.patience_epochs:
            state.ended = f"after {state.kept.waited} epochs without a better one (train.patience_epochs)"
        elif p.max_epochs and p.max_epochs <= state.epoch < self.phases[-1].end:
            state.ended = f"after {state.epoch} epochs (train.max_epochs)"
        self.learner.stop_training = state.ended is not None

    def _save(self) -> None:
        """Write a checkpoint; a disk that is full costs the way back and not the run."""
        if self.job.is_shared:
            return
        arrays = self.begun | {"best": self.best, "margins": self.margins}
        try:
            checkpoints.write(self.place, checkpoints.Checkpoint(arrays=arrays, state=asdict(self.state)), of=self.of)
        except OSError as error:
            print(f"checkpoint: not written, {error.strerror}; the run goes on", flush=True)

    def finish(self) -> Fit:
        """Return what was measured, after the weights of the epoch that is kept were put in place."""
        state = self.state
        if state.ended:
            print(f"ended {state.ended}", flush=True)
        checkpoints.give(self.learner.weights, self.best)
        return self._found()

    def _found(self) -> Fit:
        state = self.state
        return Fit(
            kept_epoch=state.kept.epoch,
            rows=tuple(state.rows),
            margins=np.array(self.margins, np.float32).reshape(-1, len(self.job.names.labels)),
            began=state.began,
            ended=state.ended,
            fingerprint=state.fingerprint | {"end": fingerprint.of_weights(self.learner)},
        )


def _seconds(step: Callable[[], object]) -> float:
    begun = time.monotonic()
    step()
    return time.monotonic() - begun
