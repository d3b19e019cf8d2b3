"""A module of flows/, which this library does not import."""

import os
import sys
from pathlib import Path
from typing import NoReturn

from assay.errors import AssayError


def become(name: str, *arguments: str) -> NoReturn:
    """Become `python -m flows.NAME` of the checkout that this is called in."""
    if not Path("flows").is_dir():
        raise AssayError(f"{name.rpartition('.')[2]}: run this in the folder that holds flows/")
    os.execv(sys.executable, [sys.executable, "-m", f"flows.{name}", *arguments])
