"""The installed `ciload`, run as a user runs it, against real servers on loopback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.neighbours import without_neighbours

CILOAD = str(Path(sys.executable).parent / "ciload")
TIMEOUT_S = 60


@dataclass(frozen=True)
class Finished:
    """A run that is over, with the reports it left."""

    code: int
    stdout: str
    stderr: str
    files: dict[str, str]

    @property
    def result(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.files["result.json"])
        return document

    @property
    def reasons(self) -> list[str]:
        return [failure["reason"] for failure in self.result["verdict"]["failures"]]

    @property
    def junit(self) -> ElementTree.Element:
        return ElementTree.fromstring(self.files["junit.xml"])

    @property
    def summary(self) -> str:
        return self.files["summary.md"]

    def all_text(self) -> str:
        """Everything that was printed or written."""
        return "\n".join([self.stdout, self.stderr, *self.files.values()])


@pytest.fixture(autouse=True)
def on_a_quiet_host(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No run is told that the host has given its CPU to others."""
    monkeypatch.setenv("PYTHONPATH", without_neighbours(tmp_path_factory.getbasetemp() / "site"))


@dataclass(frozen=True)
class Ciload:
    """Writes scripts into a folder of its own and runs them there."""

    folder: Path
    program: tuple[str, ...] = (CILOAD,)

    def start(self, script: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        (self.folder / "load.py").write_text(script, encoding="utf-8")
        clean = {key: value for key, value in os.environ.items() if not key.startswith("CILOAD_")}
        return subprocess.Popen(
            [*self.program, "run", "load.py", *arguments],
            cwd=self.folder,
            env=clean | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self, process: subprocess.Popen[str]) -> Finished:
        try:
            stdout, stderr = process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        reports = (self.folder / "ciload-results").glob("*")
        files = {path.name: path.read_text(encoding="utf-8") for path in reports}
        return Finished(process.returncode, stdout, stderr, files)

    def run(self, script: str, *arguments: str, **environment: str) -> Finished:
        return self.finish(self.start(script, *arguments, **environment))

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Any other command, in the same folder."""
        return subprocess.run(
            [*self.program, *arguments], cwd=self.folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )

    def run_and_signal(self, script: str, *arguments: str, after_s: float, signals: int = 1) -> Finished:
        """Send SIGTERM once the run has had `after_s` seconds, then perhaps again."""
        process = self.start(script, *arguments)
        for _ in range(signals):
            time.sleep(after_s)
            process.send_signal(signal.SIGTERM)
            after_s = 0.3
        return self.finish(process)


@pytest.fixture
def ciload(tmp_path: Path) -> Ciload:
    return Ciload(tmp_path)


class Handler(BaseHTTPRequestHandler):
    """Answers every path with 200 and JSON; `/status/NNN` with that status, `/slow/MS` later."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kind, _, value = self.path.removeprefix("/").partition("/")
        if kind == "slow":
            time.sleep(int(value) / 1000)
        body = b'{"users": [1, 2, 3]}'
        self.send_response(int(value) if kind == "status" else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256  # all virtual users connect at once

    def handle_error(self, *_: object) -> None:
        """A client that goes away in mid-answer is nothing to print about."""


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """A server that runs while inside; its URL."""
    with QuietServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


@pytest.fixture
def server() -> Iterator[str]:
    """The URL of a real HTTP server."""
    with serving(Handler) as url:
        yield url
