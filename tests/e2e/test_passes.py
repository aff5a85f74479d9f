"""What a pass is: everything that must hold for it, each broken once."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.e2e.conftest import Ciload, Finished, Handler, serving

OK = "from ciload import http, sleep\nasync def default():\n    await http.get('/')\n    await sleep(0.01)\n"


class Hanging(Handler):
    """Never answers what asks for it."""

    def do_GET(self) -> None:  # noqa: N802
        if self.path.startswith("/hang"):
            time.sleep(20)
        else:
            super().do_GET()


@pytest.fixture
def hanging() -> Iterator[str]:
    with serving(Hanging) as url:
        yield url


SOMETIMES = """
from ciload import http, sleep

async def default(vu):
    await http.get("/hang" if vu.id == 1 else "/", name="page")
    await sleep(0.02)
"""


class TestUnanswered:
    @pytest.mark.parametrize("workers", ["1", "2"])
    def test_a_request_that_outlives_the_graceful_stop(self, ciload: Ciload, hanging: str, workers: str) -> None:
        """The run fails with the time it waited, and the request counts as failed."""
        run = ciload.run(
            SOMETIMES, "--base-url", hanging, "-u", "4", "-d", "1s", "--graceful-stop", "2s", "--workers", workers
        )
        assert (run.code, run.reasons) == (99, ["no answer after 3 s: 1 request outlived the graceful stop"])
        [endpoint] = run.result["endpoints"]
        assert endpoint["failed"] == 1
        assert endpoint["duration"]["max"] == pytest.approx(3_000, abs=300)
        assert "no answer when the load ended" in [error["message"] for error in run.result["errors"]]

    def test_one_without_grace_is_counted_and_shown(self, ciload: Ciload, hanging: str) -> None:
        """Whoever gives no time for answers knows that some will be missing."""
        run = ciload.run(SOMETIMES, "--base-url", hanging, "-u", "4", "-d", "1s", "--graceful-stop", "0s")
        assert run.code == 0
        assert run.result["load"]["requests_cut_off"] >= 1
        assert any("cut off by the end of the load" in each for each in run.result["verdict"]["warnings"])

    def test_a_ramp_down_gives_time_too(self, ciload: Ciload, hanging: str) -> None:
        """A virtual user that has to go hides nothing either."""
        script = SOMETIMES + (
            "options = {'scenarios': {'s': {'executor': 'ramping-vus', 'startVUs': 2, 'gracefulRampDown': '1s',"
            " 'stages': [{'duration': '1s', 'target': 0}, {'duration': '2s', 'target': 0}]}}}\n"
        )
        run = ciload.run(script, "--base-url", hanging)
        assert (run.code, len(run.reasons)) == (99, 1)
        assert "1 request outlived the graceful stop" in run.reasons[0]

    def test_a_request_that_the_script_cancels(self, ciload: Ciload, hanging: str) -> None:
        """It was sent and had no answer: that is a failed request, whoever stopped waiting."""
        script = (
            "import asyncio\nfrom ciload import http\nasync def default():\n    try:\n"
            "        await asyncio.wait_for(http.get('/hang'), 0.1)\n    except TimeoutError:\n        pass\n"
            "    await http.get('/')\n"
        )
        run = ciload.run(script, "--base-url", hanging, "-i", "3")
        metrics = run.result["metrics"]
        assert (run.code, metrics["http_req_failed"]["passes"], metrics["http_reqs"]["count"]) == (0, 3, 6)
        assert "cancelled by the script" in [error["message"] for error in run.result["errors"]]


class TestNothingMeasured:
    @pytest.mark.parametrize(
        "body",
        [
            "await sleep(0.01)",
            "import urllib.request; urllib.request.urlopen(os.environ['URL']).read()",
            "check(1, {'one': True})",
        ],
    )
    def test_no_request_and_no_metric(self, ciload: Ciload, server: str, body: str) -> None:
        """A run that measured nothing fails, unless it is told not to."""
        script = f"import os\nfrom ciload import check, sleep\nasync def default():\n    {body}\n"
        run = ciload.run(script, "-i", "3", URL=server)
        assert (run.code, len(run.reasons)) == (99, 1)
        assert "nothing was measured" in run.reasons[0]
        assert ciload.run(script, "-i", "3", "--allow-empty", URL=server).code == 0

    def test_a_metric_of_its_own_is_enough(self, ciload: Ciload) -> None:
        """Other clients are measured by the script."""
        script = "from ciload import Trend\nt = Trend('query', unit='ms')\nasync def default():\n    t.add(3)\n"
        assert ciload.run(script, "-i", "3").code == 0


class TestNeverAwaited:
    @pytest.mark.parametrize(
        ("line", "what"),
        [
            ("http.get('/')", "load.py:5: coroutine"),
            ("reply = http.get('/')", "load.py:5: coroutine"),
            ("helper()", "load.py:5: coroutine 'helper'"),
            ("sleep(1)", "load.py:5: coroutine 'sleep'"),
        ],
    )
    @pytest.mark.parametrize("workers", ["1", "2"])
    def test_is_a_script_error_with_its_line(
        self, ciload: Ciload, server: str, line: str, what: str, workers: str
    ) -> None:
        """It is told once, however often it happens."""
        script = (
            "from ciload import http, sleep\nasync def helper():\n    return 1\nasync def default():\n"
            f"    {line}\n    await http.get('/')\n"
        )
        run = ciload.run(script, "--base-url", server, "-u", "2", "-i", "20", "--workers", workers)
        assert run.code == 107
        [error] = [each for each in run.result["errors"] if "never awaited" in each["message"]]
        assert what in error["message"]
        assert error["count"] <= int(workers)
        assert run.stderr.count("never awaited") <= 1


def test_tasks_that_nobody_looks_at(ciload: Ciload, server: str) -> None:
    """What fails in a task of the script's fails the run, whether the task is kept or thrown away."""
    for keep in ("", "kept.append(task)"):
        script = (
            "import asyncio\nfrom ciload import http\nkept = []\nasync def boom():\n    raise KeyError('id')\n"
            f"async def default():\n    task = asyncio.create_task(boom())\n    {keep}\n    await http.get('/')\n"
        )
        run = ciload.run(script, "--base-url", server, "-i", "2")
        assert run.code == 107, keep
        assert "KeyError: 'id'" in [error["message"] for error in run.result["errors"]]


def test_an_abandoned_script_is_named_with_its_place(ciload: Ciload, server: str) -> None:
    """Who catches every cancellation learns where, and what was measured until then is reported."""
    script = (
        "from ciload import http, sleep\nasync def default():\n    await http.get('/')\n    while True:\n"
        "        try:\n            await sleep(9)\n        except BaseException:\n            pass\n"
    )
    run = ciload.run(script, "--base-url", server, "-u", "2", "-d", "1s", "--graceful-stop", "0s")
    assert run.code == 107
    assert run.reasons[0].startswith("load.py:6 in default() did not end within 5 s")
    assert run.result["metrics"]["http_reqs"]["count"] == 2
    assert "Task was destroyed" not in run.stderr


def test_threads_of_the_script(ciload: Ciload, server: str) -> None:
    """What fails in a thread fails the run, and a thread that does not end does not hold it."""
    script = (
        "import threading, time\nfrom ciload import http\ndef boom():\n    raise KeyError('id')\n"
        "async def default():\n    threading.Thread(target=boom).start()\n"
        "    threading.Thread(target=time.sleep, args=(50,)).start()\n    await http.get('/')\n"
    )
    run = ciload.run(script, "--base-url", server, "-i", "1")
    assert run.code == 107
    assert "KeyError: 'id'" in [error["message"] for error in run.result["errors"]]
    assert "a thread of the script's goes on" in run.stderr


class TestVirtualUsersThatDoNotStart:
    SCRIPT = (
        "from ciload import http\nasync def vu_start(vu):\n    if vu.id % 2:\n        raise ValueError('no seat')\n"
        "async def default():\n    await http.get('/')\n"
    )

    def test_are_told_beside_the_verdict(self, ciload: Ciload, server: str) -> None:
        """Half of the load is no secret, even where script errors are allowed."""
        run = ciload.run(self.SCRIPT, "--base-url", server, "-u", "4", "-d", "1s", "--allow-script-errors")
        assert run.code == 0
        assert any(each.startswith("2 virtual users did no work") for each in run.result["verdict"]["warnings"])

    def test_none_at_all_is_no_load(self, ciload: Ciload, server: str) -> None:
        """A load that ends long before its plan fails, with the reason."""
        script = self.SCRIPT.replace("vu.id % 2", "True")
        run = ciload.run(script, "--base-url", server, "-u", "4", "-d", "5s", "--allow-script-errors")
        assert run.code == 99
        assert "the load of scenario 'default' ended before its plan was done, though nothing stopped it" in run.reasons


def test_a_redirect_without_end_is_a_failure(ciload: Ciload) -> None:
    """A target that sends its users in circles does not serve them."""

    class Circle(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", "/again")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with serving(Circle) as url:
        limits = "options = {'thresholds': {'http_req_failed': 'rate==0'}}\n"
        run = ciload.run(OK + limits, "--base-url", url, "-i", "1")
    assert run.code == 99
    assert "too many redirects: more than 10" in [error["message"] for error in run.result["errors"]]


class TestSignals:
    def slow_git(self, folder: Path) -> str:
        """A PATH on which git takes its time."""
        (folder / "bin").mkdir()
        git = folder / "bin" / "git"
        git.write_text(f"#!/bin/sh\ntouch {folder}/asked\nsleep 3\n")
        git.chmod(0o755)
        return f"{folder / 'bin'}:{os.environ['PATH']}"

    def signal_when(self, ciload: Ciload, sign: Path, script: str, *arguments: str, **environment: str) -> Finished:
        process = ciload.start(script, *arguments, **environment)
        until = time.monotonic() + 30
        while not sign.exists() and time.monotonic() < until:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        return ciload.finish(process)

    def test_while_git_is_asked(self, ciload: Ciload, server: str, tmp_path: Path) -> None:
        """No moment of a run is without a handler: it ends with reports that say so."""
        path = self.slow_git(tmp_path)
        run = self.signal_when(ciload, tmp_path / "asked", OK, "--base-url", server, "-i", "1", PATH=path)
        assert run.code == 105
        assert run.reasons == ["interrupted by SIGTERM"]

    def test_while_the_script_is_loaded(self, ciload: Ciload, tmp_path: Path) -> None:
        """A script that catches the interruption at its top level does not get away with it."""
        script = (
            "import pathlib, time\npathlib.Path('asked').touch()\ntry:\n    time.sleep(20)\nexcept BaseException:\n"
            "    pass\n" + OK
        )
        run = self.signal_when(ciload, tmp_path / "asked", script)
        assert (run.code, run.reasons) == (105, ["interrupted by SIGTERM"])

    def test_after_the_load_it_waits(self, ciload: Ciload, server: str, tmp_path: Path) -> None:
        """What was measured is written and judged first."""
        script = OK + (
            "import pathlib, time\ndef handle_summary(result):\n    pathlib.Path('asked').touch()\n    time.sleep(1)\n"
            "    return {'own.txt': 'done'}\n"
        )
        run = self.signal_when(ciload, tmp_path / "asked", script, "--base-url", server, "-i", "1")
        assert run.code == 0
        assert (tmp_path / "own.txt").read_text() == "done"

    def test_the_result_is_there_before_the_summary(self, ciload: Ciload, server: str, tmp_path: Path) -> None:
        """Nothing that comes after the load can take away what was measured."""
        script = OK + "import os\ndef handle_summary(result):\n    os._exit(3)\n"
        run = ciload.run(script, "--base-url", server, "-i", "1")
        assert run.code == 3
        assert run.result["load"]["iterations"] == 1


class TestNeighbours:
    def test_the_working_directory_is_on_the_path(self, ciload: Ciload, tmp_path: Path, server: str) -> None:
        """From the repository's root, a script imports as `python -m` would, in every process."""
        folder = tmp_path / "checks" / "load"
        folder.mkdir(parents=True)
        (folder / "common.py").write_text("PAGE = '/'\n")
        (folder / "first.py").write_text(
            "from ciload import http\nfrom checks.load.common import PAGE\nfrom common import PAGE as SAME\n"
            "async def default():\n    assert PAGE == SAME\n    await http.get(PAGE)\n"
        )
        for workers in ("1", "2"):
            done = ciload.command(
                "run", "checks/load/first.py", "--base-url", server, "-u", "2", "-i", "4", "--workers", workers, "-q"
            )
            assert done.returncode == 0, done.stderr

    @pytest.mark.parametrize(
        "name", ["unittest", "numpy", "ciload", "json", "scipy", "anyio", "httpx", "_yaml", "idna"]
    )
    def test_no_neighbour_takes_the_place_of_a_library(
        self, ciload: Ciload, tmp_path: Path, server: str, name: str
    ) -> None:
        """Whatever lies beside a script, ciload's own imports are not that; not in workers either."""
        (tmp_path / f"{name}.py").write_text("raise SystemError('not me')\n")
        run = ciload.run(
            OK, "--base-url", server, "-u", "2", "-i", "4", "--workers", "2", "--wait-for", server,
            "--save-baseline", "runs.json",
        )  # fmt: skip
        assert run.code == 0, run.stderr

    def test_a_script_may_be_called_like_us(self, ciload: Ciload, tmp_path: Path, server: str) -> None:
        """`ciload.py` is a script like another."""
        (tmp_path / "ciload.py").write_text(OK)
        for workers in ("1", "2"):
            done = ciload.command(
                "run", "ciload.py", "--base-url", server, "-u", "2", "-i", "4", "--workers", workers, "-q"
            )
            assert done.returncode == 0, done.stderr

    def test_data_lies_beside_the_script(self, ciload: Ciload, tmp_path: Path, server: str) -> None:
        """Wherever ciload is started, and also for modules in other folders."""
        (tmp_path / "deep").mkdir()
        (tmp_path / "deep" / "users.csv").write_text("ada\n")
        (tmp_path / "deep" / "first.py").write_text(
            "from ciload import data_file, http\nUSERS = data_file('users.csv').read_text().split()\n"
            "async def default():\n    await http.get('/' + USERS[0])\n"
        )
        done = ciload.command("run", "deep/first.py", "--base-url", server, "-i", "1", "-q")
        assert done.returncode == 0, done.stderr
        (tmp_path / "deep" / "users.csv").unlink()
        done = ciload.command("run", "deep/first.py", "--base-url", server, "-i", "1", "-q")
        assert (done.returncode, "there is no" in done.stderr) == (107, True)


def test_large_data_of_setup_is_warned_about(ciload: Ciload, server: str) -> None:
    """A copy for each virtual user costs time and memory; who does not ask for it gets none."""
    script = (
        "from ciload import http\nasync def setup():\n    return [{'id': n, 'name': str(n)} for n in range(20_000)]\n"
        "async def default(ASKED):\n    await http.get('/')\n"
    )
    arguments = ("--base-url", server, "-u", "60", "-i", "60")
    asked, unasked = (ciload.run(script.replace("ASKED", each), *arguments) for each in ("data", ""))
    assert (asked.code, unasked.code) == (0, 0)
    assert any("has a copy of what setup() returned" in each for each in asked.result["verdict"]["warnings"])
    assert not any("has a copy" in each for each in unasked.result["verdict"]["warnings"])


def test_groups_may_be_shared(ciload: Ciload, server: str) -> None:
    """One object for all virtual users is as good as one each."""
    script = (
        "from ciload import group, http\nshared = group('page')\nasync def default():\n    async with shared:\n"
        "        async with shared:\n            await http.get('/')\n"
    )
    run = ciload.run(script, "--base-url", server, "-u", "5", "-i", "50")
    assert run.code == 0, run.stderr
    assert run.result["metrics"]["group_duration"]["trend"]["count"] == 100


BROKEN = """
from ciload import check, http

options = {"vus": 50, "duration": "1h", "thresholds": {"http_req_duration": "p(95)<0.0001"}}

async def default():
    reply = await http.get("/status/500" if BROKEN else "/")
    check(reply, {"is fine": lambda r: r.status_code == 200})
"""


class TestOnce:
    def test_a_script_that_works(self, ciload: Ciload, hanging: str) -> None:
        """One iteration, and no threshold is in its way."""
        run = ciload.run(BROKEN.replace("BROKEN", "False"), "--once", "--base-url", hanging)
        assert (run.code, run.result["load"]["iterations"]) == (0, 1), run.stdout
        assert run.result["verdict"]["warnings"] == []

    def test_one_that_does_not(self, ciload: Ciload, hanging: str) -> None:
        """What is a percentage in a load is a failure here."""
        run = ciload.run(BROKEN.replace("BROKEN", "True"), "--once", "--base-url", hanging)
        assert run.code == 99
        assert run.reasons == [
            "--once: check 'is fine' failed", "--once: GET /status/500: 1 of 1 requests failed: HTTP 500",
        ]  # fmt: skip
