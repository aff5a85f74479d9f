"""Which statuses are expected, as scripts and options say it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ciload.metrics.expected import EXPECTED_UNLESS_SET, parse_statuses


@pytest.mark.parametrize(
    ("said", "those", "others"),
    [
        (404, {404}, {200, 403, 405}),
        ("404", {404}, {200}),
        ("2xx", {200, 299}, {199, 300}),
        ("2XX, 404", {204, 404}, {300, 500}),
        ("200-204", {200, 204}, {205}),
        ({200, "4xx"}, {200, 499}, {201}),
        ([200, "301 - 303"], {200, 302}, {304}),
        ((404,), {404}, {200}),
        (range(200, 203), {200, 202}, {203}),
    ],
)
def test_every_way_to_say_it(said: object, those: set[int], others: set[int]) -> None:
    """Numbers, classes, ranges, and several of them in a text or a collection."""
    statuses = parse_statuses(said)
    assert {each for each in those | others if each in statuses} == those
    assert parse_statuses(str(statuses)) == statuses


@given(st.one_of(st.integers(100, 999), st.sets(st.integers(100, 999), min_size=1)).map(parse_statuses))
def test_no_answer_is_never_expected(statuses: object) -> None:
    """Status 0 is no answer, and in no set of statuses."""
    assert 0 not in parse_statuses(statuses)
    assert 0 not in EXPECTED_UNLESS_SET


@pytest.mark.parametrize("said", [0, "0", "", "2x", "ok", "200-", "300-200", 99, 1000, "200,,404", set(), [], "0-404"])
def test_what_is_no_status_is_refused(said: object) -> None:
    """Nothing that could be meant otherwise is taken, and 0 least of all."""
    with pytest.raises(ValueError, match="status"):
        parse_statuses(said)


@pytest.mark.parametrize("said", [None, True, 4.04, b"404", {"min": 200}, [None]])
def test_other_types_are_refused(said: object) -> None:
    """A wrong type is told with what to write instead."""
    with pytest.raises(TypeError, match="write 404, '2xx'"):
        parse_statuses(said)
