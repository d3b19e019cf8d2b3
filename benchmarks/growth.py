"""What one per cent more images costs: `python -m benchmarks.growth [N]`; five minutes for 20,000 photos.

Runs `ingest`, `validate` and `preprocess` as DVC does, each in a process of its own, over drawn photos of 500x400 px:
the first time, after 1 % growth, and where nothing changed; then after a label fix and a removal. After each change
the outputs are compared with those of a build that finds no records and no memo. growth.md says what came out.
"""

import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from assay import files

ROOT = Path(__file__).parents[1]
STAGES = ("ingest", "validate", "gate", "preprocess")
TOLD = ("ingest", "validate", "preprocess")  # `gate` is start-up and nothing else
CLASSES = [f"class {number}" for number in range(10)]
SIDE_PX = 64
# What each process imports, and validate's rules: what a stage costs before it looks at an image.
START = {
    "ingest": "import tasks.ingest",
    "validate": "import pathlib, tasks.validate; from assay import suites; suites.read(pathlib.Path('expectations'))",
    "preprocess": "import tasks.preprocess",
}


def main(n: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        checkout = Path(folder)
        full, _ = first_build(checkout, n)
        start_up = {stage: run(checkout, "-c", code)[0] for stage, code in START.items()}
        draw(checkout / "images", n, n // 100)
        grown, n_decoded = build(checkout)
        same, _ = build(checkout, take=False)
        rows = {"start-up": start_up, "first build": full, "1 % more": grown, "nothing new": same}
        print("| CPU s of | " + " | ".join([*TOLD, "together"]) + " |", "|---" * (len(TOLD) + 2) + "|", sep="\n")
        for name, costs in rows.items():
            print(f"| {name} | {' | '.join(f'{cost:.2f}' for cost in [*costs.values(), total(costs)])} |")
        share = (total(grown) - total(start_up)) / (total(full) - total(start_up))
        print(f"\n1 % more: {n_decoded:,} images encoded, {n_decoded / n:.2%}; {share:.1%} of the time beyond start-up")
        compare(checkout, "1 % more")
        move(checkout / "images" / CLASSES[0], checkout / "images" / CLASSES[1])
        build(checkout)
        compare(checkout, "one label fixed")
        next((checkout / "images" / CLASSES[2]).iterdir()).unlink()
        build(checkout)
        compare(checkout, "one image removed")


def total(costs: dict[str, float]) -> float:
    return sum(costs.values())


def first_build(checkout: Path, n: int) -> tuple[dict[str, float], int]:
    """Return what `build` does, of `n` new images in a new checkout."""
    for name in ("assay", "tasks", "expectations", "registry"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "dvc.yaml", checkout)
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content["preprocess"] |= {"height_px": SIDE_PX, "width_px": SIDE_PX, "colour": "rgb"}
    (checkout / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    labels = checkout / "expectations/labels.yaml"
    labels.write_text(labels.read_text().replace('["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]', str(CLASSES)))
    for code in START.values():  # compiles the modules
        run(checkout, "-c", code)
    draw(checkout / "images", 0, n)
    return build(checkout)


def build(checkout: Path, *, take: bool = True) -> tuple[dict[str, float], int]:
    """Return the CPU seconds of each stage, after taking a snapshot of the images, and how many were decoded anew."""
    if take:
        run(checkout, "-c", "from assay.commands.main import main; main()", "snapshot", "images")
    ran = {stage: run(checkout, "-m", f"tasks.{stage}") for stage in STAGES}
    decoded = re.search(r"([\d,]+) decoded", ran["preprocess"][1])
    assert decoded
    return {stage: ran[stage][0] for stage in TOLD}, int(decoded[1].replace(",", ""))


def run(checkout: Path, *arguments: str) -> tuple[float, str]:
    """Return the CPU seconds of a Python process, and what it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, cwd=checkout, env=variables | {"PYTHONPATH": str(checkout)}, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def compare(checkout: Path, name: str) -> None:
    """Print whether the outputs are those of a build that finds no records and no memo."""
    grown = outputs(checkout)
    for folder in ("data/records", ".assay"):
        shutil.rmtree(checkout / folder)
    build(checkout, take=False)
    print(f"{name}: {'the bytes of a clean build' if outputs(checkout) == grown else 'OTHER BYTES'}", flush=True)


def outputs(checkout: Path) -> dict[str, str]:
    made = [file for file in (checkout / "data").rglob("*") if file.is_file() and file.name != "source.json"]
    return {str(file.relative_to(checkout)): files.sha256(file) for file in made}


def move(folder: Path, to: Path) -> None:
    file = next(folder.iterdir())
    file.rename(to / file.name)


def draw(folder: Path, first: int, n: int) -> None:
    grain = np.random.default_rng(0).normal(0, 8, (800, 1000, 1)).astype(np.float32)
    for number in range(first, first + n):
        rng = np.random.default_rng(number)
        squares = rng.integers(0, 256, (rng.integers(3, 12), rng.integers(3, 15), 3), np.uint8)
        smooth = np.asarray(Image.fromarray(squares).resize((500, 400), Image.Resampling.BICUBIC))
        down, right = rng.integers(0, 400, 2)
        pixels = (smooth + grain[down : down + 400, right : right + 500]).clip(0, 255).astype(np.uint8)
        file = folder / CLASSES[number % len(CLASSES)] / f"{number:06d}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file, quality=85)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
