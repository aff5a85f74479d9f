"""Two copies of the guide's API behind gunicorn, one of them slower, for as long as they are needed."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import httpx

ROOT = Path(__file__).parents[1]
THREADS = 4  # of each worker that has threads
READY_S = 60.0  # in which a copy has to answer
STOP_S = 10.0  # in which it has to end before it is killed

Server = Literal["sync", "gthread"]


@contextmanager
def copies(server: Server, workers: int, share: float, folder: Path) -> Iterator[tuple[str, str]]:
    """Two copies of the API, the second one slower by the share; their addresses. Neither outlives the block."""
    shares = [("old", 0.0), ("new", share)]
    random.shuffle(shares)  # whoever starts first may find a better place
    started: dict[str, tuple[subprocess.Popen[bytes], str]] = {}
    try:
        for name, slower in shares:
            started[name] = _start(server, workers, slower, folder / name)
        for name, (process, url) in started.items():
            _wait_until_ready(process, url, folder / name)
        yield started["old"][1], started["new"][1]
    finally:
        for process, _ in started.values():
            _stop(process)


def _start(server: Server, workers: int, share: float, folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable, "-m", "benchmarks.slowed", "--share", str(share), "--port", str(port),
        "--workers", str(workers), "--server", server, "--threads", str(THREADS),
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True,
            env=os.environ | {"GUIDE_SQLITE": str(folder / "guide.sqlite3")},
        )  # fmt: skip
    return process, f"http://127.0.0.1:{port}"


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, folder: Path) -> None:
    until = time.monotonic() + READY_S
    while process.poll() is None and time.monotonic() < until:
        try:
            if httpx.get(f"{url}/health", timeout=5).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    log = (folder / "log").read_text(encoding="utf-8", errors="replace")
    raise SystemExit(f"A copy of the API did not answer in {READY_S:g} s. The end of what it said:\n{log[-2000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the copy with its workers."""
    try:
        with suppress(subprocess.TimeoutExpired, ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(STOP_S)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # workers that their master has left behind
        process.wait()
