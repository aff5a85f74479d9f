"""Every place in a script, times every way to end there: the exit code of the table in docs/scripting.md, and reports.

Each case is a process of its own, forked from this one, as a fresh interpreter takes longer than the run.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

AT_ONCE = 6
ALL = bool(os.environ.get("CILOAD_TEST_ALL"))
LIMIT_S = 60.0

PROLOGUE = """
import asyncio, pathlib, time, os
import ciload
from ciload import Counter, abort, check, fail, fail_test, group

options = {OPTIONS}
PLACE = {PLACE!r}
done = Counter("done")


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("no text")


def end():
{END}


async def end_async():
{ASYNC}


async def here(name):
    if PLACE == name:
        await end_async()


if PLACE == "top level":
    end()


async def setup():
    await here("setup")
    return {{"rows": [1, 2, 3]}}


async def vu_start():
    await here("vu_start")


async def default(data):
    done.add(1)
    await here("default")
    if PLACE == "check":
        check(1, {{"holds": lambda _: end() is None}})
    if PLACE == "group":
        async with group("inside"):
            await end_async()
    if PLACE == "task":
        await asyncio.create_task(end_async())
    if PLACE == "background task":
        tasks.append(asyncio.create_task(end_async()))
        await asyncio.sleep(0.05)
    if PLACE == "task group":
        async with asyncio.TaskGroup() as tasks_of_mine:
            tasks_of_mine.create_task(end_async())
            await asyncio.sleep(0.02)


tasks = []


async def vu_stop():
    await here("vu_stop")


async def teardown(data):
    pathlib.Path("torn-down").touch()
    await here("teardown")


def handle_summary(result):
    if PLACE == "handle_summary":
        end()
"""

SWALLOW = "while True:\n        try:\n            {}\n        except BaseException:\n            pass"
ENDS = {
    "nothing": "pass",
    "exception": "raise KeyError('id')",
    "unprintable": "raise Unprintable",
    "group": "raise ExceptionGroup('several', [ValueError('one'), KeyError('two')])",
    "SystemExit 0": "raise SystemExit(0)",
    "SystemExit 3": "raise SystemExit(3)",
    "KeyboardInterrupt": "raise KeyboardInterrupt",
    "CancelledError": "raise asyncio.CancelledError",
    "GeneratorExit": "raise GeneratorExit",
    "abort": "abort('enough')",
    "fail": "fail('wrong')",
    "fail_test": "fail_test('marked')",
    "blocking": "while True: time.sleep(0.01)",
    "swallowing": SWALLOW.format("time.sleep(0.01)"),
}
ASYNC_ENDS = ENDS | {
    "swallowing": SWALLOW.format("await asyncio.sleep(0.01)"),
    "own cancellation": "task = asyncio.create_task(asyncio.sleep(9))\n    task.cancel()\n    await task",
    "cancels its own task": "asyncio.current_task().cancel()\n    await asyncio.sleep(0)",
    "cancels its task, and ends": "asyncio.current_task().cancel()",
    "cancels everybody": "[each.cancel() for each in asyncio.all_tasks()]\n    await asyncio.sleep(0)",
}
LATE = ("blocking", "swallowing")
IN_LOAD = ("default", "check", "group", "task", "background task", "task group")
PLACES = ("top level", "setup", "vu_start", *IN_LOAD, "vu_stop", "teardown", "handle_summary")
PLAIN = ("top level", "check", "handle_summary")  # where nothing can be awaited
ALONE = ("top level", "handle_summary")  # where there is no virtual user, and nobody to interrupt what blocks in time
CLOSED = '{"vus": 2, "iterations": 4'
OPEN = '{"rate": "20/s", "duration": "1s", "vus": 3'
SHORT = ', "graceful_stop": "0s", "setup_timeout": "1s", "teardown_timeout": "1s"'
# A load that must have time to end by itself, for a script that does not let it.
TIMED = {"closed": '{"vus": 2, "duration": "1s"', "open": OPEN}
OUR_FRAME = re.compile(r'File "[^"]*/ciload/(?:cli|runner|engine|script|http|metrics|options|result|reports|gate|ci)/')


@dataclass(frozen=True)
class Case:
    place: str
    end: str
    model: str
    workers: int

    @property
    def script(self) -> str:
        load = TIMED[self.model] if self.end in LATE else OPEN if self.model == "open" else CLOSED
        plain = "\n".join(f"    {line}" for line in ENDS.get(self.end, "pass").replace("\n    ", "\n").split("\n"))
        return PROLOGUE.format(
            OPTIONS=load + (SHORT if self.end in LATE else "") + "}",
            PLACE=self.place,
            END=plain,
            ASYNC=f"    {ASYNC_ENDS[self.end]}",
        )

    @property
    def code(self) -> int:
        """What the table says."""
        if self.end == "nothing":
            return 0
        if self.end == "abort":
            return 108
        if self.end == "fail_test" and self.place not in ALONE:
            return 110
        if (self.place, self.model) == ("vu_start", "open") and self.end in LATE:
            return 107  # virtual users are added while the load goes on
        if self.end in LATE:
            return {"setup": 100, "vu_start": 100, "vu_stop": 101, "teardown": 101}.get(self.place, 107)
        # A task that ends as cancelled has not failed, by Python's rules; whoever awaits it meets the exception.
        own_task = self.place in ("background task", "task group")
        if own_task and "ancel" in self.end and self.end != "cancels everybody":
            return 0
        return 107

    @property
    def is_torn_down(self) -> bool:
        """Whatever happens, once setup() came to its end."""
        if self.place == "setup":
            return self.end in ("nothing", "fail_test")
        return self.place != "top level" or self.end == "nothing"


def cases() -> Iterator[Case]:
    """All of them with CILOAD_TEST_ALL; else what takes the longest in some combinations, now these and now those."""
    for row, place in enumerate(PLACES):
        for column, end in enumerate(ENDS if place in PLAIN else ASYNC_ENDS):
            if place in ALONE and end in LATE:
                continue
            for index, model in enumerate(("closed", "open")):
                chosen = ALL or index == (row + column) % 2
                if chosen or end not in LATE:
                    yield Case(place, end, model, 1)
                if place not in ALONE and (ALL or (chosen and (row + column // 2) % 2)):
                    yield Case(place, end, model, 2)


CASES = list(cases())


@dataclass
class Finished:
    code: int
    folder: Path
    output: str

    @property
    def never_began(self) -> bool:
        report = self.folder / "ciload-results" / "result.json"
        return self.code == 99 and "not one iteration finished" in report.read_text(encoding="utf-8")


def begin(case: Case, folder: Path) -> int:
    """Fork a process that does what `ciload run` does; answers its id."""
    folder.mkdir(parents=True)
    (folder / "load.py").write_text(case.script, encoding="utf-8")
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        os.chdir(folder)
        output = os.open("output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        null = os.open(os.devnull, os.O_RDWR)
        for stream, descriptor in ((0, null), (1, output), (2, output)):
            os.dup2(descriptor, stream)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        sys.argv = ["ciload", "run", "load.py", "--workers", str(case.workers), "-q"]
        for name in [name for name in os.environ if name.startswith(("CILOAD_", "GITHUB_", "CI"))]:
            del os.environ[name]
        from ciload.cli import main

        main()
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 71
    except BaseException:  # noqa: BLE001  # shown by the test
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> dict[Case, Finished]:
    """All cases, a few at a time. Where a busy machine let no iteration begin, nothing was seen: those once more."""
    root = tmp_path_factory.mktemp("green")
    found = run_all(CASES, root / "first", AT_ONCE)
    return found | run_all([case for case, each in found.items() if each.never_began], root / "again", 1)


def run_all(cases: list[Case], root: Path, at_once: int) -> dict[Case, Finished]:
    found = dict[Case, Finished]()
    waiting, running = list(enumerate(cases)), dict[int, tuple[Case, Path, float]]()
    while waiting or running:
        while waiting and len(running) < at_once:
            number, case = waiting.pop(0)
            folder = root / str(number)
            running[begin(case, folder)] = (case, folder, time.monotonic() + LIMIT_S)
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid in running:
            case, folder, _ = running.pop(pid)
            output = (folder / "output").read_text(encoding="utf-8", errors="replace")
            found[case] = Finished(os.waitstatus_to_exitcode(status), folder, output)
        else:
            time.sleep(0.005)
        for pid in [pid for pid, (_, _, ends_at) in running.items() if time.monotonic() > ends_at]:
            os.kill(pid, signal.SIGKILL)
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.place}-{case.end}-{case.model}-{case.workers}")
def test_no_way_to_green(case: Case, finished: dict[Case, Finished]) -> None:
    """The exit code, the reports, teardown, and not one line of ciload's own code in what is shown."""
    found = finished[case]
    report = found.folder / "ciload-results" / "result.json"
    reasons = json.loads(report.read_text())["verdict"] if report.exists() else "no result.json"
    assert found.code == case.code, f"{reasons}\n{found.output}"
    assert {"result.json", "junit.xml", "summary.md"} <= {path.name for path in report.parent.iterdir()}
    assert (found.folder / "torn-down").exists() == case.is_torn_down
    assert not OUR_FRAME.search(found.output), found.output
    assert not OUR_FRAME.search(report.read_text())
