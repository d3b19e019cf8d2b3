"""The training of the stage `train` as a loop of one's own: `python examples/custom_loop.py`, where params.yaml is.

Start from here for what Keras' `fit` can't do: another loss for each batch, two optimizers, a network that teaches
another. The batches, their order and their augmentation are those of the stage, and so are the losses, to the bit.
"""

from collections.abc import Iterator

from assay import params
from assay.dataset.records import contents
from assay.training import job, losses, network, optimizers, schedule
from assay.training.tensors import set_up, tf


def train(made: job.Job) -> Iterator[float]:
    """Yield the mean loss of each epoch; the learner of the job has learnt then."""
    p, model = made.p, made.learner
    rates = schedule.rates(
        p.schedule, learning_rate=p.learning_rate, warmup_share=p.warmup_share, steps=p.epochs * made.plan.steps
    )
    optimizer = optimizers.build(
        p.optimizer,
        schedule.Table(rates),
        weight_decay=p.weight_decay,
        momentum=p.momentum,
        clip_norm=p.clip_norm,
    )

    @tf.function
    def step(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        kernels = [weight for weight in model.trainable_weights if len(weight.shape) > 1]
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model.loss_of(labels, model(images, training=True)))
            loss += losses.of_sizes(kernels, l1=p.l1, l2=p.l2)
        gradients = tape.gradient(loss, model.trainable_weights)
        optimizer.apply_gradients(zip(gradients, model.trainable_weights, strict=True))
        return loss

    for epoch in range(p.epochs):
        total, n_images = 0.0, 0
        for images, labels, _ in made.epochs(epoch, epoch + 1):
            total += float(step(images, labels)) * len(labels)
            n_images += len(labels)
        yield total / n_images


def main() -> None:
    p = params.load()
    index = contents.read_index(p.paths.index)
    set_up(threads=p.threads, seed=p.seed, portable=p.train.portable)
    built = network.build(index, p.train, own=p.paths.networks)
    made = job.build(built, p.paths.records, index, p=p.train, seed=p.seed)
    for epoch, loss in enumerate(train(made), 1):
        print(f"epoch {epoch}/{p.train.epochs}: loss {loss:.4f}", flush=True)


if __name__ == "__main__":
    main()
