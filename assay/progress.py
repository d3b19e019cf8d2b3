"""How far long work is: a bar with the time left in a terminal, a plain line every ten seconds in a log."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

EVERY_S = 10.0  # a line in a log; work that is done sooner leaves none
REFRESH_S = 1.0  # of a bar, while no step of the work ends


@contextmanager
def told(
    what: str, total: int | None = None, unit: str = "images", *, has_bar: bool = False
) -> Iterator[Callable[[int], None]]:
    """Tell people on stderr how far the work in the block is; yield what to call with the number of units done.

    `total`: units in all; None: not known, and work that calls nothing shows the time that it has taken. `has_bar`: in
    a terminal the work draws a bar of its own.
    """
    is_terminal = sys.stderr.isatty()
    is_shown = is_terminal and not has_bar
    with tqdm(desc=what, total=total, unit=f" {unit}", disable=not is_shown, leave=False) as bar:
        told_of = _Told(what, total, unit)
        over = threading.Event()
        tell = bar.refresh if is_terminal else told_of.say
        ticking = threading.Thread(target=_tick, args=(over, REFRESH_S if is_terminal else EVERY_S, tell), daemon=True)
        ticking.start()

        def advance(n: int) -> None:
            bar.update(n)
            told_of.add(n)

        try:
            yield advance
        finally:
            over.set()
            ticking.join()


def _tick(over: threading.Event, every_s: float, tell: Callable[[], object]) -> None:
    while not over.wait(every_s):
        tell()


class _Told:
    """What a line says: `measuring: 5,000 of 20,000 images after 31 s, about 93 s left`."""

    def __init__(self, what: str, total: int | None, unit: str) -> None:
        self._what, self._total, self._unit, self._done, self._since = what, total, unit, 0, time.monotonic()

    def add(self, n: int) -> None:
        self._done += n

    def say(self) -> None:
        print(line(self._what, self._done, self._total, self._unit, time.monotonic() - self._since), file=sys.stderr)
        sys.stderr.flush()


def line(what: str, done: int, total: int | None, unit: str, seconds: float) -> str:
    """Return how far work is after so many seconds, and how many are left where that can be told."""
    said = f"{what}: "
    if total is not None:
        said += f"{done:,} of {total:,} {unit} "
    elif done:
        said += f"{done:,} {unit} "
    said += f"after {_time(seconds)}"
    return said + (f", about {_time(seconds / done * (total - done))} left" if total and 0 < done < total else "")


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
