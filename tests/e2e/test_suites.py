"""Several scripts with one command: each a test of its own, one verdict, one set of reports."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.ci.model import RunnerModel
from tests.e2e.conftest import CILOAD, TIMEOUT_S, Handler, serving

QUICK = """
from ciload import http
options = {"iterations": 3, "thresholds": {"http_req_failed": "rate<0.5"}}
async def default():
    await http.get("/")
"""
SLOW_LIMIT = QUICK.replace('"http_req_failed": "rate<0.5"', '"http_req_duration": "p(95)<0.0001"')
RAISES = 'async def default():\n    raise KeyError("id")\n'
LEAVES = "import os\nos._exit(0)\nasync def default(): pass\n"
KILLED = 'import os\nasync def default():\n    os.kill(os.getpid(), 9)\noptions = {"iterations": 1}\n'
LONG = """
from ciload import http, sleep
options = {"vus": 1, "duration": "50s"}
async def default():
    await http.get("/load")
    await sleep(0.05)
async def teardown(data):
    print("torn down")
"""


class Suites:
    """Writes scripts into `loads/` and runs them with one command."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        self.out = folder / "ciload-results"
        (folder / "loads").mkdir()

    def write(self, **scripts: str) -> None:
        for name, text in scripts.items():
            (self.folder / "loads" / f"{name}.py").write_text(text, encoding="utf-8")

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("CILOAD_")}
        return subprocess.Popen(
            [CILOAD, "run", *arguments, "--base-url", self.url], cwd=self.folder, env=clean | environment,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, *arguments: str, **environment: str) -> tuple[int, str]:
        """Exit code, and all that was printed."""
        process = self.start(*arguments, **environment)
        stdout, stderr = process.communicate(timeout=TIMEOUT_S)
        return process.returncode, stdout + stderr

    @property
    def suite(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.out / "suite.json").read_text())
        return found

    def codes(self) -> dict[str, int | None]:
        return {Path(each["script"]).stem: each["exit_code"] for each in self.suite["tests"]}

    def junit(self) -> dict[str, str]:
        """What each suite of the JUnit file says."""
        root = ElementTree.parse(self.out / "junit.xml").getroot()
        kinds = ("errors", "failures", "skipped")
        return {
            Path(each.get("name", "")).name: next((kind for kind in kinds if each.get(kind, "0") != "0"), "passed")
            for each in root
        }


@pytest.fixture
def suites(tmp_path: Path, server: str) -> Suites:
    return Suites(tmp_path, server)


def until(true: Callable[[], bool], seconds: float = 20) -> None:
    ends_at = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends_at
        time.sleep(0.02)


def test_each_script_is_a_test_with_its_own_verdict(suites: Suites) -> None:
    """One that ends its own process, or has it killed, takes no other along, and does not pass."""
    suites.write(a=QUICK, b=RAISES, c=LEAVES, d=KILLED, e=SLOW_LIMIT, f=QUICK, _helper="X = 1")
    code, said = suites.run("loads/*.py")
    assert code == 107
    assert suites.codes() == {"a": 0, "b": 107, "c": 1, "d": 137, "e": 99, "f": 0}
    assert suites.junit() == {
        "a": "passed", "b": "errors", "c": "errors", "d": "errors", "e": "failures", "f": "passed"
    }  # fmt: skip
    assert "loads: 4 of 6 tests failed: loads/b: loads/b.py:2 raised KeyError: 'id', and 3 more" in said
    assert "was killed by SIGKILL" in said
    assert "loads/_helper.py: no test, since its name begins with _" in said
    assert json.loads((suites.out / "loads-a" / "result.json").read_text())["verdict"]["passed"]
    summary = (suites.out / "summary.md").read_text()
    assert summary.count("\n## ") == 1
    assert summary.count("<details>") == summary.count("</details>")
    metrics = (suites.out / "metrics.txt").read_text()
    assert metrics.count("# TYPE ciload_passed gauge") == 1
    assert 'ciload_passed{test="loads-a"} 1' in metrics
    assert 'ciload_passed{test="loads-b"} 0' in metrics


HOOK = (
    QUICK
    + """
import os
def handle_summary(result):
    os._exit(0)
"""
)
AT_EXIT = SLOW_LIMIT + "\nimport atexit, os\natexit.register(lambda: os._exit(0))\n"
THREAD = QUICK + "\nimport threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()\n"


def test_no_script_ends_its_process_with_a_pass(suites: Suites) -> None:
    """Neither when all is measured, nor behind the verdict's back; a thread that goes on changes nothing."""
    suites.write(a=HOOK, b=AT_EXIT, c=THREAD)
    assert suites.run("loads/*.py")[0] == 1
    assert suites.codes() == {"a": 1, "b": 99, "c": 0}
    assert suites.junit() == {"a": "errors", "b": "failures", "c": "passed"}
    assert (
        "the test ended before its time: its process ended with exit code 0" in (suites.out / "summary.md").read_text()
    )


def test_all_pass(suites: Suites) -> None:
    """As short as it can be said; with -q nothing is."""
    suites.write(a=QUICK, b=QUICK)
    code, said = suites.run("loads/b.py", "loads/a.py", "loads/b.py")
    assert (code, suites.codes()) == (0, {"b": 0, "a": 0})
    assert "\n  ✓ PASSED  loads: 2 tests passed\n" in said
    assert suites.run("loads/a.py", "loads/b.py", "-q") == (0, "")
    assert suites.run("loads/a.py", "loads/b.py", CILOAD_QUIET="true") == (0, "")
    (suites.folder / "ciload.yaml").write_text("quiet: true\n")
    assert suites.run("loads/a.py", "loads/b.py") == (0, "")


def test_fail_fast_ends_with_the_first_failure(suites: Suites) -> None:
    """What was not run is no pass, and says why."""
    suites.write(a=QUICK, b=SLOW_LIMIT, c=QUICK)
    code, said = suites.run("loads/*.py", "--fail-fast")
    assert (code, suites.codes()) == (99, {"a": 0, "b": 99, "c": None})
    assert suites.junit() == {"a": "passed", "b": "failures", "c": "skipped"}
    assert "1 failed, 1 passed, 1 not run" in said
    assert suites.run("loads/*.py", CILOAD_FAIL_FAST="true")[0] == 99
    assert suites.codes()["c"] is None


def test_a_signal_ends_the_test_that_runs_and_the_suite(suites: Suites) -> None:
    """With teardown and reports, as in a run of its own; the others are not begun."""
    suites.write(a=QUICK, b=LONG, c=QUICK)
    process = suites.start("loads/*.py")
    until((suites.out / "loads-a" / "summary.md").exists)
    time.sleep(1.5)
    process.send_signal(signal.SIGTERM)
    stdout, _ = process.communicate(timeout=TIMEOUT_S)
    assert (process.returncode, suites.codes()) == (105, {"a": 0, "b": 105, "c": None})
    assert "torn down" in stdout
    assert "interrupted by SIGTERM" in stdout
    assert suites.junit()["c"] == "skipped"


def test_no_load_goes_on_without_the_suite(tmp_path: Path) -> None:
    """Whatever has ended it."""
    asked: list[float] = []

    class Counting(Handler):
        def do_GET(self) -> None:  # noqa: N802
            asked.append(time.monotonic())
            super().do_GET()

    with serving(Counting) as url:
        suites = Suites(tmp_path, url)
        suites.write(a=LONG, b=QUICK)
        process = suites.start("loads/*.py")
        until(lambda: len(asked) > 3)
        process.kill()
        process.communicate(timeout=TIMEOUT_S)
        until(lambda: time.monotonic() - asked[-1] > 1.5)
    assert json.loads((suites.out / "loads-a" / "result.json").read_text())["verdict"]["exit_code"] == 105
    assert not (suites.out / "loads-b").exists()


def test_tests_share_a_baseline_and_are_compared_with_themselves(suites: Suites) -> None:
    """One file has the history of all; named or not, no test is measured by another."""
    suites.write(a=QUICK, b=QUICK.replace("3,", "4,"))
    for name in ((), (), ("--name", "shop")):
        assert suites.run("loads/*.py", "--save-baseline", "base.json", *name)[0] == 0
        results = [json.loads((suites.out / f"loads-{each}" / "result.json").read_text()) for each in "ab"]
    runs = json.loads((suites.folder / "base.json").read_text())["runs"]
    kinds = Counter(json.dumps(each["fingerprint"]) for each in runs)
    assert sorted(kinds.values()) == [1, 1, 2, 2]
    assert [each["options"]["name"] for each in results] == ["shop: loads/a", "shop: loads/b"]


def test_two_tests_of_one_name_are_refused(suites: Suites) -> None:
    """They would be each other's history."""
    named = QUICK.replace("options = {", 'options = {\n    "name": "shop",')
    suites.write(a=named, b=named)
    code, said = suites.run("loads/*.py", "--save-baseline", "base.json")
    assert (code, suites.codes()) == (104, {"a": 0, "b": 104})
    assert "loads/b.py:4: name: 'shop' is what loads/a.py is called; give each its own" in said
    assert len(json.loads((suites.folder / "base.json").read_text())["runs"]) == 1


def test_scripts_come_from_the_environment_a_line_each(suites: Suites) -> None:
    """As the action's input has them: paths with blanks, patterns, pages, comments."""
    suites.write(a=QUICK, b=QUICK)
    (suites.folder / "loads" / "a b.py").write_text(QUICK)
    lines = "# all\nloads/a b.py\n\nloads/[b-z].py\n"
    assert suites.run(CILOAD_SCRIPT=lines)[0] == 0
    assert suites.codes() == {"a b": 0, "b": 0}
    process = subprocess.run(
        [CILOAD, "run", f"{suites.url}/x?token=hush-hush", f"{suites.url}/y", "-i", "2"],
        cwd=suites.folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    files = [each.read_text() for each in suites.out.rglob("*.*") if each.is_file()]
    assert "hush-hush" not in "".join([process.stdout, process.stderr, *files])


def test_each_test_has_its_own_file_of_samples(suites: Suites) -> None:
    """None overwrites those of another; what is no file, such as a device, is what it was asked to be."""
    suites.write(a=QUICK, b=QUICK.replace("3", "5"))
    code, said = suites.run("loads/*.py", "--output", "jsonl=samples.jsonl.gz", "--output", "csv=/dev/null")

    assert code == 0, said
    assert sorted(path.name for path in suites.folder.glob("samples*")) == [
        "samples-loads-a.jsonl.gz", "samples-loads-b.jsonl.gz",
    ]  # fmt: skip
    for name, requests in (("a", 3), ("b", 5)):
        with gzip.open(suites.folder / f"samples-loads-{name}.jsonl.gz", "rt") as file:
            lines = [json.loads(line) for line in file]
        assert [each["metric"] for each in lines if each["type"] == "Point"].count("http_reqs") == requests


def test_nothing_is_run_when_one_script_is_missing(suites: Suites) -> None:
    """Before any load, and without a word that may be a secret."""
    suites.write(a=QUICK)
    code, said = suites.run("loads/a.py", "loads/nothere.py")
    assert (code, "loads/nothere.py: there is no such script" in said) == (2, True)
    code, said = suites.run("loads/a.py", "PASSWORD=hush-hush")
    assert (code, "-e KEY=VALUE" in said, "hush" in said) == (2, True, False)
    code, said = suites.run("loads/a.py", "hush-hush")
    assert (code, "script 2 of 2 is no file" in said, "hush" in said) == (2, True, False)
    code, said = suites.run("other/*.py")
    assert (code, "no script matches other/*.py" in said) == (2, True)
    assert not suites.out.exists()


def test_no_report_of_an_earlier_suite_is_left(suites: Suites) -> None:
    """Nor of an earlier run where a suite was, nor of a suite where one test was."""
    suites.write(a=QUICK, b=QUICK, c=QUICK)
    suites.run("loads/*.py")
    (suites.folder / "loads" / "c.py").unlink()
    suites.run("loads/*.py")
    assert {each.parent.name for each in suites.out.rglob("result.json")} == {"loads-a", "loads-b"}
    suites.run("loads/a.py")
    assert [each.parent.name for each in suites.out.rglob("*.json")].count("ciload-results") == 2
    assert not (suites.out / "suite.json").exists()
    assert {each.parent.name for each in suites.out.rglob("result.json")} == {"ciload-results"}
    suites.run("loads/*.py")
    assert not (suites.out / "result.json").exists()


def test_github_is_told_once(suites: Suites) -> None:
    """One summary, one set of outputs, annotations at each script's line; what scripts print is no command."""
    shouts = RAISES.replace("    raise", '    print("::error::pwned")\n    raise')
    suites.write(a=QUICK, b=shouts, c=SLOW_LIMIT, d=LEAVES)
    job = {
        "GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(suites.folder / "step.md"),
        "GITHUB_OUTPUT": str(suites.folder / "output"), "GITHUB_WORKSPACE": str(suites.folder),
        "GITHUB_TOKEN": "ghs_1234567890", "CILOAD_COMMENT": "always",
    }  # fmt: skip
    code, said = suites.run("loads/*.py", **job)
    assert code == 107
    runner = RunnerModel()
    runner.read(*said.split("\n"))
    errors = [(each["title"], each["file"], each.get("line")) for name, each, _ in runner.commands if name == "error"]
    assert [title.partition(":")[0] for title, *_ in errors] == ["loads/b", "loads/c", "loads/d"]
    assert errors[0][2] == "3"
    assert [file for _, file, _ in errors] == ["loads/b.py", "loads/c.py", "loads/d.py"]
    summary = (suites.folder / "step.md").read_text()
    assert summary.count("\n## ") + summary.startswith("## ") == 1
    outputs = (suites.folder / "output").read_text()
    assert outputs.count("verdict<<") == 1
    assert "ciload-results/suite.json" in outputs
    comment = (suites.out / "comment.md").read_text()
    assert comment.startswith("<!-- ciload:")
    assert len(list(suites.out.rglob("comment.md"))) == 1
