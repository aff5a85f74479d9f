"""A secret of a recording is neither in the script nor printed, wherever it stood."""

from __future__ import annotations

import json
import string
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ciload.convert.kinds import Choices, Converted, convert, convert_curl
from tests.convert.recordings import as_json, entry, form, har

secrets = st.text(string.ascii_letters + string.digits + "-_.!$%&+/= ", min_size=9, max_size=30).map(
    lambda text: f"Zq9{text.strip()}x7"
)
names = st.sampled_from(
    ["password", "user[password]", "apiKey", "client_secret", "access_token", "X-Auth-Token", "pwd"]
)
AT = "https://api.shop.example/v1/things"


def url_with(secret: str) -> str:
    return f"{AT}?token={quote(secret, safe='')}"


def places(secret: str, name: str) -> list[dict[str, Any]]:
    """An entry for each place that a secret can have."""
    header = "x-" + "".join(each if each.isalnum() else "-" for each in name)
    return [
        entry(0, "GET", url_with(secret)),
        entry(1, "POST", AT, posted=as_json({"a": [{name: secret}]})),
        entry(2, "POST", AT, posted=form(f"{quote(name)}={quote(secret, safe='')}")),
        entry(3, "GET", AT, sent={"authorization": f"Bearer {secret.replace(' ', '')}"}),
        entry(4, "GET", AT, sent={"authorization": "Basic " + b64encode(f"u:{secret}".encode()).decode()}),
        entry(5, "GET", AT, sent={header: secret}),
        entry(6, "GET", AT, sent={"cookie": f"session={quote(secret, safe='')}"}),
        entry(7, "GET", AT.replace("https://", f"https://u:{quote(secret, safe='')}@")),
        entry(8, "POST", AT, posted={"mimeType": "text/xml", "text": f"<password>{quote(secret)}</password>"}),
        entry(9, "POST", AT, posted={"mimeType": "multipart/form-data; boundary=B", "text":
              f'--B\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{secret}\r\n--B--\r\n'}),
        entry(10, "GET", f"{AT}/failed?token={quote(secret, safe='')}", 500),
        entry(11, "GET", f"https://other.example/?token={quote(secret, safe='')}"),
    ]  # fmt: skip


def all_text(made: Converted) -> str:
    return "\n".join(
        [made.script, made.summary, made.base_url, *made.left_out, *made.notes, *(f"{a} {b}" for a, b in made.settings)]
    )


def see_that_it_is_absent(secret: str, made: Converted) -> None:
    text = all_text(made)
    for spelling in {secret, quote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1], secret.replace(" ", "")}:
        assert spelling not in text


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("secrets")


@given(secrets, names, st.integers(0, 11))
@settings(max_examples=60)
def test_in_recordings(folder: Path, secret: str, name: str, place: int) -> None:
    """Each place alone, so that no other gives it away; and then all of them."""
    path = folder / "x.har"
    for entries in ([places(secret, name)[place], entry(20, "GET", AT)], places(secret, name)):
        path.write_text(har(*entries), encoding="utf-8")
        see_that_it_is_absent(secret, convert(str(path), "load.py", Choices()))


@given(secrets, names)
@settings(max_examples=40)
def test_in_collections(folder: Path, secret: str, name: str) -> None:
    """As values of variables, in authentication, headers and bodies."""
    requests: list[dict[str, Any]] = [
        {"url": "http://h.example/{{token}}", "method": "GET"},
        {"url": AT, "auth": {"type": "bearer", "bearer": [{"key": "token", "value": secret}]}},
        {
            "url": AT,
            "auth": {"type": "apikey", "apikey": [{"key": "key", "value": "q"}, {"key": "value", "value": secret}]},
        },
        {"url": AT, "auth": {"type": "basic", "basic": {"username": "u", "password": secret}}},
        {"url": url_with(secret)},
        {"url": AT, "method": "POST", "body": {"mode": "raw", "raw": json.dumps({name: secret})}},
        {"url": AT, "method": "POST", "body": {"mode": "urlencoded", "urlencoded": [{"key": name, "value": secret}]}},
    ]
    items = [{"name": f"request {number}", "request": each} for number, each in enumerate(requests)]
    variables = [{"key": "token", "value": secret}]
    path = folder / "x.json"
    path.write_text(json.dumps({"info": {"name": "x"}, "item": items, "variable": variables}), encoding="utf-8")
    see_that_it_is_absent(secret, convert(str(path), "load.py", Choices()))


@given(secrets, names)
@settings(max_examples=40)
def test_in_commands(secret: str, name: str) -> None:
    """Also where the command has a mistake in it, which is not here."""
    for arguments in (
        ["-u", f"ada:{secret}"], ["-H", f"Authorization: Bearer {secret}"], ["-b", f"sid={secret}"],
        ["--json", json.dumps({name: secret})], ["-d", f"{quote(name)}={quote(secret, safe='')}"],
        ["-F", f"{name}={secret.replace(';', '')}"], ["--oauth2-bearer", secret], ["-H", f"X-Api-Key: {secret}"],
    ):  # fmt: skip
        see_that_it_is_absent(secret, convert_curl([AT, *arguments], "load.py"))
    see_that_it_is_absent(secret, convert_curl([url_with(secret)], "load.py"))
