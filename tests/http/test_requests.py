"""What a script asks for is what goes on the wire, and what it is measured under."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ciload import http
from ciload.http.request import MOST_PREPARED, USER_AGENT
from ciload.http.session import NoVirtualUserError
from tests.http.server import Received, Server, response
from tests.http.vu import run, virtual_user

pytestmark = pytest.mark.anyio

OK = response(b"ok")


async def sent(method: str = "GET", path: str = "/", **arguments: Any) -> Received:
    """The request as a server saw it."""
    async with Server(lambda request: OK[: -2 if request.method == "HEAD" else None]) as server, virtual_user() as vu:
        answer = await http.request(method, server.url + path, **arguments)
        assert (answer.status_code, answer.error) == (200, "")
        request = server.requests[0]
        assert vu.count("data_sent") == len(request.head) + len(request.body)
        assert request.header("host") in (f"127.0.0.1:{server.port}", "shop.test")
    return request


# --- methods, lines, default headers


@pytest.mark.parametrize("name", ["get", "head", "options", "delete", "post", "put", "patch"])
async def test_every_verb_has_its_function(name: str) -> None:
    """`http.get` and its siblings send their method, and samples carry it."""
    async with Server(lambda request: OK[: -2 if request.method == "HEAD" else None]) as server, virtual_user() as vu:
        answer = await getattr(http, name)(server.url)
        assert answer.status_code == 200
        assert answer.method == answer.request.method == name.upper()
        assert vu.count(method=name.upper()) == 1
    assert server.requests[0].method == name.upper()


async def test_only_two_headers_are_sent_unasked() -> None:
    """Without arguments a request carries Host and User-Agent, nothing that changes what the server does."""
    request = await sent()
    assert [name for name, _ in request.headers] == ["host", "user-agent"]
    assert request.header("user-agent") == USER_AGENT
    assert request.head.startswith(b"GET / HTTP/1.1\r\nhost: ")


@pytest.mark.parametrize(("method", "length"), [("POST", "0"), ("PUT", "0"), ("PATCH", "0"), ("GET", None)])
async def test_length_of_no_body(method: str, length: str | None) -> None:
    """Methods that imply a body say that there is none; the others keep silent."""
    assert (await sent(method)).header("content-length") == length


async def test_method_is_sent_in_upper_case() -> None:
    """`request("get", ...)` is GET."""
    assert (await sent("get")).method == "GET"


async def test_unusual_methods_are_sent() -> None:
    """A method that ciload has never heard of goes out as it is."""
    assert (await sent("PROPFIND")).method == "PROPFIND"


@pytest.mark.parametrize("method", ["", "GET /x", "GET\r\nX: y", "GÉT", None, b"GET"])
async def test_invalid_method_is_refused(method: Any) -> None:
    """A method that would break the request line is the script's mistake; nothing is sent."""
    async with Server(OK) as server, virtual_user() as vu:
        with pytest.raises(ValueError, match="invalid method"):
            await http.request(method, server.url)
        assert vu.count() == 0
    assert server.connections == 0


@pytest.mark.parametrize("url", [None, b"http://host/", 5])
async def test_url_must_be_text(url: Any) -> None:
    """A URL of another type is the script's mistake."""
    async with virtual_user() as vu:
        with pytest.raises(TypeError, match="URL"):
            await http.get(url)
        assert vu.count() == 0


def test_requests_need_a_virtual_user() -> None:
    """A request at the top level of a script is refused with an explanation."""
    with pytest.raises(NoVirtualUserError, match="top level"):
        run(lambda: http.get("http://127.0.0.1/"))


# --- URLs


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("", "/"),
        ("/a/b;c=1", "/a/b;c=1"),
        ("/a b/ü", "/a%20b/%C3%BC"),
        ("/already%20quoted%2F", "/already%20quoted%2F"),
        ("/a?x=1&y=a+b%20c", "/a?x=1&y=a+b%20c"),
        ("/a?q=ü d", "/a?q=%C3%BC%20d"),
        ("?x=1", "/?x=1"),
        ("/a#fragment", "/a"),
        ("/a?x=1#fragment", "/a?x=1"),
        ("//double", "//double"),
        ("/a/../b", "/a/../b"),
        ('/"<>\\^`{|}', "/%22%3C%3E%5C%5E%60%7B%7C%7D"),
    ],
)
async def test_url_becomes_a_request_target(path: str, target: str) -> None:
    """What cannot stand in a request line is quoted, what is quoted stays, fragments are not sent."""
    assert (await sent(path=path)).target == target


@pytest.mark.parametrize("break_", ["\r\n", "\n", "\t", "\r"])
async def test_line_breaks_in_urls_cannot_add_headers(break_: str) -> None:
    """A URL with line breaks does not become a second header."""
    request = await sent(path=f"/a{break_}X-Evil: 1{break_}{break_}")
    assert [name for name, _ in request.headers] == ["host", "user-agent"]


@pytest.mark.parametrize(
    ("path", "params", "target"),
    [
        ("/", {"a": 1, "b": "x y", "c": True, "d": None}, "/?a=1&b=x+y&c=true&d="),
        ("/", {"a": [1, 2], "b": ()}, "/?a=1&a=2"),
        ("/", [("a", "1"), ("a", "2")], "/?a=1&a=2"),
        ("/p?x=1", {"a": "&=#?ü"}, "/p?x=1&a=%26%3D%23%3F%C3%BC"),
        ("/p#part", {"a": 1.5}, "/p?a=1.5"),
        ("/p?x=1", {}, "/p?x=1"),
        ("/p?", {"a": "1"}, "/p?a=1"),
    ],
)
async def test_params_are_added_to_the_query(path: str, params: Any, target: str) -> None:
    """`params` joins what the URL already asks, encoded."""
    assert (await sent(path=path, params=params)).target == target


@pytest.mark.parametrize("url", ["x", "/x", "//x", "./x", "x?q=1"])
@pytest.mark.parametrize("prefix", ["/v1", "/v1/"])
async def test_relative_urls_are_below_the_base(prefix: str, url: str) -> None:
    """With a base URL, scripts may leave host and prefix out, in names as well."""
    async with Server(OK) as server, virtual_user(base_url=server.url + prefix) as vu:
        assert (await http.get(url)).text == "ok"
        assert vu.names == {"/x"}
    assert server.targets[0].split("?")[0] == "/v1/x"


async def test_absolute_urls_ignore_the_base() -> None:
    """A full URL goes where it says."""
    async with Server(OK) as server, virtual_user(base_url="http://nowhere.invalid/"):
        assert (await http.get(server.url)).text == "ok"


# --- bodies

FORM = "application/x-www-form-urlencoded"
BODIES: list[tuple[dict[str, Any], bytes, str | None]] = [
    ({"json": {"a": [1, None, True], "é": "ü"}}, '{"a":[1,null,true],"é":"ü"}'.encode(), "application/json"),
    ({"json": []}, b"[]", "application/json"),
    ({"json": 0}, b"0", "application/json"),
    ({"json": ""}, b'""', "application/json"),
    ({"data": {"a": 1, "b": ["x", "y z"], "c": None, "d": False}}, b"a=1&b=x&b=y+z&c=&d=false", FORM),
    ({"data": [("a", "1"), ("a", "2")]}, b"a=1&a=2", FORM),
    ({"data": {}}, b"", FORM),
    ({"data": "ü"}, "ü".encode(), None),
    ({"data": b"\x00\xff"}, b"\x00\xff", None),
    ({"content": "ü"}, "ü".encode(), "text/plain; charset=utf-8"),
    ({"content": b"\x00\xff"}, b"\x00\xff", None),
    ({"content": bytearray(b"ab")}, b"ab", None),
    ({"content": ""}, b"", "text/plain; charset=utf-8"),
]


@pytest.mark.parametrize(("arguments", "body", "content_type"), BODIES)
async def test_body_and_its_type(arguments: dict[str, Any], body: bytes, content_type: str | None) -> None:
    """`json`, `data` and `content` are encoded as httpx does it, with a length that fits."""
    request = await sent("POST", **arguments)
    assert request.body == body
    assert request.header("content-length") == str(len(body))
    assert request.header("content-type") == content_type


async def test_own_content_type_wins() -> None:
    """A Content-Type of the script replaces the implied one, whatever its case."""
    request = await sent("PUT", json={"a": 1}, headers={"CONTENT-type": "application/vnd.api+json"})
    assert request.header("content-type") == "application/vnd.api+json"
    assert json.loads(request.body) == {"a": 1}


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_any_method_may_have_a_body(method: str) -> None:
    """A body is sent, with its length, by whatever method."""
    request = await sent(method, content=b"body")
    assert (request.body, request.header("content-length")) == (b"body", "4")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"json": 1, "data": "x"}, ValueError),
        ({"data": "x", "content": "y"}, ValueError),
        ({"json": float("nan")}, ValueError),
        ({"json": {1, 2}}, TypeError),
        ({"content": 5}, TypeError),
        ({"data": 5}, TypeError),
        ({"content": {"a": 1}}, TypeError),
    ],
)
async def test_body_that_cannot_be_sent(arguments: dict[str, Any], error: type[Exception]) -> None:
    """A body that is none, or two at once, is the script's mistake; nothing is sent or counted."""
    async with Server(OK) as server, virtual_user() as vu:
        with pytest.raises(error):
            await http.post(server.url, **arguments)
        assert vu.count() == 0
    assert server.connections == 0


# --- headers


async def test_headers_are_sent_as_given() -> None:
    """Names keep their case, numbers become text, bytes and non-ASCII text go out as they are."""
    headers = {"X-CamelCase": "a b", "X-Number": 5, "X-Bytes": b"\xff", "X-Text": "ü", "X-Empty": ""}
    request = await sent(headers=headers)
    assert b"\r\nX-CamelCase: a b\r\n" in request.head
    assert b"\r\nX-Number: 5\r\n" in request.head
    assert b"\r\nX-Bytes: \xff\r\n" in request.head
    assert "\r\nX-Text: ü\r\n".encode() in request.head
    assert b"\r\nX-Empty: \r\n" in request.head


async def test_repeated_headers_are_all_sent() -> None:
    """Pairs may name a header twice, and both values arrive, in order."""
    request = await sent(headers=[("X-A", "1"), ("X-B", "2"), ("x-a", "3")])
    assert [value for name, value in request.headers if name == "x-a"] == ["1", "3"]


async def test_header_values_that_are_equal_in_python_are_told_apart() -> None:
    """1, 1.0 and True are different texts, also when they follow each other."""
    async with Server(OK) as server, virtual_user():
        for value in (1, 1.0, True, "1"):
            await http.get(server.url, headers={"X-Value": value})
    assert [request.header("x-value") for request in server.requests] == ["1", "1.0", "True", "1"]


async def test_own_user_agent_and_host_replace_ours() -> None:
    """User-Agent and Host can be set, and are sent once."""
    request = await sent(headers={"user-AGENT": "me/1", "Host": "shop.test"})
    assert [name for name, _ in request.headers] == ["host", "user-agent"]
    assert (request.header("user-agent"), request.header("host")) == ("me/1", "shop.test")


async def test_own_host_does_not_change_the_connection() -> None:
    """A virtual host is asked on the same connection, and measured under the URL."""
    async with Server(OK) as server, virtual_user() as vu:
        for host in ("a.test", "b.test"):
            assert (await http.get(server.url, headers={"Host": host})).text == "ok"
        assert vu.names == {f"{server.url}/"}
    assert [request.header("host") for request in server.requests] == ["a.test", "b.test"]
    assert server.connections == 1


@pytest.mark.parametrize("name", ["Content-Length", "content-length", "Transfer-Encoding"])
async def test_framing_headers_are_not_the_scripts(name: str) -> None:
    """A Content-Length or Transfer-Encoding of the script is left out: it would only break the framing."""
    request = await sent("POST", content=b"four", headers={name: "999"})
    assert request.header("content-length") == "4"
    assert request.header("transfer-encoding") is None
    assert request.body == b"four"


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "1\r\nX-Evil: 1"},
        {"X-A": "1\nX-Evil: 1"},
        {"X-A": "1\rX-Evil: 1"},
        {"X-A": b"1\r\nX-Evil: 1"},
        {"X-A": "1\x00"},
        {"X-A\r\nX-Evil": "1"},
        {"X-A: 1\r\nX-Evil": "1"},
        {"X A": "1"},
        {"X-A:": "1"},
        {"": "1"},
        {"Host": "a\r\nX-Evil: 1"},
        {"Content-Length": "1\r\nX-Evil: 1"},
        {"User-Agent": "a\r\n\r\nGET /evil HTTP/1.1"},
        [("X-A", "1\r\nX-Evil: 1")],
    ],
)
async def test_headers_cannot_smuggle_headers(headers: Any) -> None:
    """Line breaks and NUL in a name or a value are refused with ValueError before anything is sent."""
    async with Server(OK) as server, virtual_user() as vu:
        for _ in range(2):
            with pytest.raises(ValueError, match="header"):
                await http.get(server.url, headers=headers)
        assert vu.count() == 0
    assert server.connections == 0


@pytest.mark.parametrize("value", [None, ["a", "b"], {"a": 1}, object()])
async def test_header_of_another_type_is_refused(value: Any) -> None:
    """A header value that is no text or number is the script's mistake."""
    async with Server(OK) as server, virtual_user():
        with pytest.raises(TypeError):
            await http.get(server.url, headers={"X-A": value})
    assert server.connections == 0


# --- credentials, names, tags


async def test_credentials_in_the_url_become_basic_auth() -> None:
    """Userinfo is sent as Basic auth, unquoted, and shows up nowhere else."""
    async with Server(OK) as server, virtual_user() as vu:
        url = server.url.replace("//", "//ann:p%40ss:w%2Ford@") + "/x?token=secret#part"
        answer = await http.get(url)
        assert answer.url == f"{server.url}/x?token=secret"
        assert vu.names == {f"{server.url}/x"}
        assert "p@ss" not in repr(answer)
    request = server.requests[0]
    assert request.header("authorization") == "Basic YW5uOnBAc3M6dy9vcmQ="
    assert request.header("host") == f"127.0.0.1:{server.port}"
    assert request.target == "/x?token=secret"


async def test_own_authorization_wins_over_the_url() -> None:
    """An Authorization header of the script is the one that is sent."""
    async with Server(OK) as server, virtual_user():
        await http.get(server.url.replace("//", "//ann:pw@"), headers={"authorization": "Bearer x"})
    assert server.requests[0].header("authorization") == "Bearer x"


async def test_user_without_password() -> None:
    """A lone user name is sent with an empty password."""
    async with Server(OK) as server, virtual_user():
        await http.get(server.url.replace("//", "//ann@"))
    assert server.requests[0].header("authorization") == "Basic YW5uOg=="


async def test_requests_are_measured_under_their_url_without_query() -> None:
    """Queries do not multiply series; `name` replaces the URL."""
    async with Server(OK) as server, virtual_user() as vu:
        for number in range(3):
            await http.get(f"{server.url}/item?id={number}")
            await http.get(f"{server.url}/item/{number}", name="/item/{id}")
            await http.get(f"{server.url}/item", params={"id": number})
        assert vu.names == {f"{server.url}/item", "/item/{id}"}
        assert vu.count(name="/item/{id}") == 3
        assert vu.count(name=f"{server.url}/item") == 6


async def test_tags_are_added_to_the_samples() -> None:
    """Tags of a request select its samples; the facts of the request cannot be faked by a tag."""
    numbered: Any = {"team": "b", "n": 5}
    async with Server(OK) as server, virtual_user() as vu:
        await http.get(server.url, tags={"team": "a", "status": "999"})
        await http.get(server.url, tags=numbered)
        await http.get(server.url)
        assert vu.count(team="a", status="200", method="GET") == 1
        assert vu.count(n="5", scenario="default") == 1
        assert vu.count(status="999") == 0
        assert vu.count() == 3
        assert vu.snapshot().trend("http_req_waiting", {"team": "a"}).count == 1


@pytest.mark.parametrize("tags", [["a"], "team", 5])
async def test_tags_must_be_a_mapping(tags: Any) -> None:
    """Tags of another type are refused before anything is sent, not after."""
    async with Server(OK) as server, virtual_user():
        with pytest.raises(TypeError):
            await http.get(server.url, tags=tags)
    assert server.connections == 0


async def test_many_different_requests_stay_in_bounded_memory() -> None:
    """A script that never asks for the same URL twice does not make the memory of requests grow without end."""
    async with virtual_user() as vu:
        for number in range(MOST_PREPARED + 100):
            vu.client.preparer.prepare(("GET", f"http://host/{number}", ()))
        assert len(vu.client.preparer.memory) <= MOST_PREPARED


async def test_errors_by_status_are_counted() -> None:
    """4xx and 5xx are failed requests with code 1000 + status and no error text; 2xx and 3xx are not."""
    statuses = [200, 204, 301, 304, 399, 400, 404, 429, 500, 503, 599]

    def answer(request: Received) -> bytes:
        return b"HTTP/1.1 %b X\r\nContent-Length: 0\r\n\r\n" % request.target[1:].encode()

    async with Server(answer) as server, virtual_user() as vu:
        for status in statuses:
            seen = await http.get(f"{server.url}/{status}")
            assert seen.status_code == status
            assert seen.error == ""
            assert seen.error_code == (1000 + status if status >= 400 else 0)
            assert vu.failed(status=str(status)) == (int(status >= 400), 1)
        errors = vu.snapshot().request_errors.entries
    assert {message for _, message in errors} == {f"HTTP {status}" for status in statuses if status >= 400}


async def test_timings_add_up() -> None:
    """The phases that a script sees are those that are measured: duration is sending, waiting and receiving."""
    async with Server(OK) as server, virtual_user() as vu:
        answer = await http.get(server.url)
        timings = answer.timings
        assert timings.duration == timings.sending + timings.waiting + timings.receiving > 0
        assert answer.elapsed.total_seconds() * 1e3 == pytest.approx(timings.duration, abs=0.001)
        for phase in ("blocked", "connecting", "looking_up", "sending", "waiting", "receiving", "duration"):
            measured = vu.snapshot().trend(f"http_req_{phase}")
            assert measured.count == 1
            assert measured.sum == pytest.approx(getattr(timings, phase), abs=1e-6)
            assert getattr(timings, phase) >= 0
