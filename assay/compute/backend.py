"""Backends: where the work over images runs.

`ASSAY_BACKEND` is `loky` (a process for each core of this machine, the default), `dask` or `ray`: a cluster, which
`ASSAY_BACKEND_ADDRESS` finds (tcp://HOST:8786 of a Dask scheduler; HOST:6379 of a Ray head, or `auto` on one of its
machines). Its workers need this version of Assay and Pillow, and the paths that this machine sees. The results are the
same everywhere.
"""

import ctypes
import logging
import os
import re
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from typing import Any, TypeVar

import joblib
import pyarrow as pa

from assay import processes
from assay.errors import AssayError

Unit = TypeVar("Unit")
Result = TypeVar("Result")

BACKEND, ADDRESS = "ASSAY_BACKEND", "ASSAY_BACKEND_ADDRESS"
NAMES = ("loky", "dask", "ray")
WAIT_S = 5  # for a cluster to answer
PROCESSES_FROM = 5_000  # images: a process takes a second to start, for which threads measure so many
# Beyond these bytes the C library hands freed memory back to the system at once, and a large image is zeroed anew.
KEPT_BYTES, MAPPED_BYTES = 128 << 20, 32 << 20
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h


def name() -> str:
    """Return the backend that the environment asks for; raises `AssayError` if there is none of that name."""
    found = os.environ.get(BACKEND) or "loky"
    if found not in NAMES:
        raise AssayError(f"{BACKEND}: {found!r} is none of {', '.join(NAMES)}")
    return found


def is_cluster() -> bool:
    return name() != "loky"


def results(function: Callable[[Unit], Result], units: Iterable[Unit], n_images: int) -> Iterator[Result]:
    """Yield what a function makes of each unit, in their order, a few ahead of the one that is taken.

    Work on few images is done by threads of this process. For all else the function must be one of a module, and the
    units such that they can be pickled. Raises `AssayError` if the cluster does not answer or a worker dies.
    """
    found = name()
    if found == "loky" and n_images < PROCESSES_FROM:
        yield from joblib.Parallel(n_jobs=-1, prefer="threads", return_as="generator", batch_size=1)(
            joblib.delayed(function)(unit) for unit in units
        )
        return
    if found == "loky":
        with _told(found):
            pool = joblib.Parallel(n_jobs=-1, batch_size=1, return_as="generator", **_loky())
            yield from pool(joblib.delayed(function)(unit) for unit in units)
        return
    cluster = {"dask": _dask, "ray": _ray}[found]
    with cluster(_address(found)) as workers, _told(found):
        yield from _in_order(workers(function), units)


def ahead(function: Callable[[Unit], Result], units: Iterable[Unit], n_images: int) -> Iterator[Result]:
    """Begin the work in processes of this machine, and return what yields its results in the order of the units.

    Few images are not worth a process: this one does the work, as the results are taken. Function and units as in
    `results`. When the last result is taken the processes end, beside what this one does next.
    """
    if n_images < PROCESSES_FROM:
        return map(function, units)
    pool = joblib.Parallel(n_jobs=-1, batch_size=1, return_as="generator", **_loky())
    return _taken(pool(joblib.delayed(function)(unit) for unit in units))


def _taken(begun: Iterator[Result]) -> Iterator[Result]:
    from joblib.externals.loky import get_reusable_executor

    with _told("loky"):
        yield from begun
    get_reusable_executor(reuse=True).shutdown(wait=False)  # a process takes a quarter of a second to end


@dataclass(frozen=True, kw_only=True)
class _Workers:
    """How a function is asked of a cluster's workers."""

    begin: Callable[[Any], Any]  # returns at once what stands for the result of a unit
    end: Callable[[Any], Any]  # waits for that result, or raises what went wrong
    n_cores: int


def _in_order(workers: _Workers, units: Iterable[Any]) -> Iterator[Any]:
    """Yield the results in the order of the units; two for each core are begun ahead of the one that is taken.

    Not by joblib: its backend for Dask waits for ever where a worker died, and that for Ray knows no generator.
    """
    begun: deque[Any] = deque()
    for unit in units:
        begun.append(workers.begin(unit))
        if len(begun) >= 2 * workers.n_cores:
            yield workers.end(begun.popleft())
    while begun:
        yield workers.end(begun.popleft())


def _loky() -> dict[str, Any]:
    # Its processes would go on writing while the next run is at work.
    return {"backend": "loky", "initializer": processes.exit_with, "initargs": (os.getpid(),)}


def _address(found: str) -> str:
    """Return the address of the cluster, at which something answers."""
    address = os.environ.get(ADDRESS) or ("auto" if found == "ray" else "")
    place = re.fullmatch(r"(?:\w+://)?\[?([^/\]]+)\]?:(\d+)/?", address)
    if not place and not (found == "ray" and address == "auto"):
        example = "tcp://10.0.0.5:8786" if found == "dask" else "10.0.0.5:6379, or auto"
        raise AssayError(f"{ADDRESS}: {address!r} is no address of a cluster; {BACKEND}={found} wants {example}")
    if place:
        _check_speaks(address, place[1], int(place[2]))
    return address


def _check_speaks(address: str, host: str, port: int) -> None:
    """Raise `AssayError` unless a server greets there: those of both do at once, and their clients wait for minutes."""
    is_encrypted = address.startswith("tls:") or "RAY_USE_TLS" in os.environ  # then the client speaks first
    try:
        with socket.create_connection((host, port), WAIT_S) as server:
            greeting = is_encrypted or server.recv(1)
    except (OSError, OverflowError) as error:
        raise AssayError(f"{ADDRESS}: nothing answers at {address}: {error}") from None
    if not greeting:
        raise AssayError(f"{ADDRESS}: no {name()} cluster answers at {address}")


@contextmanager
def _dask(address: str) -> Iterator[Callable[[Callable[[Any], Any]], _Workers]]:
    try:
        from distributed import Client
    except ImportError:
        raise AssayError(_missing("dask", "dask[distributed]")) from None
    try:
        client: Any = Client(address, timeout=WAIT_S)
    except Exception as error:  # what answers need not be Dask
        raise AssayError(f"{ADDRESS}: no Dask scheduler at {address}: {_line(error)}") from None

    def of(function: Callable[[Any], Any]) -> _Workers:
        client.wait_for_workers(1, timeout=WAIT_S)
        n_cores = sum(client.ncores().values())
        # Else an equal unit would be an equal task, whose result may be kept from before.
        begin = partial(client.submit, function, pure=False)
        return _Workers(begin=begin, end=lambda future: future.result(), n_cores=n_cores)

    with client:
        yield of


@contextmanager
def _ray(address: str) -> Iterator[Callable[[Callable[[Any], Any]], _Workers]]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise AssayError(_missing("ray", "ray")) from None
    try:
        ray.init(address, logging_level=logging.ERROR, log_to_driver=False)
    except Exception as error:
        raise AssayError(f"{ADDRESS}: no Ray cluster at {address}: {_line(error)}") from None

    def end(begun: Any) -> Any:
        try:
            return ray.get(begun)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None  # without the lines that Ray puts before it

    def of(function: Callable[[Any], Any]) -> _Workers:
        n_cores = int(ray.cluster_resources().get("CPU", 1))
        return _Workers(begin=partial(ray.remote(_asked).remote, function), end=end, n_cores=n_cores)

    try:
        yield of
    finally:
        ray.shutdown()


@contextmanager
def _told(found: str) -> Iterator[None]:
    """Turn what goes wrong with the workers, and not with the work, into `AssayError`."""
    try:
        yield
    except (ImportError, TimeoutError) as error:
        raise AssayError(
            f"{BACKEND}={found}: its workers cannot work: {_line(error)}; they need this version of Assay"
        ) from None
    except Exception as error:
        if not isinstance(error, _deaths(found)):
            raise
        raise AssayError(f"{BACKEND}={found}: a worker died, perhaps for want of memory: {_line(error)}") from None


def _deaths(found: str) -> tuple[type[Exception], ...]:
    """Return what is raised where a worker is gone that was at work."""
    match found:
        case "dask":
            from distributed import KilledWorker
            from distributed.comm import CommClosedError

            return (KilledWorker, CommClosedError)
        case "ray":
            from ray.exceptions import RayError

            return (RayError,)
        case _:
            from joblib.externals.loky.process_executor import TerminatedWorkerError

            return (TerminatedWorkerError,)


def _asked(function: Callable[[Unit], Result], unit: Unit) -> Result:
    """Ray takes functions that are written in Python, but no partial ones."""
    return function(unit)


def _missing(found: str, package: str) -> str:
    return f"{BACKEND}={found}: {package} is not installed; run: pip install 'assay[{found}]'"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def chunks(items: Iterable[Unit], most: int, n_items: int) -> Iterator[tuple[Unit, ...]]:
    """Yield the items in chunks of at most `most`, smaller where else some cores would have none."""
    return batches(items, max(1, min(most, n_items // (4 * joblib.cpu_count()))))


def batches(items: Iterable[Unit], size: int) -> Iterator[tuple[Unit, ...]]:
    rest = iter(items)
    while some := tuple(islice(rest, size)):
        yield some


def hand_back_memory() -> None:
    """Hand what was freed back to the system, after work whose memory what comes next has no use for."""
    pa.default_memory_pool().release_unused()
    with suppress(AttributeError, OSError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)


@lru_cache
def keep_memory() -> None:
    """Let this process keep what it frees for what comes next: half of a decode is the system zeroing memory."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # not glibc
        return
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
    mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES)
