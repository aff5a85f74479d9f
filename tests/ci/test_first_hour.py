"""From a repository with a FastAPI service to a gated pull request: what somebody types, and what comes of it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ci.runner import CILOAD, TIMEOUT_S, Expression, Job, Runner

SERVICE = """\
import time
from fastapi import FastAPI

app = FastAPI()

@app.get("/items/{item_id}")
def item(item_id: int) -> dict[str, int]:
    time.sleep(0.05)
    return {"id": item_id}

@app.get("/health")
def health() -> dict[str, bool]:
    return {"ok": True}
"""
# All of it. The service runs already, as it does at anybody's desk.
TYPED = """\
pip install --quiet ciload
ciload init http://127.0.0.1:$PORT --github
sed -i s/OWNER/octo/ .github/workflows/load.yml
git add .
git commit --quiet --message "Load test"
git push --quiet origin HEAD:main
"""
MOST_LINES = 6
# A machine has the service's libraries already: what is installed again is there.
PYTHON = """\
#!/bin/sh
if [ "$1 $2" = "-m venv" ]; then exec ln -s {prefix} "$3"; fi
exec {python} "$@"
"""


class Repository:
    """A clone at a desk, its origin, and a runner that does the workflow which is in there."""

    def __init__(self, folder: Path) -> None:
        self.desk, self.origin, self.folder = folder / "desk", folder / "origin.git", folder
        self.runner = Runner(folder / "github")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        path = f"{CILOAD.parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = {
            "PATH": path, "HOME": str(folder), "PORT": str(self.port), "PIP_NO_INDEX": "1", "LANG": "C.UTF-8",
            **{f"GIT_{who}_{what}": "t@t.test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }  # fmt: skip
        self.desk.mkdir()
        (self.desk / "main.py").write_text(SERVICE)
        (self.desk / "requirements.txt").write_text("fastapi\nuvicorn\n")
        self.type(f"git init --quiet --bare {self.origin}\ngit init --quiet\ngit remote add origin {self.origin}")
        self.type("git add .\ngit commit --quiet -m Service\ngit push --quiet origin HEAD:main")

    def type(self, lines: str) -> str:
        done = subprocess.run(
            ["bash", "-e", "-c", lines], cwd=self.desk, env=self.environment, capture_output=True, text=True,
            timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    @contextmanager
    def serving(self) -> Iterator[None]:
        command = [str(CILOAD.parent / "uvicorn"), "main:app", "--port", str(self.port), "--log-level", "error"]
        process = subprocess.Popen(command, cwd=self.desk)
        try:
            ends_at = time.monotonic() + TIMEOUT_S
            while not self._answers() and time.monotonic() < ends_at:
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait()

    def _answers(self) -> bool:
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self.port)) == 0

    def push(self, branch: str, edit: str) -> None:
        """A branch of its own with one change."""
        self.type(f"git checkout --quiet -b {branch}\n{edit}\ngit commit --quiet -am x\ngit push -q origin {branch}")

    def workflow(self, branch: str = "main", event: str = "push") -> Job | None:
        """What GitHub does when the branch is pushed; None if the job's condition leaves it out."""
        shutil.rmtree(self.runner.workspace, ignore_errors=True)
        self.runner.workspace.parent.mkdir(parents=True, exist_ok=True)
        self.type(f"git clone --quiet --branch {branch} {self.origin} {self.runner.workspace}")
        (job,) = yaml.safe_load((self.runner.workspace / ".github" / "workflows" / "load.yml").read_text())[
            "jobs"
        ].values()
        github = {
            "event_name": event, "ref_name": branch, "event": {"repository": {"default_branch": "main"}},
        }  # fmt: skip
        if not Expression(job["if"], {"github": github}, "success").value:
            return None
        machine = self.folder / f"machine-{time.monotonic_ns()}"
        machine.mkdir()
        (machine / "python3").write_text(PYTHON.format(prefix=sys.prefix, python=sys.executable))
        (machine / "python3").chmod(0o755)
        environment = {**self.environment, "RUNNER_TEMP": str(machine), "PATH": f"{machine}:{self.environment['PATH']}"}
        with Background() as background:
            done: Job | None = None
            for step in job["steps"]:
                done = self._do(step, done, branch, event, environment, background)
            return done

    def _do(
        self, step: Mapping[str, Any], done: Job | None, branch: str, event: str, environment: Mapping[str, str],
        background: Background,
    ) -> Job | None:  # fmt: skip
        status = done.status if done else "success"
        if not Expression(str(step.get("if", "success()")), {}, status).value:
            return done
        if "run" in step:
            assert background.run(step["run"], self.runner.workspace, environment) == 0
            return done
        if step["uses"].startswith("actions/checkout@"):
            return done
        assert step["uses"] == "octo/ciload@v0"
        inputs = {
            key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in step["with"].items()
        }
        ref = f"refs/heads/{branch}" if event == "push" else "refs/pull/1/merge"
        # Half a minute of load is for people; what is tried here is the way there.
        return self.runner.job(inputs, event=event, ref=ref, environment={"CILOAD_DURATION": "2s", "CILOAD_VUS": "30"})


class Background:
    """What steps leave running; a runner ends it with the job."""

    def __init__(self) -> None:
        self._groups: list[int] = []

    def __enter__(self) -> Background:
        return self

    def run(self, script: str, folder: Path, environment: Mapping[str, str]) -> int:
        process = subprocess.Popen(
            ["bash", "-e", "-c", script], cwd=folder, env=dict(environment), start_new_session=True
        )
        self._groups.append(process.pid)
        return process.wait(TIMEOUT_S)

    def __exit__(self, *_: object) -> None:
        for group in self._groups:
            with_group = subprocess.run(["pgrep", "-g", str(group)], capture_output=True, text=True, check=False)
            for pid in with_group.stdout.split():
                os.kill(int(pid), signal.SIGKILL)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def test_six_lines_to_a_gated_pull_request(repository: Repository) -> None:
    """And what they lead to: main has a history, an innocent pull request passes, a slow one is stopped."""
    assert len(TYPED.splitlines()) <= MOST_LINES
    with repository.serving():
        said = repository.type(TYPED)
    assert "All answer as the script expects." in said
    for _ in range(3):
        main = repository.workflow()
        assert main is not None
        assert main.status == "success", main.log

    repository.push("innocent", "echo '# x' >> main.py")
    assert repository.workflow("innocent") is None  # its push; the pull request is what is gated
    innocent = repository.workflow("innocent", "pull_request")
    assert innocent is not None
    assert innocent.status == "success", innocent.log
    assert innocent.outputs["gate"] != "regression"

    repository.push("slow", "sed -i s/0.05/0.35/ main.py")
    slow = repository.workflow("slow", "pull_request")
    assert slow is not None
    assert (slow.status, slow.outputs["gate"]) == ("failure", "regression"), slow.log
    assert "❌ load: slower" in slow.summary.read_text()
