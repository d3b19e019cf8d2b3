import json
from pathlib import Path
from typing import Any

import pytest
from conftest import run, set_params
from PIL import Image
from scipy.stats import binomtest

from assay import compare, params, plots
from assay.errors import AssayError, WorseModel


@pytest.fixture(autouse=True)
def first(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout with a commit `first`: 10 of 100 test images wrong."""
    monkeypatch.chdir(checkout)
    made(errors=range(10))
    commit("first")


def made(errors: range, test: str = "t1", passed: int = 1, **classes: float) -> None:
    """Leave what a run leaves in git."""
    accuracy = 1 - len(errors) / 100
    write("metrics/data.json", {"data": {"n_images": 500, "class": {"ape": 250}}})
    write("metrics/gate.json", {"gate": {"passed": passed}})
    recalls = {name: {"recall": value} for name, value in classes.items()}
    write("metrics/eval.json", {"eval": {"accuracy": accuracy, "class": recalls}})
    split = {"test": test, "n_test_images": 100}
    write("registry/candidate.json", {"errors": [f"{n:064x}" for n in errors], "split": split})


def write(file: str, content: Any) -> None:
    Path(file).parent.mkdir(exist_ok=True)
    Path(file).write_text(json.dumps(content))


def commit(tag: str) -> None:
    run(Path.cwd(), "git", "add", "-A")
    run(Path.cwd(), "git", "commit", "-qm", tag)
    run(Path.cwd(), "git", "tag", tag)


def page(old: str = "first", new: str = "second") -> str:
    return compare.compare(old, new, params.load())


def test_equal_commits_differ_in_nothing() -> None:
    assert "Nothing changed." in page("first", "first")


def test_better_model_is_shown_with_what_chance_would_do() -> None:
    made(errors=range(4, 10))
    commit("second")
    p_value = binomtest(0, 4).pvalue  # all four discordant images are better
    assert (
        "**Accuracy 0.9000 → 0.9400**: 0 new errors and 4 gone on the same 100 test images: no more than chance would "
        f"do (McNemar, exact, p = {p_value:.3f})." in page()
    )
    assert "| `eval.accuracy` | 0.9 | 0.94 | +0.04 |" in page()


def test_difference_beyond_chance_is_called_real() -> None:
    made(errors=range(1))
    commit("second")
    assert binomtest(0, 9).pvalue < 0.05
    assert "9 gone on the same 100 test images: a real difference" in page()


def test_drop_ends_with_exit_code_4_and_the_page() -> None:
    made(errors=range(12))
    commit("second")
    with pytest.raises(WorseModel, match=r"drops by 0\.0200 from first to second, the limit is 0\.0 ") as worse:
        page()
    assert "2 new errors and 0 gone" in worse.value.page
    printed = run(Path.cwd(), "assay", "compare", "first", "second", code=4)
    assert "2 new errors and 0 gone" in printed
    assert "params.yaml: register.max_accuracy_drop" in printed
    set_params(Path.cwd(), register={"max_accuracy_drop": 0.05})
    assert "2 new errors" in page()


def test_model_behind_a_closed_gate_is_of_another_run_and_not_shown() -> None:
    made(errors=range(50), passed=0)
    commit("second")
    assert "**The gate is closed**" in page()
    assert "eval" not in page()
    assert "| `gate.passed` | 1 | 0 | -1 |" in page()


def test_other_test_split_is_compared_on_the_common_images(monkeypatch: pytest.MonkeyPatch) -> None:
    made(errors=range(5, 12), test="t2")
    commit("second")
    assert "on test images that differ and are not here to compare" in page()
    lists = {"first": range(100), "second": range(8, 110)}
    text = {rev: "sha256,label\n" + "".join(f"{n:064x},ape\n" for n in rows) for rev, rows in lists.items()}
    here = compare.tracking.read
    monkeypatch.setattr(
        compare.tracking, "read", lambda file, rev: text[rev] if file.name == "predictions.csv" else here(file, rev)
    )
    with pytest.raises(WorseModel, match=f"drops by {2 / 92:.4f}") as worse:  # 10 and 11 are new, 5 to 7 not common
        page()
    assert "2 new errors and 0 gone on the common 92 test images" in worse.value.page


def test_classes_are_listed_by_their_fall_and_cut_where_there_are_too_many() -> None:
    made(errors=range(10), **{f"c{n:03d}": 0.9 for n in range(80)})
    commit("second")
    made(errors=range(10), **{f"c{n:03d}": 0.8 if n == 50 else 0.85 for n in range(80)})
    commit("third")
    table = page("second", "third").partition("### Classes")[2].splitlines()
    assert table[4] == "| `eval.class.c050.recall` | 0.9 | 0.8 | -0.1 |"
    assert table[-1] == "and 20 more"


def test_results_that_are_not_of_these_files_are_said_to_be_old() -> None:
    assert "**Not up to date**" in page("first", compare.WORKSPACE)


def test_unknown_commit_and_broken_metrics_are_named() -> None:
    with pytest.raises(AssayError, match="unknown Git revision 'nowhere'"):
        page("first", "nowhere")
    Path("metrics/eval.json").write_text("{")
    with pytest.raises(AssayError, match=r"metrics of workspace cannot be read: metrics/eval\.json"):
        page("first", compare.WORKSPACE)


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
