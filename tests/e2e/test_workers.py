"""`--workers`: several real processes, one run."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from hdrh.histogram import HdrHistogram

from tests.e2e.conftest import Ciload

SCRIPT = """
import os
from pathlib import Path
from ciload import Trend, check, http, sleep

waited = Trend("waited", unit="ms")

class Shared:
    def __init__(self):
        self.users = []

async def setup():
    Path("setups").open("a").write("x")
    return Shared()

async def vu_start(vu, data):
    vu.token = f"token of {vu.id}"

async def default(vu, data):
    data.users.append(vu.id)
    assert set(data.users) == {vu.id} and vu.token == f"token of {vu.id}"
    os.write(1, f"{os.getpid()} {vu.id} {vu.iteration_in_test}\\n".encode())  # whole lines, whoever else writes
    reply = await http.get("/")
    check(reply, {"ok": reply.status_code == 200})
    waited.add(vu.iteration_in_test)
    await sleep(0.02)

async def vu_stop(vu):
    Path(f"stopped-{vu.id}").touch()

async def teardown(data):
    assert data.users == []
    Path("teardowns").open("a").write("x")
"""


ABORTING = "options = {'thresholds': {'http_reqs': [{'threshold': 'count<20', 'abortOnFail': True}]}}\n"
MAIN_PROCESS_ONLY = """
os.environ.setdefault("MAIN", str(os.getpid()))

class Shared:
    def __setstate__(self, state):
        assert os.environ["MAIN"] == str(os.getpid())
        self.__dict__ = state
"""


def children(pid: int) -> list[int]:
    """Processes that `pid` has started."""
    return [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in _children_of(task)]


def _children_of(task: Path) -> list[str]:
    return (task / "children").read_text().split()


def wait_for_children(pid: int, number: int) -> list[int]:
    deadline = time.monotonic() + 20
    while len(found := children(pid)) < number:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def test_the_work_is_shared_and_nothing_is_done_twice(ciload: Ciload, server: str) -> None:
    """Ids and numbers are unique over all processes, setup data arrives as copies, and the result is one."""
    run = ciload.run(SCRIPT, "--base-url", server, "-u", "5", "-i", "101", CILOAD_WORKERS="2")
    assert run.code == 0, run.stdout + run.stderr
    said = [tuple(map(int, line.split())) for line in run.stdout.splitlines() if line[:1].isdigit()]
    assert len({pid for pid, _, _ in said}) == 2
    assert {vu for _, vu, _ in said} == {1, 2, 3, 4, 5}
    assert {vu: len({pid for pid, of, _ in said if of == vu}) for vu in range(1, 6)} == dict.fromkeys(range(1, 6), 1)
    assert sorted(number for _, _, number in said) == list(range(101))
    assert (ciload.folder / "setups").read_text() == (ciload.folder / "teardowns").read_text() == "x"
    assert all((ciload.folder / f"stopped-{number}").exists() for number in range(1, 6))
    result = run.result
    assert (result["load"]["iterations"], result["endpoints"][0]["requests"]) == (101, 101)
    assert result["checks"] == [{"name": "ok", "group": "", "passes": 101, "fails": 0, "sample": None}]
    assert [worker["lost"] for worker in result["generator"]["workers"]] == ["", ""]


def test_merged_percentiles_are_those_of_all_samples(ciload: Ciload, server: str) -> None:
    """The numbers 0 to 100 come from two processes; their percentiles are as if they came from one."""
    run = ciload.run(SCRIPT, "--base-url", server, "-u", "4", "-i", "101", "--out-dir", "r", CILOAD_WORKERS="2")
    document = json.loads((ciload.folder / "r" / "result.json").read_text())
    trend = document["metrics"]["waited"]["trend"]
    assert (trend["count"], trend["min"], trend["max"], trend["avg"]) == (101, 0, 100, 50)
    assert [trend[name] for name in ("med", "p90", "p95", "p99")] == pytest.approx([50, 90, 95, 99], rel=0.001)
    assert HdrHistogram.decode(trend["histogram"]).get_total_count() == 101
    assert run.code == 0


def test_an_open_model_is_shared_too(ciload: Ciload, server: str) -> None:
    """Both processes follow one schedule: every start happens once, at its time."""
    scenario = {"executor": "constant-arrival-rate", "rate": 100, "duration": "2s", "pre_allocated_vus": 10}
    run = ciload.run(
        SCRIPT, "--base-url", server, CILOAD_WORKERS="2", CILOAD_SCENARIOS=json.dumps({"steady": scenario})
    )
    assert run.code == 0, run.stdout + run.stderr
    numbers = sorted(int(line.split()[2]) for line in run.stdout.splitlines() if line[:1].isdigit())
    [steady] = run.result["scenarios"]
    assert numbers == list(range(200)) or steady["dropped"] == 200 - len(numbers)
    assert steady["planned"] == 200


def test_a_killed_worker_costs_its_share_only(ciload: Ciload, server: str) -> None:
    """The other one goes on to the end; the result says what is missing, and the verdict is a failure."""
    process = ciload.start(SCRIPT, "--base-url", server, "-u", "4", "-d", "5s", CILOAD_WORKERS="2")

    def kill() -> None:
        found = wait_for_children(process.pid, 2)
        time.sleep(3.5)
        os.kill(found[0], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    run = ciload.finish(process)
    thread.join()
    assert run.code == 99, run.stdout + run.stderr
    assert "was killed by SIGKILL; its share of the load is missing after the first" in run.reasons[0]
    result = run.result
    assert sorted(worker["lost"] for worker in result["generator"]["workers"]) == ["", "was killed by SIGKILL"]
    assert result["load"]["load_s"] >= 5
    assert result["timeline"][-1]["vus"] <= 2
    assert (ciload.folder / "teardowns").exists()


def test_a_signal_stops_all_workers_cleanly(ciload: Ciload, server: str) -> None:
    """Exit code 105, one teardown, every virtual user's vu_stop(), all reports, and no process left."""
    process = ciload.start(SCRIPT, "--base-url", server, "-u", "4", "-d", "1h", CILOAD_WORKERS="2")
    found = wait_for_children(process.pid, 2)
    time.sleep(2.5)
    process.send_signal(signal.SIGTERM)
    run = ciload.finish(process)
    assert run.code == 105, run.stdout + run.stderr
    assert run.reasons[0] == "interrupted by SIGTERM"
    assert (ciload.folder / "teardowns").read_text() == "x"
    assert all((ciload.folder / f"stopped-{number}").exists() for number in range(1, 5))
    assert run.result["load"]["iterations"] > 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in found)


def test_workers_end_with_a_parent_that_is_killed(ciload: Ciload, server: str) -> None:
    """Nobody goes on sending load when CI has killed the step."""
    process = ciload.start(SCRIPT, "--base-url", server, "-u", "4", "-d", "1h", CILOAD_WORKERS="2")
    found = wait_for_children(process.pid, 2)
    time.sleep(1.5)
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in found):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("change", "code", "reason"),
    [
        (("await sleep(0.02)", "await sleep(0.02)\n    if vu.id == 3: abort('enough')"), 108, "abort(): enough"),
        (("return Shared()", "return lambda: 1"), 107, "cannot be handed to worker processes"),
        (("await sleep(0.02)", "await sleep(0.02)\n    if vu.id == 3: raise ValueError('x')"), 107, "script raised"),
        (("await sleep(0.02)", "await sleep(0.02)\n    fail_test('wrong')"), 110, "wrong"),
        (("async def setup", f"{ABORTING}async def setup"), 99, "which ended the run"),
        (("class Shared:", MAIN_PROCESS_ONLY), 107, "cannot be rebuilt"),
        (("vu.token =", "raise ValueError('no login')\n    vu.token ="), 107, "the script raised 4 times"),
    ],
)  # fmt: skip
def test_what_a_worker_says_counts_for_the_run(
    ciload: Ciload, server: str, change: tuple[str, str], code: int, reason: str
) -> None:
    """Abort, errors, marks and thresholds work on the whole, wherever they come from."""
    script = SCRIPT.replace(*change, 1).replace("import Trend", "import abort, fail_test, Trend")
    started = time.monotonic()
    run = ciload.run(script, "--base-url", server, "-u", "4", "-d", "3s", CILOAD_WORKERS="2")
    assert run.code == code, run.stdout + run.stderr
    assert reason in run.reasons[0], run.reasons
    assert time.monotonic() - started < 20


def test_a_worker_that_blocks_is_named(ciload: Ciload) -> None:
    """Its own watchdog finds the line, and the parent says it."""
    script = "import time\nasync def default(vu):\n    if vu.id == 2: time.sleep(30)\n    time.sleep(0.01)\n"
    run = ciload.run(script, "-u", "2", "-d", "2s", "--graceful-stop", "1s", CILOAD_WORKERS="2")
    assert run.code == 107, run.stdout + run.stderr
    assert "load.py:3 in default() blocks all virtual users" in run.stderr


def test_no_worker_without_a_virtual_user(ciload: Ciload, server: str) -> None:
    """One virtual user needs no second process, however many were asked for."""
    run = ciload.run(SCRIPT, "--base-url", server, "-u", "1", "-i", "3", CILOAD_WORKERS="8")
    assert (run.code, len(run.result["generator"]["workers"])) == (0, 1)
