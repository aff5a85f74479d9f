"""A run from script to verdict, through the installed console script."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest

from ciload.result.document import json_schema
from tests.e2e.conftest import Ciload

REPOSITORY = Path(__file__).parents[2]

GET = """
from ciload import check, http
async def default():
    reply = await http.get("/users?token=hidden")
    check(reply, {"status is 200": lambda r: r.status_code == 200})
"""
FOUR_THINGS = """
from ciload import Counter, Gauge, Rate, Trend, check, group, http, sleep
options = {
    "vus": 2, "iterations": 6,
    "thresholds": {
        "List Users": ["p(95)<2000", "avg<2000"],
        "List Users errors": "rate<0.01",
        "http_req_failed{method:GET}": ["rate==0"],
        "checks": ["rate==1"],
        "made": ["count==12"],
    },
}
errors, times, made, depth = Rate("List Users errors"), Trend("List Users", unit="ms"), Counter("made"), Gauge("depth")
async def setup():
    return {"path": "/users"}
async def default(vu, data):
    async with group("both"):
        replies = await http.batch({
            "users": http.Request("GET", data["path"]),
            "orgs": http.Request("POST", "/orgs", json={"name": f"{vu.id}: {vu.iteration}"}, name="Create"),
        })
    ok = check(replies["users"], {
        "status is 200": lambda r: r.status_code == 200,
        "three users": lambda r: len(r.json()["users"]) == 3,
    })
    errors.add(not ok)
    times.add(replies["users"].timings.duration)
    made.add(2)
    depth.add(vu.iteration)
    await sleep("10ms")
"""


def test_streams_that_nobody_reads_end_with_the_iteration(ciload: Ciload, server: str) -> None:
    """Each of them is counted with the tags of the iteration that asked for it, and not when the virtual user ends."""
    script = """
from ciload import check, http
options = {"thresholds": {f"http_reqs{{n:{n}}}": ["count==1"] for n in range(3)} | {"http_req_failed": ["rate==0"]}}
async def default(vu):
    vu.tags["n"] = str(vu.iteration)
    reply = await http.get("/users", stream=True)
    check(reply, {"status is 200": lambda r: r.status_code == 200})
"""
    run = ciload.run(script, "--base-url", server, "--iterations", "3")
    assert run.code == 0, run.stdout + run.stderr
    assert "3 of 3" in run.stdout


def test_the_whole_way(ciload: Ciload, server: str) -> None:
    """Every part of the scripting API in one script ends in a passed run whose reports agree with each other."""
    run = ciload.run(FOUR_THINGS, "--base-url", server)
    assert (run.code, run.stderr.count("Traceback")) == (0, 0), run.stdout + run.stderr
    result = run.result
    jsonschema.validate(result, json_schema())
    assert result["verdict"]["passed"] is True
    assert [each["outcome"] for each in result["thresholds"]] == ["pass"] * 6
    assert result["metrics"]["http_reqs"]["count"] == 12
    assert {(each["method"], each["name"]) for each in result["endpoints"]} == {
        ("GET", "/users"),
        ("POST", "Create"),
    }
    assert result["load"]["iterations"] == 6
    assert sum(row["requests_per_s"] > 0 for row in result["timeline"]) >= 1
    assert run.junit.get("failures") == run.junit.get("errors") == "0"
    assert "✓ PASSED" in run.stdout
    assert "✅" in run.summary


def test_a_failed_threshold_fails_the_run_and_says_by_how_much(ciload: Ciload, server: str) -> None:
    """Exit code 99, the measured value on the console, in JUnit and in the summary, and the line that declares it."""
    script = 'options = {"thresholds": {\n"http_req_duration": ["p(95)<0.001", "p(95)<60000"]}}\n' + GET
    run = ciload.run(script, "--base-url", server, "-i", "5")
    assert run.code == 99
    failed, passed = run.result["thresholds"]
    assert (failed["outcome"], passed["outcome"], failed["where"]) == ("fail", "pass", "load.py:2")
    assert run.reasons == ["threshold failed: http_req_duration p(95)<0.001"]
    assert re.search(r"✗\s+http_req_duration\s+p\(95\)<0.001\s+[\d.]+(µs|ms)", run.stdout)
    [failure] = run.junit.iter("failure")
    assert "p(95)" in (failure.text or "")
    assert "❌" in run.summary


def test_checks_alone_do_not_fail_a_run(ciload: Ciload, server: str) -> None:
    """As in k6: a failed check is counted and shown, a threshold makes it a verdict."""
    run = ciload.run(GET.replace("== 200", "== 201"), "--base-url", server, "-i", "3")
    assert run.code == 0
    [check] = run.result["checks"]
    assert check.pop("sample")["status"] == 200
    assert check == {"name": "status is 200", "group": "", "passes": 0, "fails": 3}
    assert (
        ciload.run(
            'options = {"thresholds": {"checks": "rate>0.9"}}\n' + GET.replace("== 200", "== 201"), "--base-url", server
        ).code
        == 99
    )


def test_nothing_secret_is_printed_or_written(ciload: Ciload, server: str) -> None:
    """Query strings, userinfo and header values stay out of every output, also when requests fail."""
    script = """
from ciload import http
async def default():
    for url in ("/a?key=hushhush", BASE.replace("//", "//user:hushhush@") + "/b?x=hushhush", "http://127.0.0.1:9/c?hushhush"):
        await http.get(url, headers={"Authorization": "Bearer hushhush", "X-Api": "hushhush"})
"""
    run = ciload.run(f"BASE = {server!r}\n" + script, "--base-url", server.replace("//", "//me:hushhush@"), "-i", "2")
    assert run.result["metrics"]["http_reqs"]["count"] == 6
    assert "hushhush" not in run.all_text()


def test_options_come_from_all_five_places(ciload: Ciload, server: str) -> None:
    """Flag, environment, script, file, default: each decides what no stronger one did."""
    (ciload.folder / "ciload.yaml").write_text(f"base_url: {server}\nbatch: 7\nvus: 9\n", encoding="utf-8")
    script = 'options = {"vus": 3, "batch_per_host": 5}\n' + GET
    run = ciload.run(script, "--iterations", "4", CILOAD_BATCH_PER_HOST="4", CILOAD_MAX_BODY_KEPT="1MiB")
    options = run.result["options"]
    assert run.code == 0, run.stderr
    assert (options["vus"], options["batch"], options["batch_per_host"], options["iterations"]) == (3, 7, 4, 4)
    assert (options["max_body_kept"], options["graceful_stop"]) == (1024 * 1024, 30)


def test_e_reaches_the_script_and_sets_no_option(ciload: Ciload, server: str) -> None:
    """`-e` is the script's environment; `-e CILOAD_VUS=9` is not `--vus 9`."""
    script = "import os\nfrom ciload import http\nasync def default(): await http.get(os.environ['PATH_TO_GET'])\n"
    run = ciload.run(script, "-e", "PATH_TO_GET=/from-env", "-e", "CILOAD_VUS=9", "--base-url", server)
    assert run.code == 0, run.stderr
    assert run.result["endpoints"][0]["name"] == "/from-env"
    assert "vus" not in run.result["options"]


def test_quiet_says_nothing_when_all_is_well(ciload: Ciload, server: str) -> None:
    """The reports are still there."""
    run = ciload.run(GET, "--base-url", server, "--quiet")
    assert (run.stdout, run.stderr, run.result["verdict"]["passed"]) == ("", "", True)


def test_logs_have_no_colours_and_go_to_stderr(ciload: Ciload, server: str) -> None:
    """Without a terminal: a title and progress lines on stderr, the summary on stdout, no escape sequences."""
    run = ciload.run(GET, "--base-url", server)
    assert "\x1b" not in run.stdout + run.stderr
    assert "1 virtual user, 1 iteration each" in run.stderr
    assert "ENDPOINTS" in run.stdout


def test_a_terminal_without_check_marks_is_no_reason_to_crash(ciload: Ciload, server: str) -> None:
    """What the terminal's encoding lacks is replaced."""
    run = ciload.run(GET, "--base-url", server, PYTHONIOENCODING="ascii")
    assert (run.code, "PASSED" in run.stdout) == (0, True)


def test_a_reader_that_goes_away_does_not_change_the_verdict(ciload: Ciload, server: str) -> None:
    """`ciload run … | head -1` still leaves with the run's exit code, and without a traceback."""
    process = ciload.start(GET, "--base-url", server)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert (process.wait(timeout=60), "Traceback" in errors, "BrokenPipe" in errors) == (0, False, False)


def test_open_files_are_no_limit_below_the_hard_one(ciload: Ciload, server: str) -> None:
    """More virtual users than the soft limit allows: it is raised, as each of them needs a connection."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        process = ciload.start(GET, "--base-url", server, "-u", "100", "-i", "100")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    run = ciload.finish(process)
    assert (run.code, run.result["metrics"]["http_req_failed"]["rate"]) == (0, 0.0)


def test_a_script_in_another_encoding(ciload: Ciload, server: str) -> None:
    """Python's rules for source files hold."""
    process = ciload.start(GET, "--base-url", server, "-i", "1")
    ciload.finish(process)
    (ciload.folder / "load.py").write_bytes(b"# coding: latin-1\nname = '\xe9'\noptions = {'vsu': 1}\n" + GET.encode())
    import subprocess

    from tests.e2e.conftest import CILOAD

    done = subprocess.run([CILOAD, "run", "load.py"], cwd=ciload.folder, capture_output=True, text=True, check=False)
    assert (done.returncode, "load.py:3: unknown option 'vsu'" in done.stderr) == (104, True), done.stderr


def test_an_earlier_report_is_never_left_behind(ciload: Ciload, server: str) -> None:
    """A run that dies at its options must not leave another run's green reports for CI to pick up."""
    assert ciload.run(GET, "--base-url", server).code == 0
    assert ciload.run("raise RuntimeError('broken')").result["verdict"]["passed"] is False
    assert ciload.run(GET, "--base-url", server).result["verdict"]["passed"] is True
    assert ciload.run(GET, "--base-url", server, "-u", "0").result["verdict"]["exit_code"] == 104
    assert ciload.run(GET, "--base-url", server, "--config", "nowhere.yaml").files == {}


def test_reports_that_cannot_be_written_fail_before_the_load(ciload: Ciload, server: str) -> None:
    """A run whose outcome nobody could read is not started."""
    (ciload.folder / "taken").write_text("a file", encoding="utf-8")
    run = ciload.run(GET, "--base-url", server, "--out-dir", "taken")
    assert run.code == 2
    assert "taken: cannot write reports there" in run.stderr


def test_wait_for_starts_when_the_target_answers(ciload: Ciload, server: str) -> None:
    """And exit code 98, with reports, when it never does."""
    assert ciload.run(GET, "--base-url", server, "--wait-for", f"{server}/health").code == 0
    run = ciload.run(GET, "--wait-for", "http://127.0.0.1:9/health?key=hushhush", "--wait-timeout", "500ms")
    assert run.code == 98
    assert "was not ready within 0.5 s" in run.reasons[0]
    assert run.result["metrics"] == {}
    assert "hushhush" not in run.all_text()


def test_the_published_schema_is_the_one_in_use() -> None:
    """docs/result-1.schema.json is what results are validated against; `make schema` writes it anew."""
    published = json.loads((REPOSITORY / "docs" / "result-1.schema.json").read_text())
    assert published == json_schema()


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_help_and_version_need_no_script(ciload: Ciload, flag: str) -> None:
    """They answer with 0 and something readable."""
    import subprocess

    from tests.e2e.conftest import CILOAD

    done = subprocess.run([CILOAD, flag], capture_output=True, text=True, check=True)
    assert "ciload" in done.stdout


def test_what_a_scenarios_environment_holds_stays_secret(ciload: Ciload, server: str) -> None:
    """The function sees it; no report and no complaint shows it."""
    script = """
from ciload import check, http
options = {"scenarios": {"pay": {
    "executor": "per-vu-iterations", "env": {"CARD": "s3cr3t-card"}, "tags": {"kind": "w"}}},
           "thresholds": {"checks{kind:w}": "rate==1", "http_reqs{scenario:p*,kind:w}": "count==1"}}
async def default(vu):
    await http.get("/")
    check(vu.env, {"card": lambda env: env["CARD"] == "s3cr3t-card" and "PATH" in env})
"""
    run = ciload.run(script, "--base-url", server)
    assert run.code == 0, run.stdout + run.stderr
    assert "s3cr3t-card" not in run.all_text()
    assert run.result["scenarios"][0]["plan"]["env"] == {"CARD": "***"}
    broken = ciload.run(script.replace('"executor"', '"vus": 0, "gracefulStopp": 1, "executor"'), "--base-url", server)
    assert broken.code == 104
    assert "s3cr3t-card" not in broken.all_text()
    assert "load.py:4: unknown field 'graceful_stopp' in scenarios.pay" in broken.stderr, broken.stderr
