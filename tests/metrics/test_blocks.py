"""The blocks of a load: right numbers in each of them, at a small cost."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ciload.metrics.blocks import MOST_BLOCKS, BlockSeries
from ciload.metrics.metric import Kind, Metric
from ciload.metrics.registry import Registry, Scope
from ciload.metrics.sinks import TrendSink
from ciload.metrics.snapshot import Snapshot
from ciload.result.build import block_rows


def second(times: dict[str, list[float]]) -> Snapshot:
    """What was measured in a second: times in ms by the name of the request."""
    registry = Registry()
    for name, values in times.items():
        series = Scope(registry, "default").http_series((name, "GET", 200, "", ()), 0)
        for value in values:
            series.sending.append(0.0)
            series.waiting.append(value / 1e3)
            series.receiving.append(0.0)
    return registry.take()


loads = st.lists(
    st.dictionaries(st.sampled_from(["/a", "/b"]), st.lists(st.integers(0, 5_000), min_size=1, max_size=4), max_size=2),
    min_size=1,
    max_size=200,
)


@given(loads)
@settings(deadline=None, max_examples=25)
def test_each_block_has_the_times_of_its_seconds(load: list[dict[str, list[int]]]) -> None:
    """However often blocks were joined: count, sum, extremes and percentiles of just the samples in them."""
    blocks = BlockSeries()
    for number, times in enumerate(load):
        blocks.add(number, {"new": second({name: [float(each) for each in times[name]] for name in times})})
    assert len(blocks.cells) <= MOST_BLOCKS
    for index, cells in enumerate(blocks.cells):
        within = load[index * blocks.span_s : (index + 1) * blocks.span_s]
        for name in ("", "/a", "/b"):
            expected = TrendSink()
            for times in within:
                for of, values in times.items():
                    if not name or of == name:
                        expected.add_many(np.array(values, dtype=np.float64))
            cell = cells.get(("new", name, "GET" if name else ""))
            assert (cell.requests.total if cell else 0) == expected.count
            if cell and expected.count:
                seen = cell.durations
                assert seen.count == expected.count
                assert seen.sum == pytest.approx(expected.sum)
                assert (seen.smallest, seen.largest) == pytest.approx((expected.smallest, expected.largest))
                assert seen.percentiles([5, 50, 95]) == pytest.approx(expected.percentiles([5, 50, 95]))


def test_operations_are_blocks_as_well() -> None:
    """Beside requests each for itself; where there are no requests, together as well."""
    blocks, without = BlockSeries(), BlockSeries()
    for number in range(100):
        registry = Registry()
        registry.gate(Metric("depth", Kind.GAUGE, better="lower"))
        scope = Scope(registry, "default")
        for name, seconds in (("save", 0.002), ("find", 0.004)):
            scope.operation_series((name, "", "", ())).times.append(seconds)
        scope.operation_series(("save", "", "KeyError", ())).times.append(0.003)
        scope.sink(registry.metrics["depth"]).add(number)
        measured = registry.take()
        without.add(number, {"new": measured})
        measured.merge(second({"/a": [1.0]}))
        blocks.add(number, {"new": measured})

    rows = {row.name: row for row in block_rows(without).rows}
    assert block_rows(without).of == "operations"
    assert set(rows) == {"", "save", "find", "depth"}
    assert (sum(rows[""].requests), sum(rows[""].failed), sum(rows["save"].requests)) == (300, 100, 200)
    assert rows["find"].p50 == pytest.approx([4.0] * len(rows["find"].p50), rel=1e-3)
    assert rows["depth"].avg == [3.0 + 4 * n for n in range(25)]
    rows = {row.name: row for row in block_rows(blocks).rows}
    assert block_rows(blocks).of == "requests"
    assert (sum(rows[""].requests), sum(rows["save"].requests)) == (100, 200)


def test_many_endpoints_take_little_memory() -> None:
    """Forty blocks of a hundred endpoints are kept in a few MB, not in the 160 that their histograms would take."""
    rng = np.random.default_rng(1)
    blocks = BlockSeries()
    parts = [second({f"/{number}": rng.lognormal(3, 1, 40).tolist() for number in range(100)}) for _ in range(4)]
    tracemalloc.start()
    try:
        for number in range(MOST_BLOCKS + 10):
            blocks.add(number, {"new": parts[number % len(parts)]})
        assert tracemalloc.get_traced_memory()[0] < 12_000_000
    finally:
        tracemalloc.stop()
    assert len(blocks.ranked()) == 101
