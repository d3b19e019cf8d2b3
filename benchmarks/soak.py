"""What is left of many retrainings in a row: `python -m benchmarks.soak [N]`; twelve to twenty seconds for each.

A machine as its user has it (Prefect's server on SQLite, `assay serve-flows`) retrains the toy project of the tests N
times; before each, one image comes. Printed is what grew, then what `assay clean` removed, and whether each output of
each tag is still there. soak.md says what came out.
"""

import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import psutil
import yaml
from prefect.settings import PREFECT_API_URL, temporary_settings

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # the toy project is theirs

import toy
from machine import Machine

WARM = 5  # the first retrainings, in which caches fill
GROWS = {
    "seconds": "a retraining, seconds by the clock",
    "server_mib": "Prefect's server: memory, MiB",
    "serve_mib": "serve: memory, MiB",
    "server_files": "Prefect's server: open files",
    "serve_files": "serve: open files",
    "worktrees": "worktrees beside the checkout",
    "prefect_kib": "Prefect's database and files, kiB",
    "git_kib": "git, kiB",
    "cache_kib": "DVC's cache, kiB",
    "assay_kib": "`.assay`: reports, memo, kiB",
}


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a machine held after a retraining, as in GROWS."""

    seconds: float
    server_mib: float
    serve_mib: float
    server_files: int
    serve_files: int
    worktrees: int
    prefect_kib: float
    git_kib: float
    cache_kib: float
    assay_kib: float


def main(n: int) -> None:
    assert n > 2 * WARM, f"fewer than {2 * WARM} retrainings show no growth"
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(Path(folder), alerts="")
        with temporary_settings({PREFECT_API_URL: machine.api}):
            machine.start("server")
            machine.start("serve")
            try:
                seen = [retrain(machine) for _ in range(n)]
            finally:
                machine.stop()
        report(seen)
        clean(machine.checkout)


def retrain(machine: Machine) -> Seen:
    """Let one image come and one retraining end; return what there is then."""
    toy.add_images(machine.checkout.parent, 1)
    begun = time.perf_counter()
    end = machine.end(machine.ask())
    assert end == "Completed", end
    return look(machine, time.perf_counter() - begun)


def look(machine: Machine, seconds: float) -> Seen:
    checkout = machine.checkout
    server, serve = (psutil.Process(machine.processes[name].pid) for name in ("server", "serve"))
    return Seen(
        seconds=seconds,
        server_mib=server.memory_info().rss / 2**20,
        serve_mib=serve.memory_info().rss / 2**20,
        server_files=server.num_fds(),
        serve_files=serve.num_fds(),
        worktrees=len(machine.git("worktree", "list").splitlines()) - 1,
        prefect_kib=size(machine.home),
        git_kib=size(checkout / ".git"),
        cache_kib=size(checkout / ".dvc/cache"),
        assay_kib=size(checkout / ".assay"),
    )


def size(folder: Path) -> float:
    """Return the kiB of the files in the folder, as the disk counts them."""
    return sum(file.lstat().st_blocks for file in folder.rglob("*") if not file.is_dir()) / 2


def report(seen: list[Seen]) -> None:
    print(f"{len(seen)} retrainings\n\n| | after {WARM} | at the end | per retraining |\n|---|---|---|---|")
    for key, name in GROWS.items():
        values = [asdict(each)[key] for each in seen[WARM - 1 :]]
        slope = np.polyfit(range(len(values)), values, 1)[0]
        print(f"| {name} | {values[0]:,.0f} | {values[-1]:,.0f} | {slope:+.2f} |")


def clean(checkout: Path) -> None:
    """Let `assay clean` work, then look for each output of each tag in the cache, without DVC."""
    before = size(checkout / ".dvc/cache")
    print("\n" + toy.run(checkout, "assay", "clean"))
    print(f"DVC's cache: {before:,.0f} kiB before, {size(checkout / '.dvc/cache'):,.0f} after")
    tags = toy.run(checkout, "git", "tag").split()
    wanted = {name for tag in tags for name in cached(checkout, tag)}
    missing = [name for name in wanted if not (checkout / ".dvc/cache/files/md5" / name[:2] / name[2:]).exists()]
    print(f"{len(tags)} tags need {len(wanted)} files of the cache, {len(missing)} of them are gone")
    assert not missing


def cached(checkout: Path, revision: str) -> list[str]:
    """Return the names in DVC's cache of what the revision's dvc.lock lists."""
    locked = yaml.safe_load(toy.run(checkout, "git", "show", f"{revision}:dvc.lock"))
    kept = ("data/", "models/", "reports/")  # the others are in git
    outs = [out for stage in locked["stages"].values() for out in stage["outs"]]
    return [out["md5"] for out in outs if out["path"].startswith(kept)]


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
