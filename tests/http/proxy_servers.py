"""Real proxies on loopback: tinyproxy for HTTP, microsocks for SOCKS5."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.http.server import free_port

USER = "jo"
HTTP_PASSWORD = "secret123"  # tinyproxy takes nothing but letters and digits
SOCKS_PASSWORD = "p@ss:w/rd"


@contextmanager
def http_proxy(folder: Path, *, signing_in: bool = False) -> Iterator[int]:
    """The port of a tinyproxy that may open tunnels to any port; its log is proxy.log in the folder."""
    port = free_port()
    lines = [f"Port {port}", "Listen 127.0.0.1", "Timeout 20", f'LogFile "{folder / "proxy.log"}"', "LogLevel Connect"]
    lines += ["MaxClients 50", f"BasicAuth {USER} {HTTP_PASSWORD}"] if signing_in else ["MaxClients 50"]
    (folder / "proxy.conf").write_text("\n".join(lines) + "\n")
    with running(["tinyproxy", "-d", "-c", str(folder / "proxy.conf")], port):
        yield port


@contextmanager
def socks_proxy(*, signing_in: bool = False) -> Iterator[int]:
    """The port of a microsocks."""
    port = free_port()
    who = ["-u", USER, "-P", SOCKS_PASSWORD] if signing_in else []
    with running(["microsocks", "-i", "127.0.0.1", "-p", str(port), *who], port):
        yield port


@contextmanager
def running(command: list[str], port: int) -> Iterator[None]:
    """A server process that listens on the port, until the end of the block."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port, process)
        yield
    finally:
        process.terminate()
        process.wait(10)


def wait_for(port: int, process: subprocess.Popen[bytes], limit_s: float = 10.0) -> None:
    ends_at = time.monotonic() + limit_s
    while time.monotonic() < ends_at:
        assert process.poll() is None, f"{process.args!r} has ended with {process.returncode}"
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError(f"{process.args!r} does not listen on {port}")
