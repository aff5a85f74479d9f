"""Samples in files, and metrics at collectors: the same numbers as in the result, and no harm to the load."""

from __future__ import annotations

import csv
import gzip
import json
import socket
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ciload.metrics.metric import Kind, Metric
from ciload.metrics.recording import Samples
from ciload.metrics.registry import Registry, Scope
from ciload.metrics.sinks import TrendSink
from ciload.outputs.otlp import OTLP, _buckets, _scale
from ciload.outputs.output import OutputFailedError, Second
from ciload.outputs.sample_files import MOST_WAITING, SampleFile
from ciload.outputs.statsd import StatsD
from tests.outputs.collector import collector


def second(requests: int = 5, tag: str = "x") -> Second:
    """What a registry that keeps samples gives."""
    registry = Registry()
    registry.record()
    registry.gate(Metric("size", Kind.TREND, "bytes"))
    scope = Scope(registry, "default")
    series = scope.http_series(("/a", "GET", 200, "", (("own", tag),)), 0)
    for number in range(requests):
        if number == 1:
            series.add_wait(0.0, (0.004, 0.001, 0.002, 0.001))
        series.sending.append(0.001)
        series.waiting.append(number / 1e3)
        series.receiving.append(0.001)
    failed = scope.http_series(("/b", "GET", 0, "refused", ()), 1212)
    failed.unsent += 2
    scope.operation_series(("save", "", "KeyError", ())).times.append(0.5)
    check = scope.check_sink("ok")
    for number in range(4):
        check.total += 1
        check.passes += number % 2
    scope.sink(registry.metrics["iterations"]).add(3)
    scope.sink(registry.metrics["vus"]).add(7)
    scope.sink(registry.metrics["size"]).add(-2.5)
    measured = registry.take()
    return Second(measured, registry.take_samples(), time.time())


def unmasked(text: str) -> str:
    return text


def points(path: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    known: set[str] = set()
    for each in lines:
        if each["type"] == "Metric":
            known.add(each["metric"])
        assert each["metric"] in known  # a metric is told before its first sample
    return [each for each in lines if each["type"] == "Point"]


def test_every_sample_is_a_line_of_k6s_json(tmp_path: Path) -> None:
    """With its time, its value and its tags; times of requests that opened a connection have theirs."""
    path = tmp_path / "samples.jsonl"
    output = SampleFile("jsonl", str(path), lambda text: text.replace("geheim", "***"))
    for _ in range(2):
        output.take(second(tag="geheim"))
    output.close()

    assert output.problem == ""
    found = points(path)
    values = defaultdict(list)
    for each in found:
        values[each["metric"]].append(each["data"]["value"])
        assert each["data"]["time"].endswith("Z")
    assert sorted(values["http_req_duration"]) == pytest.approx(sorted([2.0, 3.0, 4.0, 5.0, 6.0] * 2))
    assert sorted(values["http_req_blocked"]) == pytest.approx([0.0] * 8 + [4.0] * 2)
    assert Counter(values["http_req_failed"]) == {0.0: 10, 1.0: 4}
    assert (Counter(values["checks"]), values["iterations"], values["vus"]) == ({0.0: 4, 1.0: 4}, [3.0] * 2, [7.0] * 2)
    assert values["op_duration"] == pytest.approx([500.0] * 2)
    assert values["size"] == [-2.5] * 2
    tags = next(each["data"]["tags"] for each in found if each["metric"] == "http_reqs")
    expected = {"expected_response": "true", "method": "GET", "name": "/a", "scenario": "default", "status": "200"}
    assert tags == expected | {"own": "***"}


def test_every_sample_is_a_row_of_k6s_csv(tmp_path: Path) -> None:
    """Its system tags in columns, others in the last but one; compressed by the name of the file."""
    path = tmp_path / "samples.csv.gz"
    output = SampleFile("csv", str(path), unmasked)
    output.take(second(tag='a,"b'))
    output.close()

    with gzip.open(path, "rt") as file:
        rows = list(csv.DictReader(file))
    durations = [row for row in rows if row["metric_name"] == "http_req_duration"]
    assert [float(row["metric_value"]) for row in durations] == [2.0, 3.0, 4.0, 5.0, 6.0]
    assert {(row["status"], row["name"], row["extra_tags"]) for row in durations} == {("200", "/a", 'own=a,"b')}
    assert [row["error"] for row in rows if row["metric_name"] == "op_duration"] == ["KeyError"]


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A folder that is not there before the load, a disk that is full after it."""
    with pytest.raises(OutputFailedError, match="No such file"):
        SampleFile("jsonl", str(tmp_path / "gone" / "file"), unmasked)
    full = SampleFile("jsonl", "/dev/full", unmasked)
    for _ in range(50):
        full.take(second(100))
    full.close()
    assert "No space left on device" in full.problem


def test_a_writer_that_cannot_keep_up_costs_samples_and_no_memory(tmp_path: Path) -> None:
    """What has no room is left out and counted."""
    output = SampleFile("jsonl", str(tmp_path / "samples.jsonl"), unmasked)
    one = second(0)
    huge = Samples((), np.zeros(MOST_WAITING + 1), {"vus": np.zeros(MOST_WAITING + 1)})
    output.take(Second(one.measured, [huge], one.at))
    output.take(one)
    output.close()

    assert f"{MOST_WAITING + 1:,} samples left out" in output.problem
    assert points(tmp_path / "samples.jsonl")


def test_statsd_gets_sums_and_percentiles() -> None:
    """In datagrams that fit a frame, with characters in tags that mean nothing there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        daemon.settimeout(5)
        output = StatsD(f"127.0.0.1:{daemon.getsockname()[1]}", unmasked)
        output.take(second(tag="a|b:c,d"))
        output.close()
        datagrams = [daemon.recv(65_536)]
        daemon.settimeout(0.2)
        try:
            while True:
                datagrams.append(daemon.recv(65_536))
        except TimeoutError:
            pass
    assert all(len(each) <= 1_400 for each in datagrams)
    lines = b"".join(datagrams).decode().splitlines()
    tags = "|#expected_response:true,method:GET,name:/a,own:a_b_c_d,scenario:default,status:200"
    assert f"ciload.http_reqs:5|c{tags}" in lines
    assert f"ciload.http_req_duration.count:5|c{tags}" in lines
    assert f"ciload.http_req_duration.max:6|g{tags}" in lines
    assert "ciload.checks.true:2|c|#check:ok,scenario:default" in lines
    assert output.problem == ""


def test_a_collector_gets_sums_gauges_and_histograms() -> None:
    """Of all seconds together, with attributes of the run and of each series."""
    with collector() as (url, received):
        output = OTLP(url, {"service.name": "ciload", "ciload.run_id": "17", "empty": ""}, unmasked)
        for _ in range(3):
            output.take(second())
        output.close()

    assert output.problem == ""
    [request] = received
    [resource] = request.resource_metrics
    assert {each.key: each.value.string_value for each in resource.resource.attributes} == {
        "service.name": "ciload", "ciload.run_id": "17",
    }  # fmt: skip
    metrics = {each.name: each for each in resource.scope_metrics[0].metrics}
    counts = {
        next(each.value.string_value for each in point.attributes if each.key == "name"): point.as_double
        for point in metrics["http_reqs"].sum.data_points
    }
    assert counts == {"/a": 15.0, "/b": 6.0}
    [duration] = metrics["http_req_duration"].exponential_histogram.data_points
    assert (duration.count, duration.sum, duration.min, duration.max) == (15, pytest.approx(60.0), 2.0, 6.0)
    assert sum(duration.positive.bucket_counts) == 15
    assert metrics["http_req_duration"].unit == "ms"
    [blocked] = metrics["http_req_blocked"].exponential_histogram.data_points
    assert (blocked.zero_count, sum(blocked.positive.bucket_counts)) == (12, 3)
    conditions = {
        next(each.value.string_value for each in point.attributes if each.key == "condition"): point.as_int
        for point in metrics["checks"].sum.data_points
    }
    assert conditions == {"nonzero": 6, "zero": 6}
    assert metrics["vus"].gauge.data_points[0].as_double == 7
    [size] = metrics["size"].exponential_histogram.data_points
    assert sum(size.negative.bucket_counts) == 3


@pytest.mark.parametrize(("status", "delay_s"), [(400, 0.0), (500, 0.0), (200, 60.0)])
def test_a_collector_that_does_not_take_it_is_told(
    status: int, delay_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it refuses, is broken or stalls; nobody waits for it longer than stated."""
    monkeypatch.setattr("ciload.outputs.otlp.SEND_S", 0.5)
    monkeypatch.setattr("ciload.outputs.otlp.CLOSES_S", 3.0)
    with collector(status, min(delay_s, 2.0)) as (url, _):
        output = OTLP(url, {}, unmasked)
        output.take(second())
        began = time.monotonic()
        output.close()
        assert time.monotonic() - began < 4
    assert "could not be sent" in output.problem or "given up" in output.problem


@given(st.lists(st.floats(1e-6, 1e9), min_size=1, max_size=200))
def test_exponential_histograms_have_every_value_in_its_bucket(values: list[float]) -> None:
    """No more buckets than the data model's default, and each has the bounds that the specification gives it."""
    sink = TrendSink()
    sink.add_many(np.array(values))
    known, counts = sink.counted()
    positive = known[known > 0]
    scale = _scale(positive)
    offset, buckets = _buckets(positive, counts[known > 0], scale)

    assert len(buckets) <= 160
    assert sum(buckets) == counts[known > 0].sum()
    base = 2.0 ** (2.0**-scale)
    for value in positive:
        edges = [(base ** (offset + number), base ** (offset + number + 1)) for number in range(len(buckets))]
        within = [low < value * (1 + 1e-9) and value <= high * (1 + 1e-9) for low, high in edges]
        assert any(count for count, inside in zip(buckets, within, strict=True) if inside)
