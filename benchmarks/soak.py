"""A long run against servers that do what they should not: does anything of ciload grow?

A fifth of the requests meet one of the faults by name, some are given up by the script, all others have an id that
must come back.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from tests.http.behaviours import BEHAVIOURS
from tests.http.server import Received, Server, response

SCRIPT = """
import asyncio, json, os, time
from pathlib import Path
from ciload import fail_test, http
URLS = json.loads(os.environ["SOAK_URLS"])
FAULTS = sorted(set(URLS) - {"sound"})
async def default(vu):
    number = vu.iteration_in_test
    chance = vu.random.random()
    if number % 5 == 0:
        name = FAULTS[number // 5 % len(FAULTS)]
        url, method = URLS[name]
        content = b"x" * 100_000 if method == "POST" else None
        await http.request(method, url, content=content, timeout=0.3, name=name)
    elif chance < 0.02:
        try:
            async with asyncio.timeout(chance / 20):
                await http.get(f"{URLS['sound'][0]}{number}", name="/given up")
        except TimeoutError:
            pass
    else:
        reply = await http.get(f"{URLS['sound'][0]}{number}", name="/id", timeout=10)
        if reply.status_code and reply.text != f"/{number}":
            fail_test(f"request {number} got {reply.text!r}")
    if number % 1000 == 0:
        with Path(os.environ["SOAK_TASKS"]).open("a") as file:
            file.write(f"{len(asyncio.all_tasks())}\\n")
"""
PER_VU_S = 10  # requests of a virtual user; in the open model their number, and so their memory, would grow
FLAT = 1.05  # how much more than after the first minute it may be at the end


class Sample(NamedTuple):
    """What the process of ciload takes at one moment."""

    at_s: float
    memory_mb: float
    sockets: int
    descriptors: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=int, default=2_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(soak(Path(folder), arguments.minutes, arguments.rate))


def soak(folder: Path, minutes: float, rate: int) -> int:
    servers = serve()
    try:
        (folder / "soak.py").write_text(SCRIPT)
        environment = os.environ | {"SOAK_URLS": servers.urls, "SOAK_TASKS": str(folder / "tasks")}
        command = [str(Path(sys.executable).parent / "ciload"), "run", "soak.py", "-d", f"{minutes}m"]
        command += ["-u", str(rate // PER_VU_S), "--min-iteration-duration", f"{1000 // PER_VU_S}ms", "-q"]
        with subprocess.Popen(command, cwd=folder, env=environment) as process:
            samples = watch(psutil.Process(process.pid))
    finally:
        servers.stop()
    result = json.loads((folder / "ciload-results" / "result.json").read_text())
    tasks = [int(line) for line in (folder / "tasks").read_text().split()]
    return told(samples, tasks, result, process.returncode)


class Faults(NamedTuple):
    """The process that serves them, and where: names to URL and method, as JSON."""

    process: subprocess.Popen[str]
    urls: str

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)


def serve() -> Faults:
    code = "from benchmarks.soak import be_servers; be_servers()"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return Faults(process, process.stdout.readline())


def be_servers() -> None:
    """All faults, by path where a request comes before them, until somebody ends the process."""
    import uvloop

    uvloop.run(_serve())


async def _serve() -> None:
    by_path = {f"/{name.replace(' ', '-')}": each.answer for name, each in BEHAVIOURS.items() if each.when == "request"}
    by_path["/"] = BEHAVIOURS["redirects in a circle"].answer
    sound = await started(Server(lambda request: by_path.get(request.target, response(request.target.encode()))))
    urls = {"sound": (f"{sound.url}/", "GET")}
    for name, behaviour in BEHAVIOURS.items():
        server = sound
        if behaviour.when != "request":
            server = await started(Server(behaviour.answer, when=behaviour.when))
        urls[name] = (f"{server.url}/{name.replace(' ', '-')}", behaviour.method)
    print(json.dumps(urls), flush=True)
    await asyncio.Event().wait()


async def started(server: Server) -> Server:
    server.requests = Forgetful()
    return await server.__aenter__()


class Forgetful(list[Received]):
    """Nobody looks at these requests."""

    def append(self, _request: Received) -> None:
        pass


def watch(process: psutil.Process) -> list[Sample]:
    samples, began = [], time.monotonic()
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        try:
            memory = process.memory_info().rss / 1e6
            sample = Sample(time.monotonic() - began, memory, len(process.net_connections()), process.num_fds())
        except psutil.Error:
            break
        samples.append(sample)
        time.sleep(1)
    return samples


def told(samples: list[Sample], tasks: list[int], result: dict[str, Any], code: int) -> int:
    """A row for each minute, and whether all of it is flat after the first."""
    print("minute  memory MB  sockets  descriptors")
    for minute in range(int(samples[-1].at_s // 60) + 1):
        within = [each for each in samples if minute * 60 <= each.at_s < minute * 60 + 60]
        middle = [sorted(getattr(each, name) for each in within)[len(within) // 2] for name in Sample._fields[1:]]
        print(f"{minute + 1:6}  {middle[0]:9.1f}  {middle[1]:7.0f}  {middle[2]:11.0f}")
    later = [each for each in samples if each.at_s >= 60] or samples
    half = len(later) // 2 or 1
    growths = {
        name: mean([getattr(each, name) for each in later[half:]])
        / mean([getattr(each, name) for each in later[:half]])
        for name in Sample._fields[1:]
    }
    third = len(tasks) // 3 or 1
    growths["tasks"] = mean(tasks[2 * third :]) / mean(tasks[third : 2 * third])
    print(
        "second half against first, after the first minute:", {name: round(each, 3) for name, each in growths.items()}
    )
    metrics = result["metrics"]
    print(f"{metrics['iterations']['rate']:.0f} iterations and {metrics['http_reqs']['rate']:.0f} requests per second")
    print(f"exit code {code}")
    print(json.dumps(result["verdict"], indent=1))
    return 0 if all(each < FLAT for each in growths.values()) and code == 0 else 1


def mean(values: list[float] | list[int]) -> float:
    return sum(values) / max(1, len(values))


if __name__ == "__main__":
    main()
