"""What helps to find out why requests failed or were slow: samples, traces, --once, --http-debug, expected answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import ClassVar

import pytest

from tests.e2e.conftest import Ciload, serving

TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-01")


class Shop(BaseHTTPRequestHandler):
    """Answers with what it was asked, headers included; `/broken` with 500, `/missing` with 404."""

    protocol_version = "HTTP/1.1"
    traces: ClassVar[set[str]] = set()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if match := TRACEPARENT.fullmatch(self.headers.get("traceparent", "")):
            self.traces.add(match[1])
        body = json.dumps({"said": f"this is {path}", "headers": dict(self.headers), "query": self.path}).encode()
        self.send_response({"/broken": 500, "/missing": 404}.get(path, 200))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def shop() -> Iterator[str]:
    Shop.traces.clear()
    with serving(Shop) as url:
        yield url


FAILING = """
import os
from ciload import check, http
async def default(vu):
    headers = {"Authorization": "Bearer zqxtoken123", "X-Tenant": os.environ["TENANT"]}
    reply = await http.get("/broken?key=zqxquery1", headers=headers)
    check(reply, {"says hello": lambda r: "hello" in r.text})
    await http.get("/fine")
"""


def test_failures_show_what_came_in_every_report_and_from_every_worker(ciload: Ciload, shop: str) -> None:
    """Request, status, trace and body, by which they can be looked up; no token, no query, no secret variable."""
    run = ciload.run(
        FAILING, "--base-url", shop, "--vus", "2", "--iterations", "8", "--workers", "2", "--trace", "--secret",
        "TENANT", TENANT="zqxtenant", CILOAD_THRESHOLDS='{"http_req_failed": "rate<0.1"}',
    )  # fmt: skip
    assert run.code == 99, run.stdout + run.stderr
    [error] = run.result["errors"]
    sample = error["sample"]
    assert (error["count"], sample["request"], sample["status"]) == (8, f"GET {shop}/broken?***", 500)
    assert sample["trace"] in Shop.traces
    assert '"said": "this is /broken"' in sample["body"]
    [check] = run.result["checks"]
    assert check["sample"]["status"] == 500
    assert len(run.result["slowest"]) == 10
    assert {each["trace"] for each in run.result["slowest"]} <= Shop.traces
    for text in (run.stdout, run.summary):
        assert sample["trace"] in text
        assert "this is /broken" in text
    assert "zqx" not in run.all_text()


def test_once_shows_the_whole_answer(ciload: Ciload, shop: str) -> None:
    """What failed, which request it was, its status and its body, on the console, in markdown and in JUnit."""
    run = ciload.run(FAILING, "--base-url", shop, "--once", TENANT="acme")
    assert run.code == 99
    assert "--once: GET /broken: 1 of 1 requests failed: HTTP 500" in run.reasons
    for text in (run.stdout, run.summary, "".join(run.junit.itertext())):
        assert "FIRST ANSWERS OF FAILED CHECKS" in text or "check says hello" in text
        assert f"GET {shop}/broken?*** → 500" in text
        assert '"said": "this is /broken"' in text
        assert '"X-Tenant": "acme"' in text


def test_a_script_error_shows_the_answer_that_it_met(ciload: Ciload, shop: str) -> None:
    """What `reply.json()["id"]` found instead, beside the traceback."""
    script = (
        "from ciload import http\nasync def default():\n    reply = await http.get('/fine')\n    reply.json()['id']\n"
    )
    run = ciload.run(script, "--base-url", shop, "--once")
    assert run.code == 107
    [error] = run.result["errors"]
    assert error["message"] == "KeyError: 'id'"
    for text in (run.stdout, run.summary, "".join(run.junit.itertext())):
        assert f"GET {shop}/fine → 200" in text
        assert '"said": "this is /fine"' in text


@pytest.mark.parametrize("arguments", [("--http-debug",), ("--http-debug=full",)])
def test_http_debug_shows_what_is_sent(ciload: Ciload, shop: str, arguments: tuple[str, ...]) -> None:
    """On stderr, with bodies only if asked, and without what is secret by name, by place or by `--secret`."""
    run = ciload.run(FAILING, *arguments, "--base-url", shop, "--secret", "TENANT", TENANT="zqxtenant")
    assert run.code == 0, run.stdout + run.stderr
    assert "> GET /broken?*** HTTP/1.1\n" in run.stderr
    assert "> Authorization: ***\n> X-Tenant: ***\n" in run.stderr
    assert re.search(r"< #1 500 Internal Server Error after [\d.]+ ms\n", run.stderr)
    assert ("this is /fine" in run.stderr) == (arguments == ("--http-debug=full",))
    assert "zqx" not in run.all_text()


EXPECTING = """
from ciload import http
options = {"scenarios": {
    "there": {"executor": "per-vu-iterations", "exec": "there"},
    "gone": {"executor": "per-vu-iterations", "exec": "gone"},
}, "thresholds": {"http_req_failed": ["rate==0"], "http_reqs{scenario:gone}": ["count==3"]}}
async def there():
    await http.get("/fine", expect=lambda r: r.json()["said"] == "this is /fine")
async def gone():
    await http.get("/missing", expected={404})
    await http.get("/missing")
    await http.get("/missing", tags={"expected_response": "false"})
"""


def test_what_is_expected_does_not_count_as_failed(ciload: Ciload, shop: str) -> None:
    """By a request, or by the run: thresholds, endpoints and errors follow it."""
    run = ciload.run(EXPECTING, "--base-url", shop)
    assert run.code == 99
    assert run.result["metrics"]["http_req_failed"]["passes"] == 2
    run = ciload.run(EXPECTING, "--base-url", shop, "--expected", "2xx,404")
    assert run.code == 0, run.stdout + run.stderr
    assert {each["name"]: each["failed"] for each in run.result["endpoints"]} == {"/fine": 0, "/missing": 0}
    assert run.result["errors"] == []
    assert run.result["expected_duration"]["count"] == 4


def test_one_scenario_of_several(ciload: Ciload, shop: str) -> None:
    """Only it runs, and what is judged is about it."""
    run = ciload.run(EXPECTING, "--base-url", shop, "--scenario", "there")
    assert run.code == 0, run.stdout + run.stderr
    assert [each["name"] for each in run.result["endpoints"]] == ["/fine"]
    assert "--scenario leaves their scenarios out" in run.stdout
    wrong = ciload.run(EXPECTING, "--base-url", shop, "--scenario", "their")
    assert (wrong.code, "no scenario 'their'; did you mean 'there'?" in wrong.stderr) == (104, True)
