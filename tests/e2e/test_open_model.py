"""Coordinated omission: what a stall of the target looks like in the open and in the closed model."""

from __future__ import annotations

import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from tests.e2e.conftest import Ciload, Finished, serving

STALL_S = 2.0
SCRIPT = """
from ciload import Trend, http
slow = Trend("slow", unit="ms")
async def default():
    reply = await http.get("/")
    if reply.timings.duration > 100:
        slow.add(reply.timings.duration)
"""


@pytest.fixture
def stalling_server() -> Iterator[str]:
    """Answers at once, except that 2 s after its first request it answers nothing for 2 s."""
    began: list[float] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet: two would wait for an acknowledgement in between

        def do_GET(self) -> None:
            began.append(time.monotonic())
            since = began[-1] - began[0]
            if 2.0 <= since < 2.0 + STALL_S:
                time.sleep(2.0 + STALL_S - since)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as url:
        yield url


def slow_requests(run: Finished) -> int:
    return int(run.result["metrics"]["slow"]["trend"]["count"])


def test_a_stall_delays_everything_that_was_due_in_it(ciload: Ciload, stalling_server: str) -> None:
    """50 starts per second and a stall of 2 s are about 100 slow requests, and percentiles show them."""
    run = ciload.run(SCRIPT, "--base-url", stalling_server, CILOAD_DURATION="6s", CILOAD_RATE="50/s")
    assert run.code == 0, run.stdout + run.stderr
    assert 85 <= slow_requests(run) <= 102  # those due in the last 100 ms of the stall are not slow
    [scenario] = run.result["scenarios"]
    assert (scenario["planned"], scenario["dropped"], scenario["iterations"]) == (300, 0, 300)
    response_time = run.result["metrics"]["http_req_response_time"]["trend"]
    assert response_time["p90"] > 1_000


def test_a_closed_model_sees_one_slow_request(ciload: Ciload, stalling_server: str) -> None:
    """One virtual user waits with the target: that is what is left out, and why the open model is there."""
    run = ciload.run(SCRIPT, "--base-url", stalling_server, "-u", "1", "-d", "6s", CILOAD_MIN_ITERATION_DURATION="20ms")
    assert slow_requests(run) == 1
    assert run.result["metrics"]["http_req_duration"]["trend"]["p95"] < 100


def test_starts_without_a_free_virtual_user_are_dropped_and_told(ciload: Ciload, stalling_server: str) -> None:
    """With one virtual user the 2 s cost about 100 starts; the verdict says so, and a threshold can make it fail."""
    limit = '{"dropped_iterations": "count<1"}'
    run = ciload.run(
        SCRIPT,
        "--base-url",
        stalling_server,
        "-u",
        "1",
        CILOAD_DURATION="6s",
        CILOAD_RATE="50/s",
        CILOAD_THRESHOLDS=limit,
    )
    assert run.code == 99
    [scenario] = run.result["scenarios"]
    assert 90 <= scenario["dropped"] <= 120
    assert scenario["dropped"] + scenario["iterations"] == scenario["planned"] == 300
    assert any(
        "starts were dropped, because no virtual user was free (max_vus is 1)" in text
        for text in run.result["verdict"]["warnings"]
    )
    assert run.result["metrics"]["dropped_iterations"]["count"] == scenario["dropped"]


def test_late_starts_are_told(ciload: Ciload, server: str) -> None:
    """A script that holds up the generator makes starts late: counted, in the durations, and beside the verdict."""
    script = (
        "import time\nfrom ciload import http\nasync def default(vu):\n"
        "    await http.get('/')\n    if vu.iteration_in_test == 50: time.sleep(0.6)\n"
    )
    run = ciload.run(script, "--base-url", server, CILOAD_DURATION="3s", CILOAD_RATE="50/s")
    [scenario] = run.result["scenarios"]
    assert 20 <= scenario["late"] <= 35, run.stdout
    assert scenario["dropped"] == 0
    assert scenario["start_delay_max"] > 400
    assert run.result["metrics"]["http_req_response_time"]["trend"]["max"] > 400
    assert any("more than 50 ms late" in text for text in run.result["verdict"]["warnings"])


def test_a_warm_up_stays_out(ciload: Ciload, stalling_server: str) -> None:
    """A stall that lies within the warm-up is in no metric, no timeline and no threshold."""
    limits = '{"http_req_duration": "max<500", "http_reqs": "count<200"}'
    run = ciload.run(
        SCRIPT, "--base-url", stalling_server, CILOAD_DURATION="7s", CILOAD_RATE="50/s", CILOAD_WARMUP="4.5s",
        CILOAD_THRESHOLDS=limits,
    )  # fmt: skip
    assert run.code == 0, run.stdout + run.stderr
    load = run.result["load"]
    assert load["load_s"] == pytest.approx(2.5, abs=0.3)
    assert 120 <= load["iterations"] <= 126
    assert load["warmup_requests"] + run.result["endpoints"][0]["requests"] == 350
    assert len(run.result["timeline"]) == 3
    assert "after a warm-up of 4.5s" in run.stdout
