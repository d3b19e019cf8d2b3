"""The queue: so many requests are worked on, so many wait, and whoever comes then is told to come back."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self, TypeVar

from assay.inference.serving.limits import Limits, Refused

T = TypeVar("T")


class Desk:
    """A place is taken before a body is read, so that the memory of all requests is bounded too.

    A decode cannot be stopped: what runs out of time keeps its thread until it is done, and its place.
    """

    def __init__(self, limits: Limits) -> None:
        self.workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._limits = limits
        self._pool = ThreadPoolExecutor(self.workers, "answer")
        self.taken = 0

    def place(self) -> "Place":
        """Return a place, to be used with `with`; raises `Refused` if none is free."""
        if self.taken >= self.workers + self._limits.waiting:
            raise Refused(503, f"{self.taken} requests are at work or wait, try again soon")
        return Place(self)

    async def work(self, place: "Place", do: Callable[[], T]) -> T:
        """Return what `do` returns, called in a thread; raises `Refused` when it takes too long."""
        future = asyncio.get_running_loop().run_in_executor(self._pool, do)
        place.keep(future)
        try:
            return await asyncio.wait_for(asyncio.shield(future), self._limits.work_s)
        except TimeoutError:
            raise Refused(503, f"no answer in {self._limits.work_s:g} s, try again later") from None

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


class Place:
    """One request's place in the queue."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._future: asyncio.Future[Any] | None = None

    def keep(self, future: "asyncio.Future[Any]") -> None:
        self._future = future

    def __enter__(self) -> Self:
        self._desk.taken += 1
        return self

    def __exit__(self, *_: object) -> None:
        if self._future is None or self._future.done():
            self._leave()
        else:
            self._future.add_done_callback(self._leave)

    def _leave(self, future: "asyncio.Future[Any] | None" = None) -> None:
        self._desk.taken -= 1
        if future is not None and not future.cancelled():
            future.exception()  # else asyncio says that nobody asked for it
