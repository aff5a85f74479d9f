"""What becomes of new series when there are too many: tags fold together, but for those that thresholds tell apart.

A script may make names and tags of data, and with them a new series at every request. The first 1,000 of requests, and
the first 1,000 of everything else, are kept as they come. A later one is folded, step by step, until there is such a
series already, or room for one more:

1. tags that no threshold selects are dropped, since nothing shows them;
2. names of requests, or of checks, become "(other)";
3. so do texts of errors;
4. so do methods and groups.

In none of them is a value replaced by one that the pattern of any threshold would tell from it. So what a threshold
selects adds up to what it would without a bound. If even that leaves too many (patterns that tell many values of
several tags apart), the values become "(other)" all the same, and what can no longer be told apart is noted as lost:
thresholds that ask for it must not judge what is left.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from ciload.metrics.errors_tally import OTHER
from ciload.metrics.operations import OPERATION_METRICS
from ciload.metrics.series import HTTP_METRICS, Tags

MOST_SERIES = 1_000
ROOM = MOST_SERIES // 4  # that each step has for series of its own
MOST_COUNTED = 10_000  # values that are counted, of each tag
MOST_TAGS = 20  # that are counted

# Which tags stay as they are in each step. A response's status and kind of error are numbers from a short list.
HTTP_FACTS = frozenset({"name", "method", "status", "expected_response", "error", "error_code"})
PLACE = frozenset({"scenario", "group"})
HTTP_STEPS = (
    PLACE | HTTP_FACTS,
    (PLACE | HTTP_FACTS) - {"name"},
    (PLACE | HTTP_FACTS) - {"name", "error"},
    frozenset({"status", "expected_response", "error_code"}),
)
OPERATION_FACTS = frozenset({"name", "protocol", "error"})
OPERATION_STEPS = (
    PLACE | OPERATION_FACTS, (PLACE | OPERATION_FACTS) - {"name"}, PLACE | {"protocol"}, frozenset({"protocol"})
)  # fmt: skip
OTHER_STEPS = (PLACE | {"check"}, PLACE, frozenset[str]())
SHOWN = (
    PLACE | HTTP_FACTS | OPERATION_FACTS | {"check"}
)  # in reports, so that they become "(other)" where other tags are dropped


def carried(metric: str) -> frozenset[str]:
    """Names of tags that samples of a metric may have without the script's doing."""
    if metric in HTTP_METRICS:
        return PLACE | HTTP_FACTS
    return PLACE | OPERATION_FACTS if metric in OPERATION_METRICS else PLACE


@dataclass(frozen=True, slots=True)
class TagPattern:
    """What one tag has to be.

    Attributes:
        name: of the tag.
        pattern: a regular expression for all of its value.
        example: a value that it matches, with "(other)" for whatever may vary.
    """

    name: str
    pattern: str
    example: str = ""

    def matches(self, value: str | None) -> bool:
        return value is not None and re.fullmatch(self.pattern, value) is not None


@dataclass(slots=True)
class FoldedTag:
    """The values of a tag that were folded: checksums of them, and the first."""

    example: str
    values: set[int] = field(default_factory=set)

    @property
    def count(self) -> str:
        """How many there were, in words."""
        return f"{len(self.values):,}" if len(self.values) < MOST_COUNTED else f"more than {MOST_COUNTED:,}"


@dataclass(slots=True)
class Folded:
    """What was folded, by tag, and what was lost by it. Mergeable."""

    tags: dict[str, FoldedTag] = field(default_factory=dict)
    lost: set[tuple[str, str]] = field(default_factory=set)  # metric and tag

    def note(self, tag: str, value: str) -> None:
        if tag not in self.tags and len(self.tags) >= MOST_TAGS:
            tag = OTHER
        known = self.tags.setdefault(tag, FoldedTag(value))
        if len(known.values) < MOST_COUNTED:
            known.values.add(zlib.crc32(value.encode(errors="replace")))

    def lose(self, metric: str, tag: str) -> None:
        self.lost.add((_family(metric), tag))

    def has_lost(self, metric: str, tags: Iterable[str]) -> list[str]:
        """Those of the tags whose values were not all kept apart as thresholds on the metric need them."""
        return [tag for tag in tags if (_family(metric), tag) in self.lost]

    def merge(self, other: Folded) -> None:
        for tag, folded in other.tags.items():
            tag = tag if tag in self.tags or len(self.tags) < MOST_TAGS else OTHER
            known = self.tags.setdefault(tag, FoldedTag(folded.example))
            known.values |= folded.values
            if len(known.values) > MOST_COUNTED:
                known.values = set(sorted(known.values)[:MOST_COUNTED])
        self.lost |= other.lost


def _family(metric: str) -> str:
    """Those that are measured together, and folded together, by the name of one of them."""
    if metric in HTTP_METRICS:
        return "http_reqs"
    return "ops" if metric in OPERATION_METRICS else metric


def _steps(metric: str) -> tuple[frozenset[str], ...]:
    if metric in HTTP_METRICS:
        return HTTP_STEPS
    return OPERATION_STEPS if metric in OPERATION_METRICS else OTHER_STEPS


class Folding:
    """Which values have to be told apart.

    Args:
        patterns: of all thresholds. What none of them mentions may be folded.
        scenarios: names of the plan's scenarios, which always stay.
    """

    def __init__(self, patterns: Iterable[TagPattern] = (), scenarios: Collection[str] = ()) -> None:
        self._scenarios = frozenset(scenarios)
        self._patterns: dict[str, list[tuple[Callable[[str], object], str]]] = {}
        for each in dict.fromkeys(patterns):
            self._patterns.setdefault(each.name, []).append((re.compile(each.pattern).fullmatch, each.example))
        self._stand_ins: dict[tuple[str, tuple[bool, ...]], str] = {}

    def place(self, tags: Tags, metric: str, known: Callable[[Tags], bool], series: int, folded: Folded) -> Tags:
        """The tags under which a sample is kept.

        Args:
            tags: its own.
            metric: its name; any of the HTTP metrics for all of them.
            known: whether there is a series of some tags.
            series: how many there are.
            folded: takes note if these are other tags.
        """
        if series < MOST_SERIES or known(tags):
            return tags
        steps = _steps(metric)
        for number, stays in enumerate(steps, 1):
            kept = self._fold(tags, stays, self._stand_in)
            room = number > 1 or kept != tags  # to have no tags that can be dropped is no reason for more series
            if known(kept) or (room and series < MOST_SERIES + number * ROOM):
                break
        else:
            kept = self._fold(tags, steps[-1], self._regardless)
        self._note(tags, dict(kept), metric, folded)
        return kept

    def place_in_whole(
        self, tags: Tags, metric: str, known: Callable[[Tags], bool], series: int, folded: Folded
    ) -> Tags:
        """Like `place`, where processes come together: there is room for all that one of them may have kept apart."""
        return self.place(tags, metric, known, series - ROOM * len(HTTP_STEPS), folded)

    def _fold(self, tags: Tags, stays: Collection[str], replace: Callable[[str, str], str]) -> Tags:
        folded = ((tag, value if tag in stays else replace(tag, value)) for tag, value in tags)
        return tuple(pair for pair in folded if pair[1])

    def _stand_in(self, tag: str, value: str) -> str:
        """What no pattern tells from the value, the same for as many as possible; "" for nothing."""
        if tag == "scenario" and value in self._scenarios:
            return value
        if tag not in self._patterns:
            return OTHER if tag in SHOWN else ""
        matching = self._matching(tag, value)
        found = self._stand_ins.get((tag, matching))
        if found is None:
            examples = [example for matches, example in self._patterns[tag] if matches(value)]
            found = next((each for each in (OTHER, *examples) if self._matching(tag, each) == matching), value)
            if len(self._stand_ins) < MOST_SERIES:
                self._stand_ins[(tag, matching)] = found
        return found

    def _regardless(self, tag: str, value: str) -> str:
        if tag == "scenario" and value in self._scenarios:
            return value
        return OTHER if tag in SHOWN or tag in self._patterns else ""

    def _matching(self, tag: str, value: str | None) -> tuple[bool, ...]:
        """Which of the patterns of a tag the value matches; none without a value."""
        return tuple(value is not None and matches(value) is not None for matches, _ in self._patterns.get(tag, ()))

    def _note(self, tags: Tags, kept: dict[str, str], metric: str, folded: Folded) -> None:
        for tag, value in tags:
            if kept.get(tag) != value:
                folded.note(tag, value)
                if self._matching(tag, value) != self._matching(tag, kept.get(tag)):
                    folded.lose(metric, tag)
