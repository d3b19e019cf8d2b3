"""What one per cent more images costs: `python -m benchmarks.growth [photos|small] [N]`; ten minutes for 20,000 photos.

Takes a snapshot and runs `ingest` to `verify` as DVC does, each in a process of its own, over drawn photos of 500x400
px or small images of 32: the first time, after 1 % growth, and where nothing changed; then after a label fix and a
removal. After each change the outputs are compared with those of a build that finds no records and no memo. growth.md
says what came out.
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
SNAPSHOT = ("-c", "from assay.commands.main import main; main()", "snapshot", "images")
STAGES = ("ingest", "validate", "gate", "preprocess", "verify")
CLASSES = [f"class {number}" for number in range(10)]
SIZES = {"photos": (500, 400), "small": (32, 32)}  # of the images
SIDE_PX = {"photos": 64, "small": 32}  # of the records
# What each process imports, and the rules that it reads: what it costs before it looks at an image.
RULES = "; import pathlib; from assay.validation import suites; suites.read(pathlib.Path('expectations'))"
START = {
    "snapshot": "import assay.commands.snapshot, assay.sources.opening, assay.operations.next_step",
    "ingest": "import tasks.ingest",
    "validate": "import tasks.validate" + RULES,
    "gate": "import tasks.gate",
    "preprocess": "import tasks.preprocess",
    "verify": "import tasks.verify" + RULES,
}


def main(kind: str, n: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        checkout = Path(folder)
        full, _ = first_build(checkout, n, kind)
        start_up = {stage: run(checkout, "-c", code)[0] for stage, code in START.items()}
        draw(checkout / "images", n, n // 100, kind)
        grown, n_decoded = build(checkout)
        same, _ = build(checkout)
        rows = {"start-up": start_up, "first build": full, "1 % more": grown, "nothing new": same}
        print("| CPU s of | " + " | ".join([*START, "together"]) + " |", "|---" * (len(START) + 2) + "|", sep="\n")
        for name, costs in rows.items():
            print(f"| {name} | {' | '.join(f'{cost:.2f}' for cost in [*costs.values(), total(costs)])} |")
        shares = [f"{total(grown) / total(full):.1%} of the time"]
        shares += [f"{beyond(grown, start_up) / beyond(full, start_up):.1%} of that beyond start-up"]
        print(f"\n1 % more: {n_decoded:,} images encoded, {n_decoded / n:.2%}; {', '.join(shares)}", flush=True)
        compare(checkout, "1 % more")
        move(checkout / "images" / CLASSES[0], checkout / "images" / CLASSES[1])
        build(checkout)
        compare(checkout, "one label fixed")
        next((checkout / "images" / CLASSES[2]).iterdir()).unlink()
        build(checkout)
        compare(checkout, "one image removed")


def total(costs: dict[str, float]) -> float:
    return sum(costs.values())


def beyond(costs: dict[str, float], start_up: dict[str, float]) -> float:
    return total(costs) - total(start_up)


def first_build(checkout: Path, n: int, kind: str) -> tuple[dict[str, float], int]:
    """Return what `build` does, of `n` new images in a new checkout."""
    for name in ("assay", "tasks", "expectations", "registry"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "dvc.yaml", checkout)
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content["preprocess"] |= {"height_px": SIDE_PX[kind], "width_px": SIDE_PX[kind], "colour": "rgb"}
    (checkout / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    labels = checkout / "expectations/labels.yaml"
    labels.write_text(labels.read_text().replace('["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]', str(CLASSES)))
    for code in START.values():  # compiles the modules
        run(checkout, "-c", code)
    draw(checkout / "images", 0, n, kind)
    return build(checkout)


def build(checkout: Path) -> tuple[dict[str, float], int]:
    """Return the CPU seconds of the snapshot and of each stage, and how many images were decoded anew."""
    ran = {"snapshot": run(checkout, *SNAPSHOT)} | {stage: run(checkout, "-m", f"tasks.{stage}") for stage in STAGES}
    decoded = re.search(r"([\d,]+) decoded", ran["preprocess"][1])
    assert decoded
    return {stage: cost for stage, (cost, _) in ran.items()}, int(decoded[1].replace(",", ""))


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
    build(checkout)
    print(f"{name}: {'the bytes of a clean build' if outputs(checkout) == grown else 'OTHER BYTES'}", flush=True)


def outputs(checkout: Path) -> dict[str, str]:
    made = [file for name in ("data", "metrics", "reports") for file in (checkout / name).rglob("*") if file.is_file()]
    return {str(file.relative_to(checkout)): files.sha256(file) for file in made}


def move(folder: Path, to: Path) -> None:
    file = next(folder.iterdir())
    file.rename(to / file.name)


def draw(folder: Path, first: int, n: int, kind: str) -> None:
    width, height = SIZES[kind]
    grain = np.random.default_rng(0).normal(0, 8, (800, 1000, 1)).astype(np.float32)
    for number in range(first, first + n):
        rng = np.random.default_rng(number)
        squares = rng.integers(0, 256, (rng.integers(3, 12), rng.integers(3, 15), 3), np.uint8)
        smooth = np.asarray(Image.fromarray(squares).resize((width, height), Image.Resampling.BICUBIC))
        down, right = rng.integers(0, 400, 2)
        pixels = (smooth + grain[down : down + height, right : right + width]).clip(0, 255).astype(np.uint8)
        file = folder / CLASSES[number % len(CLASSES)] / f"{number:06d}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file, quality=85)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "photos", int(sys.argv[2]) if len(sys.argv) > 2 else 20_000)
