"""Whatever goes wrong between ciload and the target becomes a failed response with k6's code, never an exception."""

from __future__ import annotations

import asyncio
import errno
import gzip
import os
import socket
import sys
from contextlib import suppress
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ciload import http
from ciload.errors import NoTargetError
from ciload.http.connection import LARGEST_HEAD
from ciload.http.failure import ErrorCode, from_dial, from_lookup, from_loss
from tests.http.server import Answer, End, HangingUp, Pause, Server, Step, free_port, in_turn, pieces, response
from tests.http.vu import PeakMemory, VirtualUser, run, virtual_user

pytestmark = pytest.mark.anyio

SOON_S = 2.0  # far more than any of this takes, far less than a timeout
PARTIAL = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"
PARTIAL_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"


def assert_failed(answer: http.Response, vu: VirtualUser, code: int, text: str) -> None:
    """It is a response without anything, and counted as one failed request with that code."""
    assert (answer.error_code, answer.status_code, answer.content) == (code, 0, b"")
    assert text in answer.error
    assert vu.failed(error_code=str(code), status="0", expected_response="false") == (1, 1)
    assert vu.failed() == (1, 1)
    assert {entry for _, entry in vu.snapshot().request_errors.entries} == {answer.error}


# --- no connection


async def test_refused_connection_is_1212() -> None:
    """Nothing listens on the port: code 1212, and no 0 ms sample that would flatter the durations."""
    async with virtual_user() as vu:
        answer = await http.get(f"http://127.0.0.1:{free_port()}/x")
        assert_failed(answer, vu, 1212, "connection refused")
        assert vu.snapshot().trend("http_req_duration").count == 0
        assert answer.timings.duration == 0


async def test_unknown_host_is_1101() -> None:
    """A name that does not exist: code 1101."""
    try:
        socket.getaddrinfo("ciload.invalid", 80)
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            pytest.skip("this machine's resolver does not know that .invalid never exists (RFC 6761)")
    async with virtual_user() as vu:
        assert_failed(await http.get("http://ciload.invalid/"), vu, 1101, "no such host")


@pytest.mark.parametrize(("number", "code"), [(socket.EAI_NONAME, 1101), (socket.EAI_AGAIN, 1100)])
def test_lookup_errors_have_their_codes(number: int, code: int) -> None:
    """A name that does not exist is told apart from a resolver that does not answer."""
    assert from_lookup(socket.gaierror(number, "why")).code == code


@pytest.mark.parametrize(
    ("number", "code"), [(errno.ECONNREFUSED, 1212), (errno.ETIMEDOUT, 1211), (errno.ENETUNREACH, 1210)]
)
def test_dial_errors_have_their_codes(number: int, code: int) -> None:
    """Refused, timed out and unreachable are different numbers."""
    assert from_dial(OSError(number, "why")).code == code


@pytest.mark.parametrize("number", [errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ECONNRESET])
def test_dial_errors_say_what_happened(number: int) -> None:
    """The text is the system's words for the error, the same for every address; asyncio's own names the address."""
    text = from_dial(OSError(number, "Connect call failed ('192.0.2.1', 80)")).text
    assert os.strerror(number).lower() in text.lower()
    assert "192.0.2.1" not in text


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConnectionResetError(), ErrorCode.RESET),
        (BrokenPipeError(), ErrorCode.BROKEN_PIPE),
        (OSError(errno.ENETDOWN, "why"), ErrorCode.TCP),
        (None, ErrorCode.UNKNOWN),
    ],
)
def test_lost_connections_have_their_codes(error: Exception | None, code: ErrorCode) -> None:
    """How a connection ended decides the code."""
    assert from_loss(error, received=False).code == code


@pytest.mark.parametrize("host", ["a..b", "a" * 64 + ".test", ".test", "exa mple", "b\u00fccher..test", "\u00fc" * 64])
async def test_impossible_host_name_is_a_failed_request(host: str) -> None:
    """A host name that no resolver accepts fails the request and leaves the iteration running."""
    async with virtual_user() as vu:
        answer = await http.get(f"http://{host}/")
        assert answer.status_code == 0
        assert answer.error_code in (ErrorCode.INVALID_URL, ErrorCode.NO_SUCH_HOST, ErrorCode.DNS)
        assert vu.failed() == (1, 1)


async def test_ipv6_literal_is_reached() -> None:
    """A URL with an IPv6 address in brackets works, and the Host header keeps the brackets."""
    try:
        server = await Server(response(b"six"), host="::1").__aenter__()
    except OSError:
        pytest.skip("no IPv6 here")
    try:
        async with virtual_user():
            assert (await http.get(server.url)).text == "six"
        assert server.requests[0].header("host") == f"[::1]:{server.port}"
    finally:
        await server.__aexit__(None, None, None)


# --- URLs that lead nowhere

INVALID = {
    "http://": 1020,
    "http:///path": 1020,
    "http://host:port/": 1020,
    "http://host:99999/": 1020,
    "http://[::1/": 1020,
    "http://ho\x00st/": 1020,
    "ftp://host/": 1000,
    "ws://host/": 1000,
    "localhost:8000/": 1000,
    "mailto:someone@host": 1000,
}


@pytest.mark.parametrize(("url", "code"), INVALID.items())
async def test_url_that_cannot_be_requested(url: str, code: int) -> None:
    """An invalid URL is 1020, a scheme other than http and https 1000; nothing is raised."""
    async with virtual_user() as vu:
        assert_failed(await http.get(url), vu, code, "")
        assert vu.snapshot().trend("http_req_duration").count == 0


@pytest.mark.parametrize("url", ["", "/relative", "relative?x=1", "//no-scheme.test/"])
async def test_a_relative_url_without_a_base_ends_the_run(url: str) -> None:
    """Every such request would fail: the run is told what is missing, and nothing in the script can catch that."""
    async with virtual_user() as vu:
        with pytest.raises(NoTargetError) as caught:
            await http.get(url)
        with pytest.raises(NoTargetError):
            await http.batch(["http://127.0.0.1/", url])
        assert vu.count() == 0
    assert caught.value.reason == (
        f"{url.partition('?')[0]!r} is relative, and there is no target: say --base-url, or set the option base_url"
    )
    assert caught.value.exit_code == 104
    assert not isinstance(caught.value, Exception)


@pytest.mark.parametrize(
    "url",
    [
        "http://ann:hunter2@127.0.0.1:{port}/x?key=hunter2#hunter2",  # refused
        "http://ann:hunter2@/x",  # no host
        "http://ann:hun/ter2@host/",  # a slash that should have been encoded
        "http://ann:hunter2@host:port/",
        "http://ann:hunter2?x@host/",  # nor were these encoded
        "http://ann:hunter2#x@host/",
        "ann:hunter2@host/x",  # the scheme forgotten
        "hunter2:x@host/",
        "http://127.0.0.1:1/hunter2@host/",  # the host is half of what should have been encoded
        "http://hunter2.invalid/en@host/",
        "ftp://ann:hunter2@host/x",
    ],
)
async def test_failed_request_shows_no_password(url: str) -> None:
    """A password or a token in a URL does not get into names, errors and reports, however broken the URL is."""
    async with virtual_user() as vu:
        answer = await http.get(url.replace("{port}", str(free_port())))
        assert answer.status_code == 0
        shown = [
            answer.url.partition("?")[0],
            answer.error,
            repr(answer),
            *vu.names,
            repr(vu.snapshot().request_errors),
        ]
    assert not [text for text in shown if "hunter2" in text or "ter2" in text or "hun/" in text]


# --- connections that end too early


@pytest.mark.parametrize(
    "partial", [b"", b"HTTP/1.1 20", b"HTTP/1.1 200 OK\r\nX-A", b"HTTP/1.1 103 Early Hints\r\n\r\n"]
)
async def test_close_before_the_headers_end(partial: bytes) -> None:
    """The server hangs up before it has answered: status 0, code 1000."""
    async with Server([partial, End.CLOSE] if partial else [End.CLOSE]) as server, virtual_user() as vu:
        answer = await http.get(server.url)
        assert_failed(answer, vu, 1000, "connection closed by the server")
        assert ("before any response" in answer.error) == (not partial)


@pytest.mark.parametrize("partial", [b"", b"HTTP/1.1 20", PARTIAL, PARTIAL_CHUNKED, b"HTTP/1.1 200 OK\r\n\r\nhello"])
async def test_reset_is_1220(partial: bytes) -> None:
    """A reset before or in the middle of a response is code 1220, whatever frames the body."""
    async with Server([partial, End.RESET] if partial else [End.RESET]) as server, virtual_user() as vu:
        answer = await http.get(server.url)
        assert_failed(answer, vu, 1220, "connection reset by the server")


@pytest.mark.parametrize("how", [End.CLOSE, End.RESET])
async def test_server_that_hangs_up_on_accept(how: End) -> None:
    """A connection that is over before the request is written is a failed request, however the race ends."""
    with HangingUp(how) as server:
        async with virtual_user() as vu:
            for number in range(1, 51):
                answer = await http.post(server.url, content=b"x" * (1 if number % 2 else 1_000_000))
                assert (answer.status_code, answer.content) == (0, b"")
                assert answer.error_code in ((1000, 1201, 1220) if how is End.CLOSE else (1201, 1210, 1220))
                assert vu.failed() == (number, number)


@pytest.mark.parametrize(
    "partial",
    [
        PARTIAL,
        PARTIAL_CHUNKED,
        PARTIAL_CHUNKED + b"0\r\n",  # the last line of the end is missing
        PARTIAL.replace(b": 10", b":10 \t"),  # white space around a value means nothing
        PARTIAL.replace(b"Content-Length", b"content-LENGTH"),
    ],
)
async def test_body_cut_short_is_no_success(partial: bytes) -> None:
    """A body shorter than announced is an error with status 0, not a 200 with half a body."""
    async with Server([partial, End.CLOSE]) as server, virtual_user() as vu:
        answer = await http.get(server.url)
        assert_failed(answer, vu, 1000, "in the middle of the response")
        with pytest.raises(ValueError, match="no body"):
            answer.json()


async def test_failed_response_does_not_claim_ok() -> None:
    """A response that broke off shows nothing of the status that it started with."""
    async with Server([PARTIAL, End.CLOSE]) as server, virtual_user():
        answer = await http.get(server.url)
    assert answer.reason_phrase == ""
    assert not answer.is_success
    assert answer.is_error


# --- not HTTP

GARBAGE = {
    "words": b"hello, this is not HTTP\r\n\r\n",
    "binary": bytes(range(256)),
    "a tls alert": b"\x15\x03\x01\x00\x02\x02\x46",
    "html": b"<html><body>welcome</body></html>\r\n\r\n",
    "HTTP/0.9 version": b"HTTP/x.y 200 OK\r\n\r\n",
    "status word": b"HTTP/1.1 OK\r\n\r\n",
    "negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "length of letters": b"HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\nabc",
    "huge length": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999999\r\n\r\nabc",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "chunk size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "header name": b"HTTP/1.1 200 OK\r\nX A: 1\r\n\r\n",
    "header without colon": b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
    "NUL in a header": b"HTTP/1.1 200 OK\r\nX-A: a\x00b\r\n\r\n",
}


async def test_errors_of_one_code_are_told_apart() -> None:
    """Code 1000 is many things: the error table counts each message on its own."""
    closes: Answer = [End.CLOSE]
    garbage: Answer = [GARBAGE["words"], End.CLOSE]
    async with Server(in_turn(garbage, closes, closes, garbage, closes)) as server, virtual_user() as vu:
        texts = [(await http.get(server.url)).error for _ in range(5)]
        entries = vu.snapshot().request_errors.entries
    counts = {message: entry.count for (_, message), entry in entries.items()}
    assert counts == {texts[0]: 2, texts[1]: 3}


SOURCES = [
    response(b"hello", "Content-Type: text/html; charset=utf-8", "Set-Cookie: a=b; Path=/; Max-Age=5"),
    response(gzip.compress(b"hello", mtime=0), "Content-Encoding: gzip"),
    response(b"", "Location: /x", status="302 Found"),
    b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" + PARTIAL_CHUNKED + b"0\r\nX-Sum: 1\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\nhello",
    *GARBAGE.values(),
]


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
async def test_garbage_is_a_failed_request(garbage: bytes) -> None:
    """A peer that does not speak HTTP, or speaks it wrongly, is a failed request at once; the next one starts anew."""
    async with Server(in_turn([garbage, End.STALL], response(b"ok"))) as server, virtual_user() as vu:
        started = perf_counter()
        answer = await http.get(server.url)
        assert_failed(answer, vu, 1000, "malformed HTTP response")
        assert perf_counter() - started < SOON_S
        assert (await http.get(server.url)).text == "ok"
    assert server.connections == 2


@pytest.mark.parametrize(
    "start", [b"HTTP/1.1 200 ", b"HTTP/1.1 200 OK\r\nX-A: ", b"HTTP/1.1 200 OK\r\nX-"], ids=["reason", "value", "name"]
)
async def test_endless_head_is_given_up(start: bytes) -> None:
    """A status line or header that never ends is given up at the bound, without waiting for the timeout."""
    endless: list[Step] = [start, *([b"a" * 16_384] * (4 * LARGEST_HEAD // 16_384)), End.STALL]
    async with Server(endless) as server, virtual_user() as vu:
        started = perf_counter()
        answer = await http.get(server.url)
        assert_failed(answer, vu, 1000, "headers larger than")
        assert perf_counter() - started < SOON_S
        assert vu.count("data_received") < 2 * LARGEST_HEAD


@pytest.mark.parametrize(
    "line", [b"X-A: 1\r\n", b"\r\nHTTP/1.1 100 Continue\r\n", b"\r\nHTTP/1.1 103 Early Hints\r\nLink: <a>\r\n"]
)
async def test_endless_headers_are_given_up(line: bytes) -> None:
    """Headers, or interim responses, without an end are given up at the bound."""
    lines = [line * 1_000] * (2 * LARGEST_HEAD // len(line) // 1_000)
    endless: list[Step] = [b"HTTP/1.1 103 X\r\n", *lines, End.STALL]
    async with Server(endless) as server, virtual_user() as vu:
        started = perf_counter()
        words = "interim responses" if b"HTTP" in line else "headers larger than"
        assert_failed(await http.get(server.url), vu, 1000, words)
        assert perf_counter() - started < SOON_S


async def test_101_is_not_supported() -> None:
    """A server that switches protocols has not answered the request."""
    raw = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x02hi"
    async with Server(in_turn(raw, response(b"ok"))) as server, virtual_user() as vu:
        assert_failed(await http.get(server.url), vu, 1000, "101")
        assert (await http.get(server.url)).text == "ok"
    assert server.connections == 2


@given(st.sampled_from(SOURCES), st.lists(st.tuples(st.integers(0, 200), st.binary(max_size=3)), max_size=4), st.data())
@settings(max_examples=150, deadline=None)
def test_whatever_a_server_sends_is_a_response(
    source: bytes, changes: list[tuple[int, bytes]], data: st.DataObject
) -> None:
    """Damaged responses, in any pieces, are responses or failures that a script can look at; the next is right."""
    raw = source
    for position, replacement in changes:
        raw = raw[:position] + replacement + raw[position + data.draw(st.integers(0, 3)) :]
    cut = data.draw(st.integers(0, len(raw)))
    method = data.draw(st.sampled_from(["GET", "HEAD", "POST"]))

    async def scenario() -> None:
        answers = in_turn([*pieces(raw, cut), End.CLOSE], response(b"right"))
        async with Server(answers) as server, virtual_user() as vu:
            seen = await http.request(method, server.url, follow_redirects=False, timeout=5)
            assert bool(seen.error) == (seen.status_code == 0)
            assert seen.error_code == (1000 + seen.status_code if seen.status_code >= 400 else seen.error_code)
            assert seen.error_code in (0, 1000, 1220, 1701) or seen.status_code >= 400
            _ = (seen.text, seen.headers, seen.cookies, seen.reason_phrase, seen.encoding, repr(seen), seen.timings)
            with suppress(ValueError):
                seen.json()
            await server.connections_ended()  # or late surplus bytes would meet the next request
            assert (await http.get(server.url)).text == "right"
            assert vu.count() == 2

    run(scenario)


# --- timeouts

TIMEOUT_S = 0.15


def drops(every_s: float, count: int) -> list[Step]:
    """A byte, and a wait, again and again."""
    drop: list[Step] = [b"a", Pause(every_s)]
    return drop * count


SLOW: dict[str, Answer] = {
    "no bytes": [End.STALL],
    "stall in the headers": [b"HTTP/1.1 200 OK\r\nX-A: 1\r\n", End.STALL],
    "stall in the body": [PARTIAL, End.STALL],
    "stall between chunks": [PARTIAL_CHUNKED, End.STALL],
    "stall after 103": [b"HTTP/1.1 103 Early Hints\r\n\r\n", End.STALL],
    "drip by drip": [PARTIAL[:-5], *drops(0.05, 9), End.STALL],
    "endless body": [b"HTTP/1.1 200 OK\r\n\r\n", *drops(0.02, 50), End.STALL],
}


@pytest.mark.parametrize("answer", SLOW.values(), ids=SLOW.keys())
async def test_timeout_is_1050_and_on_time(answer: Answer) -> None:
    """A response that is not complete in time is code 1050, soon after the timeout; its connection is not reused."""
    async with Server(in_turn(answer, response(b"ok"))) as server, virtual_user() as vu:
        started = perf_counter()
        late = await http.get(server.url, timeout=TIMEOUT_S)
        took_s = perf_counter() - started
        assert_failed(late, vu, 1050, "request timeout")
        assert TIMEOUT_S - 0.01 < took_s < TIMEOUT_S + 0.5
        assert vu.snapshot().trend("http_req_duration").largest > TIMEOUT_S * 500
        assert (await http.get(server.url, timeout=TIMEOUT_S)).text == "ok"
    assert server.connections == 2


async def test_timeout_on_a_reused_connection() -> None:
    """A kept-alive connection on which nothing comes back times out like a new one, and is not asked twice."""
    async with Server(in_turn(response(b"ok"), [End.STALL])) as server, virtual_user() as vu:
        assert (await http.get(server.url)).text == "ok"
        late = await http.get(server.url, timeout="100ms")
        assert late.error_code == 1050
        assert vu.failed() == (1, 2)
    assert len(server.requests) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse when the backlog is full")
async def test_timeout_of_a_server_that_does_not_accept() -> None:
    """A connect that gets no answer ends with the request's timeout, too."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]  # a full backlog lets the kernel drop further SYNs
        try:
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.1", port))
            async with virtual_user() as vu:
                started = perf_counter()
                answer = await http.get(f"http://127.0.0.1:{port}/", timeout=TIMEOUT_S)
                assert_failed(answer, vu, 1050, "request timeout")
                assert TIMEOUT_S - 0.01 < perf_counter() - started < TIMEOUT_S + 0.5
        finally:
            for filler in fillers:
                filler.close()


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), "0s", "soon", True])
async def test_timeout_must_be_a_positive_duration(timeout: float | str) -> None:
    """A timeout that makes no sense is the script's mistake, raised before anything is sent."""
    async with Server(response(b"ok")) as server, virtual_user() as vu:
        with pytest.raises(ValueError, match=r"duration|longer than 0"):
            await http.get(server.url, timeout=timeout)
        assert vu.count() == 0
    assert server.connections == 0


# --- cancellation


@pytest.mark.parametrize("partial", [b"", PARTIAL])
async def test_cancelled_request_leaves_nothing_behind(partial: bytes) -> None:
    """An interrupted iteration's connection is closed, so its late response cannot answer another request."""
    slow: Answer = [partial, End.STALL] if partial else [End.STALL]
    async with Server(in_turn(response(b"first"), slow, response(b"second"))) as server, virtual_user() as vu:
        assert (await http.get(server.url)).text == "first"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await http.get(server.url)
        await asyncio.wait_for(server.closed.wait(), SOON_S)
        assert vu.failed() == (1, 2)  # it was sent, and had no answer
        assert (await http.get(server.url)).text == "second"
    assert server.connections == 2


async def test_cancelled_dial_leaves_nothing_behind() -> None:
    """An iteration interrupted while it connects leaves no half-open connection."""
    async with Server([End.STALL], when="bytes") as server, virtual_user() as vu:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await http.get(server.url.replace("http:", "https:"))
        await asyncio.wait_for(server.closed.wait(), SOON_S)
        assert not vu.client.settings.open


# --- uploads

UPLOAD = b"x" * 5_000_000


async def test_large_upload_arrives_whole() -> None:
    """Five megabytes are sent and counted, and the connection goes on."""
    async with Server(response(b"thanks")) as server, virtual_user() as vu:
        for _ in range(2):
            answer = await http.post(server.url, content=UPLOAD)
            assert answer.text == "thanks"
            assert vu.count("data_sent") >= len(UPLOAD)
    assert [len(request.body) for request in server.requests] == [len(UPLOAD)] * 2
    assert server.connections == 1


@pytest.mark.parametrize("keep_alive", [True, False])
async def test_answer_in_the_middle_of_an_upload_counts(keep_alive: bool) -> None:
    """A server that refuses an upload early, and reads no more of it, is heard; that connection is not used again."""
    refusal = response(b"no", *([] if keep_alive else ["Connection: close"]), status="413 Content Too Large")
    async with Server([refusal, End.HALF_CLOSE], when="head") as server, virtual_user() as vu:
        for _ in range(2):
            answer = await http.post(server.url, content=UPLOAD, timeout=5)
            assert (answer.status_code, answer.content, answer.error_code) == (413, b"no", 1413)
        assert vu.failed(status="413") == (2, 2)
        assert not any(vu.session.pool.idle.values())
    assert server.connections == 2


async def test_close_in_the_middle_of_an_upload_is_no_crash() -> None:
    """A server that answers early and cuts the line gives its answer, or a lost connection; soon, in any case."""
    refusal = response(b"no", status="413 Content Too Large")
    async with Server([refusal, End.RESET], when="head") as server, virtual_user() as vu:
        for _ in range(5):
            started = perf_counter()
            answer = await http.post(server.url, content=UPLOAD, timeout=10)
            assert (answer.status_code, answer.error_code) in ((413, 1413), (0, 1220), (0, 1201))
            assert perf_counter() - started < SOON_S
        assert vu.failed() == (5, 5)
    assert server.connections == 5


async def test_upload_that_nobody_reads_times_out() -> None:
    """A server that stops reading is a timeout, and the time counts as sending."""
    async with Server([Pause(5)], when="head") as server, virtual_user() as vu:
        answer = await http.post(server.url, content=UPLOAD * 4, timeout=TIMEOUT_S)
        assert_failed(answer, vu, 1050, "request timeout")
        assert answer.timings.sending > TIMEOUT_S * 500
        assert answer.timings.waiting < answer.timings.sending


# --- servers that speak before they are asked

FULL = response(b"full", "Connection: close", status="503 Service Unavailable")


@pytest.mark.parametrize("end", [End.CLOSE, End.STALL])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_503_at_accept_is_the_response(method: str, end: End) -> None:
    """A server that is full says so at once and hangs up: its 503 is told, not a lost connection."""
    async with Server([FULL, end], when="connect") as server, virtual_user() as vu:
        for number in range(1, 21):
            answer = await http.request(method, server.url, content=b"x" * 1_000, timeout=5)
            assert (answer.status_code, answer.content, answer.error_code) == (503, b"full", 1503)
            assert vu.failed(status="503") == (number, number)
        assert not any(vu.session.pool.idle.values())


async def test_half_a_503_at_accept_is_a_lost_connection() -> None:
    """What broke off is no response, whenever it came."""
    async with Server([FULL[:-2], End.CLOSE], when="connect") as server, virtual_user() as vu:
        answer = await http.get(server.url)
        assert_failed(answer, vu, 1000, "in the middle of the response")


# --- what a server can make endless

CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ENDLESS: dict[str, tuple[bytes, bytes, str]] = {  # the beginning, what comes again and again, the error
    "trailers": (CHUNKS + b"0\r\n", b"X-A: " + b"a" * 1_000 + b"\r\n", "trailers larger than"),
    "a trailer": (CHUNKS + b"0\r\nX-A: ", b"a" * 1_000, "trailers larger than"),
    "a chunk extension": (CHUNKS + b"5;", b"a" * 1_000, "too much around their data"),
    "chunk extensions": (CHUNKS, b"1;" + b"a" * 1_000 + b"\r\nx\r\n", "too much around their data"),
    "zeros": (CHUNKS, b"0" * 1_000, "no chunk begins with"),
    "blank lines": (b"", b"\r\n" * 1_000, "headers larger than"),
}


@pytest.mark.parametrize(("start", "more", "text"), ENDLESS.values(), ids=ENDLESS.keys())
async def test_endless_framing_is_given_up(start: bytes, more: bytes, text: str) -> None:
    """Nothing around the data of a body goes on for ever, nor is it kept."""
    endless: list[Step] = [start, *([more] * 2_000), End.STALL]
    async with Server(endless) as server, virtual_user() as vu:
        started = perf_counter()
        assert_failed(await http.get(server.url), vu, 1000, text)
        assert perf_counter() - started < SOON_S


async def test_tiny_chunks_take_no_more_memory_than_their_data() -> None:
    """A body of many two-byte chunks is one body, not as many objects."""
    chunks = b"2\r\nab\r\n" * 100_000
    async with Server(CHUNKS + chunks + b"0\r\n\r\n") as server, virtual_user():
        with PeakMemory() as peak:
            answer = await http.get(server.url)
    assert answer.content == b"ab" * 100_000
    assert peak.bytes < 7_000_000  # mostly the server; as many objects are 4 MB more
