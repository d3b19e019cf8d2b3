"""What the server takes, and how it refuses the rest."""

from dataclasses import dataclass

MEGA = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Of one request, and of all that wait."""

    body_bytes: int = 20 * MEGA
    pixels: int = 40 * MEGA  # of an image, checked before it is decoded
    images: int = 16
    waiting: int = 64  # requests, beyond those that are worked on
    upload_s: float = 30.0
    work_s: float = 30.0


class Refused(Exception):
    """Becomes an answer with this status; `text` says what was seen and what is allowed."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text
