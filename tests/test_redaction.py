"""What of traffic may be shown: bodies, headers and URLs without what looks like a secret."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ciload.redaction import redacted, redacted_header, redacted_url, secret_values

NAMES = ["token", "access_token", "password", "apiKey", "api_key", "client_secret", "session", "Authorization",
         "refreshTokens", "credentials", "X-Api-Key", "csrf", "Set-Cookie"]  # fmt: skip
SECRET = "Geheim7"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('{"id": 7, "token": "Geheim7"}', '{"id": 7, "token": "***"}'),
        ('{"pin": 1234, "session": null, "auth": true}', '{"pin": "***", "session": null, "auth": true}'),
        ('{"tokens": ["Geheim7", "x"], "n": 1}', '{"tokens": "***", "n": 1}'),
        ('{"credentials": {"a": [1, "]"], "b": "Geheim7"}, "n": 1}', '{"credentials": "***", "n": 1}'),
        ('{"password": "Geheim7 \\" more", "n": 1}', '{"password": "***", "n": 1}'),
        ('{"token": "Geheim7 is cut', '{"token": "***"'),
        (r'log: "{\"token\": \"Geheim7\", \"n\": 1}"', r'log: "{\"token\": "***", \"n\": 1}"'),
        ("user=ann&password=Geheim7&n=1", "user=ann&password=***&n=1"),
        ("user%5Bpassword%5D=Geheim7&n=1", "user%5Bpassword%5D=***&n=1"),
        ("password: Geheim7, n: 1", "password: ***, n: 1"),
        ("Authorization: Bearer Geheim7Geheim7", "Authorization: *** ***"),
        ("the token: expired", "the token: expired"),
        ("<a><token>Geheim7</token><n>1</n></a>", "<a><token>***</token><n>1</n></a>"),
        ('<input type="hidden" name="f" value="Geheim7">', '<input type="hidden" name="f" value="***">'),
        ('<input name="q" value="shoes">', '<input name="q" value="shoes">'),
        ("see https://ann:Geheim7@host/a?sig=Geheim7#x", "see https://***@host/a?***"),
        ('"next": "/users?page=2&key=Geheim7"', '"next": "/users?***"'),
        ("why not? a=1", "why not? a=1"),
        ("4111 1111 1111 1111 paid", "*** paid"),
        ("4111 1111 1111 1112 paid", "4111 1111 1111 1112 paid"),
        ("jwt eyJhbGciOiJI.eyJzdWIiOiIx.sig_nature here", "jwt *** here"),
        ("-----BEGIN RSA PRIVATE KEY-----\nGeheim7\n-----END RSA PRIVATE KEY----- n", "*** n"),
        ("request aB3dE5fG7hI9jK1lM3nO5 failed", "request *** failed"),
        ("request 4bf92f3577b34da6a3ce929d0e0e4736 failed", "request 4bf92f3577b34da6a3ce929d0e0e4736 failed"),
        ('Traceback: File "app.py", line 3, in get_session', 'Traceback: File "app.py", line 3, in get_session'),
    ],
)
def test_bodies(text: str, shown: str) -> None:
    """Values of what is called like a secret, or looks like one, are hidden; what says why it failed stays."""
    assert redacted(text) == shown


def plain() -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=20))


@given(
    st.sampled_from(NAMES),
    st.dictionaries(st.text(max_size=10), plain(), max_size=4),
    st.sampled_from([lambda s: s, lambda s: [1, s], lambda s: {"a": {"b": s}}, lambda s: f'"{s}\\" {s}']),
    st.integers(0, 3),
    st.integers(0, 400),
)
def test_no_secret_of_a_document_survives(
    name: str, others: dict[str, Any], shape: Any, depth: int, cut: int
) -> None:  # fmt: skip
    """Wherever it stands, with whatever around it, and also where the text is cut: none of its value is shown."""
    document: Any = {**others, name: shape(SECRET), "zz": 1}
    for _ in range(depth):
        document = {"data": [document, others]}
    for text in (json.dumps(document), json.dumps(document, indent=2, ensure_ascii=False)):
        assert SECRET not in redacted(text[: len(text) - cut])


@given(st.sampled_from(["token", "api_key", "password"]), st.text(max_size=20), st.text(max_size=20))
def test_no_secret_of_a_form_survives(name: str, before: str, after: str) -> None:
    """Whatever the other fields hold."""
    assert SECRET not in redacted(urlencode([("a", before), (name, SECRET), ("b", after)]))


@given(st.text(st.sampled_from('"\\{}[]:,=<>?&ey J.token-1'), max_size=300))
def test_any_text_can_be_shown(text: str) -> None:
    """Nothing in a body is too odd for it, and what is hidden once is hidden the second time."""
    assert isinstance(redacted(redacted(text)), str)


@pytest.mark.parametrize("piece", ['"', "\\", '{"token": "', '{"token": [', "eyJ", "eyJa.", "<input ", "token=", "?a="])
def test_hostile_text_takes_no_time(piece: str) -> None:
    """As much of a body as is looked at, of what makes patterns go back and forth, is done in moments."""
    assert redacted(piece * (16_384 // len(piece))) is not None


def test_headers() -> None:
    """What signs in is hidden whole, a link loses its query, and what else there is stays."""
    for name in ("Authorization", "Cookie", "set-cookie", "X-Api-Key", "X-CSRF", "Proxy-Authorization", "X-Session-Id"):
        assert redacted_header(name, "Geheim7") == "***"
    assert redacted_header("location", "/done?code=Geheim7") == "/done?***"
    assert redacted_header("content-type", "text/html; charset=utf-8") == "text/html; charset=utf-8"


def test_urls() -> None:
    """A query is told, and not what it says."""
    assert redacted_url("http://host/a?b=Geheim7#c") == "http://host/a?***"
    assert redacted_url("http://host/a") == "http://host/a"


def test_what_a_target_may_repeat() -> None:
    """Tokens with and without their scheme, and values of cookies that are long enough to be told."""
    headers = [("Authorization", "Bearer abcdefgh1"), ("cookie", "sid=longenough; lang=en"), ("accept", "text/html")]
    assert secret_values([*headers, ("set-cookie", "id=anotherone; Path=/")]) == [
        "Bearer abcdefgh1", "abcdefgh1", "longenough", "anotherone",
    ]  # fmt: skip
