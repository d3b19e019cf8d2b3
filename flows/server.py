"""Prefect's server: does it answer?"""

import logging
import time

from prefect import get_client
from prefect.settings import PREFECT_API_URL

from assay.errors import AssayError

log = logging.getLogger("prefect.server")


def check() -> None:
    """Start Prefect's temporary server, or raise `AssayError` if the one of PREFECT_API_URL does not answer."""
    url = PREFECT_API_URL.value()
    try:
        with get_client(sync_client=True) as client:
            error = client.api_healthcheck()
    except RuntimeError as started_not:
        error = started_not
    if error:
        where = f"{url} does not answer (PREFECT_API_URL)" if url else "its temporary server does not start"
        raise AssayError(f"Prefect: {where}: {str(error).splitlines()[0]}")


def wait(seconds: float) -> None:
    """Return when the server answers; raises `AssayError` if it does not in time. It may be restarted at any moment."""
    end, told = time.monotonic() + seconds, False
    while True:
        try:
            return check()
        except AssayError as error:
            if time.monotonic() > end:
                raise
            if not told:
                log.warning("%s; waiting for it", error)
            told = True
            time.sleep(2)
