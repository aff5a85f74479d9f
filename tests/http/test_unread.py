"""What lies in a socket that nobody has looked at: answers too many, ends, and answers to what was not all sent.

The servers are threads: they go on while the event loop, busy with the script, does not look.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from ciload import http
from tests.http.server import response
from tests.http.vu import virtual_user

pytestmark = pytest.mark.anyio

BLOCKED_S = 0.03


@contextmanager
def serving(talk: Callable[[socket.socket, int], None]) -> Iterator[str]:
    """A server that has this talk on each connection, which is numbered from 1; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threads: list[threading.Thread] = []

        def accept() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                threads.append(threading.Thread(target=converse, args=(peer, len(threads) + 1), daemon=True))
                threads[-1].start()

        def converse(peer: socket.socket, number: int) -> None:
            with peer, suppress(OSError):  # the client has gone
                talk(peer, number)

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()


def request_of(peer: socket.socket) -> str:
    """The path of the next request, without its body; "" at the end."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = peer.recv(65536)
        if not more:
            return ""
        data += more
    return data.split(b" ")[1].decode()


def answer_all(peer: socket.socket) -> None:
    while path := request_of(peer):
        peer.sendall(response(path.encode()))


@pytest.mark.parametrize("surplus", [response(b"wrong"), response(b"", status="408 Request Timeout"), b"x"])
async def test_an_answer_too_many_is_nobodys(surplus: bytes) -> None:
    """It came after the one that was asked for, and is not taken for the answer to the next request."""

    def talk(peer: socket.socket, _: int) -> None:
        while path := request_of(peer):
            peer.sendall(response(path.encode()))
            time.sleep(BLOCKED_S / 3)
            peer.sendall(surplus)

    with serving(talk) as url:
        async with virtual_user() as vu:
            for number in range(10):
                answer = await http.get(f"{url}/{number}")
                assert (answer.status_code, answer.text) == (200, f"/{number}")
                time.sleep(BLOCKED_S)  # the script computes
            assert vu.failed() == (0, 10)


async def test_a_post_is_not_sent_where_the_end_has_come_already() -> None:
    """It could not be sent again (RFC 9110 9.2.2), so it goes on a new connection at once."""

    def talk(peer: socket.socket, _: int) -> None:
        request_of(peer)
        peer.sendall(response(b"ok"))
        time.sleep(BLOCKED_S / 3)

    with serving(talk) as url:
        async with virtual_user() as vu:
            for _ in range(10):
                assert (await http.post(url, content=b"")).text == "ok"
                time.sleep(BLOCKED_S)
            assert vu.failed() == (0, 10)


async def test_connections_that_nothing_has_happened_to_are_used_again() -> None:
    """However long they have rested."""
    numbers: set[int] = set()

    def talk(peer: socket.socket, number: int) -> None:
        numbers.add(number)
        answer_all(peer)

    with serving(talk) as url:
        async with virtual_user():
            for number in range(5):
                assert (await http.get(f"{url}/{number}")).text == f"/{number}"
                await asyncio.sleep(0.005)
    assert numbers == {1}


@pytest.mark.parametrize("size", [6_000_000, 20_000_000])
async def test_a_server_that_refuses_an_upload_is_heard(size: int) -> None:
    """It answers, closes, and reads no more: writing fails, and the answer lies in the socket."""

    def talk(peer: socket.socket, _: int) -> None:
        request_of(peer)
        peer.sendall(response(b"too large", "Connection: close", status="413 Content Too Large"))

    with serving(talk) as url:
        async with virtual_user() as vu:
            body = b"x" * size
            answers = [await http.post(url, content=body) for _ in range(20)]
            assert {(each.status_code, each.text, each.error_code) for each in answers} == {(413, "too large", 1413)}
            await asyncio.sleep(0.02)  # for the last one to say goodbye
            assert not vu.client.settings.open
