"""Libraries that know nothing of ciload, on its connections: openai (on httpx2, and httpx) and postgrest (on httpx)."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.e2e.conftest import Ciload, serving

PYTHON = Path(sys.prefix) / "sdks" / "bin" / "python"
CHAT = {
    "id": "chat-1", "object": "chat.completion", "created": 1, "model": "small",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
}  # fmt: skip
CHUNK = {"id": "chat-1", "object": "chat.completion.chunk", "created": 1, "model": "small"}

OPENAI = """
import {library} as library
from openai import APIConnectionError, AsyncOpenAI, InternalServerError, RateLimitError

from ciload import VU, Trend, check, httpx_transport

options = {{"vus": 3, "iterations": 12, "thresholds": {{"checks": ["rate==1"], "first_token": ["count==12"]}}}}
first_token = Trend("first_token", unit="ms")
HELLO = [{{"role": "user", "content": "Hello"}}]


async def vu_start(vu: VU):
    http_client = library.AsyncClient(transport=httpx_transport(tags={{"sdk": "openai"}}))
    vu.openai = AsyncOpenAI(api_key="key", base_url=vu.base_url + "/v1", http_client=http_client, max_retries=1)


async def default(vu: VU):
    chat = vu.openai.chat.completions
    answer = await chat.create(model="small", messages=HELLO)
    check(answer, {{"it answers": lambda a: a.choices[0].message.content == "Hello"}})
    said = []
    stream = await chat.create(model="small", messages=HELLO, stream=True)
    async for event in stream:
        if not said:
            first_token.add(1)
        said.append(event.choices[0].delta.content)
    check(said, {{"it streams": ["Hel", "lo"].__eq__}})
    try:
        await chat.create(model="busy", messages=HELLO)
    except RateLimitError as error:
        check(error, {{"it is told apart": lambda e: e.status_code == 429}})
    try:
        await chat.create(model="gone", messages=HELLO)
    except APIConnectionError as error:
        check(error.__cause__, {{"as the library says it": lambda e: type(e) is library.RemoteProtocolError}})
"""

POSTGREST = """
import httpx
from postgrest import APIError, AsyncPostgrestClient

from ciload import VU, check, httpx_transport

options = {"vus": 3, "iterations": 12, "thresholds": {"checks": ["rate==1"]}}


async def vu_start(vu: VU):
    url = vu.base_url + "/rest/v1"
    vu.client = httpx.AsyncClient(transport=httpx_transport(), base_url=url)
    vu.rest = AsyncPostgrestClient(url, http_client=vu.client)


async def vu_stop(vu: VU):
    await vu.client.aclose()


async def default(vu: VU):
    users = await vu.rest.from_("users").select("id,name").eq("name", "ada").execute()
    check(users, {"selected": lambda u: u.data == [{"id": 1, "name": "ada"}]})
    made = await vu.rest.from_("users").insert({"name": "ada"}).execute()
    check(made, {"inserted": lambda u: u.data == [{"name": "ada"}]})
    try:
        await vu.rest.from_("missing").select("*").execute()
    except APIError as error:
        check(error, {"refused": lambda e: e.message == "no such table"})
"""


class Services(BaseHTTPRequestHandler):
    """As much of both APIs as the scripts ask for."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/rest/v1/users":
            assert "name=eq.ada" in self.path
            self._answer([{"id": 1, "name": "ada"}])
        else:
            self._answer({"message": "no such table", "code": "42P01", "hint": None, "details": None}, 404)

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.startswith("/rest/v1/users"):
            self._answer([asked], 201)
        elif asked["model"] == "gone":
            self.close_connection = True
        elif asked["model"] == "busy":
            self._answer({"error": {"message": "slow down"}}, 429)
        elif asked.get("stream"):
            self._stream("Hel", "lo")
        else:
            self._answer(CHAT)

    def _answer(self, value: Any, status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Retry-After-Ms", "1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, *tokens: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        choices = [[{"index": 0, "delta": {"content": token}, "finish_reason": None}] for token in tokens]
        for data in (*(json.dumps({**CHUNK, "choices": choice}) for choice in choices), "[DONE]"):
            event = f"data: {data}\n\n".encode()
            self.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def services() -> Iterator[str]:
    with serving(Services) as url:
        yield url


@pytest.fixture
def with_sdks(tmp_path: Path) -> Ciload:
    return Ciload(tmp_path, (str(PYTHON), "-m", "ciload"))


@pytest.mark.parametrize("library", ["httpx2", "httpx"])
def test_openai(with_sdks: Ciload, services: str, library: str) -> None:
    """Answers, streams, errors and repeated requests: each request that was sent is counted once, as what it was."""
    finished = with_sdks.run(OPENAI.format(library=library), "--base-url", services)
    assert finished.code == 0, finished.stdout + finished.stderr
    metrics = finished.result["metrics"]
    assert metrics["http_reqs"]["count"] == 12 * (2 + 2 * 2)
    assert metrics["http_req_failed"]["passes"] == 12 * 4
    endpoints = {(each["name"], each["method"]): each for each in finished.result["endpoints"]}
    assert set(endpoints) == {("/v1/chat/completions", "POST")}


def test_postgrest(with_sdks: Ciload, services: str) -> None:
    """Endpoints have the names of paths, without what is asked of them."""
    finished = with_sdks.run(POSTGREST, "--base-url", services)
    assert finished.code == 0, finished.stdout + finished.stderr
    endpoints = {(each["method"], each["name"]) for each in finished.result["endpoints"]}
    assert endpoints == {("GET", "/rest/v1/users"), ("POST", "/rest/v1/users"), ("GET", "/rest/v1/missing")}
    assert finished.result["metrics"]["http_req_failed"]["passes"] == 12
