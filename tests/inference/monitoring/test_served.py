"""The log of the server is read: drift of what was answered is named, and answers like those of the test are silent."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from assay.errors import AssayError
from assay.inference.monitoring import served
from assay.versions.champion import Champion


def answers(n: int, seed: int, share: float = 0.5, sure: float = 0.9) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    named = np.where(rng.random(n) < share, "ant", "bee")
    probability = np.clip(rng.normal(sure, 0.05, n), 0.5, 1)
    return pd.DataFrame({"label": named, "predicted": named, "probability": probability, "group": ""})


BEST = Champion(version="v0.0.2", task="single_label", test=answers(400, 0))


def log(folder: Path, table: pd.DataFrame, day: int = 1, **changes: Any) -> None:
    folder.mkdir(exist_ok=True)
    with (folder / f"2026-01-{day:02}.jsonl").open("a") as out:
        for number, row in enumerate(table.itertuples()):
            said = {"time": "", "version": "v0.0.2", "sha256": f"{day}-{number}", "ordinary": True}
            said |= {"predicted": row.predicted, "probability": row.probability}
            out.write(json.dumps(said | changes) + "\n")


def test_answers_like_those_of_the_test_are_silent(tmp_path: Path) -> None:
    log(tmp_path / "log", answers(300, 1))
    found = served.compare(served.read(tmp_path / "log", 7), BEST)
    assert (found.n_images, found.n_of_others, found.unlike) == (300, 0, 0)
    assert [each.name for each in found.compared] == ["predicted classes", "confidence"]
    assert not any(each.has_moved for each in found.compared)


@pytest.mark.parametrize(("changed", "name"), [({"share": 0.95}, "predicted classes"), ({"sure": 0.6}, "confidence")])
def test_drift_of_answers_is_named(tmp_path: Path, changed: dict[str, float], name: str) -> None:
    log(tmp_path / "log", answers(300, 1, **changed))
    moved = [each.name for each in served.compare(served.read(tmp_path / "log", 7), BEST).compared if each.has_moved]
    assert name in moved


def test_only_the_champions_last_days_count_and_an_image_once(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    log(folder, answers(50, 1, share=0), day=1)  # too long ago
    log(folder, answers(30, 2), day=2)
    log(folder, answers(30, 2), day=3, sha256="the same", ordinary=False)
    log(folder, answers(10, 3), day=3, version="v0.0.1")
    (folder / "2026-01-03.jsonl").open("a").write('{"time": "cut o')
    found = served.compare(served.read(folder, 2), BEST)
    assert (found.n_images, found.n_of_others) == (31, 10)
    assert found.unlike == pytest.approx(1 / 31)


def test_few_answers_and_no_log_say_nothing(tmp_path: Path) -> None:
    log(tmp_path / "log", answers(19, 1, share=0))
    assert served.compare(served.read(tmp_path / "log", 7), BEST).compared == ()
    assert served.compare(served.read(tmp_path / "none", 7), BEST).n_images == 0
    with pytest.raises(AssayError, match="no model is the champion"):
        served.compare(served.read(tmp_path / "log", 7), None)
