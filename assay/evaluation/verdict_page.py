"""The page of the evaluation with the verdict beside the champion: the one that people forward.

`evaluate` knows no champion, for another is released without the model changing. It leaves a place in its page, and
`register` fills it in without asking an image again.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assay import pages
from assay.errors import AssayError
from assay.evaluation.decided import two_verdicts

BY_ITSELF = ("accuracy", "class recall")  # checks that the headline has already
BEGIN, END = "<!-- verdict -->", "<!-- end of the verdict -->"  # around it in evaluation.html


def build(page: Path, made: Mapping[str, Any]) -> str:
    """Return the page with what candidate.json says, `made`; raises `AssayError` for one without a place for it."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise AssayError(
            f"{page} has no place for the verdict: it was edited; `dvc repro --force evaluate` makes it anew"
        )
    beside = [check for check in made["checks"] if check["name"] not in BY_ITSELF]
    lacks = [check["name"] for check in made["checks"] if check["name"] in BY_ITSELF and not check["passed"]]
    told = pages.render("evaluation/decided.html", made=made, checks=beside, lacks=lacks, verdicts=two_verdicts(made))
    return f"{before}{begin}\n{told}{end}{after}"
