"""`dvc repro` in a checkout of its own, on 150 tiny images, as a user runs it, and its release.

Of the fast tests all stand here that begin with a whole run: the worker that has this file makes it once.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from checkouts import ROOT, png, run, set_params
from receiver import receiving
from whole_runs import STAGES, hashes


def trained(checkout: Path) -> dict[str, Any]:
    """Return what tells whether a record or the model was touched."""
    files = [*(checkout / "data/records").iterdir(), checkout / "models/model.keras"]
    return {file.name: (file.stat().st_mtime_ns, file.stat().st_ino) for file in files}


def spoil(checkout: Path) -> None:
    """Add a class that nobody announced."""
    (checkout.parent / "images/dog").mkdir()
    for number in range(40):
        (checkout.parent / f"images/dog/{number}.png").write_bytes(png(9000 + number, 240))
    run(checkout, "assay", "snapshot", str(checkout.parent / "images"))


def leaves(content: Any) -> list[Any]:
    return [leaf for value in content.values() for leaf in leaves(value)] if isinstance(content, dict) else [content]


@pytest.mark.slow
def test_every_stage_leaves_what_it_declares(first_run: Path) -> None:
    checkout = first_run / "checkout"
    assert set(yaml.safe_load((checkout / "dvc.lock").read_text())["stages"]) == set(STAGES)
    assert all((checkout / path).exists() for path in hashes(checkout))
    assert run(checkout, "git", "status", "--porcelain") == ""


@pytest.mark.slow
def test_metrics_are_numbers_under_one_name_per_file(first_run: Path) -> None:
    files = sorted((first_run / "checkout/metrics").glob("*.json"))
    assert [file.stem for file in files] == ["data", "eval", "gate", "train"]
    for file in files:
        content = json.loads(file.read_text())
        assert list(content) == [file.stem]
        texts = [leaf for leaf in leaves(content) if not isinstance(leaf, int | float) or isinstance(leaf, bool)]
        allowed = 4 if file.stem == "train" else 0  # which rule kept the epoch, and the bits of three moments
        assert len([text for text in texts if isinstance(text, str)]) == len(texts) == allowed


@pytest.mark.slow
def test_second_run_skips_every_stage(done: Path) -> None:
    printed = run(done, "dvc", "repro")
    assert [f"Stage '{stage}' didn't change, skipping" in printed for stage in STAGES] == [True] * len(STAGES)
    assert run(done, "git", "status", "--porcelain") == ""


@pytest.mark.slow
def test_results_say_what_came_out_and_where_to_look(first_run: Path) -> None:
    printed = run(first_run / "checkout", "assay", "results")
    for place in ("reports/validation/index.html", "reports/verdict/index.html", "MODEL_CARD.md"):
        assert place in printed
        assert (first_run / "checkout" / place).exists()


@pytest.mark.slow
def test_results_of_an_earlier_run_are_not_passed_off_as_those_of_the_last(done: Path) -> None:
    set_params(done, train={"learning_rate": 1.0e9})
    assert "train has to run: what lies here of a model is an earlier run's" in run(done, "assay", "results")
    assert "loss: nan" in run(done, "dvc", "repro", code=255)
    assert "accuracy" not in run(done, "assay", "results")
    run(done, "git", "checkout", "-q", ".")
    run(done, "dvc", "repro")
    assert "accuracy" in run(done, "assay", "results")
    (done / "data/verified.json").unlink()
    (done / "metrics/eval.json").unlink()
    assert "has to run: what lies here of a model is an earlier run" in run(done, "assay", "results")


@pytest.mark.slow
def test_closed_gate_stops_all_tells_people_once_and_opens_for_mended_data(done: Path) -> None:
    before, touched = hashes(done), trained(done)
    spoil(done)
    with receiving() as (url, received):
        printed = run(done, "dvc", "repro", code=255, ASSAY_ALERT_URLS=f"json://127.0.0.1:1 {url}")
    for said in ("known class", "'dog'", "dog/0.png", "expectations/labels.yaml", "failed to reproduce 'gate'"):
        assert said in printed
    assert "Traceback" not in printed
    assert "not delivered to json://..." in printed
    assert [message["title"] for message in received] == ["Assay: gate rejected the data"]
    assert "dog/0.png" in received[0]["message"]
    assert "dog/0.png" in (done / "reports/validation/index.html").read_text()
    results = run(done, "assay", "results")
    assert "rejected" in results
    assert "accuracy" not in results
    for ways in (["-k"], ["--ignore-errors"], ["-s", "preprocess"], ["-s", "-f", "preprocess"], ["train"]):
        run(done, "dvc", "repro", *ways, code=0 if "--ignore-errors" in ways else 255)
        assert trained(done) == touched, ways
    shutil.rmtree(done.parent / "images/dog")
    run(done, "assay", "snapshot", str(done.parent / "images"))
    run(done, "dvc", "repro")
    after = hashes(done)
    assert trained(done) == touched
    assert {path: after[path] for path in after if path != "data/ledger.csv"} == {
        path: before[path] for path in before if path != "data/ledger.csv"
    }


@pytest.mark.slow
def test_closed_gate_keeps_the_model_also_when_training_itself_has_changed(done: Path) -> None:
    touched = trained(done)
    spoil(done)
    set_params(done, train={"epochs": 3})
    for ways in ([], ["-k"], ["--ignore-errors"], ["-s", "train"], ["-s", "-f", "train"]):
        printed = run(done, "dvc", "repro", *ways, code=0 if "--ignore-errors" in ways else 255)
        assert trained(done) == touched, ways
    assert "train: data/passed.json is missing: the gate is closed" in printed


@pytest.mark.slow
def test_closed_gate_stops_each_stage_that_is_called_by_hand_and_the_flow(done: Path, tmp_path: Path) -> None:
    spoil(done)
    run(done, "dvc", "repro", code=255)
    touched = trained(done)
    after = STAGES[STAGES.index("gate") + 1 :]
    assert after[0] == "preprocess"
    for stage in after:
        printed = run(done, "python", "-m", f"tasks.{stage}", code=1)
        assert f"{stage}: data/passed.json is missing: the gate is closed or was not asked" in printed
        assert "Traceback" not in printed
        assert trained(done) == touched, stage
    shutil.copytree(ROOT / "flows", done / "flows")
    home = {"PREFECT_HOME": str(tmp_path / "prefect"), "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120"}
    run(done, "python", "-m", "flows.pipeline", code=3, **home)
    assert trained(done) == touched


@pytest.mark.slow
def test_records_that_are_wrong_keep_the_model_in_every_way_of_calling(done: Path) -> None:
    """A fault in preprocess, and a shard that was altered on the disk."""
    model = done / "models/model.keras"
    before = (model.stat().st_mtime_ns, model.stat().st_ino)
    code = done / "tasks/preprocess.py"  # and no module, on which the stages before it depend too
    right = code.read_text()
    code.write_text(
        right.replace("labels.encode(label, classes, task)", "(labels.encode(label, classes, task) + 1) % 3")
    )
    assert code.read_text() != right
    for ways in ([], ["-k"], ["--ignore-errors"], ["-s", "train"], ["-s", "-f", "train"], ["train"]):
        printed = run(done, "dvc", "repro", *ways, code=0 if "--ignore-errors" in ways else 255)
        assert (model.stat().st_mtime_ns, model.stat().st_ino) == before, ways
    assert "each image under its label" in printed
    code.write_text(right)
    run(done, "dvc", "repro")
    assert (model.stat().st_mtime_ns, model.stat().st_ino) == before
    shard = next((done / "data/records").glob("train-*"))
    content = shard.read_bytes()
    shard.unlink()
    shard.write_bytes(content[:-9] + b"X" + content[-8:])
    printed = run(done, "dvc", "repro", "-s", "verify", code=255)
    assert f"whole shards: 1 of 3 shards: the shard must be whole: '{shard.name}' (record" in printed
    assert "Traceback" not in printed
    for ways in (["-s", "train"], ["-s", "-f", "train"], ["-s", "evaluate"]):
        run(done, "dvc", "repro", *ways, code=255)
        assert (model.stat().st_mtime_ns, model.stat().st_ino) == before, ways
    run(done, "dvc", "repro")
    assert (model.stat().st_mtime_ns, model.stat().st_ino) == before


@pytest.mark.slow
def test_broken_file_among_many_good_ones_is_set_aside_told_of_and_back_when_it_is_mended(done: Path) -> None:
    broken = done.parent / "images/ape/broken.png"
    broken.write_bytes(b"broken")
    run(done, "assay", "snapshot", str(done.parent / "images"))
    with receiving() as (url, received):
        run(done, "dvc", "repro", "gate", ASSAY_ALERT_URLS=url)
    assert [message["title"] for message in received] == ["Assay: gate set images aside"]
    assert "ape/broken.png (not an image)" in received[0]["message"]
    assert "ape/broken.png" in (done / "reports/validation/failures.csv").read_text()
    assert "ape/broken.png" in (done / "reports/validation/index.html").read_text()
    assert json.loads((done / "metrics/data.json").read_text())["data"]["n_set_aside"] == 1
    small = png(7, side_px=7)  # is decoded and has a split, but is too small
    broken.write_bytes(small)
    run(done, "assay", "snapshot", str(done.parent / "images"))
    run(done, "dvc", "repro", "verify")
    assert json.loads((done / "data/passed.json").read_text())["set_aside"] == ["ape/broken.png"]
    assert (
        sum(each["n_images"] for each in json.loads((done / "data/records.json").read_text())["splits"].values()) == 150
    )
    broken.write_bytes(png(7))
    run(done, "assay", "snapshot", str(done.parent / "images"))
    run(done, "dvc", "repro", "verify")
    assert json.loads((done / "data/passed.json").read_text())["set_aside"] == []
    assert (
        sum(each["n_images"] for each in json.loads((done / "data/records.json").read_text())["splits"].values()) == 151
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kept", "said"),
    [({"ape": 1, "bee": 50, "cow": 50}, "images per class"), ({"ape": 50, "bee": 50, "cow": 0}, "every known class")],
    ids=["a class with one image", "a class that is gone"],
)
def test_too_small_a_class_closes_the_gate(done: Path, kept: dict[str, int], said: str) -> None:
    for name, n in kept.items():
        for file in sorted((done.parent / "images" / name).iterdir())[n:]:
            file.unlink()
    run(done, "assay", "snapshot", str(done.parent / "images"))
    printed = run(done, "dvc", "repro", "gate", code=255)
    assert said in printed
    assert "Traceback" not in printed


@pytest.mark.slow
def test_typo_in_params_stops_the_first_stage_that_runs_and_loses_nothing(done: Path) -> None:
    before = trained(done)
    text = (done / "params.yaml").read_text()
    (done / "params.yaml").write_text(text.replace("val_share: 0.1", "val_share: 0.15").replace("epochs:", "epochz:"))
    printed = run(done, "dvc", "repro", code=255)
    assert "params.yaml: train.epochz: unknown key; did you mean 'epochs'?" in printed
    assert trained(done) == before


class TestRelease:
    @pytest.mark.slow
    def test_commits_tags_and_crowns_and_does_it_once(self, done: Path) -> None:
        printed = run(done, "assay", "release")
        assert "classifier v0.0.1 released" in printed
        assert "now the champion" in printed
        tags = ["classifier#champion#1", "classifier@v0.0.1"]
        assert run(done, "git", "tag").split() == tags
        assert run(done, "git", "status", "--porcelain") == ""
        head = run(done, "git", "rev-parse", "HEAD")
        assert "was released before" in run(done, "assay", "release")
        assert run(done, "git", "rev-parse", "HEAD") == head
        assert run(done, "git", "tag").split() == tags
        assert "didn't change, skipping" in run(done, "dvc", "repro", "register")
        assert "classifier" in run(done, "gto", "show")
        set_params(done, register={"min_accuracy": 0.5})
        assert "assay: promote: evaluate, register not up to date" in run(
            done, "assay", "promote", "v0.0.1", "--here", code=1
        )

    @pytest.mark.slow
    @pytest.mark.parametrize("file", ["assay/training/network.py", "expectations/labels.yaml", "notes.txt"])
    def test_refuses_a_tree_with_other_changes(self, done: Path, file: str) -> None:
        with (done / file).open("a") as content:
            content.write("# changed\n")
        printed = run(done, "assay", "release", code=1)
        assert "not up to date" in printed or f"changes that no run made: {file}" in printed
        assert run(done, "git", "tag") == ""

    @pytest.mark.slow
    def test_refuses_what_was_not_reproduced(self, done: Path) -> None:
        set_params(done, register={"min_accuracy": 0.5})
        assert "register not up to date; run `dvc repro` first" in run(done, "assay", "release", code=1)

    @pytest.mark.slow
    def test_held_model_is_tagged_but_no_champion(self, done: Path) -> None:
        set_params(done, register={"min_accuracy": 1.0})
        run(done, "dvc", "repro")
        assert "hold" in run(done, "assay", "release")
        assert run(done, "git", "tag").split() == ["classifier@v0.0.1"]
        assert json.loads((done / "registry/champions.json").read_text()) == []

    @pytest.mark.slow
    def test_goes_on_where_it_was_killed(self, done: Path) -> None:
        run(done, "assay", "release")
        run(done, "git", "tag", "-d", "classifier#champion#1")
        assert "now the champion" in run(done, "assay", "release")
        run(done, "git", "tag", "-d", "classifier#champion#1", "classifier@v0.0.1")
        assert "classifier v0.0.1 released" in run(done, "assay", "release")
        assert len(json.loads((done / "registry/champions.json").read_text())) == 1
