"""`http.get` and its brothers, as scripts, people who ask for help, and type checkers see them."""

from __future__ import annotations

import inspect
import pydoc
from dataclasses import fields
from typing import Any

import pytest

from ciload import http
from ciload.http.request import Request, RequestOptions
from tests.http.server import Server, response
from tests.http.vu import virtual_user

VERBS = ["get", "head", "options", "delete", "post", "put", "patch"]


@pytest.mark.anyio
@pytest.mark.parametrize("verb", VERBS)
async def test_a_verb_sends_its_method(verb: str) -> None:
    """`http.delete(url)` is `http.request("DELETE", url)`."""
    async with Server(response(b"")) as server, virtual_user():
        answer = await getattr(http, verb)(server.url)
        assert answer.method == verb.upper()
    assert server.requests[0].method == verb.upper()


@pytest.mark.parametrize("verb", VERBS)
def test_help_shows_signature_and_documentation(verb: str) -> None:
    """`help(http.post)` has the arguments by name and says what they are; nothing of how it is made."""
    function = getattr(http, verb)
    shown = pydoc.plain(pydoc.render_doc(function))
    assert f"method {verb} in module ciload.http" in shown
    assert f"Send a {verb.upper()} request and measure it." in shown
    assert "json: a value sent as JSON" in shown
    assert "any HTTP method" not in shown
    assert "partial" not in shown
    wanted = [each for each in inspect.signature(http.request).parameters.values() if each.name != "method"]
    assert list(inspect.signature(function).parameters.values()) == wanted


def test_a_verb_costs_no_frame() -> None:
    """It is the coroutine function of every request, not one that calls it."""
    for verb in VERBS:
        assert inspect.iscoroutinefunction(getattr(http, verb))
        assert getattr(http, verb).__code__ is http.request.__code__


def test_type_checkers_and_batches_know_the_same_arguments() -> None:
    """What `http.request` takes, `RequestOptions` and `Request` have."""
    named = [
        name for name, each in inspect.signature(http.request).parameters.items() if each.kind is each.KEYWORD_ONLY
    ]
    assert list(RequestOptions.__annotations__) == named
    assert sorted(each.name for each in fields(Request)) == sorted([*named, "method", "url"])


@pytest.mark.parametrize(
    ("name", "word"), [("asyncRequest", "http.request"), ("Session", "await http.get"), ("del_", "delete")]
)
def test_names_of_other_clients_lead_to_ours(name: str, word: str) -> None:
    """Who comes from k6, requests or httpx is told what to write."""
    with pytest.raises(AttributeError, match=word):
        getattr(http, name)
    assert not hasattr(http, name)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("name", "word"),
    [("status", "status_code"), ("body", "text, content"), ("ok", "is_success"), ("status_text", "reason_phrase"),
     ("proto", "http_version")],
)  # fmt: skip
async def test_attributes_of_other_responses_lead_to_ours(name: str, word: str) -> None:
    """`reply.status` says that it is `status_code`."""
    async with Server(response(b"")) as server, virtual_user():
        answer: Any = await http.get(server.url)
    with pytest.raises(AttributeError, match=f"a response has no '{name}': it is {word}"):
        getattr(answer, name)
    assert not hasattr(answer, name)
    with pytest.raises(AttributeError, match="a response has no 'colour'") as caught:
        answer.colour  # noqa: B018
    assert (caught.value.name, caught.value.obj) == ("colour", answer)


@pytest.mark.anyio
@pytest.mark.parametrize("timeout", [60_000, "60000", 1_000.0])
async def test_a_timeout_in_milliseconds_is_refused(timeout: float | str) -> None:
    """k6's `timeout: 60000` would never be noticed in a run: it is 16 hours."""
    async with virtual_user() as vu:
        with pytest.raises(ValueError, match="for milliseconds, as in k6, write"):
            await http.get("http://127.0.0.1/", timeout=timeout)
        assert vu.count() == 0
