"""CPU time of real processes that come and go."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from itertools import count

import psutil
import pytest

from ciload.processes.tree import ProcessTree

# Does what it is told, line by line, and says when it is done.
OBEDIENT = """
import os, signal, sys, time

def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass

def child(seconds):
    pid = os.fork()
    if pid == 0:
        burn(seconds)
        print("burnt", flush=True)
        signal.pause()
    return pid

for line in sys.stdin:
    exec(line)
    print("done", flush=True)
"""
BURNT_S = 0.15
TICKS_S = 0.03


class Obedient:
    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", OBEDIENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.tree = ProcessTree([self.process.pid], "it", clock=count().__next__)

    def do(self, line: str, answers: int = 1) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        for _ in range(answers):
            assert self.process.stdout.readline()

    def read(self) -> float:
        cpu_s = self.tree.read()
        assert cpu_s is not None
        return cpu_s


@pytest.fixture
def obedient() -> Iterator[Obedient]:
    made = Obedient()
    yield made
    made.process.kill()
    made.process.communicate()


def test_a_process_is_charged_with_what_it_uses(obedient: Obedient) -> None:
    """The time since the last reading is the time that was burnt."""
    before = obedient.read()
    obedient.do(f"burn({BURNT_S})")

    assert obedient.read() - before == pytest.approx(BURNT_S, abs=TICKS_S)


def test_what_a_worker_used_stays_when_it_is_replaced(obedient: Obedient) -> None:
    """A worker that ends and another that takes its place: no time is lost, and none is counted twice."""
    before = obedient.read()
    obedient.do(f"worker = child({BURNT_S})", answers=2)
    with_worker = obedient.read()
    obedient.do("os.kill(worker, 9); os.waitpid(worker, 0)")
    without = obedient.read()
    obedient.do(f"worker = child({BURNT_S})", answers=2)
    with_another = obedient.read()
    obedient.do("os.kill(worker, 9); os.waitpid(worker, 0)")

    assert with_worker - before == pytest.approx(BURNT_S, abs=TICKS_S)
    assert without == pytest.approx(with_worker, abs=TICKS_S)
    assert with_another - without == pytest.approx(BURNT_S, abs=TICKS_S)


def test_a_child_between_two_readings_is_counted(obedient: Obedient) -> None:
    """One that nobody saw has used its time all the same: its parent has waited for it."""
    before = obedient.read()
    obedient.do(f"worker = child({BURNT_S}); os.kill(worker, 0)", answers=2)
    obedient.do("os.kill(worker, 9); os.waitpid(worker, 0)")

    assert obedient.read() - before == pytest.approx(BURNT_S, abs=TICKS_S)


def test_a_child_that_nobody_waits_for_is_not_forgotten(obedient: Obedient) -> None:
    """Where the parent ignores that its children end, the kernel counts them for nobody; we do."""
    obedient.do("signal.signal(signal.SIGCHLD, signal.SIG_IGN)")
    before = obedient.read()
    obedient.do(f"worker = child({BURNT_S})", answers=2)
    obedient.read()
    obedient.do("os.kill(worker, 9); time.sleep(0.1)")

    assert obedient.read() - before == pytest.approx(BURNT_S, abs=TICKS_S)


def test_a_tree_that_has_ended_is_told(obedient: Obedient) -> None:
    """Nothing is left to read, whether or not somebody has waited for it."""
    obedient.read()
    obedient.process.kill()
    psutil.wait_procs([psutil.Process(obedient.process.pid)], timeout=5)

    assert obedient.tree.read() is None
