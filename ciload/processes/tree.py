"""CPU seconds of a process and of all that it starts, whatever comes and goes meanwhile."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

LOOK_FOR_CHILDREN_S = 1.0  # a child that comes and goes in between is counted by its parent, when that waits for it
PROC = Path("/proc")
TASKS = PROC / "self" / "task"


@dataclass(frozen=True, slots=True)
class Member:
    """One process of the tree, as it was when it was last read. Times are CPU seconds since its start."""

    process: psutil.Process
    parent: int
    own_s: float = 0.0
    waited_s: float = 0.0  # of its children that have ended and that it has waited for
    running: bool = True  # false: it has ended, and nobody has waited for it yet

    @property
    def total_s(self) -> float:
        return self.own_s + self.waited_s

    def read(self) -> Member | None:
        """How it is now; None when it is gone."""
        try:
            if not self.process.is_running():
                return None
            with self.process.oneshot():
                times = self.process.cpu_times()
                running = self.process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return None
        waited_s = times.children_user + times.children_system
        return Member(self.process, self.parent, times.user + times.system, waited_s, running)


class ProcessTree:
    """Processes with all their descendants as one source of CPU time.

    The kernel adds the time of a child that ended to its parent, once the parent has waited for it (proc(5), `cutime`).
    So the sum over all processes of the times of their own and of the children that they have waited for does not
    change when a worker ends. Where nobody waits for a child, what was last known of it is kept.
    """

    def __init__(self, roots: Sequence[int], name: str, clock: Callable[[], float] = time.monotonic) -> None:
        """
        Args:
            roots: process IDs; with their descendants they count as one.
            name: what to call them.
            clock: seconds.

        Raises:
            psutil.Error: there is no such process, or it may not be looked at.
        """
        self.name = name
        self._clock = clock
        self._ended_s = 0.0  # of members that are gone and that no parent counts
        self._known_s = 0.0
        self._members = {pid: Member(psutil.Process(pid), 0) for pid in roots}
        for member in self._members.values():
            member.process.cpu_times()
        self._next_look = clock()

    def read(self) -> float | None:
        """CPU seconds of all of them so far, which never fall; None when all of them have ended."""
        members, alive = self._members, {pid: now for pid, each in self._members.items() if (now := each.read())}
        self._ended_s += sum(_uncounted(members, alive))
        self._members = alive
        if self._clock() >= self._next_look:
            self._next_look = self._clock() + LOOK_FOR_CHILDREN_S
            self._members = dict(_with_children(alive))
        self._known_s = max(self._known_s, self._ended_s + sum(each.total_s for each in self._members.values()))
        return self._known_s if any(each.running for each in self._members.values()) else None


def _uncounted(before: dict[int, Member], alive: dict[int, Member]) -> Iterator[float]:
    """The time of members that are gone, as far as the nearest ancestor that is left has not taken it over."""
    gone: dict[int, float] = {}
    for pid in before.keys() - alive.keys():
        ancestor = before[pid].parent
        while ancestor in before and ancestor not in alive:
            ancestor = before[ancestor].parent
        gone[ancestor] = gone.get(ancestor, 0.0) + before[pid].total_s
    for ancestor, seconds in gone.items():
        counted = alive[ancestor].waited_s - before[ancestor].waited_s if ancestor in alive else 0.0
        yield max(0.0, seconds - counted)


def _with_children(members: dict[int, Member]) -> Iterator[tuple[int, Member]]:
    """The members, and what they have started that is not among them yet."""
    yield from members.items()
    known, waiting = set(members), list(members)
    while waiting:
        parent = waiting.pop()
        for pid in _children_of(parent):
            if pid in known:
                continue
            known.add(pid)
            try:
                child = Member(psutil.Process(pid), parent).read()
            except psutil.Error:  # gone already
                continue
            if child is not None:
                waiting.append(pid)
                yield pid, child


def _children_of(pid: int) -> Iterable[int]:
    """From the kernel's own list where there is one: psutil goes through all processes, and the load waits for that."""
    with suppress(psutil.Error, OSError):  # it has ended
        if not (TASKS / str(os.getpid()) / "children").exists():
            return [each.pid for each in psutil.Process(pid).children()]
        tasks = list((PROC / str(pid) / "task").iterdir())
        return [int(child) for task in tasks for child in _text(task / "children").split()]
    return ()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError:  # the thread has ended
        return ""
