"""Whose answer is it? Thousands of requests with an id each, among leftovers, cancellations and time-outs."""

from __future__ import annotations

import asyncio
import os
import random

import pytest

from ciload import http
from tests.http.server import Answer, Elsewhere, End, Pause, Received, Server, pieces, response
from tests.http.vu import virtual_user

pytestmark = pytest.mark.anyio

REQUESTS = 100_000 if os.environ.get("CILOAD_TEST_ALL") else 5_000
AT_ONCE = 20


def answer(request: Received) -> Answer:
    """The id comes back; every other time with something that must not reach anybody, too late, or in pieces."""
    number = request.target.removeprefix("/")
    right = response(number.encode(), f"X-Id: {number}")
    chance = random.Random(number).random()
    if chance < 0.5:
        return right
    if chance < 0.6:
        return right + response(b"leftover")
    if chance < 0.7:
        return [right, End.CLOSE]
    if chance < 0.8:
        return pieces(right, 9, 30)
    if chance < 0.85:
        return [Pause(0.2), right]  # after the time-out
    if chance < 0.9:
        return [right[:-1], Pause(0.2), right[-1:]]
    if chance < 0.95:
        return [right[: len(right) // 2], End.RESET]
    return right + b"\r\n"


@pytest.mark.parametrize("stream", [False, True])
async def test_no_answer_is_somebody_elses(stream: bool) -> None:
    """Whatever came before on a connection: a response has the id of its request, or it is none."""
    counts = {"right": 0, "failed": 0, "cancelled": 0}

    async def ask(url: str, numbers: list[int]) -> None:
        for number in numbers:
            try:
                async with asyncio.timeout(0.002 if number % 10 == 0 else None):
                    reply = await http.get(f"{url}/{number}", timeout=0.15, name="/id", stream=stream)
                    text = (await reply.aread()).decode() if stream else reply.text
            except TimeoutError:
                counts["cancelled"] += 1
                continue
            if reply.status_code:
                assert (text, reply.headers["x-id"]) == (str(number), str(number))
                counts["right"] += 1
            else:
                counts["failed"] += 1

    with Elsewhere(lambda: Server(answer)) as server:
        for start in range(0, REQUESTS, 2_500):  # a virtual user of this test lives for some seconds
            async with virtual_user() as vu:
                numbers = range(start, min(REQUESTS, start + 2_500))
                await asyncio.gather(*(ask(server.url, list(numbers[n::AT_ONCE])) for n in range(AT_ONCE)))
                assert not [each for each in vu.client.settings.open if each.busy]
    assert sum(counts.values()) == REQUESTS
    assert counts["right"] > REQUESTS / 2
    assert counts["failed"] > REQUESTS / 20
