"""What a person must put right. Shown as one message, without a traceback."""

import os

RELINK = (
    "`dvc cache dir --local PATH` where the cache lies now, then `dvc checkout`; or `dvc pull`; or, where it is lost, "
    "delete the links and `dvc repro`"
)


class AssayError(Exception):
    """Says the thing, the value seen, the limit and where to change it."""

    exit_code = 1

    def __init__(self, *said: str, todo: str = "") -> None:
        """`todo`: the command that comes next, where the message does not name it."""
        super().__init__(*said)
        self.todo = todo


class InputsChanged(AssayError):
    """A declared input changed while the stage ran, so DVC must not record the run."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: nothing is wrong, run it again


class WorseModel(AssayError):
    """The model of one commit is worse than that of another: a result, not a crash."""

    exit_code = 4


class DriftFound(AssayError):
    """New images are unlike the approved ones, or unlike the champion's test images: a result, not a crash."""

    exit_code = 6


class Unreadable(AssayError):
    """Some images cannot be read: the others have their answer."""

    exit_code = 7


class GateClosed(AssayError):
    """The data failed a critical expectation: a result, not a crash."""

    exit_code = 3


def of_lost_link(error: OSError) -> str:
    """Return what to say of a file that is a link into DVC's cache, which is not there; empty of another error."""
    file = error.filename
    if not isinstance(error, FileNotFoundError) or not file or not os.path.islink(file):  # noqa: PTH114  (may be bytes)
        return ""
    to = os.readlink(file)  # noqa: PTH115
    return f"{file} is a link to {to}, which is not there: was DVC's cache moved, or is its disk away? {RELINK}"
