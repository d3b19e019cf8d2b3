from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from checkouts import run

from assay import files, params
from assay.errors import AssayError
from assay.versions import seeds


def said(*right: bool) -> pd.DataFrame:
    predicted = ["ape" if each else "bee" for each in right]
    return pd.DataFrame({"label": "ape", "predicted": predicted}, index=[f"{n:064x}" for n in range(len(right))])


def metrics(value: float) -> dict[str, float]:
    return dict.fromkeys(seeds.METRICS, value)


def test_summary_has_each_run_and_how_often_two_disagree() -> None:
    runs = [(metrics(0.5), said(True, False)), (metrics(1.0), said(True, True)), (metrics(0.5), said(False, True))]
    found = seeds.summary([8, 9, 10], runs)
    assert found["seeds"] == [8, 9, 10]
    assert found["metrics"]["f1_macro"] == [0.5, 1.0, 0.5]
    assert found["disagreement"] == pytest.approx((0.5 + 1 + 0.5) / 3, abs=1e-6)
    assert found["n_images"] == 2


@pytest.fixture
def ready(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(checkout)
    return checkout


def test_recorded_runs_are_written_for_register(ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def trained(content: dict[str, Any]) -> seeds.Run:
        asked.append(content["seed"])
        return metrics(0.9 + content["seed"] / 1000), said(True, content["seed"] % 2 == 0)

    monkeypatch.setattr(seeds, "run", trained)
    p = params.load()
    lines = list(seeds.record(p, 3))
    assert asked == [p.seed + 1, p.seed + 2, p.seed + 3]
    assert files.read_json(p.paths.noise)["metrics"]["accuracy"] == [0.9 + seed / 1000 for seed in asked]
    assert "accuracy scatters by 0.0010 (standard deviation of 3 runs)" in lines[-1]


def test_one_run_and_another_recipe_than_the_champions_are_refused(ready: Path) -> None:
    p = params.load()
    with pytest.raises(AssayError, match="1 runs, at least 2 are needed"):
        list(seeds.record(p, 1))
    run(ready, "git", "tag", "-a", "classifier#champion#1", "-m", "x")
    content = yaml.safe_load(Path("params.yaml").read_text())
    content["train"]["epochs"] = 99
    Path("params.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(AssayError, match="another `train` than the champion"):
        list(seeds.record(params.load(), 2))


@pytest.mark.slow
def test_stage_that_fails_is_told_in_its_own_words(ready: Path) -> None:
    with pytest.raises(AssayError, match="noise: train: "):
        seeds.run(files.read_yaml(params.FILE))
