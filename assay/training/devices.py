"""Where training runs, and with which numbers; said at the start, and refused before any long work."""

import os

from assay import params
from assay.errors import AssayError
from assay.training.tensors import keras, quiet, set_up, tf

WORKERS = "TF_CONFIG"  # https://www.tensorflow.org/guide/distributed_training#TF_CONFIG


def begin(p: params.Train, *, threads: int, seed: int) -> tuple[tf.distribute.Strategy, str]:
    """Return the strategy in whose scope the model is to be made, and what to tell people of it.

    To be called before any other use of TensorFlow. A GPU's memory is taken as it is needed. Raises `AssayError` for a
    GPU that is asked for and not there, and for what only pays on one: on a CPU mixed precision and XLA lose.
    """
    with quiet():
        gpus = tf.config.list_physical_devices("GPU")
        if p.device == "cpu":
            tf.config.set_visible_devices([], "GPU")
            gpus = []
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
    check(p, n_gpus=len(gpus))
    set_up(threads=threads, seed=seed, portable=p.portable, deterministic=not p.jit_compile)
    place = f"{len(gpus)} GPU" if gpus else f"the CPU, {threads} threads"
    compute_with(p.precision)
    strategy = _strategy(p.distribute)
    replicas = strategy.num_replicas_in_sync
    several = f", {replicas} replicas" if replicas > 1 else ""
    compiled = ", compiled by XLA, so not the same bits each time" if p.jit_compile else ""
    return (
        strategy,
        f"{place}, {p.precision}{several}{compiled}",
    )


def n_gpus() -> int:
    """Return how many GPUs the process may use."""
    return len(tf.config.get_visible_devices("GPU"))


def compute_with(precision: str) -> None:
    """Let the layers that are made from now on compute with these numbers; their weights are float32 always."""
    keras.config.set_dtype_policy(precision)


def check(p: params.Train, *, n_gpus: int) -> None:
    """Raise `AssayError` for what this machine can't do."""
    if p.device == "gpu" and not n_gpus:
        raise AssayError("device: gpu, and TensorFlow sees none; auto takes what is there (params.yaml: train.device)")
    if p.precision != "float32" and not n_gpus:
        raise AssayError(
            f"precision: {p.precision}, and there is no GPU; on a CPU it is no faster, float32 is wanted "
            "(params.yaml: train.precision)"
        )
    if p.jit_compile and not n_gpus:
        raise AssayError(
            "jit_compile: true, and there is no GPU; on a CPU it takes twice as long (params.yaml: train.jit_compile)"
        )
    if p.distribute == "workers" and WORKERS not in os.environ:
        raise AssayError(
            f"distribute: workers, and {WORKERS} is not set, which names them (params.yaml: train.distribute)"
        )


def _strategy(distribute: str) -> tf.distribute.Strategy:
    match distribute:
        case "mirrored":
            return tf.distribute.MirroredStrategy()
        case "workers":
            return tf.distribute.MultiWorkerMirroredStrategy()
    return tf.distribute.get_strategy()


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Say whether this process is the one that writes: of several workers the first."""
    resolver = strategy.cluster_resolver
    return resolver is None or (resolver.task_type, resolver.task_id) in (("worker", 0), ("chief", 0))
