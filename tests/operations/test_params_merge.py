"""A project keeps its values when a new version of Assay writes params.yaml anew."""

import subprocess
import sys
from pathlib import Path

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.operations import params_lines, params_merge

BASE = "seed: 7\ntrain:\n  epochs: 30  # of the digits\n  filters: [16, 32]\n  rotate_deg: 10\n"
NEW = "seed: 7\n\ntrain:\n  # How\n  optimizer: adamw   # new\n  epochs: 40         # at most\n  filters: [16, 32]\n"


def test_own_values_stand_in_the_new_file_and_what_has_no_place_is_named() -> None:
    ours = BASE.replace("30", "12").replace("[16, 32]", "[8]").replace("10", "25")
    text, lost = params_merge.merged(BASE, ours, NEW)
    assert text == NEW.replace("40 ", "12 ").replace("[16, 32]", "[8]")
    assert lost == {"train.rotate_deg": 25}


def test_what_a_project_left_alone_follows_the_new_version() -> None:
    assert params_merge.merged(BASE, BASE, NEW) == (NEW, {})


@settings(max_examples=30, deadline=None)
@given(epochs=st.integers(1, 999), filters=st.lists(st.integers(1, 512), min_size=1, max_size=4))
def test_merge_holds_every_change_of_the_project(epochs: int, filters: list[int]) -> None:
    ours = params_lines.changed(BASE, {"train.epochs": epochs, "train.filters": filters})
    content = yaml.safe_load(params_merge.merged(BASE, ours, NEW)[0])["train"]
    assert content == {"optimizer": "adamw", "epochs": 40 if epochs == 30 else epochs, "filters": filters}


def test_driver_writes_what_git_asks_for_and_falls_back_to_its_own_merge(tmp_path: Path) -> None:
    def merge(*texts: str) -> tuple[int, str, str]:
        names = [tmp_path / name for name in ("base", "ours", "theirs")]
        for name, text in zip(names, texts, strict=True):
            name.write_text(text)
        command = [sys.executable, "-m", "assay.operations.params_merge", *map(str, names)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, names[1].read_text(), done.stderr

    ours = BASE.replace("30", "12").replace("10", "25")
    code, text, said = merge(BASE, ours, NEW)
    assert (code, "epochs: 12" in text) == (0, True)
    assert said == "params.yaml: train.rotate_deg is no parameter any more; yours was 25\n"
    code, text, said = merge("a: 1\n", "a: [2\n", "a: 3\n")
    assert code > 0
    assert "<<<<<<<" in text
    assert "merged line by line" in said
