"""What a person must put right. Shown as one message, without a traceback."""


class AssayError(Exception):
    """Says the thing, the value seen, the limit and where to change it."""

    exit_code = 1


class InputsChanged(AssayError):
    """A declared input changed while the stage ran, so DVC must not record the run."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: nothing is wrong, run it again


class WorseModel(AssayError):
    """The model of one commit is worse than that of another; `page` is the whole comparison."""

    exit_code = 4

    def __init__(self, message: str, page: str) -> None:
        super().__init__(message)
        self.page = page


class DriftFound(AssayError):
    """New images are unlike the approved ones, or unlike the champion's test images: a result, not a crash."""

    exit_code = 6


class GateClosed(AssayError):
    """The data failed a critical expectation: a result, not a crash."""

    exit_code = 3
