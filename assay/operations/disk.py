"""Is there room for a retraining?"""

import shutil
from pathlib import Path

GIB = 2**30
SHARE = 0.05  # of the disk that should be free at least ...
LEAST_GIB = 2.0  # ... but no less than this, and no more than MOST_GIB
MOST_GIB = 50.0


def wanted_gib(total_bytes: int) -> float:
    """Return how much should be free on a disk of this size."""
    return min(max(SHARE * total_bytes / GIB, LEAST_GIB), MOST_GIB)


def room(place: Path) -> tuple[float, float]:
    """Return (free, wanted) GiB of the disk that the place lies on."""
    usage = shutil.disk_usage(place)
    return usage.free / GIB, wanted_gib(usage.total)
