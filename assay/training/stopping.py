"""Why a run is stopped, in words: it learns nothing, or its numbers end."""

from assay.training import guards, inspection, watch
from assay.training.job import Job
from assay.training.state import State


def nothing_learnt(job: Job, state: State, *, epochs: int, learning_rate: float, n_predicted: int) -> str | None:
    """Return why a run that could have learnt by now has not, or has lost it again; None while it may go on."""
    soonest = guards.soonest(epochs=epochs, steps=job.plan.steps, warmup_share=job.p.warmup_share)
    recent = guards.recent(state.signs, epochs=epochs)
    if not soonest <= state.epoch < epochs or not guards.learnt_nothing(recent, guessing=job.guessing):
        return None
    symptoms = watch.symptoms(job.learner, job.sample, task=job.index.task, began=state.began, n_predicted=n_predicted)
    never = guards.learnt_nothing(state.signs, guessing=job.guessing)
    if not never and not guards.has_grown(symptoms):
        return None
    seen = "nothing was learnt in" if never else "nothing is left of what was learnt, after"
    loss, n_classes = state.rows[-1]["cross_entropy"], len(job.index.classes)
    return (
        f"{seen} {state.epoch} of {epochs} epochs: the loss is {loss:.4g}, that of guessing {job.guessing:.4g}; "
        f"{guards.reason(symptoms, n_classes=n_classes, learning_rate=learning_rate)}"
    )


def not_finite(job: Job, state: State, *, batch: int, loss: float) -> str:
    """Return where the numbers end in a batch of this epoch; the learner has the weights of the epoch's begin.

    It runs the epoch again up to the batch, which gives the same bits.
    """
    data = iter(job.epochs(state.epoch, state.epoch + 1))
    for _ in range(batch):
        job.learner.train_function(data)
    images, labels, _ = next(data)
    where = inspection.first_not_finite(job.learner, images, labels, job.index.task)
    return (
        f"loss: {loss} in batch {batch + 1} of epoch {state.epoch + 1}, first in {where}; a lower rate or clipping may "
        "help (params.yaml: train.learning_rate, train.clip_norm)"
    )
