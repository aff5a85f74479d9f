"""The mergeable state of a run: what a segment hands over, and what thresholds and results are made from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ciload.metrics.errors_tally import MOST_KINDS, AnswerSample, ErrorTally
from ciload.metrics.folding import Folded, Folding
from ciload.metrics.metric import Metric
from ciload.metrics.series import Tags
from ciload.metrics.sinks import Sink, TrendSink, new_sink
from ciload.metrics.slowest import SlowRequest, slowest_of

Wanted = Mapping[str, str] | Callable[[Tags], bool]  # tags that a series must carry, or whether its tags will do


@dataclass(slots=True)
class Snapshot:
    """All series by metric name and tags. Merging is associative and commutative.

    `errors` holds what the script raised, `request_errors` what requests met, by "METHOD name".
    """

    metrics: dict[str, Metric]
    series: dict[str, dict[Tags, Sink]] = field(default_factory=dict)
    errors: ErrorTally = field(default_factory=ErrorTally)
    request_errors: ErrorTally = field(default_factory=ErrorTally)
    marked_failed: dict[str, None] = field(default_factory=dict)  # reasons given to fail_test()
    folded: Folded = field(default_factory=Folded)  # because there were too many series
    slowest: list[SlowRequest] = field(default_factory=list)  # of the requests, the slowest first
    failed_checks: dict[tuple[str, str], AnswerSample] = field(default_factory=dict)  # what one met, by name and group

    def select(self, name: str, tags: Wanted | None = None) -> Sink | None:
        """The merge of all series of a metric that carry every one of `tags`; None when there is none."""
        wanted = tags if callable(tags) else set((tags or {}).items()).issubset
        return self._merged(name, [sink for found, sink in self.series.get(name, {}).items() if wanted(found)])

    def grouped(self, name: str, *keys: str) -> Iterator[tuple[tuple[str, ...], Sink]]:
        """The series of a metric merged by the values of the tags `keys` ("" where a tag is absent)."""
        groups: dict[tuple[str, ...], list[Sink]] = {}
        for tags, sink in self.series.get(name, {}).items():
            values = dict(tags)
            groups.setdefault(tuple(values.get(key, "") for key in keys), []).append(sink)
        for values_of_keys, sinks in groups.items():
            merged = self._merged(name, sinks)
            if merged is not None:
                yield values_of_keys, merged

    def sums(self, name: str, *keys: str) -> dict[tuple[str, ...], tuple[float, int]]:
        """Sum and count of a trend by the values of tags: what a mean needs, without merging histograms."""
        found: dict[tuple[str, ...], tuple[float, int]] = {}
        for tags, sink in self.series.get(name, {}).items():
            assert isinstance(sink, TrendSink)
            values = dict(tags)
            key = tuple(values.get(each, "") for each in keys)
            total, count = found.get(key, (0.0, 0))
            found[key] = total + sink.sum, count + sink.count
        return found

    def _merged(self, name: str, sinks: list[Sink]) -> Sink | None:
        if not sinks:
            return None
        merged = new_sink(self.metrics[name])
        for sink in sinks:
            merged.merge(sink)  # type: ignore[arg-type]  # one metric, one kind
        return merged

    def merge(self, other: Snapshot, folding: Folding | None = None) -> None:
        """Add what another part of the run measured, which is left as it is.

        Args:
            other: the other part.
            folding: bounds the number of series of each metric. Which of them are kept then depends on the order of
                the parts, though what thresholds select does not.
        """
        self.metrics |= other.metrics
        self.folded.merge(other.folded)
        for name, by_tags in other.series.items():
            mine = self.series.setdefault(name, {})
            for tags, sink in by_tags.items():
                if tags not in mine and folding is not None:
                    tags = folding.place_in_whole(tags, name, mine.__contains__, len(mine), self.folded)
                if tags not in mine:
                    mine[tags] = new_sink(self.metrics[name])
                mine[tags].merge(sink)  # type: ignore[arg-type]
        self.errors.merge(other.errors)
        self.request_errors.merge(other.request_errors)
        self.marked_failed |= other.marked_failed
        self.slowest = slowest_of(self.slowest, other.slowest)
        for check, sample in other.failed_checks.items():
            if len(self.failed_checks) < MOST_KINDS:
                self.failed_checks.setdefault(check, sample)

    def trend(self, name: str, tags: Wanted | None = None) -> TrendSink:
        """Like `select` for a trend; an empty one when nothing was measured."""
        sink = self.select(name, tags)
        return sink if isinstance(sink, TrendSink) else TrendSink()


def merged(snapshots: Iterable[Snapshot]) -> Snapshot:
    """All of them in one."""
    whole = Snapshot({})
    for snapshot in snapshots:
        whole.merge(snapshot)
    return whole
