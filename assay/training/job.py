"""What a run is made of, before it begins: the data, the loss, the learner. None of it changes while it runs."""

import math
from dataclasses import dataclass
from pathlib import Path

from assay import params
from assay.dataset.records.contents import Index
from assay.training import augment, batches, guards, imbalance, keeping, losses, measure, objective, shuffled, steps
from assay.training.network import Statistics
from assay.training.tensors import keras, tf

SAMPLE_SHARE, SAMPLE_IMAGES = 0.1, 2000  # of train, measured as in use after each epoch: at most 5 % of its cost


@dataclass(frozen=True, kw_only=True)
class Job:
    folder: Path  # of the shards
    index: Index
    p: params.Train
    names: batches.Names  # of the train images
    plan: shuffled.Plan
    guessing: float  # the loss of who knows only how common the classes are
    objective: objective.Objective
    n_alike: float  # val images that would tell as much about it if all weighed the same
    rule: keeping.Rule
    learner: steps.Learner
    answer: measure.Answer  # of the learner
    val: tf.data.Dataset  # (images, labels)
    sample: tf.data.Dataset  # of train, the same: enough for a curve

    @property
    def is_shared(self) -> bool:
        """Whether several processes work on it: `train.distribute: workers`."""
        return self.learner.distribute_strategy.cluster_resolver is not None

    def epochs(self, first: int, end: int) -> tf.data.Dataset:
        """Return the batches of the epochs `first` to `end` - 1, from 0."""
        return shuffled.shuffled(
            self.folder, self.index, "train", plan=self.plan, names=self.names, first=first, epochs=end
        )


def statistics(folder: Path, index: Index, p: params.Train) -> Statistics | None:
    """Return what `p.scale` "standard" scales by, of the train split alone.

    The others' would tell the network of images it must not have seen. None: another scale needs none.
    """
    if p.scale != "standard":
        return None
    mean, deviation = batches.statistics(folder, index, "train", batch_images=p.batch_images)
    return Statistics(mean=tuple(map(float, mean)), deviation=tuple(map(float, deviation)))


def build(network: keras.Model, folder: Path, index: Index, *, p: params.Train, seed: int) -> Job:
    """Return the job of fitting the network; to be called in the scope of the strategy."""
    names = batches.names(folder, index, "train")
    labels, n_classes = names.labels, len(index.classes)
    rates = imbalance.rates(labels, n_classes, p.imbalance)
    loss = losses.build(
        index.task,
        method=p.imbalance,
        weights=imbalance.weights(labels, n_classes, p.imbalance),
        offsets=imbalance.offsets(labels, n_classes, p.imbalance),
        smoothing=p.label_smoothing,
    )
    aim = objective.Objective(task=index.task, method=p.imbalance, train=labels, n_classes=n_classes)
    n_alike = aim.n_alike(batches.names(folder, index, "val").labels)
    learner = steps.learner(network, loss=loss, task=index.task, n_images=len(labels), l1=p.l1, l2=p.l2)
    n_sample = min(SAMPLE_IMAGES, max(100, round(SAMPLE_SHARE * len(labels))))
    ordered = batches.ordered(folder, index, "train", batch_images=p.batch_images)
    return Job(
        folder=folder,
        index=index,
        p=p,
        names=names,
        plan=shuffled.Plan(seed=seed, batch_images=p.batch_images, strengths=augment.strengths(p.augment), rates=rates),
        guessing=guards.guessing(labels, n_classes, rates),
        objective=aim,
        n_alike=n_alike,
        rule=keeping.rule(p.keep, n_alike),
        learner=learner,
        answer=measure.answering(learner),
        val=batches.ordered(folder, index, "val", batch_images=p.batch_images, again=True),
        sample=ordered.take(math.ceil(n_sample / p.batch_images)).cache(),
    )
