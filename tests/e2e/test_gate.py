"""Baselines and side by side, as a CI job uses them: a real server that becomes slower, real files, exit codes."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Ciload, Finished, serving

SCRIPT = """
from ciload import check, http

async def default(vu):
    reply = await http.get("/users")
    check(reply, {"ok": lambda r: r.status_code == 200})
    if vu.iteration % 2:
        await http.post("/orders", json={"number": int(vu.random.random() * 1000)})
"""
LOAD = ("-u", "2", "-i", "120", "--name", "shop")


class Shop:
    """What the server does now: how long it takes, and what it saw. Spinning is exacter than sleeping."""

    seconds = 0.004
    cookies: dict[str, set[str]]
    bodies: dict[str, list[str]]

    def __init__(self) -> None:
        self.cookies, self.bodies = {}, {}
        self.lock = threading.Lock()

    def handler(self) -> type[BaseHTTPRequestHandler]:
        shop = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 1 << 16  # head and body in one packet, or delayed acknowledgements would be all there is to see

            def do_GET(self) -> None:
                self.answer()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
                with shop.lock:
                    shop.bodies.setdefault(self.headers["host"], []).append(body)
                self.answer()

            def answer(self) -> None:
                with shop.lock:
                    shop.cookies.setdefault(self.headers["host"], set()).add(self.headers.get("cookie", ""))
                time.sleep(shop.seconds)
                self.send_response(200)
                self.send_header("content-length", "2")
                self.send_header("set-cookie", f"at={self.headers['host']}")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def shop_url(shop: Shop) -> Iterator[str]:
    with serving(shop.handler()) as url:
        yield url


def comparison(run: Finished) -> dict[str, Any]:
    [found] = run.result["comparisons"]
    return dict(found)


def stored(path: Path) -> list[tuple[bool, str]]:
    return [(run["accepted"], run["alarm"]) for run in json.loads(path.read_text())["runs"]]


def test_a_regression_is_found_and_stays_one(ciload: Ciload, shop: Shop, shop_url: str) -> None:
    """From the first run to an alarm that goes on until somebody accepts it; every report tells."""
    baseline = ciload.folder / "baseline.json"
    keep = (*LOAD, "--base-url", shop_url, "--save-baseline", "baseline.json")
    first = ciload.run(SCRIPT, *keep)
    assert (first.code, comparison(first)["verdict"]) == (0, "no baseline")
    assert "no baseline" in first.stdout
    assert ciload.run(SCRIPT, *keep, "--on-missing-baseline", "fail", "--target", "elsewhere").code == 97
    for _ in range(4):
        assert ciload.run(SCRIPT, *keep).code == 0
    assert stored(baseline) == [(True, "")] * 6

    shop.seconds = 0.04
    slow = ciload.run(SCRIPT, *LOAD, "--base-url", shop_url, "--baseline", "baseline.json", "--confirm", "1")
    assert slow.code == 96, slow.stdout
    found = comparison(slow)
    assert (found["verdict"], found["fresh"], len(found["runs"])) == ("regression", 2, 5)
    worse = {(each["endpoint"], each["metric"]) for each in found["metrics"] if each["verdict"] == "regression"}
    assert {("", "p50"), ("/users", "p50"), ("/orders", "p50")} <= worse
    assert slow.reasons[0].startswith("regression (history, baseline.json): ")
    assert found["contributions"][0]["waiting_ms"] > 20
    assert slow.junit.findall(".//failure")
    assert "regression" in slow.summary.lower()
    assert stored(baseline) == [(True, "")] * 6  # --baseline alone keeps nothing

    merged = ciload.run(SCRIPT, *keep)  # by mistake
    assert merged.code == 96
    assert "not as a measure for later runs: it is worse" in merged.stderr
    lost = ciload.run(SCRIPT, *keep, "--baseline", "gone.json")  # whatever it is compared with
    assert (lost.code, comparison(lost)["verdict"]) == (0, "no baseline")
    assert stored(baseline)[6:] == [(False, "worse")] * 2
    third = ciload.run(SCRIPT, *keep)
    assert third.code == 96
    assert any("level shift" in note for note in comparison(third)["notes"])

    accepted = ciload.command("accept", "baseline.json", "--reason", "TLS to the database", "--by", "ann")
    assert accepted.returncode == 0, accepted.stderr
    assert stored(baseline)[6:] == [(True, "worse")] * 3
    assert ciload.run(SCRIPT, *keep).code == 0
    shown = ciload.command("baseline", "show", "baseline.json")
    assert "TLS to the database" in shown.stdout
    replayed = ciload.command("calibrate", "baseline.json")
    assert replayed.returncode == 0, replayed.stderr


def test_a_change_that_is_meant_fails_nothing_and_is_the_new_level(ciload: Ciload, shop: Shop, shop_url: str) -> None:
    """By a flag, or by a line in the commit that was pushed: that run passes, and those after it."""
    keep = ("-u", "4", "-i", "60", "--name", "shop", "--base-url", shop_url, "--save-baseline", "baseline.json")
    for _ in range(5):
        assert ciload.run(SCRIPT, *keep).code == 0
    shop.seconds = 0.02
    meant = ciload.run(SCRIPT, *keep, "--accept", "TLS to the database")
    assert meant.code == 0, meant.stdout
    assert comparison(meant)["verdict"] == "regression"
    assert comparison(meant)["accepted"]["where"] == "--accept"
    assert "slower" in meant.stdout
    assert "TLS to the database" in meant.summary
    assert stored(ciload.folder / "baseline.json")[-1] == (True, "worse")
    assert ciload.run(SCRIPT, *keep).code == 0

    shop.seconds = 0.06
    git = ["git", "-C", str(ciload.folder), "-c", "user.name=Ann", "-c", "user.email=ann@example.org"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    message = "Ask the tax office\n\nciload-accept: one more hop"
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "--message", message], check=True)
    unseen = ciload.run(SCRIPT, *keep[:-2], "--baseline", "baseline.json")
    assert unseen.code == 96  # outside of CI nobody knows who has pushed this
    build = {"JENKINS_URL": "https://ci.example", "BUILD_USER_ID": "ann"}
    pushed = ciload.run(SCRIPT, *keep, **build)
    assert pushed.code == 0, pushed.stdout
    said = comparison(pushed)["accepted"]
    assert (said["by"], said["reason"]) == ("ann", "one more hop")
    assert "one more hop" in ciload.command("baseline", "show", "baseline.json").stdout


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"schema": "ciload/baseline/1", "runs": [', "baseline.json"),
        ('{"schema": "ciload/baseline/2"}', "newer"),
        ('{"schema": "ciload/baseline/1", "runs": [{"run_id": 7}]}', "runs[0]"),
        ("<html>sign in</html>", "baseline.json"),
    ],
)
def test_a_broken_baseline_ends_the_run_before_its_load(
    ciload: Ciload, shop: Shop, shop_url: str, text: str, reason: str
) -> None:
    """One clear error, exit 97, nothing sent and nothing overwritten, whether it was to be read or written."""
    path = ciload.folder / "baseline.json"
    path.write_text(text)
    for flag in ("--baseline", "--save-baseline"):
        run = ciload.run(SCRIPT, *LOAD, "--base-url", shop_url, flag, "baseline.json")
        assert run.code == 97
        assert reason in run.stderr
        assert run.result["verdict"]["exit_code"] == 97
    assert path.read_text() == text
    assert shop.cookies == {}


def test_a_variable_that_is_not_set_does_not_switch_the_gate_off(ciload: Ciload, shop_url: str) -> None:
    """`--baseline "$UNSET"` is a mistake, not a run without a gate."""
    run = ciload.run(SCRIPT, "--base-url", shop_url, "--baseline", "", "--compare-url", "")
    assert run.code == 104
    assert "--baseline: is empty; is a variable not set?" in run.stderr
    assert "--compare-url: is empty" in run.stderr


def test_a_script_that_cannot_run_twice_is_judged_by_its_first_run(ciload: Ciload, shop: Shop, shop_url: str) -> None:
    """What the first run found is not lost when it cannot be confirmed."""
    keep = (*LOAD, "--base-url", shop_url, "--save-baseline", "baseline.json")
    for _ in range(4):
        assert ciload.run(SCRIPT, *keep).code == 0
    shop.seconds = 0.04
    once = SCRIPT + "\nimport os\nos.mkdir('once')\n"
    run = ciload.run(once, *keep, "--confirm", "2")
    assert run.code == 96
    assert "cannot run again to confirm" in run.stderr
    assert comparison(run)["fresh"] == 1


def test_a_lost_baseline_is_not_overlooked(ciload: Ciload, shop_url: str) -> None:
    """A file that is not there warns, fails or passes as it was asked to, and always says so in the result."""
    arguments = (SCRIPT, "-i", "10", "--base-url", shop_url, "--baseline", "gone.json")
    assert [ciload.run(*arguments, "--on-missing-baseline", each).code for each in ("pass", "warn")] == [0, 0]
    run = ciload.run(*arguments, "--on-missing-baseline", "fail")
    assert (run.code, comparison(run)["verdict"]) == (97, "no baseline")
    cases = {case.get("name"): case for case in run.junit.iter("testcase")}
    assert any(case.find("failure") is not None for case in cases.values())


def test_side_by_side_finds_the_slower_one(tmp_path: Path, shop: Shop, shop_url: str) -> None:
    """The new target is judged, with workers too, and no longer than it takes; one that is the same raises no alarm."""
    slower = Shop()
    slower.seconds = 0.008
    script = SCRIPT.replace("import check, http", "import check, http, sleep") + "    await sleep(0.02)\n"
    with serving(slower.handler()) as slower_url, ThreadPoolExecutor() as pool:

        def run(name: str, new: str, *more: str) -> Finished:
            (tmp_path / name).mkdir()
            arguments = ("-u", "3", "--warmup", "1s", "--base-url", new, "--compare-url", shop_url, *more)
            return Ciload(tmp_path / name).run(script, *arguments)

        started = [
            pool.submit(run, "slow", slower_url, "-d", "61s", "--until-clear", "--workers", "2", "--tolerance", "0"),
            pool.submit(run, "same", other(shop_url), "-d", "13s"),
        ]
        slow, same = (each.result() for each in started)
    assert slow.code == 96, slow.stdout
    assert slow.reasons[0].startswith("regression (side by side, ")
    assert same.code == 0, same.stdout
    found = comparison(slow)
    assert (found["gate"], found["verdict"]) == ("side by side", "regression")
    p50 = next(each for each in found["metrics"] if each["metric"] == "p50" and each["endpoint"] == "")
    assert p50["low"] < 1.0 < p50["high"] or 0.5 < p50["change"] < 1.3
    result = slow.result
    arm = result["old_arm"]
    assert abs(arm["iterations"] - result["load"]["iterations"]) <= 3
    assert (arm["limit_s"], arm["clear_after_s"] in (10.0, 20.0, 40.0)) == (60.0, True)
    assert result["load"]["load_s"] < arm["clear_after_s"] + 3
    assert not result["load"]["iterations_interrupted"]
    assert {row["arm"] for row in result["blocks"]["rows"]} == {"new", "old"}
    [row] = [each for each in result["blocks"]["rows"] if (each["arm"], each["name"]) == ("new", "/users")]
    assert sum(row["pairs_new_first"]) + sum(row["pairs_old_first"]) == sum(row["requests"])
    # Connections were renewed all the time, and nobody has waited for that.
    assert result["metrics"]["http_req_connecting"]["trend"]["p99"] == 0


def test_full_urls_are_no_comparison(ciload: Ciload, shop_url: str) -> None:
    """They lead to the same server on both sides, and the report says so."""
    script = SCRIPT.replace('"/users"', f'"{shop_url}/users"').replace('"/orders"', f'"{shop_url}/orders"')
    run = ciload.run(script, "-i", "20", "--base-url", other(shop_url), "--compare-url", shop_url)
    assert comparison(run)["verdict"] == "no baseline"
    assert "the script asks for full URLs" in comparison(run)["reason"]


def other(url: str) -> str:
    """The same server under another name."""
    return url.replace("127.0.0.1", "localhost")


def test_targets_side_by_side_get_the_same_data_and_share_nothing(ciload: Ciload, shop: Shop, shop_url: str) -> None:
    """The same bodies go to both; cookies of the one never reach the other."""
    run = ciload.run(SCRIPT, *LOAD, "--base-url", shop_url, "--compare-url", other(shop_url))
    assert run.code == 0
    assert comparison(run)["verdict"] == "inconclusive"  # too short for ten blocks
    first, second = shop.bodies.values()
    assert sorted(first) == sorted(second) != []
    for host, cookies in shop.cookies.items():
        assert cookies <= {"", f"at={host}"}
