"""Run one command on one core and say what it cost."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LOOK_EVERY_S = 0.01  # how exactly wall time is known


@dataclass(frozen=True, slots=True)
class Usage:
    """What one finished process tree used, from its first instruction to its last."""

    exit_code: int  # negative: the signal that ended it
    wall_s: float
    cpu_s: float  # user and system time of the process and of every descendant that was waited for
    peak_rss_bytes: int  # of the largest process in the tree
    output: str  # stdout and stderr, as they came
    timed_out: bool = False


def run_pinned(command: Sequence[str], *, core: int, folder: Path, env: Mapping[str, str], timeout_s: float) -> Usage:
    """Run `command` in `folder` with nothing but `env`, pinned to `core`, and wait for it.

    The kernel's accounting for the waited child (`wait4`) is exact and costs nothing while the command runs, and it
    contains start-up and reporting, which a CI job pays for as well. A peak below this process's own is not seen:
    the kernel carries that over into the child.
    """
    log = folder / "output.txt"
    started = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["taskset", "--cpu-list", str(core), *command],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            cwd=folder, env=dict(env), start_new_session=True,
        )  # fmt: skip
    timed_out = False
    try:
        while not (waited := os.wait4(process.pid, os.WNOHANG))[0]:
            if time.perf_counter() - started > timeout_s and not timed_out:
                timed_out = True
                os.killpg(process.pid, signal.SIGKILL)
            time.sleep(LOOK_EVERY_S)
    except BaseException:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    wall_s = time.perf_counter() - started
    _, status, rusage = waited
    process.returncode = os.waitstatus_to_exitcode(status)  # else Popen would wait for it once more
    return Usage(
        exit_code=process.returncode,
        wall_s=wall_s,
        cpu_s=rusage.ru_utime + rusage.ru_stime,
        peak_rss_bytes=rusage.ru_maxrss * 1024,
        output=log.read_text(errors="replace"),
        timed_out=timed_out,
    )
