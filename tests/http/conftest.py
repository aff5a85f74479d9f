"""Tests of the HTTP client run under uvloop, as load tests do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.http.proxy_servers import running
from tests.http.server import free_port

GUNICORN = Path(sys.prefix) / "httpbin" / "bin" / "gunicorn"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return ("asyncio", {"use_uvloop": True})


@pytest.fixture(scope="module")
def httpbin() -> Iterator[str]:
    """httpbin under gunicorn, with threads, so that connections are kept alive."""
    port = free_port()
    command = [str(GUNICORN), "-b", f"127.0.0.1:{port}", "-k", "gthread", "--threads", "8", "httpbin:app"]
    with running(command, port):
        yield f"http://127.0.0.1:{port}"
