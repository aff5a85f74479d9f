"""The examples that speak anything but plain HTTP, against real servers: each works, passes and is kept."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.conftest import Ciload, Finished
from tests.e2e.databases import postgresql

EXAMPLES = Path(__file__).parents[2] / "examples" / "protocols"
HERE = Path(__file__).parents[2]


@contextmanager
def server(kind: str, **environment: str) -> Iterator[str]:
    """Where a server of `protocol_servers.py` listens."""
    command = [sys.executable, "-m", "tests.e2e.protocol_servers", kind]
    with subprocess.Popen(
        command, cwd=HERE, env=os.environ | environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip().removeprefix("listening on ")
        finally:
            process.kill()


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            for _ in range(200):
                with socket.socket() as asking:
                    if asking.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            yield f"redis://127.0.0.1:{port}"
        finally:
            process.terminate()


def play(ciload: Ciload, name: str, *arguments: str, duration: str = "2s", **environment: str) -> Finished:
    """An example, shortened."""
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    assert "30s" in text
    return ciload.run(text.replace("30s", duration), *arguments, **environment)


def see_that_it_works(run: Finished, ciload: Ciload, operations: set[str]) -> None:
    """It passes, with thresholds that had data, an endpoint for each operation, and a run that others can be compared
    with."""
    assert run.code == 0, run.stdout + run.stderr
    assert run.result["thresholds"]
    assert all(each["value"] is not None for each in run.result["thresholds"])
    assert {each["name"] for each in run.result["endpoints"]} | run.result["metrics"].keys() >= operations
    [stored] = json.loads((ciload.folder / "baseline.json").read_text())["runs"]
    assert stored["accepted"]
    names = {each["name"] for each in (*stored["endpoints"], *stored["metrics"])}
    assert names >= operations


KEEP = ("--save-baseline", "baseline.json")


def test_websocket(ciload: Ciload) -> None:
    """Round trips are an operation; when only these get slower, the gate names them and nothing else."""
    with server("websocket") as url:
        see_that_it_works(play(ciload, "websocket.py", *KEEP, WEBSOCKET_URL=url), ciload, {"connect", "echo"})
        for _ in range(3):
            assert play(ciload, "websocket.py", *KEEP, WEBSOCKET_URL=url).code == 0
    with server("websocket", DELAY_MS="25") as slow:
        run = play(ciload, "websocket.py", "--baseline", "baseline.json", WEBSOCKET_URL=slow)
    assert run.code == 96, run.stdout
    [comparison] = run.result["comparisons"]
    assert {each["endpoint"] for each in comparison["metrics"] if each["verdict"] == "regression"} == {"echo"}


def test_grpc(ciload: Ciload) -> None:
    """Calls by generated stubs."""
    with server("grpc") as address:
        run = play(ciload, "grpc_health.py", *KEEP, GRPC_ADDRESS=address)
    see_that_it_works(run, ciload, {"Health/Check"})
    assert "grpc" in run.stdout


def test_postgresql(ciload: Ciload) -> None:
    """Each query is an endpoint of its own."""
    with postgresql() as url:
        run = play(ciload, "postgresql.py", *KEEP, DATABASE_URL=url)
    see_that_it_works(run, ciload, {"find order", "sum of orders"})


def test_redis(ciload: Ciload) -> None:
    """Reads, writes, and the rate of hits that the gate is asked to judge."""
    folder = ciload.folder / "redis"
    folder.mkdir()
    with redis(folder) as url:
        run = play(ciload, "redis_cache.py", *KEEP, REDIS_URL=url)
    see_that_it_works(run, ciload, {"GET", "SET", "cache hits"})


@pytest.mark.parametrize("name", ["server_sent_events.py", "chat_completion.py"])
def test_streams(ciload: Ciload, name: str) -> None:
    """Times to the first event or token, and from there on, are what the gate judges."""
    with server("web") as url:
        run = play(ciload, name, *KEEP, EVENTS_URL=url, OPENAI_BASE_URL=f"{url}/v1", OPENAI_API_KEY="test")
    names = {"time to first event", "time between events"}
    see_that_it_works(run, ciload, names if "events" in name else {"time to first token", "tokens per second"})
    first = run.result["metrics"]["time to first " + ("event" if "events" in name else "token")]
    assert first["trend"]["min"] >= 5


def test_browser(ciload: Ciload) -> None:
    """A person's journey in Chromium beside a load of requests."""
    chromium = shutil.which("chromium")
    assert chromium, "apt-get install chromium"
    with server("web") as url:
        run = play(ciload, "browser.py", *KEEP, duration="5s", SHOP_URL=url, CHROMIUM=chromium)
    see_that_it_works(run, ciload, {"open shop", "buy", "/items"})
