"""Prefect's server: does it answer?"""

from prefect import get_client
from prefect.settings import PREFECT_API_URL

from assay.errors import AssayError


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
