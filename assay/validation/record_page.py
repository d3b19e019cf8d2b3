"""The page that `verify` leaves for people: what of the records is not as it should be.

It stands apart from that of `validate`, which compares distributions: SciPy and scikit-learn take two seconds to load.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from assay import pages
from assay.dataset.originals import Originals
from assay.validation import findings

NO_PAIRS = pd.DataFrame({"path": [], "partner": [], "distance": []})


def of_records(results: Mapping[str, Any], failures: pd.DataFrame, images: pd.DataFrame, raw: Originals) -> str:
    """Return the page, the same for the same data; arguments as in `page.of_data`."""
    found = findings.findings(results["expectations"], failures, images, NO_PAIRS, raw)
    return pages.render("validation/verification.html", findings=found, **results)
