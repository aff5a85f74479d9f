"""Bad input and bad endings: a clear message, the right exit code, reports written, no traceback of ours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Ciload, Finished

OK = "from ciload import http, sleep\nasync def default():\n    await http.get('/')\n    await sleep(0.01)\n"


def no_traceback_of_ours(run: Finished) -> bool:
    return "ciload/" not in run.stderr.replace("ciload/result", "") or "Traceback" not in run.stderr


@pytest.mark.parametrize(
    ("script", "code", "message"),
    [
        ("async def defualt(): pass", 104, "load.py: no `default` function; did you mean to call `defualt` so?"),
        ("x = 1", 104, "add: async def default(): ..."),
        ("default = 3", 104, "load.py:1: `default` is not a function; write: async def default(...): or def"),
        ("def default(): yield 1", 104, "load.py:1: `default` is a generator; write it without yield"),
        ("async def default(user): pass", 104, "`default` asks for user; a function may take `vu` and `data`"),
        ("options = [1]\nasync def default(): pass", 104, "`options` must be a dict"),
        ("async def default(:\n  pass", 107, 'File "load.py", line 1'),
        ("raise RuntimeError('no config')", 107, "RuntimeError: no config"),
        ("import sys; sys.exit('bye')", 107, "SystemExit: bye"),
        ("import nonexistent_module_xyz", 107, "No module named 'nonexistent_module_xyz'"),
        ("from ciload import Rate, Trend; Rate('a'); Trend('a')", 107, "metric 'a' is already a rate"),
        (
            "options = {'vsu': 1}\nasync def default(): pass",
            104,
            "load.py:1: unknown option 'vsu'; did you mean 'vus'?",
        ),
        (
            "options = {'thresholds': {'htp_reqs': 'count>1'}}\nasync def default(): pass",
            104,
            "did you mean 'http_reqs'",
        ),
    ],
)
def test_a_script_that_cannot_run(ciload: Ciload, script: str, code: int, message: str) -> None:
    """The message names the place and the remedy, and shows no frame of ciload."""
    run = ciload.run(script)
    assert (run.code, message in run.stderr) == (code, True), run.stderr
    assert no_traceback_of_ours(run)


def test_a_script_that_fails_to_load_still_leaves_reports(ciload: Ciload) -> None:
    """CI shows the reason in its test report, not only in the log."""
    run = ciload.run("raise RuntimeError('no config')")
    assert "no config" in run.reasons[0]
    assert len(list(run.junit.iter("error"))) + len(list(run.junit.iter("failure"))) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--vuss", "3"], 2, "No such option"),
        (["-u", "0"], 104, "--vus: vus: input should be greater than or equal to 1"),
        (["-u", "many"], 104, "--vus: vus: input should be a valid integer"),
        (["-d", "soon"], 104, "--duration: duration: 'soon' is not a duration"),
        (["-d", "0.5s"], 104, "--duration: duration: input should be greater than or equal to 1"),
        (["-i", "2", "-u", "5"], 104, "2 iterations cannot keep 5 virtual users busy"),
        (["--base-url", "localhost:8000"], 104, "--base-url: base_url: not a URL like http://localhost:8000"),
        (["--wait-for", "http://me:hushhush@:x"], 104, "--wait-for: wait_for: not a URL like http://localhost:8000"),
        (["-e", "NOVALUE"], 2, "write -e KEY=VALUE"),
        (["--config", "nowhere.yaml"], 2, "nowhere.yaml: cannot read the configuration"),
    ],
)
def test_arguments_that_make_no_sense(ciload: Ciload, arguments: list[str], code: int, message: str) -> None:
    """Wrong usage is 2, a wrong value is 104; both say which argument."""
    run = ciload.run(OK, *arguments)
    assert (run.code, message in run.stderr) == (code, True), run.stderr
    assert "hushhush" not in run.all_text()


def test_a_missing_script_is_wrong_usage(ciload: Ciload) -> None:
    """The message lists scripts that are there."""
    (ciload.folder / "other.py").write_text(OK, encoding="utf-8")
    process = ciload.start(OK)
    ciload.finish(process)
    import subprocess

    from tests.e2e.conftest import CILOAD

    done = subprocess.run([CILOAD, "run", "lod.py"], cwd=ciload.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "lod.py: no such script; scripts in .: load.py, other.py" in done.stderr


def test_a_script_that_raises_sometimes(ciload: Ciload, server: str) -> None:
    """107; the error is there once with its count and the script's own traceback."""
    script = OK.replace("default():", "default(vu):") + "    if vu.iteration % 2: raise ValueError('odd one')\n"
    run = ciload.run(script, "--base-url", server, "-i", "6")
    assert run.code == 107
    [error] = run.result["errors"]
    assert (error["message"], error["count"], 'File "load.py", line 5' in error["detail"]) == (
        "ValueError: odd one",
        3,
        True,
    )
    assert run.result["load"]["iterations"] == 3
    assert run.stdout.count("ValueError: odd one") == 3  # the error, the end of its traceback, and the headline
    assert "  load: load.py:5 raised ValueError: odd one\n" in run.stdout
    assert ciload.run(script, "--base-url", server, "-i", "6", "--allow-script-errors").code == 0


def test_a_script_that_always_raises(ciload: Ciload) -> None:
    """Nothing finished, so nothing has passed, even when script errors are allowed."""
    script = "async def default():\n    raise KeyError('x')\n"
    assert ciload.run(script, "-i", "5").code == 107
    run = ciload.run(script, "-i", "5", "--allow-script-errors")
    assert (run.code, run.reasons) == (99, ["no data: not one iteration finished"])


def test_a_target_that_refuses_everything_fails_the_run(ciload: Ciload) -> None:
    """Even without thresholds: a run that got no response at all has measured nothing."""
    run = ciload.run(OK, "--base-url", "http://127.0.0.1:9", "-i", "3")
    assert run.code == 99
    assert run.reasons == ["no data: none of the 3 requests got a response"]
    [error] = run.result["errors"]
    assert (error["message"], error["count"]) == ("dial: connection refused", 3)


def test_a_latency_limit_does_not_pass_on_a_dead_target(ciload: Ciload) -> None:
    """k6 counts refused connections as 0 ms; here they are no data."""
    run = ciload.run(
        "options = {'thresholds': {'http_req_duration': 'p(95)<500'}}\n" + OK, "--base-url", "http://127.0.0.1:9"
    )
    assert run.code == 99
    assert run.reasons[0] == "no data for threshold http_req_duration p(95)<500"


@pytest.mark.parametrize("body", ["while True: pass", "import time; time.sleep(600)"])
def test_a_script_that_never_awaits_is_stopped(ciload: Ciload, body: str) -> None:
    """It is named while it blocks, interrupted when the run has to end, and reported."""
    run = ciload.run(f"async def default():\n    {body}\n", "-u", "3", "-d", "1s", "--graceful-stop", "1s")
    assert run.code == 107
    assert "load.py:2 in default() blocks all virtual users" in run.stderr
    assert "ScriptBlockedError" in run.result["errors"][0]["message"]


LONG = """
from pathlib import Path
from ciload import http, sleep
async def default():
    await http.get("/")
    await sleep(60)
async def teardown():
    Path("torn-down").touch()
"""


def test_one_signal_stops_cleanly(ciload: Ciload, server: str) -> None:
    """At once, with teardown and all reports; exit code 105."""
    run = ciload.run_and_signal(LONG, "--base-url", server, "-u", "2", "-d", "1h", after_s=2.5)
    assert run.code == 105
    assert run.reasons[0] == "interrupted by SIGTERM"
    assert run.result["load"]["iterations_interrupted"] == 2
    assert (ciload.folder / "torn-down").exists()
    assert (run.junit.get("failures"), run.junit.get("errors")) != ("0", "0")


def test_two_signals_leave_at_once(ciload: Ciload, server: str) -> None:
    """The second one waits for nothing, not even a teardown that hangs."""
    script = LONG.replace('Path("torn-down").touch()', "await sleep(50)")
    run = ciload.run_and_signal(script, "--base-url", server, "-u", "2", "-d", "1h", after_s=2.5, signals=2)
    assert run.code == 105
    assert "leaving at once" in run.stderr


def test_a_signal_gets_through_to_a_script_that_blocks(ciload: Ciload) -> None:
    """The event loop is stuck, the run still ends."""
    script = "async def default():\n    while True: pass\n"
    run = ciload.run_and_signal(script, "-u", "5", "-d", "1h", after_s=3.5)
    assert run.code == 105


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("options = {'setup_timeout': '1s'}\nasync def setup(): await sleep(9)\n" + OK, 100),
        ("options = {'teardown_timeout': '1s'}\nasync def teardown(): await sleep(9)\n" + OK, 101),
        ("import time\noptions = {'setup_timeout': '1s'}\nasync def setup(): time.sleep(60)\n" + OK, 100),
        ("async def setup(): raise ValueError\n" + OK, 107),
        ("async def teardown(): raise ValueError\n" + OK, 107),
        (OK + "    abort('enough')\n", 108),
        (OK + "    fail_test('wrong data')\n", 110),
        (OK + "    fail('this one')\n", 107),
        ("options = {'thresholds': {'http_reqs': 'count>1000'}}\n" + OK + "    fail_test('wrong data')\n", 110),
        ("options = {'thresholds': {'http_reqs': 'count>1000'}}\n" + OK + "    abort()\n", 108),
    ],
)
def test_every_other_ending_has_its_exit_code(ciload: Ciload, server: str, script: str, code: int) -> None:
    """What ended the run, or what the script said, comes before what was measured."""
    run = ciload.run("from ciload import abort, fail, fail_test\n" + script, "--base-url", server)
    assert run.code == code, run.stdout + run.stderr
    assert run.result["verdict"]["exit_code"] == code


LIMIT = "options = {'thresholds': {'http_reqs': 'count>1000'}}\n"
ABORTING = "options = {'thresholds': {'http_reqs': [{'threshold': 'count<0', 'abortOnFail': True}]}}\n"
HANGING_TEARDOWN = "async def teardown(): await sleep(9)\n"


@pytest.mark.parametrize(
    ("script", "arguments", "code"),
    [
        (LIMIT + OK + "    raise ValueError\n", [], 107),
        (OK + "    fail_test('wrong')\n    raise ValueError\n", [], 107),
        (OK + "    if vu.iteration: abort('enough')\n    raise ValueError\n", ["-d", "2s"], 108),
        (LIMIT + OK + HANGING_TEARDOWN, ["--teardown-timeout", "1s"], 101),
        (LIMIT + OK + "async def teardown(): raise ValueError\n", [], 107),
        (OK + "    abort()\n" + HANGING_TEARDOWN, ["--teardown-timeout", "1s"], 108),
        (LIMIT + "async def setup(): raise ValueError\n" + OK, [], 107),
        (ABORTING + OK, ["-d", "20s"], 99),
        (ABORTING + OK + "    raise ValueError\n", ["-d", "20s"], 107),
        (ABORTING + OK + "    fail_test('wrong')\n", ["-d", "20s"], 110),
        (OK + "async def vu_start(): await sleep(9)\n", ["--setup-timeout", "1s"], 100),
        (LIMIT + OK + "async def vu_stop(): await sleep(9)\n", ["--teardown-timeout", "1s"], 101),
        (OK + "async def vu_start(): abort('no')\n", [], 108),
        (OK + "async def vu_start(): raise ValueError\n", [], 107),
        (LIMIT + OK + "def handle_summary(result): raise ValueError\n", [], 107),
        (OK + "def handle_summary(result): return {'/dev/null/x': 'text'}\n", [], 107),
        (OK + "def handle_summary(result): return 3\n", [], 107),
    ],
)
def test_which_of_two_endings_wins(ciload: Ciload, server: str, script: str, arguments: list[str], code: int) -> None:
    """What ended the run, then what the script got wrong, then what it marked, then what was measured."""
    imports = "from ciload import abort, fail_test\n"
    run = ciload.run(imports + script.replace("default()", "default(vu)"), "--base-url", server, *arguments)
    assert run.code == code, run.stdout + run.stderr
    assert run.result["verdict"]["exit_code"] == code


def test_a_signal_wins_over_what_was_measured(ciload: Ciload, server: str) -> None:
    """An interrupted run that would also have failed its threshold was interrupted."""
    run = ciload.run_and_signal(LIMIT + LONG, "--base-url", server, "-d", "1h", after_s=2.5)
    assert run.code == 105
    assert [failure["code"] for failure in run.result["verdict"]["failures"]] == [105, 99]


def test_a_target_that_is_never_ready(ciload: Ciload) -> None:
    """98, within the time it was given, and nothing was sent."""
    run = ciload.run(OK, "--wait-for", "http://127.0.0.1:9/", "--wait-timeout", "1s")
    assert run.code == run.result["verdict"]["exit_code"] == 98


def test_a_bug_in_ciload_shows_its_traceback(ciload: Ciload) -> None:
    """1, and never 0: here something is broken that no user could break."""
    script = "import ciload.runner.judge as s\ndef broken(*_): raise RuntimeError('a bug')\ns.build_result = broken\n"
    run = ciload.run(script + OK)
    assert run.code == 1
    assert "RuntimeError: a bug" in run.stderr


def test_handle_summary_makes_outputs_of_its_own(ciload: Ciload, server: str) -> None:
    """It gets the result document; files are written, and "stdout" takes the place of the summary."""
    script = OK + (
        "def handle_summary(result):\n"
        "    return {'stdout': f\"{result['load']['iterations']} done\\\\n\", 'out/raw.bin': b'\\\\x00'}\n"
    )
    run = ciload.run(script.replace("\\\\", "\\"), "--base-url", server, "-i", "3")
    assert (run.code, run.stdout) == (0, "3 done\n"), run.stderr
    assert (ciload.folder / "out" / "raw.bin").read_bytes() == b"\0"
    assert "junit.xml" in run.files


@pytest.fixture(params=["garbage", "reset", "stall", "short", "endless headers"])
def lying_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server that never answers properly."""
    import socket
    import struct
    import threading

    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    held: list[socket.socket] = []

    def behave(connection: socket.socket) -> None:
        held.append(connection)
        try:
            connection.recv(65536)
            if request.param == "garbage":
                connection.sendall(b"\x00\x01SMTP ready\r\n\r\n")
            elif request.param == "reset":
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()
            elif request.param == "short":
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
                connection.close()
            elif request.param == "endless headers":
                connection.sendall(b"HTTP/1.1 200 OK\r\n")
                while True:
                    connection.sendall(b"x-more: and more\r\n" * 1000)
        except OSError:
            pass

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=behave, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    for connection in held:
        connection.close()


def test_a_lying_target_is_counted_errors_not_a_hang(ciload: Ciload, lying_server: str) -> None:
    """Whatever comes instead of HTTP: one kind of error with a count, exit code 99, reports written."""
    script = (
        "from ciload import http\nasync def default():\n"
        "    reply = await http.get('/', timeout='1s')\n    assert reply.status_code == 0\n"
    )
    run = ciload.run(script, "--base-url", lying_server, "-u", "2", "-i", "4")
    assert run.code == 99, run.stdout + run.stderr
    assert run.reasons == ["no data: none of the 4 requests got a response"]
    assert [error["count"] for error in run.result["errors"]] == [4]
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "http.get('/')",
            "was never awaited; write `await` before the call, or in a plain `def` take it from ciload.sync",
        ),
        ("return http.get('/')", "`default` is a plain function and has made a coroutine that nobody awaits"),
    ],
)
def test_a_plain_function_with_the_verbs_of_asynchronous_ones(ciload: Ciload, body: str, message: str) -> None:
    """Nothing was sent, and it is told where the right verbs are."""
    run = ciload.run(f"from ciload import http\ndef default():\n    {body}\n", "-i", "1")
    assert run.code == 107
    assert message in " ".join(run.stdout.split())


def test_a_plain_function_of_every_kind(ciload: Ciload, server: str) -> None:
    """Setup, hooks, iterations and teardown without `await`, in several processes, with all that a script needs."""
    script = """
from ciload.sync import Trend, abort, check, fail, group, http, measure, sleep, think

size = Trend("size")

def setup():
    return {"users": http.get("/users").json()["users"]}

def vu_start(vu):
    vu.seen = 0

def default(vu, data):
    with group("look"), measure("look up"):
        reply = http.get("/users", expected={200}, tags={"a": "b"})
    check(reply, {"as in setup": reply.json()["users"] == data["users"]})
    size.add(len(reply.content))
    think("1ms", "2ms")
    vu.seen += 1

def vu_stop(vu):
    assert vu.seen

def teardown(data):
    http.get("/users")
"""
    run = ciload.run(script, "-u", "4", "-i", "40", "--workers", "2", "--base-url", server)
    assert run.code == 0, run.stdout + run.stderr
    assert run.result["metrics"]["http_reqs"]["count"] == 40
    assert run.result["metrics"]["checks"]["fails"] == 0
    assert run.result["load"]["setup_requests"] == 2
