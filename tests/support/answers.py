"""What the doctor says of one thing."""

from collections.abc import Iterator

from flows.doctor.answer import Answer


def the(answers: Iterator[Answer]) -> Answer:
    (answer,) = answers
    return answer
