"""What a request expects of its answer decides what counts as failed."""

from __future__ import annotations

from typing import Any

import pytest

from ciload import http
from ciload.errors import Abort
from ciload.http.answer_samples import LONGEST_BODY
from ciload.http.session import Exchanges
from ciload.metrics.expected import parse_statuses
from tests.http.server import Answer, End, Server, by_path, redirect, response
from tests.http.vu import virtual_user

pytestmark = pytest.mark.anyio

MISSING = response(b'{"error": "no such user"}', "Content-Type: application/json", status="404 Not Found")


async def test_expected_statuses_of_one_request() -> None:
    """A 404 that is expected is no failure, and has the tag; the same without it is one, and so is a 200."""
    answers: dict[str, Answer] = {"/gone": MISSING, "/there": response(b"ok")}
    async with Server(by_path(answers)) as server, virtual_user() as vu:
        for expected in ({404}, "2xx,404", 404):
            await http.get(f"{server.url}/gone", expected=expected)
        assert vu.failed() == (0, 3)
        assert vu.failed(status="404", expected_response="true") == (0, 3)
        assert vu.snapshot().request_errors.entries == {}
        await http.get(f"{server.url}/gone")
        await http.get(f"{server.url}/there", expected=404)
        assert vu.failed() == (2, 5)
        assert vu.failed(status="200", expected_response="false") == (1, 1)


async def test_expected_statuses_of_the_run() -> None:
    """What the run expects holds for requests that say nothing else."""
    async with Server(MISSING) as server, virtual_user() as vu:
        vu.session.scope.registry.expected = parse_statuses("2xx,404")
        await http.get(server.url)
        assert vu.failed() == (0, 1)
        await http.get(server.url, expected="2xx")
        assert vu.failed() == (1, 2)


async def test_a_tag_of_the_script_makes_nothing_expected() -> None:
    """`tags={"expected_response": "true"}` is a tag like any other: a 401 counts as failed."""
    refused = response(b"", 'WWW-Authenticate: Basic realm="r"', status="401 Unauthorized")
    async with Server(refused) as server, virtual_user() as vu:
        await http.get(server.url, tags={"expected_response": "true"})
        assert vu.failed(expected_response="false") == (1, 1)


async def test_no_answer_is_never_expected() -> None:
    """Whatever is expected, a connection that ends is a failed request."""
    async with Server([End.CLOSE]) as server, virtual_user() as vu:
        reply = await http.get(server.url, expected="100-999", expect=lambda _: True)
        assert (reply.status_code, vu.failed()) == (0, (1, 1))


async def test_redirects_that_are_followed_are_no_answer() -> None:
    """What is expected is said of the answer at the end, unless redirects are not followed."""
    answers: dict[str, Answer] = {"/a": redirect("/b"), "/b": MISSING}
    async with Server(by_path(answers)) as server, virtual_user() as vu:
        await http.get(f"{server.url}/a", expected=404, expect=lambda r: r.json()["error"])
        assert vu.failed() == (0, 2)
        await http.get(f"{server.url}/a", expected=404, follow_redirects=False)
        assert vu.failed() == (1, 3)


async def test_a_function_looks_at_the_body() -> None:
    """An answer for which it is false counts as failed, with a text of its own; the script can still read it."""
    async with Server(response(b'{"users": []}', "Content-Type: application/json")) as server, virtual_user() as vu:
        good = await http.get(server.url, name="good", expect=lambda r: "users" in r.json())
        bad = await http.get(server.url, name="bad", expect=lambda r: "total" in r.json())
        assert (good.error, vu.failed(name="good", expected_response="true")) == ("", (0, 1))
        assert (bad.error, bad.status_code, bad.json()) == ("not as expected", 200, {"users": []})
        assert vu.failed(name="bad", expected_response="false", error="not as expected") == (1, 1)
        [(kind, entry)] = vu.snapshot().request_errors.entries.items()
        assert kind == ("GET bad", "not as expected")
        assert entry.sample is not None
        assert entry.sample.body == '{"users": []}'


async def test_a_function_is_not_asked_about_what_failed_anyway() -> None:
    """It may rely on an answer with an expected status."""
    asked: list[http.Response] = []
    async with Server(MISSING) as server, virtual_user() as vu:
        await http.get(server.url, expect=asked.append)
        assert (asked, vu.failed()) == ([], (1, 1))


async def test_side_by_side_expected_answers_are_compared() -> None:
    """The time of an answer that is expected counts in its pair; of one that failed, it says nothing."""
    async with Server(MISSING) as server, virtual_user() as vu:
        vu.session.exchanges = exchanges = Exchanges()
        await http.get(server.url, expected=404)
        await http.get(server.url)
        async with await http.get(server.url, expected=404, stream=True):
            pass
        assert [seconds > 0 for _, seconds in exchanges] == [True, False, True]


async def test_what_ends_the_run_leaves_no_connection_behind() -> None:
    """abort() in an `expect=` goes on its way, and the connection is not used again."""

    def end(_: Any) -> bool:
        raise Abort("enough")

    async with Server(response(b"ok")) as server, virtual_user() as vu:
        with pytest.raises(Abort):
            await http.get(server.url, expect=end)
        assert [each for idle in vu.session.pool.idle.values() for each in idle] == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"expected": "ok"}, "'ok' is no status"),
        ({"expected": 0}, "status 0 is no answer"),
        ({"expect": True}, "a function of the response"),
        ({"expect": bool, "stream": True}, "stream=True"),
    ],
)
async def test_what_cannot_be_expected_is_a_mistake(options: dict[str, Any], said: str) -> None:
    """It is told before anything is sent, alone and in a batch."""
    async with Server(response(b"ok")) as server, virtual_user():
        with pytest.raises((ValueError, TypeError), match=said):
            await http.get(server.url, **options)
        with pytest.raises((ValueError, TypeError), match=said):
            await http.batch([http.Request("GET", server.url), http.Request("GET", server.url, **options)])
        assert server.requests == []


async def test_the_first_failed_request_of_a_kind_is_kept() -> None:
    """Request line, status and the beginning of the body, without secrets, and once; what is expected is not."""
    body = b'{"error": "no", "access_token": "abc123", "next": "/users?page=2", "echo": "tok-1234567890"}'
    answers: dict[str, Answer] = {
        "/a": response(body, "Content-Type: application/json", status="500 Oh"),
        "/b": response(b"x" * 10_000, status="500 Oh"),
        "/c": response(bytes(range(256)) * 9, "Content-Type: image/png", status="500 Oh"),
        "/d": response(b"fine"),
    }
    async with Server(by_path(answers)) as server, virtual_user() as vu:
        for path in ("/a?key=hidden-one", "/a?key=hidden-two", "/b", "/c", "/d"):
            await http.get(server.url + path, headers={"Authorization": "Bearer tok-1234567890"})
        samples = {
            source: entry.sample for (source, _), entry in vu.snapshot().request_errors.entries.items() if entry.sample
        }
        kept = samples[f"GET {server.url}/a"]
        assert (kept.request, kept.status) == (f"GET {server.url}/a?***", 500)
        assert kept.body == '{"error": "no", "access_token": "***", "next": "/users?***", "echo": "***"}'
        assert samples[f"GET {server.url}/b"].body == "x" * LONGEST_BODY + "…"
        assert samples[f"GET {server.url}/c"].body == "(2,304 bytes: image/png)"
        assert len(samples) == 3
        await http.get(f"{server.url}/a")
        entry = vu.session.scope.registry.take().request_errors.entries[f"GET {server.url}/a", "HTTP 500"]
        assert (entry.count, entry.sample) == (1, None)
