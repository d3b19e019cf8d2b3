"""Great Expectations, loaded once and with our expectations registered."""

import gc
import os
from functools import cache
from typing import Any

from assay.validation.rules import Rule


@cache
def great_expectations() -> Any:
    """Return the package, told not to call home, with our expectations registered."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    collects = gc.isenabled()
    gc.disable()
    try:
        import great_expectations  # 3 s, wanted only where suites are

        from assay.validation import custom_expectations  # noqa: F401  (to import them is to register them)
    finally:
        gc.freeze()  # all that an import makes stays; to look through it takes half a second, and one more at the end
        if collects:
            gc.enable()
    return great_expectations


def implementation(rule: Rule) -> Any:
    """Return the class of the rule's type."""
    great_expectations()
    from great_expectations.expectations import registry

    return registry.get_expectation_impl(rule.type)
