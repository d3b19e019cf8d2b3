"""The promotion rule on real trainings that differ in the seed only: `python -m benchmarks.seeds [RUNS] [EPOCHS]`.

The project's network learns from 300 of scikit-learn's digits, so that it stays weak enough to scatter, once per seed,
and is tested on the other 1,497. Each run is held against each other one, with what five of the rest say of the noise.
To call the change better is always wrong. promotion.md says what came out.
"""

import itertools
import sys
from pathlib import Path

import numpy as np
import sklearn.datasets
from PIL import Image

from assay import params
from assay.dataset.records.contents import Index, Split
from assay.evaluation import against, metrics, verdict
from assay.evaluation.noise import Noise
from assay.training import network
from assay.training.tensors import draw_from, keras, set_up

N_TRAIN = 300
TESTED = (361, 1497)  # on so many of the test images
SIDE_PX, N_CLASSES = 16, 10
RATE, BATCH = 0.002, 32
OTHERS = 5  # runs that tell the noise, as `assay noise` takes
CLASSES = tuple("0123456789")


def main(n_runs: int, epochs: int) -> None:
    p = params.load(Path("params.yaml"))
    set_up(threads=1, seed=0, portable=False)
    images, truth = digits()
    said = np.stack([trained(seed, images, truth, p.train, epochs) for seed in range(n_runs)])
    for n in TESTED:
        told(said[:, :n], truth[N_TRAIN : N_TRAIN + n], p.register)


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels uint8 [N, 16, 16, 1] and labels [N] in an order of chance."""
    found = sklearn.datasets.load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    grey = (found.images[order] * 15.9375).astype(np.uint8)
    resized = [np.asarray(Image.fromarray(each).resize((SIDE_PX, SIDE_PX), Image.Resampling.BILINEAR)) for each in grey]
    return np.stack(resized)[..., None], found.target[order]


def trained(seed: int, images: np.ndarray, truth: np.ndarray, p: params.Train, epochs: int) -> np.ndarray:
    """Return what the network of this seed says of the test images [N]."""
    counts = tuple(int(count) for count in np.bincount(truth[:N_TRAIN], minlength=N_CLASSES))
    splits = dict.fromkeys(("train", "val", "test"), Split(n_images=N_TRAIN, class_counts=counts, shards=()))
    index = Index(height_px=SIDE_PX, width_px=SIDE_PX, channels=1, classes=CLASSES, splits=splits)
    keras.backend.clear_session()
    draw_from(seed)
    model = network.build(index, p, own=Path("nowhere"))
    model.compile(keras.optimizers.Adam(RATE), "sparse_categorical_crossentropy")
    model.fit(images[:N_TRAIN], truth[:N_TRAIN], epochs=epochs, batch_size=BATCH, verbose=0)
    named = model.predict(images[N_TRAIN:], batch_size=512, verbose=0).argmax(axis=1)
    print(f"seed {seed}: accuracy {(named == truth[N_TRAIN:]).mean():.4f}", flush=True)
    return np.asarray(named)


def told(said: np.ndarray, truth: np.ndarray, p: params.Register) -> None:
    right = said == truth
    accuracies = right.mean(axis=1)
    pairs = list(itertools.permutations(range(len(said)), 2))
    disagreement = np.mean([(right[old] != right[new]).mean() for old, new in pairs])
    print(f"{len(truth):,} test images: accuracy {accuracies.mean():.4f}, deviation {accuracies.std(ddof=1):.4f}, ")
    print(f"  disagreement {disagreement:.4f}, {len(pairs)} ordered pairs")
    names = ("more points", "better on these images", "better change", "promoted")
    found = np.mean([judged(said, truth, accuracies, pair, p) for pair in pairs], axis=0)
    print("  " + ", ".join(f"{name} {share:.3f}" for name, share in zip(names, found, strict=True)), flush=True)


def judged(
    said: np.ndarray, truth: np.ndarray, accuracies: np.ndarray, pair: tuple[int, int], p: params.Register
) -> tuple[bool, bool, bool, bool]:
    """Return whether the new run has more points, is called better, its change too, and whether it is promoted."""
    old, new = pair
    rest = [at for at in range(len(said)) if at not in pair]
    chosen = np.random.default_rng(100 * old + new).choice(rest, OTHERS, replace=False)
    right = said[chosen] == truth
    disagreement = float(np.mean([(a != b).mean() for a, b in itertools.combinations(right, 2)]))
    noise = Noise(runs=tuple(accuracies[chosen].tolist()), disagreement=disagreement)
    actual, was, now = (metrics.one_hot(numbers, N_CLASSES) for numbers in (truth, said[old], said[new]))
    sides = against.Sides(
        actual=actual,
        old=was,
        old_right=said[old] == truth,
        new=now,
        groups=np.arange(len(truth)),
        classes=CLASSES,
        task="single_label",
    )
    found = against.against(sides, noise, 1, p)
    promoted = verdict.decide(verdict.relative(found, sides, "v1", p)) == "promote"
    is_better = found.model_verdict.startswith("better")
    return found.difference.value > 0, is_better, found.change.verdict == "better", promoted


if __name__ == "__main__":
    main(*(int(argument) for argument in [*sys.argv[1:], "12", "8"][:2]))
