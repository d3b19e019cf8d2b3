"""Schedules on the days when clocks change, as Prefect's own scheduler in the installed version has them."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from flows.doctor import clocks, declared
from flows.server import deployments

START = datetime(2027, 1, 1, tzinfo=UTC)


def times(cron: str, zone: str, day: str) -> list[str]:
    start = datetime.fromisoformat(day)
    return [f"{time:%H:%M%z}" for time in clocks._dates(cron, zone, start, start.replace(hour=23, minute=59))]


@pytest.mark.parametrize(
    ("cron", "day", "expected"),
    [
        ("30 2 * * *", "2027-03-28", ["01:30+0100"]),  # 02:30 is no time: an hour earlier
        ("30 2 * * *", "2027-10-31", ["02:30+0200"]),  # there it is twice: the first, once
        ("0 3 * * *", "2027-03-28", ["03:00+0200"]),
        ("0 3 * * *", "2027-10-31", ["03:00+0100"]),
        ("30 2 * * *", "2027-07-01", ["02:30+0200"]),
    ],
)
def test_docs_say_what_prefect_does(cron: str, day: str, expected: list[str]) -> None:
    assert times(cron, "Europe/Berlin", day) == expected


def test_every_half_hour_loses_nothing_in_spring_and_an_hour_in_autumn() -> None:
    assert times("*/30 * * * *", "Europe/Berlin", "2027-03-28")[3:6] == ["01:30+0100", "03:00+0200", "03:30+0200"]
    autumn = times("*/30 * * * *", "Europe/Berlin", "2027-10-31")
    assert autumn[4:7] == ["02:00+0200", "02:30+0200", "03:00+0100"]


@pytest.mark.parametrize(
    ("zone", "seen"),
    [
        ("Europe/Berlin", ["on 2027-03-28 from 02:00 to 03:00"]),
        ("America/New_York", ["on 2027-03-14 from 02:00 to 03:00"]),
        ("America/Santiago", ["on 2027-09-05 from 00:00 to 01:00"]),
        ("Australia/Lord_Howe", ["on 2027-10-03 from 02:00 to 02:30"]),
        ("UTC", []),
        ("Asia/Kolkata", []),
    ],
)
def test_gaps_are_those_of_the_zone(zone: str, seen: list[str]) -> None:
    assert [gap.text for gap in clocks.gaps(zone, START)] == seen


@pytest.mark.parametrize(
    ("cron", "zone", "instead"),
    [
        ("30 2 * * *", "Europe/Berlin", ["01:30"]),
        ("0 2 * * *", "Europe/Berlin", ["01:00"]),
        ("0 0 * * *", "America/Santiago", ["23:00"]),
        ("0 3 * * *", "Europe/Berlin", []),
        ("*/30 * * * *", "Europe/Berlin", []),
        ("0 * * * *", "Europe/Berlin", []),
        ("30 2 * * 1", "Europe/Berlin", []),  # clocks change on a Sunday
        ("30 2 * * *", "UTC", []),
    ],
)
def test_times_that_are_none_are_found(cron: str, zone: str, instead: list[str]) -> None:
    found = [time for _, runs in clocks.lost(cron, zone, START) for time in runs]
    assert [f"{time:%H:%M}" for time in found] == instead


@pytest.mark.parametrize(("cron", "n"), [("30 2 * * *", 1), ("0 3 * * *", 0)])
def test_doctor_warns_and_nothing_is_wrong(cron: str, n: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(deployments.__file__).parents[2]
    content = yaml.safe_load((root / "prefect.yaml").read_text())
    content["deployments"][0]["schedules"] = [{"cron": cron, "timezone": "Europe/Berlin"}]
    monkeypatch.chdir(tmp_path)
    Path("prefect.yaml").write_text(yaml.safe_dump(content))
    Path("flows").symlink_to(root / "flows")
    answers = list(declared.schedules())
    assert len(answers) == n
    for answer in answers:
        assert answer.seen.startswith(f"retrain/nightly: {cron!r} is no time in Europe/Berlin on 20")
        assert "Prefect runs it at 01:30" in answer.seen
        assert answer.is_note and not answer.todo
