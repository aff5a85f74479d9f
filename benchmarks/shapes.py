"""Does the open model keep its schedule, and do workers add up?

    python -m benchmarks.shapes

Pacing: 2,000 starts per second for 20 s by one process against nginx; achieved within 0.5%, start delay p99 at most
5 ms. Workers: a script that computes between its requests, so that it needs far more CPU than nginx does for it, with
one worker and with two in alternating rounds; finished iterations must be 1.7 times as many. Nothing is pinned then:
two workers and nginx share the machine's cores, so with two cores the server's part is what two workers lack.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.server import nginx

PACING = """
from ciload import http
options = {"scenarios": {"pacing": {
    "executor": "constant-arrival-rate", "rate": 2000, "duration": "20s", "pre_allocated_vus": 50, "max_vus": 1000}}}
async def default():
    await http.get("/v3/users")
"""
BUSY = """
from ciload import check, http
async def default():
    reply = await http.get("/v3/users")
    check(reply, {"sum is right": lambda r: sum(number * number for number in range(4000)) == 21325334000})
"""
PER_STARTS_S, ROUNDS, ROUND_S = 2_000, 5, 8


def run(script: str, base_url: str, *arguments: str) -> dict[str, Any]:
    """The result document of one run."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "load.py"
        path.write_text(script, encoding="utf-8")
        command = [sys.executable, "-m", "ciload", "run", str(path), "-q", "--base-url", base_url, "--out-dir", folder]
        subprocess.run([*command, *arguments], check=True, timeout=120)
        document: dict[str, Any] = json.loads((Path(folder) / "result.json").read_text(encoding="utf-8"))
        return document


def pacing(base_url: str) -> None:
    [scenario] = run(PACING, base_url)["scenarios"]
    achieved, delay = scenario["achieved_per_s"], scenario["start_delay_p99"]
    kept = "met" if abs(achieved / PER_STARTS_S - 1) <= 0.005 and delay <= 5 else "not met"
    print(
        f"pacing: {achieved:.1f} of {PER_STARTS_S} starts/s, {scenario['dropped']} dropped, {scenario['late']} late; "
        f"start delay p50 {scenario['start_delay_p50']:.2f} ms, p99 {delay:.2f} ms, "
        f"max {scenario['start_delay_max']:.2f} ms: {kept}"
    )


def workers(base_url: str) -> None:
    ratios = []
    for number in range(ROUNDS):
        one, two = (
            run(BUSY, base_url, "-u", "20", "-d", f"{ROUND_S}s", "--workers", str(count))["metrics"]["iterations"][
                "rate"
            ]
            for count in (1, 2)
        )
        ratios.append(two / one)
        print(f"workers, round {number + 1}: one {one:.0f}/s, two {two:.0f}/s, {two / one:.2f}x")
    middle = statistics.median(ratios)
    print(f"workers: {middle:.2f}x ({min(ratios):.2f} to {max(ratios):.2f}): {'met' if middle >= 1.7 else 'not met'}")


def main() -> int:
    cores = sorted(os.sched_getaffinity(0))
    tools = {name: Path(shutil.which(name) or name) for name in ("nginx", "openssl", "taskset")}
    with nginx(tools, cores[-1]) as server:
        base_url = server.url("http", "plain").removesuffix("/v3/users")
        pacing(base_url)
        workers(base_url)
    return 0


if __name__ == "__main__":
    sys.exit(main())
