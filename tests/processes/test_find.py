"""Which process is the target, and what is said when it cannot be seen."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from ciload.processes import find
from ciload.processes.find import NotFoundError, find_source


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def url_of(listener: socket.socket) -> str:
    return f"http://localhost:{listener.getsockname()[1]}"


def complaint(wanted: str, url: str) -> str:
    with pytest.raises(NotFoundError) as caught:
        find_source(wanted, url)
    return str(caught.value)


@pytest.mark.parametrize("wanted", ["port", "auto", str(os.getpid())], ids=["port", "auto", "id"])
def test_a_process_is_found_by_its_port_or_its_id(listener: socket.socket, wanted: str) -> None:
    """Either names it, and tells its CPU time."""
    source = find_source(wanted, url_of(listener))

    assert f"PID {os.getpid()}" in source.name
    assert (source.read() or 0) > 0


def test_of_workers_that_share_a_socket_the_first_process_counts(listener: socket.socket) -> None:
    """Workers inherit the socket; whoever started them is the whole server."""
    worker = subprocess.Popen([sys.executable, "-c", "input()"], pass_fds=[listener.fileno()], stdin=subprocess.PIPE)
    try:
        assert f"PID {os.getpid()}," in find_source("port", url_of(listener)).name
        assert find._top(worker.pid, listener.getsockname()[1]) == os.getpid()
    finally:
        worker.communicate(b"\n")


def test_nobody_listens(listener: socket.socket) -> None:
    """The remedy is to start it first, or to name the container."""
    url = url_of(listener)
    listener.close()

    assert "start the target before the load" in complaint("port", url)


def test_another_machine_cannot_be_seen() -> None:
    """A remote host is named as one."""
    assert complaint("port", "http://192.0.2.1:80") == (
        "192.0.2.1 is another machine, whose processes cannot be seen from here"
    )


def test_no_such_process() -> None:
    """An ID that nobody has, at least in this namespace."""
    assert "there is no process PID 4194305 in sight" in complaint("4194305", "http://localhost")


def row(listener: socket.socket, pid: int | None) -> Any:
    return SimpleNamespace(
        status=psutil.CONN_LISTEN, laddr=SimpleNamespace(ip="0.0.0.0", port=listener.getsockname()[1]), pid=pid
    )


def test_a_process_of_somebody_else_cannot_be_seen(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """The port is taken, but by whom is not told to everybody."""
    monkeypatch.setattr(psutil, "net_connections", lambda _: [row(listener, None)])

    assert "belongs to another user, or to a container" in complaint("port", url_of(listener))


def test_a_forwarder_is_not_the_target(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Docker's proxy listens in a container's stead; its CPU time says nothing of the server."""
    monkeypatch.setattr(psutil, "net_connections", lambda _: [row(listener, os.getpid())])
    monkeypatch.setattr(find, "_name", lambda _: "docker-proxy")

    assert "say container:NAME" in complaint("port", url_of(listener))
