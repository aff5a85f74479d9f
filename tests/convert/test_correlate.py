"""What is taken from replies, and what is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.convert.conftest import Converter
from tests.convert.recordings import as_json, entry, form, har

B = "http://127.0.0.1:8000"
UUID = "1f0c3a52-8c1d-4a57-9d0e-2b7c6a5d4e3f"


def reply(value: object, **more: Any) -> dict[str, Any]:
    return entry(0, "GET", f"{B}/api/things", text=json.dumps(value), **more)


@pytest.mark.parametrize(
    ("first", "second", "line"),
    [
        (reply([{"id": 7}, {"id": 8}]), entry(1, "GET", f"{B}/api/things/8"), 'thing_id = reply.json()[1]["id"]'),
        (reply({"a": {"ref": UUID}}), entry(1, "GET", f"{B}/x?y={UUID}"), 'a_ref = reply.json()["a"]["ref"]'),
        (
            reply({"nextCursor": "b64cur50r="}),
            entry(1, "GET", f"{B}/api/things?cursor=b64cur50r%3D"),
            'next_cursor = reply.json()["nextCursor"]',
        ),
        (
            entry(0, "GET", f"{B}/", got=[("Set-Cookie", "XSRF-TOKEN=abc%3D123456789; Path=/")]),
            entry(1, "POST", f"{B}/x", sent={"x-xsrf-token": "abc=123456789"}),
            'xsrf_token = unquote(reply.cookies["XSRF-TOKEN"])',
        ),
        (
            entry(0, "GET", f"{B}/", media="text/html", text=f'<script>var s = {{"apiKey": "{UUID}"}}</script>'),
            entry(1, "POST", f"{B}/x", posted=as_json({"k": UUID})),
            "api_key = between(reply, '{\"apiKey\": \"', '\"')",
        ),
        (
            entry(0, "GET", f"{B}/", media="text/html", text='<meta name="csrf-token" content="AbC0123456789==">'
                  '<input name="authenticity_token" type="hidden" value="AbC0123456789==">'),
            entry(1, "POST", f"{B}/x", posted=form("authenticity_token=AbC0123456789%3D%3D")),
            'authenticity_token = field(reply, "authenticity_token")',
        ),
        (
            entry(0, "POST", f"{B}/posts", 302, got=[("Location", "/posts/981273?new=1")]),
            entry(1, "GET", f"{B}/posts/981273/edit"),
            'post_id = reply.headers["location"].partition("/posts/")[2].partition("?")[0]',
        ),
        (
            entry(0, "GET", f"{B}/x", got=[("ETag", '"a1b2c3"')]),
            entry(1, "PUT", f"{B}/x", sent={"if-match": '"a1b2c3"'}),
            'etag = reply.headers["etag"]',
        ),
    ],
)  # fmt: skip
def test_taken(convert: Converter, first: dict[str, Any], second: dict[str, Any], line: str) -> None:
    """Each place that a reply can have a value in."""
    made = convert(har(first, second))
    assert line in [each.strip() for each in made.script.split("\n")], made.script
    convert.load()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (reply({"page": 2, "total": 100}), entry(1, "GET", f"{B}/api/things?page=2&limit=100")),
        (reply({"id": 7}), entry(1, "GET", f"{B}/api/others?count=7")),
        (reply({"day": "2026-03-01"}), entry(1, "GET", f"{B}/api/things?from=2026-03-01")),
        (reply({"status": "available"}), entry(1, "GET", f"{B}/api/things?status=available")),
        (reply({"mail": "ada@example.com"}), entry(1, "POST", f"{B}/x", posted=as_json({"mail": "ada@example.com"}))),
    ],
)
def test_coincidences(convert: Converter, first: dict[str, Any], second: dict[str, Any]) -> None:
    """Values that are the same by chance, or that a user knows, stay as they are."""
    assert "Taken from replies" not in convert(har(first, second)).said


def test_what_was_sent_first_is_the_users_own(convert: Converter) -> None:
    """A reply that repeats it has not made it."""
    sent = as_json({"orderRef": UUID})
    first = entry(0, "POST", f"{B}/x", posted=sent, text=json.dumps({"orderRef": UUID}))
    made = convert(har(first, entry(1, "POST", f"{B}/x", posted=sent)))
    assert "Taken from replies" not in made.said
    assert made.script.count(UUID) == 2
