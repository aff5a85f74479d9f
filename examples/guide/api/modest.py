"""A modest box to run the API on, so that the guide's tests have a limit to find.

On a fast machine the guide's thirty virtual users find nothing. This WSGI middleware gives the API the
limits of a small one: half a CPU, as a container or a burstable cloud instance gets it. Nothing here is
random, and little depends on how fast the real machine is: requests fail because more of them come than the
box can take.

**How it works.** The box earns `cpus` seconds of CPU time per second and saves at most `saved_cpu_s`. A
request takes its `cpu_s` from what is saved; if that is not there yet it waits in line, reads before
writes. One that has waited `patience_s` is answered 503, as by a proxy in front of the box. One that had
its turn is answered `takes_s` later.

**Capacity** = cpus / cpu_s. Half a CPU at 30 ms a read is 16.7 reads/s; at 40 ms a write, 12.5 writes/s.

**Load.** N virtual users that pause Z after each answer send N / (Z + R) requests a second, where R is the
time to an answer. As they wait for answers, they slow down with the box: once it is full, R settles at N /
capacity - Z. But a read has its answer within takes_s + patience_s = 0.3 s or fails after 0.2 s, so users
whose R would have to be longer see failures instead. Each is then busy for Z + 0.2 s per request, and 0.1 s
more if it succeeded. The successes fill the box, which gives the share p of them:

    p * N / (Z + 0.2 + 0.1 p) = 16.7   which gives   p = (Z + 0.2) / (N / 16.7 - 0.1)

The guide's steps:

    30 users, no pause             p = 0.2 / 1.7 = 12% succeed
    20 users, pause of 0.5 s       p = 0.7 / 1.1 = 64% succeed
    20 users, pause of 1 s         R = 20 / 16.7 - 1 = 0.2 s, within patience: all succeed
    20 users, pause of 1 s, POST   R = 20 / 12.5 - 1 = 0.6 s, and writes are patient: all succeed
    15 users, pause of 1 s, both   a pair needs 70 ms, so 7.1 pairs/s: R = 15 / 7.1 - 1 = 1.1 s for the write;
                                   the read goes first and needs little more than its 0.1 s

A short run does a little better, as it starts with CPU time saved up. For the same reason the third step
needs a box that was idle for a second before: its users all start at once.
"""

import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

READ_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Work:
    """What one request asks of the box."""

    cpu_s: float  # CPU time it uses up
    takes_s: float  # from its turn to its answer: the shortest response time there is
    patience_s: float  # how long it may wait for its turn
    spare_cpu_s: float = 0.0  # its turn comes only if this much CPU time stays saved for others


@dataclass(frozen=True, slots=True)
class Box:
    """The size of the box: the few numbers that decide how the guide's tests end."""

    cpus: float = 0.5
    # Twenty reads' worth: users that all start at the same moment find a box that was idle until then.
    saved_cpu_s: float = 0.6
    # More requests than this in line, and the next one is answered 503 at once.
    line: int = 100
    read: Work = Work(cpu_s=0.03, takes_s=0.1, patience_s=0.2)
    # Writes leave ten reads' worth, so that reads stay quick while writes wait.
    write: Work = Work(cpu_s=0.04, takes_s=0.15, patience_s=5.0, spare_cpu_s=0.3)


class Line:
    """Where requests wait for CPU time: reads before writes, first come first served among each."""

    def __init__(self, box: Box) -> None:
        self._box = box
        self._lock = threading.Lock()
        # Each waiting thread has a condition of its own, so that a turn wakes one thread and not all of them.
        self._reads: deque[threading.Condition] = deque()
        self._writes: deque[threading.Condition] = deque()
        self._saved_s = box.saved_cpu_s
        self._earned_until = time.monotonic()

    def take_turn(self, work: Work, *, is_read: bool) -> bool:
        """Wait until the box has CPU time for `work`, and use it up. False if patience ended first."""
        line = self._reads if is_read else self._writes
        with self._lock:
            if len(self._reads) + len(self._writes) >= self._box.line:
                return False
            me = threading.Condition(self._lock)
            line.append(me)
            try:
                return self._wait(me, work)
            finally:
                line.remove(me)
                if first := self._first():
                    first.notify()

    def _wait(self, me: threading.Condition, work: Work) -> bool:
        now = time.monotonic()
        gives_up_at = now + work.patience_s
        while True:
            self._earn(now)
            lacking_s = work.cpu_s + work.spare_cpu_s - self._saved_s
            is_first = self._first() is me
            if is_first and lacking_s <= 0:
                self._saved_s -= work.cpu_s
                return True
            # Only now: a thread that the machine woke late still gets what the box has earned meanwhile.
            if now >= gives_up_at:
                return False
            turn_at = now + lacking_s / self._box.cpus if is_first else gives_up_at
            me.wait(min(turn_at, gives_up_at) - now)
            now = time.monotonic()

    def _first(self) -> threading.Condition | None:
        line = self._reads or self._writes
        return line[0] if line else None

    def _earn(self, now: float) -> None:
        earned_s = (now - self._earned_until) * self._box.cpus
        self._saved_s = min(self._saved_s + earned_s, self._box.saved_cpu_s)
        self._earned_until = now


class Modest:
    """A WSGI application on a modest box. /health is answered at once: it says that the process is up."""

    def __init__(self, application: WSGIApplication, box: Box) -> None:
        self._application = application
        self._box = box
        self._line = Line(box)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/health":
            return self._application(environ, start_response)
        is_read = environ["REQUEST_METHOD"] in READ_METHODS
        work = self._box.read if is_read else self._box.write
        if not self._line.take_turn(work, is_read=is_read):
            return overloaded(start_response)
        answer_at = time.monotonic() + work.takes_s
        body = self._application(environ, start_response)
        # The real work counts towards takes_s, so a slow machine gives the same response times as a fast one.
        time.sleep(max(0.0, answer_at - time.monotonic()))
        return body


def overloaded(start_response: StartResponse) -> Iterable[bytes]:
    """What a proxy says for a box that is busy."""
    body = b'{"detail": "The server is busy. Try again later."}'
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Retry-After", "1"),
    ]
    start_response("503 Service Unavailable", headers)
    return [body]
