"""What a schedule does on the days when clocks change: is there its time on every day of the coming year?"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

STEP = timedelta(minutes=15)  # clocks change on such a minute, everywhere
SOON = timedelta(hours=1)  # a schedule that runs again so soon after the gap loses nothing


@dataclass(frozen=True, kw_only=True)
class Gap:
    """Times that a clock on the wall never shows: from the first on, up to the second."""

    start: datetime  # naive
    end: datetime

    @property
    def text(self) -> str:
        return f"on {self.start:%Y-%m-%d} from {self.start:%H:%M} to {self.end:%H:%M}"


def gaps(zone: str, start: datetime) -> Iterator[Gap]:
    """Yield the gaps of the year that begins at `start`, which has a timezone."""
    clock = ZoneInfo(zone)
    first = start.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    before = first.astimezone(clock).utcoffset() or timedelta(0)
    for number in range(1, timedelta(days=366) // STEP):
        now = first + number * STEP
        offset = now.astimezone(clock).utcoffset() or timedelta(0)
        if offset > before:
            yield Gap(start=(now + before).replace(tzinfo=None), end=(now + offset).replace(tzinfo=None))
        before = offset


def lost(cron: str, zone: str, start: datetime) -> Iterator[tuple[Gap, list[datetime]]]:
    """Yield the gaps in which the schedule would run, and when Prefect runs it on these days instead.

    Not those of one that runs within an hour after the gap too, such as one of every half hour.
    """
    for gap in gaps(zone, start):
        wanted = [time.replace(tzinfo=None) for time in _dates(cron, "UTC", gap.start, gap.end + SOON)]
        if wanted and max(wanted) < gap.end:
            day = gap.start.replace(hour=0, minute=0) - SOON
            found = _dates(cron, zone, day, gap.end + 2 * SOON)
            yield gap, [time for time in found if abs(time.replace(tzinfo=None) - wanted[0]) <= 2 * SOON]


def _dates(cron: str, zone: str, start: datetime, end: datetime) -> list[datetime]:
    """Return what Prefect's own scheduler makes of it; naive times are those of the zone."""
    from prefect.server.schemas.schedules import CronSchedule  # seconds, and only here

    times = CronSchedule(cron=cron, timezone=zone).get_dates(
        n=1000, start=start.replace(tzinfo=ZoneInfo(zone)), end=end.replace(tzinfo=ZoneInfo(zone))
    )
    return [time.astimezone(ZoneInfo(zone)) for time in asyncio.run(times)]
