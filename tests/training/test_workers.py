"""Two workers on this machine that learn together, each in its own process."""

import dataclasses
import hashlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkouts import ROOT
from shards_made import write_data

from assay import params
from assay.dataset.records import contents
from assay.training import devices, fit, job, network, phases

WORK = """
import json, sys
from pathlib import Path
import test_workers
print(json.dumps(test_workers.learnt(Path(sys.argv[1]), "workers")))
"""
PARENTS = os.pathsep.join([str(ROOT), str(Path(__file__).parent), str(ROOT / "tests/support")])


def learnt(folder: Path, way: str) -> dict[str, Any]:
    """Return what a worker says at the end, or one that learns alone."""
    p = params.load(ROOT / "params.yaml").train
    small = {"filters": (4, 8), "epochs": 3, "batch_images": 8, "dropout": 0.0, "distribute": way, "keep": "last"}
    small |= {"augment": params.Augment(preset="none"), "normalisation": "none", "optimizer": "sgd"}
    p = dataclasses.replace(p, **small, imbalance="none")
    strategy, told = devices.begin(p, threads=2, seed=3)
    index = contents.read_index(folder / "data/records.json")
    with strategy.scope():
        built = network.build(index, p, None, own=folder)
        made = job.build(built, folder / "data/records", index, p=p, seed=3)
    found = fit.fit(made, phases.phases(built, p), place=folder / "place", of={})
    weights = b"".join(np.array(weight).tobytes() for weight in built.get_weights())
    losses = [row["val_loss"] for row in found.rows]
    chief = devices.is_chief(strategy)
    return {"told": told, "chief": chief, "losses": losses, "weights": hashlib.sha256(weights).hexdigest()}


def begin(folder: Path, **environment: str) -> subprocess.Popen[str]:
    variables = os.environ | {"PYTHONPATH": PARENTS} | environment
    command = [sys.executable, "-c", WORK, str(folder)]
    return subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def said(process: subprocess.Popen[str]) -> dict[str, object]:
    out, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    return dict(json.loads(out.splitlines()[-1]))


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.mark.slow
def test_two_workers_learn_the_same_weights_and_what_one_would_learn(tmp_path: Path) -> None:
    write_data(tmp_path, counts={"train": (12, 12), "val": (6, 6)})
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    configs = [{"cluster": {"worker": addresses}, "task": {"type": "worker", "index": n}} for n in range(2)]
    workers = [begin(tmp_path, TF_CONFIG=json.dumps(config)) for config in configs]
    first, second = (said(worker) for worker in workers)
    alone = learnt(tmp_path, "none")
    assert "2 replicas" in str(first["told"])
    assert [first["chief"], second["chief"], alone["chief"]] == [True, False, True]
    assert first["weights"] == second["weights"]
    assert first["losses"] == second["losses"]
    assert first["losses"] == pytest.approx(alone["losses"], rel=1e-4)
