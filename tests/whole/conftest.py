"""One whole run for all tests of this folder that a worker has."""

from run_once import done, first_run

__all__ = ["done", "first_run"]
