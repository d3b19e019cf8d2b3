"""What `assay doctor` says to one question."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Answer:
    """`todo` is empty where all is well, or where nothing is in the way of the next run and yet to be known."""

    subject: str
    seen: str
    todo: str = ""
    is_note: bool = False
