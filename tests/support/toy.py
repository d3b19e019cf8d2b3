"""A toy project: git, DVC and four stages of a few lines, in which a whole retraining takes seconds.

Its source is a folder CLASS/FILE; the "model" is a hash over the listing, and the more files the better it is. What a
stage does beside that stands in files of which DVC knows nothing: `does/<stage>.py`.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import warm
import yaml
from checkouts import ROOT

STEP = """
import hashlib, json, os, sys, time
from pathlib import Path
from assay import files
from assay.operations import stage_run
from assay.sources import opening
from assay.errors import AssayError, GateClosed

name = sys.argv[1]

def main(p):
    print("working on", name)
    for does in (Path(os.environ["TOY"]) / "does").glob(f"{name}.py"):
        exec(does.read_text(), globals())
    globals()[name](p)

def ingest(p):
    entries = opening.read_snapshot(p.paths.source).entries
    names = [entry.path for entry in entries]
    files.write_text(p.paths.raw / f"{len(names)}.tar", "x" * 100_000 + "\\n".join(names))
    files.write_json(p.paths.manifest, names)
    files.write_json(p.paths.metrics.data, {"data": {"n_images": len(names)}})

def gate(p):
    names = files.read_json(p.paths.manifest)
    bad, odd = ([name for name in names if name.startswith(f"{kind}/")] for kind in ("bad", "odd"))
    rule = {"severity": "critical", "success": not bad, "message": "known class", "observed": len(bad), "limit": 0}
    rule |= {"table": "labels", "failures": bad, "n_failed": len(bad), "quarantine": False}
    aside = rule | {"success": True, "message": "decodable", "failures": odd, "n_failed": len(odd), "quarantine": True}
    results = {"passed": not bad, "n_images": len(names), "expectations": [rule, aside],
               "quarantine": {"n_images": len(odd), "n_allowed": 0, "limit": 0.5, "share": len(odd) / len(names),
                              "paths": odd}}
    files.write_json(p.paths.validation / "results.json", results)
    files.write_text(p.paths.validation / "index.html", "page")
    if bad:
        raise GateClosed("closed by 1 critical expectation\\nknown class: " + ", ".join(bad))
    files.write_json(p.paths.passed, {"gate": "open"})

def train(p):
    names = files.read_json(p.paths.manifest)
    files.write_text(p.paths.model, "".join(hashlib.sha256(name.encode()).hexdigest() for name in names))

def register(p):
    n = len(files.read_json(p.paths.manifest))
    accuracy = round(n / 100, 4)
    champions = files.read_json(p.paths.champions)
    sha256 = files.sha256(p.paths.model)
    others = [each for each in champions if each["model"] != sha256]
    better = not others or accuracy > others[-1]["last_batch"] / 100
    check = {"name": "accuracy", "passed": better, "text": f"accuracy {accuracy}"}
    files.write_json(p.paths.metrics.eval, {"eval": {"accuracy": accuracy, "n_images": n}})
    files.write_text(p.paths.verdict / "index.html", "page")
    found = {"headline": ["likeliest cause: too few files"], "lines": ["1. There are too few files (certain)"]}
    files.write_json(p.paths.evaluation / "diagnosis.json", found)
    files.write_json(p.paths.candidate, {
        "verdict": "promote" if better else "hold", "task": "single_label", "classes": ["a", "b"],
        "checks": [check], "champion": None,
        "model": {"sha256": sha256}, "split": {"test": str(n), "n_test_images": n}, "last_batch": n, "errors": []})

stage_run.run(name, main)
"""
STAGES: dict[str, Any] = {
    "ingest": {
        "deps": ["${paths.source}"],
        "outs": [{"${paths.raw}": {"persist": True}}, "${paths.manifest}"],
        "metrics": [{"${paths.metrics.data}": {"cache": False}}],
        "meta": {"prefect": {"tags": ["cpu"]}},
    },
    "gate": {"deps": ["${paths.manifest}"], "outs": ["${paths.passed}", "${paths.validation}"]},
    "train": {
        "deps": ["${paths.manifest}", "${paths.passed}"],
        "params": ["train.epochs"],
        "outs": [{"${paths.model}": {"persist": True}}],
        "meta": {"prefect": {"tags": ["gpu"]}},
    },
    "register": {
        "deps": ["${paths.manifest}", "${paths.model}", "${paths.champions}"],
        "outs": [{"${paths.candidate}": {"cache": False}}, "${paths.evaluation}", "${paths.verdict}"],
        "metrics": [{"${paths.metrics.eval}": {"cache": False}}],
        "meta": {"prefect": {"tags": ["cpu"]}},
    },
}


def make(folder: Path, n_images: int = 10) -> Path:
    """Return the checkout, on branch main; beside it are `images` and `does`."""
    (folder / "does").mkdir(parents=True)
    checkout = repository(folder / "checkout")
    add_images(folder, n_images)
    for name in ("params.yaml", ".gitignore", ".dvcignore", "prefect.toml"):
        shutil.copy(ROOT / name, checkout)
    (checkout / "step.py").write_text(STEP)
    stages = {name: {"cmd": f"python -m step {name}"} | stage for name, stage in STAGES.items()}
    (checkout / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    (checkout / "registry").mkdir()
    (checkout / "registry/champions.json").write_text("[]\n")
    shutil.copy(ROOT / ".dvc/config", checkout / ".dvc/config")
    run(checkout, "assay", "snapshot", str(folder / "images"))
    run(checkout, "git", "add", "-A")
    run(checkout, "git", "commit", "-qm", "start")
    return checkout


def repository(folder: Path) -> Path:
    """Return the folder, now a repository of git and DVC, on branch main and without a commit."""
    folder.mkdir(parents=True)
    run(folder, "git", "init", "-q", "-b", "main")
    run(folder, "git", "config", "user.email", "tester@example.org")
    run(folder, "git", "config", "user.name", "Tester")
    run(folder, "dvc", "init", "-q")
    return folder


def add_images(folder: Path, n: int, label: str = "") -> None:
    """Add `n` files to the source, to two classes in turn or to the one that is named."""
    for number in range(n):
        place = folder / "images" / (label or ("ape", "bee")[number % 2])
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{len(list(place.iterdir())):03d}.png").write_text("image")


def does(checkout: Path, stage: str, code: str) -> None:
    (checkout.parent / f"does/{stage}.py").write_text(code)


def does_nothing(checkout: Path) -> None:
    for file in (checkout.parent / "does").glob("*.py"):
        file.unlink()


def environment(checkout: Path, **more: str) -> dict[str, str]:
    paths = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    clean = {key: value for key, value in os.environ.items() if not key.startswith("ASSAY_")}
    own = {"PATH": paths, "PYTHONPATH": str(ROOT), "GIT_CONFIG_GLOBAL": os.devnull, "TOY": str(checkout.parent)}
    return clean | own | more


def run(checkout: Path, *command: str, code: int = 0, **more: str) -> str:
    """Return what the command printed; fails unless it exits with `code`. It is warm, and what it runs (warm.py)."""
    given = ["python", "-m", *command] if command[0] in ("assay", "dvc", "flows.retrain") else list(command)
    variables = warm.added(environment(checkout, **more))
    done = subprocess.run(given, cwd=checkout, env=variables, capture_output=True, text=True, timeout=300)
    printed = done.stdout + done.stderr
    assert done.returncode == code, printed
    return printed.rstrip("\n")


def results(checkout: Path, revision: str) -> str:
    """Return what a retraining committed: the hashes of all outputs, and the candidate."""
    return "\n".join(run(checkout, "git", "show", f"{revision}:{f}") for f in ("dvc.lock", "registry/candidate.json"))


def branches(checkout: Path) -> list[str]:
    return run(checkout, "git", "for-each-ref", "--format=%(refname:short)", "refs/heads/retrain/").split()
