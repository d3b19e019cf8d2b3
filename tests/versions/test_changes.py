import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from checkouts import run, set_params
from PIL import Image
from scipy.stats import binomtest, ks_2samp

from assay import files, params
from assay.errors import AssayError
from assay.evaluation import noise
from assay.versions import changes, data_change, gates, plots


@pytest.fixture(autouse=True)
def first(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout with a commit `first`: 10 of 100 test images wrong."""
    monkeypatch.chdir(checkout)
    set_params(checkout, register={"margin": 0.0})
    forget_dependencies()
    made(errors=range(10))
    commit("first")


def forget_dependencies() -> None:
    """Leave in dvc.yaml what is compared: DVC reads it for each file of each commit, and of dependencies it is long."""
    stages = files.read_yaml(Path("dvc.yaml"))["stages"]
    kept = {
        name: {key: stage[key] for key in ("params", "outs", "metrics", "plots") if key in stage}
        for name, stage in stages.items()
    }
    content = {"stages": {name: {"cmd": "true"} | stage for name, stage in kept.items()}}
    Path("dvc.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


def made(errors: range, test: str = "t1", passed: int = 1, **classes: float) -> None:
    """Leave what a run leaves in git."""
    accuracy = 1 - len(errors) / 100
    write("metrics/data.json", {"data": {"n_images": 500, "class": {"ape": 250}}})
    write("metrics/gate.json", {"gate": {"passed": passed}})
    recalls = {name: {"recall": value} for name, value in classes.items()}
    write("metrics/eval.json", {"eval": {"accuracy": accuracy, "class": recalls}})
    split = {"test": test, "n_test_images": 100}
    errors_of = [f"{n:064x}" for n in errors]
    write("registry/candidate.json", {"errors": errors_of, "split": split, "ledger": "l"})


def predictions(rows: range, errors: range) -> str:
    """Return the list of test images, all of them apes, of which the errors are taken for bees."""
    lines = (f"{n:064x},ape,{'bee' if n in errors else 'ape'}\n" for n in rows)
    return "sha256,label,predicted\n" + "".join(lines)


def cached(monkeypatch: pytest.MonkeyPatch, name: str, contents: dict[str, bytes]) -> None:
    """Have DVC's cache hold a file of this name at these commits."""
    here = changes.dvc_repo.read_bytes
    monkeypatch.setattr(
        changes.dvc_repo,
        "read_bytes",
        lambda file, rev: contents.get(rev) if file.name == name else here(file, rev),
    )


def write(file: str, content: Any) -> None:
    Path(file).parent.mkdir(exist_ok=True)
    Path(file).write_text(json.dumps(content))


def commit(tag: str) -> None:
    run(Path.cwd(), "git", "add", "-A")
    run(Path.cwd(), "git", "commit", "-qm", tag)
    run(Path.cwd(), "git", "tag", tag)


def page(old: str = "first", new: str = "second") -> str:
    return changes.markdown(changes.look(old, new, params.load()))


def test_equal_commits_differ_in_nothing() -> None:
    assert "Nothing changed." in page("first", "first")


def test_better_model_is_shown_with_what_chance_would_do() -> None:
    made(errors=range(4, 10))
    commit("second")
    p_value = binomtest(0, 4).pvalue  # all four discordant images are better
    text = page()
    assert "**Accuracy 0.9000 → 0.9400**, on the same 100 test images +0.0400, between -0.0" in text
    said = f"(0 new errors, 4 gone, on 100 images; McNemar, exact, p = {p_value:.3f})"
    assert f"- this model: no difference that can be told, on these images {said}" in text
    assert "- this change: not known whether it is more than another seed would do: `assay noise` records that" in text
    assert "| `eval.accuracy` | 0.9 | 0.94 | +0.04 |" in page()


@pytest.mark.slow
def test_difference_beyond_chance_is_called_real() -> None:
    made(errors=range(1))
    commit("second")
    assert binomtest(0, 9).pvalue < 0.05
    assert "- this model: better on these images (0 new errors, 9 gone, on 100 images;" in page()
    runs = {"metrics": {"accuracy": [0.9, 0.95, 0.92, 0.97, 0.91]}, "ledger": "l"}
    write("registry/noise.json", runs | {"recipe": noise.recipe(files.read_yaml(params.FILE))})
    assert "- this change: no more than another seed would do (+0.0900; another seed makes up to 0." in page()
    write("registry/noise.json", runs | {"recipe": "another"})
    assert "- this change: not known whether it is more than another seed would do: the runs in registry/" in page()


@pytest.mark.slow
def test_drop_ends_with_exit_code_4_and_the_page() -> None:
    made(errors=range(12))
    commit("second")
    printed = run(Path.cwd(), "assay", "compare", "first", "second", code=4)
    assert "2 new errors, 0 gone" in printed
    assert "drops by 0.0200 from first to second, the limit is 0 (params.yaml: register.margin)" in printed
    set_params(Path.cwd(), register={"margin": 0.05})
    assert "2 new errors" in run(Path.cwd(), "assay", "compare", "first", "second")


@pytest.mark.slow
def test_model_behind_a_closed_gate_is_of_another_run_and_not_shown() -> None:
    made(errors=range(50), passed=0)
    commit("second")
    assert "**The gate is closed**" in page()
    assert "eval" not in page()
    assert "| `gate.passed` | 1 | 0 | -1 |" in page()


@pytest.mark.slow
def test_other_test_split_is_compared_on_the_common_images(monkeypatch: pytest.MonkeyPatch) -> None:
    made(errors=range(5, 12), test="t2")
    commit("second")
    assert "the test images differ and are not here to compare" in page()
    lists = {"first": (range(100), range(10)), "second": (range(8, 110), range(5, 12))}
    cached(monkeypatch, "predictions.csv", {rev: predictions(*rows).encode() for rev, rows in lists.items()})
    found = changes.look("first", "second", params.load())
    (said,) = gates.fallen(found, [gates.usual(margin=0)])
    assert f"drops by {2 / 92:.4f}" in said  # 10 and 11 are new, 5 to 7 not common
    text = changes.markdown(found)
    assert "on the common 92 test images" in text
    assert "2 new errors, 0 gone, on 92 images" in text
    assert f"- new error: `{10:064x}"[:20] in text
    assert "ape taken for bee" in text
    assert "- f1_macro: -0.0" in text


@pytest.mark.slow
def test_classes_are_listed_by_their_fall_and_cut_where_there_are_too_many() -> None:
    made(errors=range(10), **{f"c{n:03d}": 0.9 for n in range(80)})
    commit("second")
    made(errors=range(10), **{f"c{n:03d}": 0.8 if n == 50 else 0.85 for n in range(80)})
    commit("third")
    table = page("second", "third").partition("### Classes")[2].splitlines()
    assert table[4] == "| `eval.class.c050.recall` | 0.9 | 0.8 | -0.1 |"
    assert table[-1] == "and 20 more"


def test_results_that_are_not_of_these_files_are_said_to_be_old() -> None:
    assert "**Not up to date**" in page("first", changes.WORKSPACE)


def test_unknown_commit_and_broken_metrics_are_named() -> None:
    with pytest.raises(AssayError, match="unknown Git revision 'nowhere'"):
        page("first", "nowhere")
    Path("metrics/eval.json").write_text("{")
    with pytest.raises(AssayError, match=r"metrics of workspace cannot be read: metrics/eval\.json"):
        page("first", changes.WORKSPACE)


@pytest.mark.slow
def test_plots_of_both_commits_are_drawn_and_shown(tmp_path: Path) -> None:
    for tag, count in (("before", 3), ("after", 5)):
        Path("plots").mkdir(exist_ok=True)
        Path("plots/confusion.csv").write_text(f"actual,predicted,count\nape,bee,{count}\n")
        made(errors=range(10))
        commit(tag)
    printed = run(Path.cwd(), "assay", "compare", "before", "after", "--plots", "drawn")
    assert "![confusion](drawn/confusion.png)" in printed
    with Image.open("drawn/confusion.png") as picture:
        assert min(picture.size) > 100
    with pytest.raises(AssayError, match="plots: unknown Git revision 'nowhere'"):
        plots.draw(tmp_path, "nowhere", "after")


def test_gate_holds_any_metric_and_names_the_one_that_fell() -> None:
    made(errors=range(10), ape=0.9)
    commit("second")
    made(errors=range(10), ape=0.8)
    commit("third")
    root = Path.cwd()
    assert "Traceback" not in run(root, "assay", "compare", "second", "third", "--gate", "test.class.ape.recall:-0.2")
    printed = run(root, "assay", "compare", "second", "third", "--gate", "test.class.ape.recall:-0.05", code=4)
    assert "class.ape.recall drops by 0.1000 from second to third, the limit is 0.05" in printed
    assert "no metric 'eval.nothing'" in run(root, "assay", "compare", "second", "--gate", "test.nothing:0", code=1)
    assert "must be METRIC:CHANGE" in run(root, "assay", "compare", "second", "--gate", "accuracy", code=1)


def test_page_and_json_hold_what_is_printed() -> None:
    made(errors=range(12))
    run(Path.cwd(), "assay", "compare", "first", "--json", "out/a.json", "--html", "out/a.html", code=4)
    content = json.loads(Path("out/a.json").read_text())
    assert content["model"]["against"]["paired"]["n_new_errors"] == 2
    assert content["model"]["against"]["paired"]["difference"] == pytest.approx(-0.02)
    html = Path("out/a.html").read_text()
    assert "This model: no difference that can be told, on these images (2 new errors, 0 gone" in html
    assert "http" not in html


@pytest.mark.parametrize(
    ("option", "file", "said"),
    [("--json", "params.yaml", "end so"), ("--html", "a.md", "end so"), ("--json", "registry/candidate.json", "read")],
)
def test_report_takes_no_place_of_what_it_reads(option: str, file: str, said: str) -> None:
    made(errors=range(10))
    before = Path("registry/candidate.json").read_bytes()
    assert said in run(Path.cwd(), "assay", "compare", "first", option, file, code=1)
    assert Path("registry/candidate.json").read_bytes() == before and not Path("a.md").exists()


@pytest.mark.slow
def test_models_for_other_labels_or_classes_are_said_not_to_be_comparable() -> None:
    made(errors=range(10))
    candidate = json.loads(Path("registry/candidate.json").read_text())
    write("registry/candidate.json", candidate | {"task": "multi_label"})
    commit("second")
    assert "one model is single_label, the other multi_label" in page()
    write("registry/candidate.json", candidate | {"classes": ["ape", "bee"]})
    commit("third")
    write("registry/candidate.json", candidate | {"classes": ["ape", "cow"]})
    commit("fourth")
    assert "Not comparable: the classes differ (gone: bee; new: cow)." in page("third", "fourth")


def test_images_that_came_went_and_were_relabelled_are_counted() -> None:
    columns = {"path": [f"{n}.png" for n in range(60)], "label": ["ape", "bee"] * 30, "split": "train"}
    old = pd.DataFrame(columns | {"brightness": np.arange(60.0)}, index=[f"{n:064x}" for n in range(60)])
    new = old.iloc[10:].assign(label=["bee", *old["label"].iloc[11:]], brightness=lambda rows: rows["brightness"] + 40)
    found = data_change.look(old, new, "single_label")
    assert (found.n_added, found.n_removed, found.n_resplit) == (0, 10, 0)
    assert found.relabelled == (("10.png", "ape", "bee"),)
    assert found.shares["bee"] == pytest.approx((0.5, 26 / 50))
    assert found.distances["brightness"] == pytest.approx(ks_2samp(old["brightness"], new["brightness"]).statistic)
    text = "\n".join(data_change.lines(found))
    assert "60 → 50 images: 0 added, 10 removed, 1 relabelled" in text
    assert "brightness moved: 0." in text
    assert data_change.lines(data_change.look(old, old, "single_label")) == [
        "The data are the same 60 images with the same labels."
    ]


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("metrics", "nothing to compare: second has no metrics; name a commit that has them: `git log"),
        ("metrics/eval.json", "no models to compare: second has no metrics/eval.json; name a commit that has them"),
    ],
)
def test_side_without_metrics_is_said_and_not_that_its_gate_is_closed(file: str, said: str) -> None:
    run(Path.cwd(), "git", "rm", "-rq", file)
    commit("second")
    for old, new in (("first", "second"), ("second", "first")):
        text = page(old, new)
        assert said in text and "gate is closed" not in text
    assert "`dvc repro` makes them" in page("first", changes.WORKSPACE)
    run(Path.cwd(), "assay", "compare", "first", "second", "--json", "a.json", "--html", "a.html")
    assert said[:40] in json.loads(Path("a.json").read_text())["remarks"][0]
    assert said[:40] in Path("a.html").read_text()


def test_images_that_are_not_compared_are_said() -> None:
    made(errors=range(9))
    commit("second")
    said = "the images are not compared: first and second have no data/manifest.parquet that can be read here"
    assert f"- {said}; `dvc push` it where it was made" in page()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("<<<<<<< ours", "is not JSON"),
        ("[]", "is no JSON object"),
        ('{"errors": []}', "has no `split` of the form of this version"),
        ('{"errors": [1], "split": {"test": "t1"}}', "has no `split` and no `errors` of the form of this version"),
    ],
)
def test_candidate_of_another_version_is_said_and_the_rest_compared(
    content: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(errors=range(10))
    Path("registry/candidate.json").write_text(content)
    commit("second")
    text = page()
    assert f"- registry/candidate.json of second {said}; compared is what the lists of predictions say" in text
    assert "which images second was tested on is not known here (`dvc fetch`)" in text
    lists = {"first": predictions(range(100), range(10)), "second": predictions(range(100), range(9))}
    cached(monkeypatch, "predictions.csv", {rev: rows.encode() for rev, rows in lists.items()})
    assert "(0 new errors, 1 gone, on 100 images" in page()
