"""`ciload run` in CI: what the CI makes of what it prints, and what it is left with."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path
from typing import IO

import pytest

from tests.ci.forge import TOKEN, GitHub, Storage, archive, serving
from tests.ci.model import RunnerModel
from tests.e2e.conftest import CILOAD, Ciload

NASTY = """
import atexit, os, sys
from ciload import check, http

options = {
    "vus": 4, "iterations": 8,
    "thresholds": {
        "checks": "rate>0.5",
        "http_req_failed": "rate<0.1",
    },
}

def shout(where):
    for stream in (sys.stdout, sys.stderr):
        print(f"::error::pwned {where}\\n  ::add-mask::a\\n##[add-mask]a\\n::stop-commands::x\\n::x::", file=stream)
        stream.flush()

shout("at the top")
atexit.register(lambda: (shout("at exit"), sys.stderr.write("::error::unfinished"), sys.stdout.write("::error::u")))

async def default():
    reply = await http.get("/status/500", name="::error::pwned by a name\\n::error::x")
    check(reply, {"##[add-mask]b": lambda r: False})
    shout("in an iteration")

"""


def run_in_a_job(ciload: Ciload, *arguments: str, **environment: str) -> tuple[RunnerModel, int]:
    """As a runner does it: both streams are read at once, and each line is looked at when it comes."""
    (ciload.folder / "load.py").write_text(NASTY, encoding="utf-8")
    job = {
        "GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(ciload.folder / "step.md"),
        "GITHUB_OUTPUT": str(ciload.folder / "output"), "GITHUB_WORKSPACE": str(ciload.folder),
    }  # fmt: skip
    runner, lock = RunnerModel(), threading.Lock()

    def follow(stream: IO[str]) -> None:
        for line in stream:
            with lock:
                runner.read(line.rstrip("\n"))

    with subprocess.Popen(
        [CILOAD, "run", "load.py", *arguments], cwd=ciload.folder, env={**os.environ, **job, **environment},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        threads = [threading.Thread(target=follow, args=(each,)) for each in (process.stdout, process.stderr)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    return runner, process.returncode


@pytest.mark.parametrize("workers", ["1", "2"])
def test_script_gives_no_commands_and_ciload_does(ciload: Ciload, server: str, workers: str) -> None:
    """At the top, in iterations, in workers, at exit, on both streams, unfinished: it is text. Then come our own."""
    runner, code = run_in_a_job(
        ciload,
        "--base-url",
        server.replace("//", "//user:sesame@"),
        "--workers",
        workers,
        CILOAD_GITHUB_TOKEN="ghp_1234",
    )
    assert code == 99
    told = [(name, properties.get("line"), text) for name, properties, text in runner.commands]
    assert [each for each in told if "the generator was the bottleneck" not in each[2]] == [  # on a busy machine
        ("add-mask", None, "ghp_1234"),
        ("add-mask", None, "sesame"),
        ("error", "8", "checks: rate is 0, the threshold is rate>0.5"),
        ("error", "9", "http_req_failed: rate is 1, the threshold is rate<0.1"),
    ]
    assert "::error::pwned in an iteration" in runner.text
    assert runner.text.count("  ::add-mask::a") >= 2 * 10
    assert not runner.stopped
    assert "## ❌ load: rate of checks is 0, more than 0.5, and 1 more threshold" in (
        ciload.folder / "step.md"
    ).read_text(encoding="utf-8")
    assert "ciload-results/junit.xml" in (ciload.folder / "output").read_text(encoding="utf-8")


def test_mistake_in_the_script_is_an_annotation_too(ciload: Ciload) -> None:
    """A run that never had a load leaves summary, outputs and annotations as well."""
    runner, code = run_in_a_job(ciload, "--iterations", "many", "--name", "shop-api")
    assert code == 104
    assert runner.commands[0][1]["title"].startswith("shop-api: ")
    assert runner.commands[0][0] == "error"
    assert "iterations" in runner.commands[0][2]
    assert "exit-code" in (ciload.folder / "output").read_text(encoding="utf-8")


def test_comment_asked_for_at_a_terminal_is_a_file(ciload: Ciload, server: str) -> None:
    """`--comment` works everywhere; where there is nobody to comment to, it says so, and the verdict stands."""
    script = "from ciload import http\nasync def default():\n    await http.get('/')\n"
    run = ciload.run(script, "--base-url", server, "--comment")
    assert run.code == 0
    assert "comments are for GitHub and GitLab" in run.stderr
    assert run.files["comment.md"].startswith("<!-- ciload:")
    assert "::stop-commands::" not in run.stdout + run.stderr


def test_gitlab_and_jenkins_reports_are_always_there(ciload: Ciload, server: str) -> None:
    """Whoever changes the CI needs no other flags."""
    script = "from ciload import http\nasync def default():\n    await http.get('/')\n"
    files = ciload.run(script, "--base-url", server).files
    assert {"load-performance.json", "metrics.txt", "final-status.xml"} <= set(files)


def test_results_folder_outlives_a_forge_that_is_down(ciload: Ciload, server: str, tmp_path: Path) -> None:
    """A comment that fails is a warning; exit code and reports are the run's."""
    script = "from ciload import http\nasync def default():\n    await http.get('/')\n"
    event = tmp_path / "event.json"
    event.write_text('{"pull_request": {"number": 7}}')
    run = ciload.run(
        script, "--base-url", server, GITHUB_ACTIONS="true", GITHUB_API_URL="http://127.0.0.1:9", GITHUB_TOKEN="t0ken",
        GITHUB_REPOSITORY="a/b", GITHUB_EVENT_NAME="pull_request", GITHUB_EVENT_PATH=str(event), CILOAD_COMMENT="true",
    )  # fmt: skip
    assert run.code == 0
    assert "warning: no comment: http://127.0.0.1:9" in run.stderr
    assert "t0ken" not in run.all_text()
    assert "comment.md" in run.files


@pytest.mark.parametrize("there", [True, False])
def test_baseline_from_an_artifact_is_compared_with(ciload: Ciload, server: str, there: bool) -> None:
    """What the default branch saved in another job is read through the API, and grows when this run is saved."""
    script = "from ciload import http\nasync def default():\n    await http.get('/')\n"
    assert ciload.run(script, "--base-url", server, "--save-baseline", "b.json").code == 0
    storage, github = Storage(archive(b__json=(ciload.folder / "b.json").read_bytes())), GitHub()
    with serving(storage), serving(github):
        github.storage_url = storage.url
        if there:
            github.artifact(1)
        run = ciload.run(
            script, "--base-url", server, "--baseline", "artifact:ciload-baseline", "--save-baseline", "new.json",
            GITHUB_ACTIONS="true",
            GITHUB_API_URL=github.url, GITHUB_TOKEN=TOKEN, GITHUB_REPOSITORY="a/b", GITHUB_BASE_REF="main",
        )  # fmt: skip
    assert run.code == 0
    [gate] = run.result["comparisons"]
    assert gate["against"] == "artifact:ciload-baseline"
    assert (gate["verdict"] == "no baseline") is not there
    assert len(json.loads((ciload.folder / "new.json").read_text())["runs"]) == 1 + there
    assert TOKEN not in run.all_text()


def test_artifact_that_cannot_be_looked_for_stops_before_the_load(ciload: Ciload, server: str) -> None:
    """A gate that cannot see must not look open: exit code 97, with reports."""
    script = "from ciload import http\nasync def default():\n    await http.get('/')\n"
    run = ciload.run(script, "--base-url", server, "--baseline", "artifact:x", GITHUB_ACTIONS="true")
    assert run.code == 97
    assert "GITHUB_TOKEN: ${{ github.token }}" in run.stderr
    assert "GITHUB_TOKEN" in run.reasons[0]
