"""What `assay doctor` says to one question."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Answer:
    """`todo` is empty where all is well."""

    subject: str
    seen: str
    todo: str = ""
