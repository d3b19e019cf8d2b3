"""Runs of one recipe that differ in the seed only: how much a metric scatters by luck.

Each run is `train` and `evaluate` as DVC would run them, in a folder of its own, on the records of this checkout. What
they say of the test images is written to registry/noise.json, for `register` and for people; it holds as long as recipe
and data stay about the same.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import yaml

from assay import files, params
from assay.dataset import splits
from assay.errors import AssayError
from assay.evaluation import noise
from assay.versions import git, scratch
from assay.versions.tagged import ARTIFACT, STAGE

METRICS = ("accuracy", "f1_macro", "recall_macro")
FEWEST = 2  # runs, that a scatter can be told from


def record(p: params.Params, n_runs: int) -> Iterator[str]:
    """Write registry/noise.json after `n_runs` trainings; yield a line after each, and one at the end.

    Raises `AssayError` for fewer than `FEWEST`, for another recipe than the champion's, and for a run that fails.
    """
    if n_runs < FEWEST:
        raise AssayError(f"noise: {n_runs} runs, at least {FEWEST} are needed to say how much they differ")
    _check_recipe(p)
    content = files.read_yaml(params.FILE)
    seeds = [p.seed + number for number in range(1, n_runs + 1)]
    runs = []
    for seed in seeds:
        runs.append(run(content | {"seed": seed}))
        yield f"seed {seed}: " + ", ".join(f"{name} {runs[-1][0][name]:.4f}" for name in METRICS)
    ledger = splits.identity(splits.read(p.paths.ledger))
    found = summary(seeds, runs) | {"recipe": noise.recipe(content), "ledger": ledger}
    files.write_json(p.paths.noise, found)
    deviation = np.std(found["metrics"]["accuracy"], ddof=1)
    yield (
        f"{p.paths.noise}: accuracy scatters by {deviation:.4f} (standard deviation of {n_runs} runs), two of them "
        f"disagree on {100 * found['disagreement']:.1f} % of {found['n_images']:,} test images; commit it"
    )


Run = tuple[dict[str, float], pd.DataFrame]  # the metrics; label and predicted of each test image, by sha256


def summary(seeds: Sequence[int], runs: Sequence[Run]) -> dict[str, Any]:
    """Return what the runs say: each metric of each run, and on what share of the images two of them disagree."""
    right = np.stack([(said["label"] == said["predicted"]).to_numpy() for _, said in runs], axis=1)
    pairs = itertools.combinations(range(len(runs)), 2)
    return {
        "seeds": list(seeds),
        "n_images": len(right),
        "metrics": {name: [metrics[name] for metrics, _ in runs] for name in METRICS},
        "disagreement": round(float(np.mean([(right[:, a] != right[:, b]).mean() for a, b in pairs])), 6),
    }


def _check_recipe(p: params.Params) -> None:
    tags = git.run("tag", "--list", f"{ARTIFACT}#{STAGE}#*", "--sort=-v:refname", about="noise").split()
    if not tags:
        return
    then = yaml.safe_load(git.show(params.FILE, f"{tags[0]}^{{commit}}", about="noise"))
    now = files.read_yaml(params.FILE)
    if differ := [name for name in noise.RECIPE if then.get(name) != now[name]]:
        raise AssayError(
            f"noise: {params.FILE} has another `{differ[0]}` than the champion ({tags[0]}), whose recipe is to be "
            f"repeated; `git show {tags[0]}:{params.FILE}` has it"
        )


def run(content: dict[str, Any]) -> Run:
    """Return what one training comes to; `content`: of params.yaml. Raises `AssayError` if a stage fails."""
    with scratch.run(content, ("train", "evaluate"), about="noise") as done:
        texts = {"sha256": str, "label": str, "predicted": str}
        file = done.folder / done.paths["predictions"]
        said = pd.read_csv(file, dtype=texts, keep_default_na=False, usecols=list(texts))
        return done.metrics("eval"), said.set_index("sha256")
