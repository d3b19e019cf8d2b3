"""`assay monitor` and its flow: a champion that was really trained, new images that are like its own or not."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from checkouts import make_checkout, run, set_params
from looks import add

from assay.dataset import manifest


def results(printed: str, checkout: Path) -> tuple[Path, dict[str, Any]]:
    """Return the folder of the report that was told, and its results.json."""
    (line,) = [line for line in printed.splitlines() if line.startswith("report: ")]
    folder = checkout / Path(line.removeprefix("report: ")).parent
    return folder, json.loads((folder / "results.json").read_text())


@pytest.mark.slow
def test_new_images_are_predicted_as_evaluate_does_and_their_drift_is_named(tmp_path: Path, images: Path) -> None:
    (tmp_path / "checkout/.dvc").mkdir(parents=True)
    checkout = make_checkout(tmp_path / "checkout", images)
    set_params(
        checkout,
        train={"epochs": 8, "filters": [8, 8], "learning_rate": 0.01, "batch_images": 16},
        preprocess={"resize": "pad", "height_px": 16, "width_px": 10},
    )
    few, noisy = tmp_path / "few", tmp_path / "noisy"
    add(few, 3, 500_000)
    assert run(checkout, "assay", "monitor", str(few), code=1) == (
        "assay: monitor: nothing to compare with: no data are approved (`assay approve`, then commit "
        "data/approved.json), and no model is the champion (`assay release`)\n"
    )
    run(checkout, "dvc", "repro", "validate")
    run(checkout, "assay", "approve")
    assert run(checkout, "assay", "monitor", str(few)) == "9 new images; a look waits for 20\n"
    for number in range(30):
        (few / f"broken{number}.png").write_bytes(b"no image")
    assert run(checkout, "assay", "monitor", str(few)) == (
        "39 new images, 30 of them cannot be decoded; a look waits for 20\n"
    )
    add(noisy, 30, 700_000, noise=90)
    (noisy / "broken.png").write_bytes(b"no image")
    said = run(checkout, "assay", "monitor", str(noisy), code=6)
    folder, found = results(said, checkout)
    assert (found["champion"], found["n_approved"], found["n_images"], found["n_not_decodable"]) == (None, 150, 91, 1)
    assert "noise" in moved(found)
    assert "There is no champion" in (folder / "index.html").read_text()
    assert "broken.png" in (folder / "index.html").read_text()
    files = [(file.name, file.read_bytes()) for file in sorted(folder.iterdir())]
    shutil.rmtree(checkout / ".assay/monitor")
    assert run(checkout, "assay", "monitor", str(noisy), code=6) == said
    assert [(file.name, file.read_bytes()) for file in sorted(folder.iterdir())] == files

    run(checkout, "git", "add", "-A")
    run(checkout, "git", "commit", "-qm", "approved")
    run(checkout, "dvc", "repro")
    run(checkout, "git", "add", "-A")
    run(checkout, "git", "commit", "-qm", "first run")
    run(checkout, "assay", "release")
    # What the champion was made with counts, not what is being tried out meanwhile.
    set_params(checkout, preprocess={"resize": "stretch", "height_px": 24, "width_px": 24, "colour": "rgb"})
    shutil.rmtree(checkout / "models")
    folder, found = results(run(checkout, "assay", "monitor", str(images)), checkout)
    alike = folder
    assert (found["drift"], found["champion"], found["n_images"]) == (False, "v0.0.1", 150)
    rows = manifest.read(checkout / "data/manifest.parquet")
    texts = {"label": str, "predicted": str}
    evaluated = pd.read_csv(checkout / "data/predictions.csv", dtype=texts).merge(rows[["path", "sha256"]], on="sha256")
    now = pd.read_csv(folder / "images.csv", dtype=texts).set_index("path").loc[evaluated["path"]]
    assert now["predicted"].tolist() == evaluated["predicted"].tolist()
    assert np.abs(now["probability"].to_numpy() - evaluated["probability"].to_numpy()).max() <= 2e-6
    folder, found = results(run(checkout, "assay", "monitor", str(noisy), code=6), checkout)
    assert {"noise", "sharpness"} <= moved(found)
    assert any(line.startswith("noise, in grey levels (noise): ") for line in found["said"])
    assert (folder / "images.png").exists()
    page = (folder / "index.html").read_text()
    assert "noise: the most extreme" in page
    assert "The champion is least sure of" in page
    assert page.count("<img src=") >= 24
    assert "http" not in page

    (tmp_path / "one").mkdir()
    for file in images.glob("cow/*.png"):
        shutil.copy(file, tmp_path / "one")
    table = pd.DataFrame({"path": sorted(file.name for file in (tmp_path / "one").iterdir())})
    table.to_csv(tmp_path / "one/log.csv", index=False)
    said = run(checkout, "assay", "monitor", f"table:{tmp_path / 'one/log.csv'}", code=6)
    assert moved(results(said, checkout)[1]) == {"predicted classes"}
    assert "most: 'cow' 100%," in said
    shutil.rmtree(checkout / ".dvc/cache")
    assert "is neither in DVC's cache nor in a remote" in run(checkout, "assay", "monitor", str(images), code=1)

    # The report that shows an image is what `assay forget` takes, and no other.
    sha256 = re.findall(r'data-sha256="(\w{64})"', (alike / "index.html").read_text())[0]
    run(checkout, "assay", "forget", sha256)
    assert (alike.exists(), folder.exists(), (checkout / ".assay/monitor/memo").exists()) == (False, True, False)


def moved(found: dict[str, Any]) -> set[str]:
    return {each["name"] for each in found["comparisons"] if each["has_moved"]}


def test_look_of_the_flow_takes_an_image_once_and_one_that_changed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from assay.inference.monitoring import look

    monkeypatch.chdir(tmp_path)
    add(tmp_path / "new", 10, 1)
    name = f"folder:{tmp_path / 'new'}"
    report = tmp_path / "report"
    report.mkdir()
    files = sorted((tmp_path / "new").iterdir())
    rows = [{"path": file.name, "bytes": file.stat().st_size} for file in files[:-5]]
    pd.DataFrame(rows).to_csv(report / "images.csv", index=False)
    look.remember(name, report)
    assert len(look._remembered(name)) == 25
    files[0].unlink()
    files[1].write_bytes(b"x")
    look.remember(name, report)
    assert len(look._remembered(name)) == 23
    assert look._remembered("folder:other") == set()


@pytest.mark.slow
def test_module_says_one_line_for_the_flow_and_an_error_without_traceback(checkout: Path) -> None:
    variables = os.environ | {"PYTHONPATH": str(checkout)}
    command = [sys.executable, "-m", "assay.inference.monitoring.look", f"folder:{checkout.parent / 'images'}", "main"]
    done = subprocess.run(command, cwd=checkout, env=variables, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("monitor: nothing to compare with")
    done = subprocess.run([*command[:-1], "nope"], cwd=checkout, env=variables, capture_output=True, text=True)
    assert done.stderr == "monitor: 'nope' is no commit of this repository (ref)\n"
