"""The page that `verify` leaves for people: which records are not what they should be, with the images."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from assay import findings, report

NO_PAIRS = pd.DataFrame({"path": [], "partner": [], "distance": []})


def render(results: Mapping[str, Any], failures: pd.DataFrame, images: pd.DataFrame, raw: Path) -> str:
    """Return the page, the same for the same data; arguments as in assay/validation_page.py."""
    found = findings.findings(results["expectations"], failures, images, NO_PAIRS, raw)
    return report.render("verification.html", findings=found, **results)
