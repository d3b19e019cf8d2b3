"""Long work is never silent: a line every so often in a log, none where it is done at once."""

import time

import pytest

from assay import progress


@pytest.mark.parametrize(
    ("done", "total", "seconds", "said"),
    [
        (5_000, 20_000, 31, "measuring: 5,000 of 20,000 images after 31 s, about 1 min 33 s left"),
        (0, 20, 12, "measuring: 0 of 20 images after 12 s"),
        (20, 20, 12, "measuring: 20 of 20 images after 12 s"),
        (7, None, 75, "measuring: 7 images after 1 min 15 s"),
        (0, None, 10, "measuring: after 10 s"),
    ],
)
def test_line_says_how_far_it_is_and_how_long_it_takes(done: int, total: int | None, seconds: int, said: str) -> None:
    assert progress.line("measuring", done, total, "images", seconds) == said


def test_work_that_takes_long_is_told_in_a_log_and_short_work_is_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress.told("short", 1) as advance:
        advance(1)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress, "EVERY_S", 0.01)
    with progress.told("long", 4) as advance:
        advance(2)
        for _ in range(500):
            time.sleep(0.01)
            if (said := capsys.readouterr().err).count("\n"):
                break
    assert said.startswith("long: 2 of 4 images after 0 s")


def test_what_goes_wrong_within_goes_on() -> None:
    with pytest.raises(ValueError, match="broken"), progress.told("long"):
        raise ValueError("broken")
