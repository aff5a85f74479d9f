"""Is latency told truthfully? A server that delays by a known distribution, and what ciload says of it.

    python -m benchmarks.latency

Delays have a fixed seed: in one run they are spread over milliseconds with a long tail, and the server notes how long
it really took from reading a request to writing the answer. In the other run there are none, and what a request then
takes (the kernel, and waking two processes) is measured by a bare blocking socket, as no server can see it; ciload has
one virtual user there as well. The load is far from saturating anything. Percentiles must agree within 3% or 0.3 ms,
whichever is more.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import random
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter, sleep

import numpy as np

RUN_S = 15
BARE_REQUESTS = 1_000
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
PERCENTS = (50, 95, 99)
RELATIVE, ABSOLUTE_MS = 0.03, 0.3
SCRIPT = """
from ciload import http, sleep
async def default():
    await http.get("/")
    await sleep(PAUSE)
"""


@dataclass(frozen=True)
class Case:
    """One distribution of delays in seconds, and the load put on it."""

    name: str
    draw: Callable[[random.Random], float]
    vus: int
    pause_s: float
    judge: str  # who knows the truth: "server" or "bare socket"


def long_tail(source: random.Random) -> float:
    return min(0.5, 0.01 * source.lognormvariate(0.0, 0.8))


def at_once(_: random.Random) -> float:
    return 0.0


CASES = (
    Case("log-normal, median 10 ms", long_tail, 20, 0.02, "server"),
    Case("no delay at all", at_once, 1, 0.01, "bare socket"),
)


class Delayer(asyncio.Protocol):
    """Answers each request after a drawn delay and keeps how long it really took."""

    def __init__(self, case: Case, source: random.Random, seconds: list[float]) -> None:
        self.case, self.source, self.seconds = case, source, seconds

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, _: bytes) -> None:
        received = perf_counter()
        delay = self.case.draw(self.source)
        if delay:
            asyncio.get_running_loop().call_later(delay, self.answer, received)
        else:
            self.answer(received)

    def answer(self, received: float) -> None:
        self.seconds.append(perf_counter() - received)
        self.transport.write(ANSWER)


def serve(name: str, pipe: Connection) -> None:
    """The server process: says its port, serves until told to stop, and hands over what it measured."""
    case = next(each for each in CASES if each.name == name)
    seconds: list[float] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        source = random.Random(1)
        server = await loop.create_server(lambda: Delayer(case, source, seconds), "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await loop.run_in_executor(None, pipe.recv)
        server.close()

    asyncio.run(main())
    pipe.send(seconds)


def ask_bare(port: int, case: Case) -> list[float]:
    """Seconds that requests take without any load tester: one blocking socket, one request after the other."""
    request = f"GET / HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n\r\n".encode()
    seconds = []
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(BARE_REQUESTS):
            started = perf_counter()
            connection.sendall(request)
            connection.recv(65536)
            seconds.append(perf_counter() - started)
            sleep(case.pause_s)
    return seconds


def measure(case: Case) -> tuple[list[float], list[float]]:
    """Percentiles in ms: the truth, and what ciload says."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=serve, args=(case.name, theirs))
    server.start()
    port = ours.recv()
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "load.py"
        script.write_text(SCRIPT.replace("PAUSE", str(case.pause_s)), encoding="utf-8")
        command = [sys.executable, "-m", "ciload", "run", str(script), "-q", "-u", str(case.vus), "-d", f"{RUN_S}s"]
        subprocess.run(
            [*command, "--base-url", f"http://127.0.0.1:{port}", "--out-dir", folder], check=True, timeout=RUN_S + 60
        )
        result = json.loads((Path(folder) / "result.json").read_text(encoding="utf-8"))
    bare = ask_bare(port, case) if case.judge == "bare socket" else []
    ours.send("stop")
    seen = ours.recv()
    server.join()
    truth = np.array(bare or seen) * 1e3
    trend = result["metrics"]["http_req_duration"]["trend"]
    print(f"{case.name}: {trend['count']} requests, {len(seen) - len(bare)} seen by the server")
    return np.percentile(truth, PERCENTS).tolist(), [trend["med"], trend["p95"], trend["p99"]]


def main() -> int:
    for case in CASES:
        for percent, truth, told in zip(PERCENTS, *measure(case), strict=True):
            off = told - truth
            met = "met" if abs(off) <= max(RELATIVE * truth, ABSOLUTE_MS) else "not met"
            figures = f"{case.judge} {truth:.3f} ms, ciload {told:.3f} ms: {off:+.3f} ms ({off / truth:+.1%})"
            print(f"  p{percent}: {figures}, {met}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
