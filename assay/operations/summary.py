"""What the last run came to, in three lines, and what comes next: for `assay results`, and the end of `dvc repro`."""

from assay import files, params
from assay.errors import AssayError
from assay.labels import ACCURACY


def lines(p: params.Params) -> list[str]:
    """Return a line each for data, model and verdict, with the page to look at, then the next step."""
    paths = p.paths
    test, candidate = files.read_json(paths.metrics.eval)["eval"], files.read_json(paths.candidate)
    word = ACCURACY[candidate.get("task", "single_label")]
    accuracy = f"{word} {test['accuracy']:.4f}, between {test['accuracy_low']:.4f} and {test['accuracy_high']:.4f}"
    rows = [
        ("data", "passed", paths.validation / "index.html"),
        ("model", f"{accuracy}, on {test['n_images']:,} test images", paths.verdict / "index.html"),
        ("verdict", candidate["verdict"], paths.card),
    ]
    return [*(f"{name:8} {seen:70} {place}" for name, seen, place in rows), f"next     {_next(candidate, p)}"]


def rejected(p: params.Params) -> list[str]:
    """Return the lines where no pass lies: the data were rejected, or never looked at."""
    page = p.paths.validation / "index.html"
    if not page.exists():
        return [f"{'data':8} {'not validated yet':70}", "next     `dvc repro`"]
    return [
        f"{'data':8} {'rejected':70} {page}",
        "what lies here of a model is an earlier run's",
        "next     mend what the page names, or change its limit in expectations/; then `dvc repro`",
    ]


def _next(candidate: dict[str, str], p: params.Params) -> str:
    approve = "" if _is_approved(p) else "`assay approve`, if the page about the data is as it should be; then "
    if candidate["verdict"] == "promote":
        return f"{approve}`assay release` makes it a version, and the champion"
    return (
        f"{approve}{p.paths.card} says why it is held and what may help; `assay release` keeps it as a version that is "
        "no champion"
    )


def _is_approved(p: params.Params) -> bool:
    try:
        return bool(files.read_json(p.paths.approved))
    except (OSError, AssayError):
        return False
