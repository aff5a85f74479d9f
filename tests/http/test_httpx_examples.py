"""What httpx's documentation shows, on its own transport and on ours: a server must see, and a script get, the same."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest

from ciload import httpx_transport
from tests.http.vu import virtual_user

pytestmark = pytest.mark.anyio

Example = Callable[[httpx.AsyncClient], Awaitable[Any]]
EXAMPLES: list[Example] = []


def example(function: Example) -> Example:
    EXAMPLES.append(function)
    return function


@example
async def methods(client: httpx.AsyncClient) -> Any:
    answers = [await client.request(method, "/anything") for method in ("GET", "POST", "PUT", "PATCH", "DELETE")]
    head, options = await client.head("/get"), await client.options("/get")
    return [answer.json() for answer in answers], head.status_code, head.content, options.headers["allow"]


@example
async def parameters_in_urls(client: httpx.AsyncClient) -> Any:
    reply = await client.get("/get", params={"key1": "value1", "key2": ["value2", "ä &="]})
    return str(reply.url), reply.json()


@example
async def paths_as_httpx_writes_them(client: httpx.AsyncClient) -> Any:
    return [(await client.get(path)).json()["url"] for path in ("/anything/a b/ä", "/anything/a%2Fb", "/anything/it's")]


@example
async def headers(client: httpx.AsyncClient) -> Any:
    own = {b"user-agent": b"my-app/0.0.1", b"X-Text": "ä".encode(), b"x-empty": b""}
    return (await client.get("/headers", headers=own)).json()


@example
async def form(client: httpx.AsyncClient) -> Any:
    return (await client.post("/post", data={"key1": "value1", "key2": ["value2", "value3"]})).json()


@example
async def json_body(client: httpx.AsyncClient) -> Any:
    return (await client.post("/post", json={"integer": 123, "boolean": True, "list": ["a", "b"]})).json()


@example
async def binary_body(client: httpx.AsyncClient) -> Any:
    answers = [await client.post("/post", content=content) for content in (b"Hello, world", b"x" * 300_000, b"")]
    return [answer.json() for answer in answers]


@example
async def multipart(client: httpx.AsyncClient) -> Any:
    files = {"upload": ("report.xls", io.BytesIO(b"content"), "application/vnd.ms-excel")}
    reply = await client.post("/post", data={"message": "Hello"}, files=files)
    return reply.json()["files"], reply.json()["form"], reply.json()["headers"]["Content-Length"]


@example
async def streaming_up(client: httpx.AsyncClient) -> Any:
    async def upload() -> AsyncIterator[bytes]:
        for number in range(20):
            yield b"%d\n" % number

    chunked = (await client.post("/post", content=upload())).json()
    sized = (await client.post("/post", content=upload(), headers={"Content-Length": "50"})).json()
    return chunked, sized


@example
async def streaming_down(client: httpx.AsyncClient) -> Any:
    seen: list[Any] = []
    async with client.stream("GET", "/stream-bytes/100000", params={"seed": 1}) as reply:
        seen.append(b"".join([piece async for piece in reply.aiter_bytes()]))
    async with client.stream("GET", "/gzip") as reply:
        seen.append((b"".join([piece async for piece in reply.aiter_raw()])[:2], reply.headers["content-encoding"]))
    async with client.stream("GET", "/stream/3") as reply:
        seen.append(len([line async for line in reply.aiter_lines()]))
    async with client.stream("GET", "/json") as reply:
        await reply.aread()
        seen.append(reply.json())
    return seen


@example
async def compressed(client: httpx.AsyncClient) -> Any:
    return [(await client.get(f"/{coding}")).json()["headers"] for coding in ("gzip", "deflate", "brotli")]


@example
async def cookies(client: httpx.AsyncClient) -> Any:
    set_one = await client.get("/cookies/set", params={"chocolate": "chip"})
    client.cookies.set("oatmeal", "raisin")
    seen = (await client.get("/cookies")).json()
    return set_one.status_code, dict(set_one.cookies), seen


@example
async def redirects(client: httpx.AsyncClient) -> Any:
    unfollowed = await client.get("/redirect/2")
    followed = await client.get("/redirect/2", follow_redirects=True)
    posted = await client.post("/redirect-to?url=/anything&status_code=307", content=b"a", follow_redirects=True)
    assert unfollowed.next_request is not None
    history = [answer.status_code for answer in followed.history]
    return unfollowed.status_code, str(unfollowed.next_request.url), history, followed.json(), posted.json()["data"]


@example
async def authentication(client: httpx.AsyncClient) -> Any:
    basic = await client.get("/basic-auth/me/secret", auth=("me", "secret"))
    digest = await client.get("/digest-auth/auth/me/secret", auth=httpx.DigestAuth("me", "secret"))
    in_url = await client.get(str(client.base_url.copy_with(path="/basic-auth/me/x", username="me", password="x")))
    return basic.json(), digest.status_code, [answer.status_code for answer in digest.history], in_url.json()


@example
async def statuses(client: httpx.AsyncClient) -> Any:
    reply = await client.get("/status/404")
    with pytest.raises(httpx.HTTPStatusError) as raised:
        reply.raise_for_status()
    return reply.status_code, reply.reason_phrase, reply.http_version, str(raised.value), reply.is_closed


@example
async def event_hooks(client: httpx.AsyncClient) -> Any:
    seen: list[Any] = []

    async def before(request: httpx.Request) -> None:
        seen.append((request.method, str(request.url)))

    async def after(response: httpx.Response) -> None:
        await response.aread()
        seen.append((response.status_code, len(response.content) > 10))

    client.event_hooks = {"request": [before], "response": [after]}
    await client.get("/get")
    return seen


@pytest.mark.parametrize("run", EXAMPLES, ids=lambda each: each.__name__)
async def test_examples_do_the_same(httpbin: str, run: Example) -> None:
    """Each of them, and every request is counted once."""
    asked: list[httpx.Request] = []

    async def ask(request: httpx.Request) -> None:
        asked.append(request)

    seen = []
    async with virtual_user() as vu:
        for transport in (httpx.AsyncHTTPTransport(), httpx_transport()):
            async with httpx.AsyncClient(transport=transport, base_url=httpbin) as client:
                asked.clear()
                client.event_hooks = {"request": [ask], "response": []}
                seen.append(await run(client))
        assert vu.count() == (len(asked) or 1)  # one, where the example has hooks of its own
        assert vu.session.jar.header_for(vu.client.preparer.prepare(("GET", httpbin, ())).target, None) == ""
    assert seen[1] == seen[0]
