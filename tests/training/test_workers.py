"""Two workers on this machine that learn together, each in its own process."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from checkouts import ROOT
from shards_made import write_data

WORK = """
import dataclasses, hashlib, json, sys
from pathlib import Path
import numpy as np
from assay import params
from assay.dataset.records import contents
from assay.training import devices, fit, job, network, phases

folder, way = Path(sys.argv[1]), sys.argv[2]
p = params.load(Path(sys.argv[3]) / "params.yaml").train
small = {"filters": (4, 8), "epochs": 3, "batch_images": 8, "dropout": 0.0, "distribute": way, "keep": "last"}
small |= {"augment": params.Augment(preset="none"), "normalisation": "none", "optimizer": "sgd", "imbalance": "none"}
p = dataclasses.replace(p, **small)
strategy, told = devices.begin(p, threads=1, seed=3)
index = contents.read_index(folder / "data/records.json")
with strategy.scope():
    built = network.build(index, p, None, own=folder)
    made = job.build(built, folder / "data/records", index, p=p, seed=3)
found = fit.fit(made, phases.phases(built, p), place=folder / "place", of={})
weights = b"".join(np.array(weight).tobytes() for weight in built.get_weights())
losses = [row["val_loss"] for row in found.rows]
chief = devices.is_chief(strategy)
print(json.dumps({"told": told, "chief": chief, "losses": losses, "weights": hashlib.sha256(weights).hexdigest()}))
"""


def begin(folder: Path, way: str, **environment: str) -> subprocess.Popen[str]:
    variables = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    command = [sys.executable, "-c", WORK, str(folder), way, str(ROOT)]
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
    workers = [begin(tmp_path, "workers", TF_CONFIG=json.dumps(config)) for config in configs]
    first, second = (said(worker) for worker in workers)
    alone = said(begin(tmp_path, "none"))
    assert "2 replicas" in str(first["told"])
    assert [first["chief"], second["chief"], alone["chief"]] == [True, False, True]
    assert first["weights"] == second["weights"]
    assert first["losses"] == second["losses"]
    assert first["losses"] == pytest.approx(alone["losses"], rel=1e-4)
