"""Errors are counted by kind, and a broken target cannot fill memory or the log."""

from __future__ import annotations

from ciload.metrics.errors_tally import MOST_KINDS, OTHER, ErrorTally


def counts(tally: ErrorTally) -> dict[tuple[str, str], int]:
    return {key: entry.count for key, entry in tally.entries.items()}


def test_a_kind_is_one_entry_with_a_count() -> None:
    """The same error a thousand times is one line, and only its first time is news."""
    tally = ErrorTally()
    news = [tally.add("default", "KeyError: 'id'", f"trace {number}") for number in range(1_000)]
    assert news == [True] + [False] * 999
    assert counts(tally) == {("default", "KeyError: 'id'"): 1_000}
    assert tally.entries[("default", "KeyError: 'id'")].detail == "trace 0"


def test_sources_are_told_apart() -> None:
    """The same message from two places is two entries."""
    tally = ErrorTally()
    assert tally.add("setup", "boom")
    assert tally.add("default", "boom")
    assert counts(tally) == {("setup", "boom"): 1, ("default", "boom"): 1}


def test_messages_beyond_the_bound_become_other() -> None:
    """Messages that never repeat fill a hundred entries, then one; every error still counts."""
    tally = ErrorTally()
    for number in range(5_000):
        tally.add("default", f"no item {number}", "trace")
    assert len(tally.entries) == MOST_KINDS + 1
    assert tally.entries[("default", OTHER)].count == 5_000 - MOST_KINDS
    assert tally.entries[("default", OTHER)].detail == ""
    assert sum(counts(tally).values()) == 5_000
    assert not tally.add("default", "no item 5000")
    assert not tally.add("default", "no item 7")
    assert tally.entries[("default", "no item 7")].count == 2


def test_sources_beyond_the_bound_stay_bounded() -> None:
    """A dead host behind thousands of different URLs does not make thousands of lines."""
    tally = ErrorTally()
    for number in range(5_000):
        tally.add(f"GET /item/{number}", "dial: connection refused")
    assert sum(counts(tally).values()) == 5_000
    assert len(tally.entries) <= 2 * MOST_KINDS


def test_merged_tallies_add_up() -> None:
    """Counts of the same kind add up, the first trace stays, and the other tally is left alone."""
    mine, other = ErrorTally(), ErrorTally()
    mine.add("default", "boom", "my trace")
    other.add("default", "boom", "their trace", count=4)
    other.add("setup", "bang", "bang's trace")
    mine.merge(other)
    assert counts(mine) == {("default", "boom"): 5, ("setup", "bang"): 1}
    assert mine.entries[("default", "boom")].detail == "my trace"
    assert mine.entries[("setup", "bang")].detail == "bang's trace"
    mine.add("setup", "bang")
    assert counts(other) == {("default", "boom"): 4, ("setup", "bang"): 1}


def test_merged_tallies_stay_bounded() -> None:
    """Merging many full tallies keeps the bound and the sum."""
    whole = ErrorTally()
    for process in range(20):
        part = ErrorTally()
        for number in range(200):
            part.add("default", f"process {process}, item {number}")
        whole.merge(part)
    assert len(whole.entries) == MOST_KINDS + 1
    assert sum(counts(whole).values()) == 20 * 200
