"""A small server that burns a fixed amount of CPU for each request: a target whose changes are known.

    python -m ciload.doctor.server STEPS

prints its port and serves until its standard input is closed, so that it never outlives whoever started it. The work is
a number of steps, not a time: a machine that becomes slower makes it slower, as it would any service.
"""

from __future__ import annotations

import asyncio
import sys
import time

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: text/plain\r\n\r\nok"
END_OF_HEAD = b"\r\n\r\n"
TRIES = 5


def work(steps: int) -> int:
    """Burn CPU."""
    total = 0
    for step in range(steps):
        total += step
    return total


def steps_for(seconds: float) -> int:
    """How many steps take so much CPU time here, at the best of a few tries."""
    sample = 50_000
    taken_s = []
    for _ in range(TRIES):
        began = time.thread_time()
        work(sample)
        taken_s.append(time.thread_time() - began)
    return max(1, round(sample * seconds / max(min(taken_s), 1e-9)))


class Answering(asyncio.Protocol):
    """One connection. Requests have no bodies."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while END_OF_HEAD in self._received:
            self._received = self._received.partition(END_OF_HEAD)[2]
            work(self._steps)
            self._transport.write(ANSWER)


async def serve(steps: int) -> None:
    """Until standard input is closed."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    server = await loop.create_server(lambda: Answering(steps), "127.0.0.1", 0)
    loop.add_reader(sys.stdin.fileno(), done.set)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await done.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
