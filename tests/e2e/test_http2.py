"""A run over HTTP/2, from the flag to the report."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from tests.e2e.conftest import Ciload
from tests.http.certificates import Authority
from tests.http.server import free_port

APP = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    body = f"{scope['http_version']} {scope['path']}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"""
SCRIPT = """
from ciload import check, http
options = {"vus": 5, "iterations": 100, "thresholds": {"checks": ["rate==1"], "http_req_failed": ["rate==0"]}}
async def default(vu):
    path = f"/{vu.id}/{vu.iteration}"
    replies = await http.batch([http.Request("GET", f"{path}/{n}", name="/item") for n in range(6)])
    for n, reply in enumerate(replies):
        check(reply, {"its own": lambda r, n=n: r.text == f"2 {path}/{n}", "HTTP/2": lambda r: r.http_version == "2"})
"""


@pytest.fixture
def hypercorn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    authority = Authority.create(tmp_path, "authority")
    authority.server_context("127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    (tmp_path / "served.py").write_text(APP)
    pem, port = tmp_path / "authority-127.0.0.1-0.pem", free_port()
    command = [sys.executable, "-m", "hypercorn", "served:app", "--bind", f"127.0.0.1:{port}"]
    with subprocess.Popen([*command, "--certfile", pem, "--keyfile", pem], cwd=tmp_path) as server:
        for _ in range(200):
            try:
                urlopen(f"https://127.0.0.1:{port}").close()
                break
            except URLError:
                time.sleep(0.05)
        yield f"https://127.0.0.1:{port}"
        server.terminate()


def test_a_run_over_http2(ciload: Ciload, hypercorn: str) -> None:
    """Requests at once share a connection: each virtual user has dialed once, and no answer is another's."""
    finished = ciload.run(SCRIPT, "--http2", "auto", "--base-url", hypercorn)
    assert finished.code == 0, finished.stderr
    assert finished.result["options"]["http2"] == "auto"
    metrics = finished.result["metrics"]
    assert metrics["http_reqs"]["count"] == 600
    assert metrics["http_req_tls_handshaking"]["trend"]["count"] == 600
    assert metrics["http_req_tls_handshaking"]["trend"]["max"] > 0


def test_a_server_without_http2_fails_where_it_has_to_be(ciload: Ciload, server: str) -> None:
    """`only`: the report names what is wrong."""
    finished = ciload.run('from ciload import http\nasync def default():\n    await http.get("/users")\n',
                          "--http2", "only", "--base-url", server)  # fmt: skip
    assert finished.code != 0
    assert "the server does not speak HTTP/2" in finished.summary
