"""Beyond the bound on series, reports see less detail, and thresholds are right or say that they cannot be."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ciload.metrics import folding
from ciload.metrics.folding import MOST_SERIES, Folded, Folding
from ciload.metrics.metric import BUILTIN, Kind, Metric
from ciload.metrics.registry import Registry, Scope
from ciload.metrics.series import Tags
from ciload.metrics.snapshot import Snapshot
from ciload.result.thresholds import Threshold, measure, not_kept_apart, parse_threshold

SOLD, PAID, SKEW = Metric("sold", Kind.COUNTER), Metric("paid", Kind.RATE), Metric("skew", Kind.TREND)
METRICS = {**BUILTIN, "sold": SOLD, "paid": PAID, "skew": SKEW}
SCENARIOS = ("browse", "pay")


@dataclass
class Load:
    """The same samples in a process with little room and in one with all there is."""

    thresholds: list[Threshold]
    bounded: Registry = field(init=False)
    unbounded: Registry = field(default_factory=lambda: Registry(METRICS, Unbounded()))

    def __post_init__(self) -> None:
        self.bounded = Registry(METRICS, self.folding())

    def folding(self) -> Folding:
        return Folding((tag for each in self.thresholds for tag in each.selector.tags), SCENARIOS)

    def scopes(self, scenario: str = "browse", group: str = "", vu_tags: Tags = ()) -> Iterator[Scope]:
        for registry in (self.bounded, self.unbounded):
            scope = Scope(registry, scenario).tagged(vu_tags)
            yield scope.within(group) if group else scope

    def request(self, name: str, status: int = 200, tags: Tags = (), ms: float = 1.0) -> None:
        for scope in self.scopes():
            key = (name, "GET", status, "", tags)
            series = scope.http.get(key) or scope.http_series(key, 0)
            for phase in (series.sending, series.receiving):
                phase.append(0.0)
            series.waiting.append(ms / 1e3)


class Unbounded(Folding):
    """No bound at all."""

    def place(self, tags: Tags, *_: object) -> Tags:
        return tags


def thresholds(*keys: str) -> list[Threshold]:
    limits = {Kind.COUNTER: "count<1", Kind.RATE: "rate<1", Kind.TREND: "p(95)<1"}
    return [parse_threshold(key, limits[METRICS[key.split("{")[0]].kind], METRICS) for key in keys]


def values(load: Load, snapshot: Snapshot) -> list[float | None]:
    return [measure(each, snapshot, 10.0, 1) for each in load.thresholds]


def unfolded(load: Load) -> tuple[list[float | None], Snapshot, list[float | None]]:
    bounded = load.bounded.take()
    return values(load, bounded), bounded, values(load, load.unbounded.take())


def test_a_threshold_on_a_tag_of_requests_judges_all_of_them() -> None:
    """Requests with names that never repeat: a third of the reads fails, and the threshold says a third."""
    load = Load(thresholds("http_req_failed{tier:read}", "http_reqs{tier:read}", "http_req_duration{tier:read}"))
    for number in range(3 * MOST_SERIES):
        tier = ("read", "write")[number % 2]
        load.request(f"/items/{number}", 500 if number % 3 == 0 else 200, (("tier", tier), ("user", f"{number}")))
    seen, snapshot, _ = unfolded(load)
    assert seen[:2] == [pytest.approx(1 / 3), 1.5 * MOST_SERIES]
    assert seen[2] == pytest.approx(1)
    assert len(load.bounded.http) <= 1.25 * MOST_SERIES + 4
    assert snapshot.folded.tags.keys() == {"user", "name", "tier"}


def test_tags_that_nothing_shows_fold_before_names() -> None:
    """A tag with a user's number costs no name of a request: reports have all of these."""
    load = Load([])
    for number in range(5 * MOST_SERIES):
        load.request(f"/items/{number % 7}", tags=(("user", str(number)),))
    snapshot = load.bounded.take()
    assert {key for key, _ in snapshot.grouped("http_reqs", "name")} == {(f"/items/{number}",) for number in range(7)}
    assert snapshot.folded.tags.keys() == {"user"}
    assert snapshot.folded.tags["user"].count == "4,000"


@pytest.mark.parametrize(
    ("selector", "kept"),
    [
        ("name:/items/7", "/items/7"),
        ("name:/items/1999", "/items/1999"),
        ("name:/items/*9", "/items/(other)9"),
        ("name:*", "(other)"),
        ("name:(*", "/items/1000"),
    ],
)
def test_names_fold_into_one_that_the_threshold_still_selects(selector: str, kept: str) -> None:
    """Whichever names are selected, the count is exact; what is folded has a name that tells."""
    load = Load(thresholds(f"http_reqs{{{selector}}}"))
    for number in range(2 * MOST_SERIES):
        load.request(f"/items/{number}")
    seen, snapshot, exact = unfolded(load)
    assert seen == exact
    assert kept in {key[0] for key, _ in snapshot.grouped("http_reqs", "name")}
    assert len(load.bounded.http) <= MOST_SERIES + 2


def test_users_without_end_may_be_selected_by_a_pattern() -> None:
    """`{user:*}` with a hundred thousand users is counted exactly, in bounded memory; so are tags of virtual users."""
    load = Load(thresholds("http_reqs{user:*}", "sold{user:4*}", "paid{user:99,plan:g*}"))
    for number in range(20_000):
        user = str(number % 12_345)
        load.request("/a", tags=(("user", user),) if number % 3 else ())
        for scope in load.scopes(vu_tags=(("user", user), ("plan", "gold" if number % 2 else "tin"))):
            scope.custom_sink(SOLD).add(1)
            scope.custom_sink(PAID).add(number % 4)
    seen, snapshot, exact = unfolded(load)
    assert seen == exact
    assert max(len(load.bounded.http), len(load.bounded.sinks)) <= 2 * MOST_SERIES
    assert load.bounded.scopes <= MOST_SERIES
    assert snapshot.folded.tags["user"].count == "more than 10,000"


def test_what_cannot_be_kept_apart_is_not_judged() -> None:
    """Thresholds that tell thousands of combinations apart have no data rather than a part of it; others are right."""
    names = [f"http_reqs{{name:/{number}}}" for number in range(80)]
    users = [f"http_reqs{{user:{number}}}" for number in range(80)]
    load = Load(thresholds(*names, *users, "http_reqs", "sold{user:3}", "http_reqs{status:200}"))
    for name in range(80):
        for user in range(80):
            load.request(f"/{name}", tags=(("user", f"{user}"),))
    for scope in load.scopes():
        scope.sink(SOLD, {"user": "3"}).add(7)
    seen, snapshot, exact = unfolded(load)
    assert seen[:160].count(None) > 100
    assert all(one in (None, other) for one, other in zip(seen, exact, strict=True))
    assert seen[160:] == exact[160:] == [6_400, 7, 6_400]
    assert not_kept_apart(load.thresholds[0], snapshot) == ["name"]
    assert not_kept_apart(load.thresholds[80], snapshot) == ["user"]
    assert len(load.bounded.http) <= 2 * MOST_SERIES + 2


def test_many_processes_are_bounded_together() -> None:
    """Each worker's thousand series are others: together they stay bounded, and thresholds exact."""
    load = Load(thresholds("http_req_failed{tier:read}", "http_reqs{name:/5/*}", "http_req_duration{name:/*/3}"))
    whole, exact = Snapshot({}), Snapshot({})
    for second in range(2):
        for worker in range(6):
            part = Load(load.thresholds)
            for number in range(MOST_SERIES + 200):
                tags = (("tier", ("read", "write")[number % 2]),)
                part.request(f"/{worker}/{number}", 500 if number % 5 == second else 200, tags, ms=float(number))
            whole.merge(part.bounded.take(), load.folding())
            exact.merge(part.unbounded.take())
    assert values(load, whole) == pytest.approx(values(load, exact))
    assert all(len(series) <= 3 * MOST_SERIES for series in whole.series.values())
    assert len({len(whole.series[name]) for name in whole.series}) == 1  # HTTP metrics fold together
    assert "name" in whole.folded.tags


def test_one_process_loses_nothing_where_processes_come_together() -> None:
    """What a process has kept apart is in the report as it was, its folded series included."""
    load = Load([])
    for number in range(3 * MOST_SERIES):
        user = (("user", str(number)),) if number < MOST_SERIES + 50 else ()
        load.request(f"/{number % 60}" if user else f"/items/{number}", 200 if number % 2 else 500, user)
    part, whole = load.bounded.take(), Snapshot({})
    whole.merge(part, load.folding())
    assert {name: set(series) for name, series in whole.series.items()} == {
        name: set(series) for name, series in part.series.items()
    }
    assert {key for key, _ in whole.grouped("http_reqs", "name", "method") if key[0] == "(other)"} == {
        ("(other)", "GET")
    }


# --- any samples, any selectors

tag_values = st.sampled_from(["a", "b", "ab", "ba", "(other)", "1", "12"])
patterns = st.sampled_from(["a", "b*", "*b", "*", "a*b", "'*'", "(*", "1*", "typo"])
tag_names = st.sampled_from(["name", "user", "plan", "status", "group", "scenario", "check"])
selectors = st.lists(st.tuples(tag_names, patterns), min_size=1, max_size=3, unique_by=lambda pair: pair[0])
selected = st.sampled_from(["http_reqs", "http_req_failed", "http_req_duration", "sold", "paid", "skew", "checks"])
keys = st.tuples(selected, selectors)


def written(key: tuple[str, list[tuple[str, str]]]) -> str:
    return f"{key[0]}{{{','.join(f'{tag}:{pattern}' for tag, pattern in key[1])}}}"


@settings(max_examples=60, deadline=None)
@given(st.lists(keys, min_size=1, max_size=5), st.integers(0, 1 << 30), st.integers(0, 12))
def test_every_threshold_is_right_or_not_measurable(
    chosen: list[tuple[str, list[tuple[str, str]]]], seed: int, most: int
) -> None:
    """Whatever is measured and selected, and however little room there is: the value without a bound, or none."""
    rng = random.Random(seed)
    load = Load(thresholds(*map(written, chosen)))
    before = folding.MOST_SERIES, folding.ROOM
    folding.MOST_SERIES, folding.ROOM = most, rng.randrange(1, 6)
    try:
        whole, exact = Snapshot({}), Snapshot({})
        for _ in range(3):
            for _ in range(rng.randrange(60)):
                sample(load, rng)
            whole.merge(load.bounded.take(), load.folding())
            exact.merge(load.unbounded.take())
    finally:
        folding.MOST_SERIES, folding.ROOM = before
    for threshold, seen, wanted in zip(load.thresholds, values(load, whole), values(load, exact), strict=True):
        lost = not_kept_apart(threshold, whole)
        assert (seen is None) if lost else seen == (wanted if wanted is None else pytest.approx(wanted))


def sample(load: Load, rng: random.Random) -> None:
    def word() -> str:
        return "".join(rng.choices("ab12*", k=rng.randrange(1, 4)))

    tags = tuple({rng.choice(["user", "plan", "name", "status", "group", word()]): word() for _ in range(2)}.items())
    at = {"scenario": rng.choice(SCENARIOS), "group": rng.choice(["", word()])}
    vu_tags = (("user", word()),) if rng.random() < 0.3 else ()
    what, number, text = rng.randrange(3), rng.randrange(-3, 4), word()
    for scope in load.scopes(**at, vu_tags=vu_tags):
        if what == 0:
            status = (200, 404, 0)[number % 3]
            key = (text, "GET", status, text if not status else "", tags)
            series = scope.http.get(key) or scope.http_series(key, 0 if status else 1_000)
            series.sending.append(0.0)
            series.waiting.append(0.001 * (number + 4))
            series.receiving.append(0.0)
        elif what == 1:
            scope.check_sink(text, dict(tags) if number else None).add(number)
        else:
            for metric in (SOLD, PAID, SKEW):
                scope.sink(metric, tags).add(number)


# --- what is said of it


def test_values_are_counted_once_and_not_without_end() -> None:
    """However often a value is folded it counts once; of a great many it is said that they are many."""
    folded = Folded()
    for _ in range(2):
        for number in range(500):
            folded.note("user", f"{number}\ud800")
    assert (folded.tags["user"].count, folded.tags["user"].example) == ("500", "0\ud800")
    for number in range(30_000):
        folded.note("user", str(number))
        folded.note(f"tag {number}", "x")
    assert folded.tags["user"].count == "more than 10,000"
    assert len(folded.tags) <= 21
    other = Folded()
    other.merge(folded)
    other.merge(folded)
    assert other.tags.keys() == folded.tags.keys()
    assert len(other.tags["user"].values) <= 10_000
