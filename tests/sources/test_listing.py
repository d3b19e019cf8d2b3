"""Entries lie in a table and come out as they went in, whatever a file is called."""

import os

import pytest

from assay.sources import listing
from assay.sources.listing import Entries, Entry

LISTED = (
    Entry("a/1.png", "a", 5, "/images/a/1.png"),
    Entry("b/\\xff.png", "b", 0, os.fsdecode(b"/images/b/\xff.png"), "g", "test", "listed twice"),
    Entry("c.png", None, 2**40, "s3://images/c.png"),
)


@pytest.fixture(params=[1, 2, 10_000])
def entries(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Entries:
    monkeypatch.setattr(listing, "PIECE", request.param)
    return Entries(LISTED)


def test_entries_come_out_as_they_went_in(entries: Entries) -> None:
    assert tuple(entries) == LISTED
    assert (entries[1], entries[-1], len(entries)) == (LISTED[1], LISTED[2], 3)
    assert tuple(entries[1:]) == LISTED[1:]
    assert entries.at([2, 0]) == (LISTED[2], LISTED[0])
    assert entries == Entries(iter(LISTED))
    assert entries != Entries(LISTED[:2])


def test_fields_come_out_by_their_names(entries: Entries) -> None:
    assert list(entries.values("place", "bytes")) == [(each.place, each.bytes) for each in LISTED]
    assert entries.column("label") == ["a", "b", None]


def test_no_entries_are_a_table_too() -> None:
    assert (list(Entries([])), len(Entries([])), Entries([]).column("split")) == ([], 0, [])


def test_place_beyond_the_last_is_an_error(entries: Entries) -> None:
    with pytest.raises(IndexError):
        entries[3]
