"""A run that speaks anything but HTTP, as a CI job sees it: rows, thresholds, a baseline, and what fails."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from typing import Any

import pytest

from tests.e2e.conftest import Ciload
from tests.outputs.collector import collector

# The target is a coroutine: how long it takes is the test's to say, by the number of the port that stands for it.
SCRIPT = """
import asyncio, os
from ciload import Trend, measure

options = {"thresholds": {"op_duration{name:look up}": "p(95)<1000", "op_failed{name:save}": "rate<0.5"}}
tokens = Trend("tokens", gate=True, better="higher")
SLOW = float(os.environ.get("SLOW", "1"))
FEWER = float(os.environ.get("FEWER", "1"))

async def default(vu):
    slow = 1 if vu.base_url.endswith("2") else SLOW
    async with measure("look up", protocol="postgresql"):
        await asyncio.sleep(0.005 * slow)
    async with measure("save"):
        await asyncio.sleep(0.005)
    try:
        with measure("validate"):
            if vu.iteration % 2:
                raise ValueError
    except ValueError:
        pass
    tokens.add(vu.random.gauss(100, 3) * FEWER)
    await asyncio.sleep(0.02)
"""
KEEP = ("-u", "4", "-d", "2s", "--save-baseline", "baseline.json")


def test_operations_are_endpoints_in_every_report(ciload: Ciload) -> None:
    """With their protocol, failures and times; and the run has measured something, with several workers as well."""
    run = ciload.run(SCRIPT, "-u", "4", "-i", "40", "--workers", "2")

    assert run.code == 0, run.stderr
    rows = {each["name"]: each for each in run.result["endpoints"]}
    assert {name: (each["requests"], each["failed"], each["protocol"]) for name, each in rows.items()} == {
        "look up": (40, 0, "postgresql"), "save": (40, 0, ""), "validate": (40, 20, ""),
    }  # fmt: skip
    assert rows["look up"]["duration"]["min"] >= 3
    assert "look up" in run.stdout
    assert "postgresql" in run.summary
    assert "validate: ValueError" in run.stdout
    tight = ciload.run(SCRIPT.replace("p(95)<1000", "p(95)<1"), "-u", "4", "-i", "40")
    assert tight.code == 99
    assert tight.junit.findall(".//failure")


def test_only_operations_that_failed_are_no_data(ciload: Ciload) -> None:
    """As with requests: what never worked has not passed, whatever the script makes of it."""
    script = SCRIPT.replace("await asyncio.sleep(0.005)", "operation = None; raise OSError").replace(
        "async def default(vu):", "async def default(vu):\n    try:\n        await body(vu)\n    except OSError:\n"
        "        pass\n\nasync def body(vu):",
    ).replace('"op_failed{name:save}": "rate<0.5"', '"op_failed": "rate<=1"').replace("0.005 * slow", "0")  # fmt: skip
    script = script.replace(
        '    async with measure("look up", protocol="postgresql"):\n        await asyncio.sleep(0)\n', ""
    )
    run = ciload.run(script.replace('"op_duration{name:look up}": "p(95)<1000", ', ""), "-i", "4")

    assert run.code == 99
    assert any("none of the 4 operations succeeded" in reason for reason in run.reasons)


def test_what_got_slower_is_named_against_history(ciload: Ciload) -> None:
    """Only an operation, or only a metric of the script's own; and none when nothing has changed."""
    for _ in range(4):
        assert ciload.run(SCRIPT, *KEEP).code == 0
    stored = json.loads((ciload.folder / "baseline.json").read_text())["runs"]
    assert [(len(run["endpoints"]), len(run["metrics"]), run["tainted"]) for run in stored] == [(4, 1, [])] * 4

    found = {}
    for name, environment in {"same": {}, "slow": {"SLOW": "8"}, "fewer": {"FEWER": "0.3"}}.items():
        run = ciload.run(SCRIPT, "-u", "4", "-d", "2s", "--baseline", "baseline.json", **environment)
        [comparison] = run.result["comparisons"]
        worse = {each["endpoint"] for each in comparison["metrics"] if each["verdict"] == "regression"}
        found[name] = (run.code, worse)
    assert found == {"same": (0, set()), "slow": (96, {"look up"}), "fewer": (96, {"tokens"})}


def test_what_got_slower_is_named_side_by_side(ciload: Ciload) -> None:
    """`vu.base_url` tells a script which target is at hand; nothing but the operation that got slower is told."""
    targets = ("--base-url", "http://127.0.0.1:1", "--compare-url", "http://127.0.0.1:2")
    run = ciload.run(SCRIPT, "-u", "4", "-d", "14s", "--warmup", "1s", *targets, SLOW="4")

    assert run.code == 96, run.stdout
    [comparison] = run.result["comparisons"]
    assert {each["endpoint"] for each in comparison["metrics"] if each["verdict"] == "regression"} == {"look up"}
    assert "look up slower" in run.stdout


def test_rows_are_used_once_by_all_workers_together(ciload: Ciload) -> None:
    """Data, weights and think times in one script: each row comes to one iteration, whichever process runs it."""
    (ciload.folder / "users.csv").write_text("name\n" + "".join(f"user {n}\n" for n in range(30)))
    script = """
from ciload import csv_rows, measure, think

USERS = csv_rows("users.csv")
options = {"vus": 4, "iterations": 30, "weights": {"browse": 2, "buy": 1}, "workers": 2}

async def browse(vu):
    with measure(vu.pick(USERS, "unique")["name"]):
        pass
    await think("1ms", "2ms")

async def buy(vu):
    await browse(vu)
"""
    run = ciload.run(script)

    assert run.code == 0, run.stderr
    assert sorted((each["name"], each["requests"]) for each in run.result["endpoints"]) == sorted(
        (f"user {n}", 1) for n in range(30)
    )
    spent = ciload.run(script, "-i", "31")
    assert spent.code == 107
    assert "needs a row of its own, and there are 30" in spent.stdout


def test_a_client_that_blocks_is_told_by_name(ciload: Ciload) -> None:
    """However short each wait is; with what to use in its place."""
    script = """
import socket, threading, time, urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ciload import measure, sleep

class Slow(BaseHTTPRequestHandler):
    def do_GET(self):
        time.sleep(0.03)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
threading.Thread(target=server.serve_forever, daemon=True).start()
URL = f"http://127.0.0.1:{server.server_port}/"

async def default(vu):
    with measure("ask"):
        urllib.request.urlopen(URL).read()
    await sleep(0.001)
"""
    run = ciload.run(script, "-u", "2", "-d", "2s")

    [told] = [each for each in run.result["generator"]["warnings"] if "blocks all virtual users" in each]
    assert told.startswith("load.py:21 in default()")
    assert "in urllib: use `http` of ciload" in told


def test_samples_of_all_workers_are_in_one_file(ciload: Ciload) -> None:
    """As many as the result counts, without those of the warm-up; and the run says what became of an output."""
    run = ciload.run(
        SCRIPT, "-u", "4", "-d", "3s", "--warmup", "1s", "--workers", "2", "--output", "jsonl=samples.jsonl",
        "--output", "statsd=127.0.0.1:1",
    )  # fmt: skip

    assert run.code == 0, run.stderr
    lines = [json.loads(line) for line in (ciload.folder / "samples.jsonl").read_text().splitlines()]
    names = [each["metric"] for each in lines if each["type"] == "Point"]
    metrics = run.result["metrics"]
    assert names.count("ops") == metrics["ops"]["count"]
    assert names.count("iterations") == metrics["iterations"]["count"]
    assert names.count("tokens") == metrics["tokens"]["trend"]["count"]


def test_a_collector_gets_the_numbers_of_the_result(ciload: Ciload) -> None:
    """Of all workers, without the warm-up: counts, sums, extremes and rates, with the id of the run."""
    with collector() as (url, received):
        run = ciload.run(
            SCRIPT, "-u", "4", "-d", "3s", "--warmup", "1s", "--workers", "2", "--output", f"otlp={url}",
        )  # fmt: skip

    assert run.code == 0, run.stderr
    resources = [each for request in received for each in request.resource_metrics]
    assert {
        each.value.string_value
        for resource in resources
        for each in resource.resource.attributes
        if each.key == "ciload.run_id"
    } == {run.result["run_id"]}
    points: dict[str, list[Any]] = defaultdict(list)
    for resource in resources:
        for metric in resource.scope_metrics[0].metrics:
            points[metric.name] += getattr(metric, metric.WhichOneof("data") or "").data_points
    result = run.result["metrics"]
    assert sum(each.as_double for each in points["ops"]) == result["ops"]["count"]
    failed = [
        each.as_int
        for each in points["op_failed"]
        if any((tag.key, tag.value.string_value) == ("condition", "nonzero") for tag in each.attributes)
    ]
    assert sum(failed) == result["op_failed"]["passes"]
    for name in ("op_duration", "tokens"):
        trend, of_name = result[name]["trend"], points[name]
        assert sum(each.count for each in of_name) == trend["count"]
        assert sum(each.zero_count + sum(each.positive.bucket_counts) for each in of_name) == trend["count"]
        assert sum(each.sum for each in of_name) / trend["count"] == pytest.approx(trend["avg"])
        assert min(each.min for each in of_name) == pytest.approx(trend["min"])
        assert max(each.max for each in of_name) == pytest.approx(trend["max"])


def test_an_output_that_fails(ciload: Ciload) -> None:
    """A warning; if it is required, the run fails; and what cannot be opened is told before the load."""
    full = ("-i", "400", "--output", "jsonl=/dev/full")
    run = ciload.run(SCRIPT, *full)
    assert run.code == 0
    assert any("No space left on device" in each for each in run.result["verdict"]["warnings"])
    required = ciload.run(SCRIPT, *full, "--output-required")
    assert required.code == 2
    assert "No space left on device" in required.stderr
    gone = ciload.run(SCRIPT, "--output", "csv=gone/samples.csv")
    assert gone.code == 2
    assert "--output csv=gone/samples.csv: No such file or directory" in gone.stderr
    wrong = ciload.run(SCRIPT, "--output", "json=x")
    assert wrong.code == 104
    assert "did you mean jsonl=" in wrong.stderr


def test_what_the_summary_shows_of_trends(ciload: Ciload) -> None:
    """As many of k6's numbers as are asked for, in one unit."""
    run = ciload.run(SCRIPT, "-i", "8", "--summary-trend-stats", "count,p(99.9)", "--summary-time-unit", "us")

    [shown] = [each for each in run.stdout.splitlines() if "op_duration  " in each and "count=" in each]
    assert "count=24" in shown
    assert re.search(r"p\(99\.9\)=[\d.,]+µs", shown)
    assert "avg=" not in shown
