"""Who is asking: basic, bearer, digest, functions and httpx's classes; and the cookies of one request."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Generator

import httpx
import pytest

from ciload import http
from tests.http.server import Answer, End, Received, Server, in_turn, redirect, response
from tests.http.vu import virtual_user

pytestmark = pytest.mark.anyio

OK = response(b"ok")
BASIC = "Basic YW5uOmh1bnRlcjI="


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        (("ann", "hunter2"), BASIC),
        (http.BasicAuth("ann", "hunter2"), BASIC),
        (http.BearerAuth("t0ken"), "Bearer t0ken"),
        (httpx.BasicAuth("ann", "hunter2"), BASIC),
    ],
)
async def test_a_header_says_who_asks(auth: http.BasicAuth | tuple[str, str], header: str) -> None:
    """Over what the URL says, with bodies and in batches."""
    async with Server(OK) as server, virtual_user():
        assert (await http.get(server.url.replace("//", "//bob:x@"), auth=auth)).text == "ok"
        await http.post(server.url, auth=auth, json={"a": 1}, headers={"X-A": "1"})
        await http.batch([http.Request("GET", server.url, auth=auth)])
        assert [request.header("authorization") for request in server.requests] == [header] * 3
        assert (server.requests[1].body, server.requests[1].header("x-a")) == (b'{"a":1}', "1")


def test_secrets_are_not_shown() -> None:
    """In a traceback or a log, for example."""
    assert "hunter2" not in repr(http.BasicAuth("ann", "hunter2"))
    assert "t0ken" not in repr(http.BearerAuth("t0ken"))


@pytest.mark.parametrize("auth", ["ann:hunter2", 1, ("ann",), {"user": "ann"}])
async def test_what_authenticates_nobody_is_the_scripts_mistake(auth: object) -> None:
    """It says what there is, and nothing of what was given."""
    async with virtual_user() as vu:
        with pytest.raises(TypeError, match="auth= takes") as caught:
            await http.get("http://127.0.0.1:1/", auth=auth)  # type: ignore[arg-type]
        assert "hunter2" not in str(caught.value)
        assert vu.count() == 0


CHALLENGE = response(b"", 'WWW-Authenticate: Digest realm="r", nonce="n1", qop="auth"', status="401 Unauthorized")


def digest(request: Received) -> Answer:
    """A server that asks for digest authentication (RFC 7616), for ann with hunter2."""
    given = dict(re.findall(r'(\w+)="?([^",]*)"?', request.header("authorization") or ""))
    if not given:
        return CHALLENGE

    def md5(*parts: str) -> str:
        return hashlib.md5(":".join(parts).encode()).hexdigest()  # the protocol's choice

    proof = md5(
        md5("ann", "r", "hunter2"), "n1", given["nc"], given["cnonce"], "auth", md5(request.method, request.target)
    )
    right = given["response"] == proof and given["uri"] == request.target
    return OK if right else response(b"", status="403 Forbidden")


async def test_digest_answers_the_challenge_and_remembers_it() -> None:
    """The first 401 is expected, as in k6; with the same object, the next request needs none."""
    auth = http.DigestAuth("ann", "hunter2")
    async with Server(digest) as server, virtual_user() as vu:
        first = await http.post(f"{server.url}/a?b=1", auth=auth, json={"a": 1})
        assert (first.text, [hop.status_code for hop in first.history]) == ("ok", [401])
        second = await http.get(f"{server.url}/b", auth=auth)
        assert (second.text, second.history) == ("ok", ())
        assert [request.body for request in server.requests] == [b'{"a":1}', b'{"a":1}', b""]
        assert vu.failed() == (0, 3)
        assert vu.failed(status="401", expected_response="true") == (0, 1)
        wrong = await http.get(server.url, auth=http.DigestAuth("ann", "wrong"))
        assert wrong.status_code == 403
        assert vu.failed() == (1, 5)
    assert server.connections == 1


async def test_digest_behind_a_redirect() -> None:
    """The other place of the same server is answered for itself; another server gets nothing."""

    def answer(request: Received) -> Answer:
        return redirect("/there") if request.target == "/here" else digest(request)

    async with Server(answer) as server, Server(OK) as other, virtual_user():
        reply = await http.get(f"{server.url}/here", auth=http.DigestAuth("ann", "hunter2"))
        assert (reply.text, [hop.status_code for hop in reply.history]) == ("ok", [302, 401])
        server.answer = redirect(f"{other.url}/x")
        for auth in (http.DigestAuth("ann", "hunter2"), http.BearerAuth("t")):
            assert (await http.get(f"{server.url}/here", auth=auth, cookies={"s": "1"})).text == "ok"
        assert {request.header("authorization") for request in other.requests} == {None}
        assert {request.header("cookie") for request in other.requests} == {None}


async def test_a_challenge_without_an_answer_has_failed() -> None:
    """A 401 that nothing can be said to is a 401."""
    async with Server(response(b"", status="401 Unauthorized")) as server, virtual_user():
        reply = await http.get(server.url, auth=http.DigestAuth("ann", "hunter2"))
        assert (reply.status_code, reply.error_code) == (401, 1401)


class Token(httpx.Auth):
    """Fetches a token when there is none, as the classes of SDKs do."""

    requires_response_body = True

    def __init__(self, url: str) -> None:
        self.url = url
        self.token = ""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if not self.token:
            answer = yield httpx.Request("POST", self.url, json={"id": 1})
            self.token = answer.json()["token"]
        request.headers["X-Token"] = self.token
        yield request


async def test_a_class_of_httpx_and_a_function() -> None:
    """What was written for httpx works as it is, and each of its requests is measured."""
    async with Server(in_turn(response(b'{"token": "t1"}'), OK)) as server, virtual_user() as vu:
        auth = Token(f"{server.url}/token")
        for _ in range(2):
            assert (await http.put(f"{server.url}/x", auth=auth, content=b"body")).text == "ok"

        def sign(request: httpx.Request) -> httpx.Request:
            request.headers["X-Signature"] = str(len(request.content))
            return request

        await http.put(f"{server.url}/x", auth=sign, content=b"body")
        assert [request.target for request in server.requests] == ["/token", "/x", "/x", "/x"]
        assert [request.header("x-token") for request in server.requests] == [None, "t1", "t1", None]
        assert server.requests[3].header("x-signature") == "4"
        assert [request.body for request in server.requests] == [b'{"id":1}', b"body", b"body", b"body"]
        assert vu.count() == 4


async def test_flows_and_what_goes_wrong() -> None:
    """A request without a response ends the flow; bytes in headers and streams go through it; a name stays a name."""
    async with Server(digest) as server, virtual_user() as vu:
        reply = await http.get(
            server.url, auth=http.DigestAuth("ann", "hunter2"), headers={"X-A": b"1"}, stream=True, name="here"
        )
        assert await reply.aread() == b"ok"
        assert {request.header("x-a") for request in server.requests} == {"1"}
        assert vu.names == {"here"}
        assert server.connections == 1
    async with Server([End.CLOSE]) as server, virtual_user() as vu:
        for auth in (Token(f"{server.url}/token"), Token("nowhere://x")):
            failed = await http.get(server.url, auth=auth)
            assert (failed.status_code, failed.error_code) == (0, 1000)
        assert vu.failed() == (2, 2)


async def test_an_argument_is_stronger_than_a_header() -> None:
    """As in httpx: one Authorization is sent."""
    async with Server(OK) as server, virtual_user():
        await http.get(server.url, auth=http.BearerAuth("t"), headers={"authorization": "other"})
        assert server.requests[0].header("authorization") == "Bearer t"


async def test_cookies_of_one_request() -> None:
    """Beside those of the virtual user or in their place, and gone with the request."""
    async with Server(response(b"", "Set-Cookie: a=1", "Set-Cookie: b=2")) as server, virtual_user() as vu:
        await http.get(server.url)
        server.answer = OK
        await http.get(server.url, cookies={"b": "mine", "c": "3"})
        await http.get(server.url)
        await http.post(server.url, cookies={"c": "3"}, headers={"Cookie": "own=1"})
        assert [request.header("cookie") for request in server.requests] == [
            None, "a=1; b=mine; c=3", "a=1; b=2", "own=1",
        ]  # fmt: skip
        assert len(vu.session.jar) == 2


@pytest.mark.parametrize("cookies", [{"a": "1; b=2"}, {"a\r\nX": "1"}, {"": "1"}, {"a": "1\r\n"}, {"a=b": "1"}])
async def test_cookies_that_would_be_more_than_one(cookies: dict[str, str]) -> None:
    """Nothing is sent."""
    async with Server(OK) as server, virtual_user() as vu:
        with pytest.raises(ValueError, match="cookies: "):
            await http.get(server.url, cookies=cookies)
        assert vu.count() == 0
