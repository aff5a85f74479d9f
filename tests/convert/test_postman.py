"""Postman collections of both versions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.convert.conftest import Converter


def item(name: str, request: Any, *test: str, before: tuple[str, ...] = ()) -> dict[str, Any]:
    events = [{"listen": "test", "script": {"exec": list(test)}}] * bool(test)
    events += [{"listen": "prerequest", "script": {"exec": list(before)}}] * bool(before)
    return {"name": name, "request": request, "event": events}


def collection(*items: dict[str, Any], **more: Any) -> str:
    info = {"name": "Shop", "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"}
    return json.dumps({"info": info, "item": items, **more})


BASE = [{"key": "base", "value": "https://api.shop.example/v1"}]


def test_folders_variables_scripts_and_inherited_auth(convert: Converter) -> None:
    """Groups, settings, values that scripts keep, and checks under the tests' names."""
    made = convert(
        collection(
            {
                "name": "Auth",
                "auth": {"type": "noauth"},
                "item": [
                    item(
                        "Log in",
                        {
                            "method": "POST",
                            "url": {"raw": "{{base}}/login", "host": ["{{base}}"], "path": ["login"]},
                            "body": {
                                "mode": "raw",
                                "raw": '{"user": "{{user}}", "password": "hunter2-secret", "n": {{$randomInt}}}',
                                "options": {"raw": {"language": "json"}},
                            },
                        },
                        'pm.test("Status code is 200", function () {',
                        "    pm.response.to.have.status(200);",
                        "});",
                        "const body = pm.response.json();",
                        'pm.environment.set("token", body.data.access_token);',
                        "postman.setEnvironmentVariable('userId', body.user['id']);",
                    )
                ],
            },
            {
                "name": "Orders",
                "item": [
                    {
                        "name": "Mine",
                        "item": [
                            item(
                                "Create",
                                {
                                    "method": "POST",
                                    "url": "{{base}}/orders",
                                    "header": [
                                        {"key": "X-Api-Key", "value": "{{apiKey}}"},
                                        {"key": "X-Off", "value": "1", "disabled": True},
                                    ],
                                    "body": {"mode": "raw", "raw": '{"user": {{userId}}, "as": "{{userId}}"}'},
                                },
                                "pm.test('made', () => pm.expect(pm.response.code).to.eql(201));",
                                "pm.collectionVariables.set('orderId', pm.response.json().id);",
                            ),
                            item(
                                "Get",
                                {
                                    "method": "GET",
                                    "url": {
                                        "raw": "{{base}}/orders/:id?a=1&b=2",
                                        "query": [
                                            {"key": "a", "value": "1"},
                                            {"key": "b", "value": "2", "disabled": True},
                                        ],
                                        "variable": [{"key": "id", "value": "{{orderId}}"}],
                                    },
                                },
                            ),
                            item(
                                "Key",
                                {
                                    "method": "GET",
                                    "url": "{{base}}/key",
                                    "auth": {
                                        "type": "apikey",
                                        "apikey": [
                                            {"key": "key", "value": "k"},
                                            {"key": "value", "value": "s3cr3t-value-1"},
                                            {"key": "in", "value": "query"},
                                        ],
                                    },
                                },
                            ),
                            item(
                                "Basic",
                                {
                                    "method": "GET",
                                    "url": "{{base}}/basic",
                                    "auth": {"type": "basic", "basic": {"username": "bob", "password": "pa55word"}},
                                },
                            ),
                        ],
                    }
                ],
            },
            variable=[*BASE, {"key": "user", "value": "ada"}, {"key": "apiKey", "value": "abcdef-0123"}],
            auth={"type": "bearer", "bearer": [{"key": "token", "value": "{{token}}", "type": "string"}]},
        ),
        "c.json",
    )
    assert made.code == 0, made.said
    assert made.calls() == [
        "http.post('/v1/login', json={'user': API_USER, 'password': PASSWORD, 'n': vu.random.randint(0, 1000)})",
        (
            "http.post('/v1/orders', headers={'X-Api-Key': API_KEY, 'Authorization': f'Bearer {token}'}, "
            "json={'user': user_id, 'as': f'{user_id}'})"
        ),
        (
            "http.get(f'/v1/orders/{order_id}', params={'a': '1'}, headers={'Authorization': f'Bearer {token}'}, "
            "name='/v1/orders/{order_id}')"
        ),
        "http.get('/v1/key', params={'k': API_KEY_2})",
        "http.get('/v1/basic', auth=(API_USER_2, API_PASSWORD))",
    ]
    for line in (
        'async with group("Auth"):',
        '    async with group("Mine"):',
        '"Status code is 200": lambda r: r.status_code == 200',
        'token = reply.json()["data"]["access_token"]',
        'user_id = reply.json()["user"]["id"]',
        '"made": lambda r: r.status_code == 201',
        'API_USER = os.environ.get("API_USER", "ada")',
    ):
        assert line in made.script, line + made.script
    for secret in ("hunter2-secret", "abcdef-0123", "s3cr3t-value-1", "pa55word"):
        assert secret not in made.script + made.said
    convert.load()


@pytest.mark.parametrize(
    ("body", "argument"),
    [
        (
            {
                "mode": "urlencoded",
                "urlencoded": [{"key": "a", "value": "1"}, {"key": "b", "value": "2", "disabled": True}],
            },
            "data={'a': '1'}",
        ),
        (
            {
                "mode": "formdata",
                "formdata": [
                    {"key": "a", "value": "1", "type": "text"},
                    {"key": "f", "type": "file", "src": ["/C:/cat.png"]},
                ],
            },
            "data={'a': '1'}, files=[('f', ('cat.png', CAT_PNG))]",
        ),
        (
            {"mode": "graphql", "graphql": {"query": "query Cart { cart { id } }", "variables": '{"n": {{n}}}'}},
            "json={'query': 'query Cart { cart { id } }', 'variables': {'n': N}}, name='/x Cart'",
        ),
        ({"mode": "file", "file": {"src": "/x.bin"}}, "content=X_BIN"),
        (
            {"mode": "raw", "raw": "<a>1</a>", "options": {"raw": {"language": "xml"}}},
            "headers={'Content-Type': 'application/xml'}, content='<a>1</a>'",
        ),
    ],
)
def test_bodies(convert: Converter, body: dict[str, Any], argument: str) -> None:
    """Of every mode."""
    made = convert(collection(item("x", {"method": "POST", "url": "http://h.example/x", "body": body})), "c.json")
    assert made.calls() == [f"http.post('/x', {argument})"]
    convert.load()


def test_an_environment_gives_values(convert: Converter) -> None:
    """Secret ones are read from the environment when the script runs."""
    values = [
        {"key": "base", "value": "http://localhost:1", "enabled": True},
        {"key": "pw", "value": "zzzzzzzz", "type": "secret"},
    ]
    (convert.folder / "e.json").write_text(json.dumps({"name": "e", "values": values}))
    made = convert(collection(item("x", "{{base}}/x?a={{pw}}")), "c.json", variables="e.json")
    assert '"base_url": "http://localhost:1",' in made.script
    assert made.calls() == ["http.get('/x', params={'a': PW})"]
    assert "zzzzzzzz" not in made.script


def test_a_refusal_that_is_meant_fails_no_threshold(convert: Converter) -> None:
    """A test for 404 keeps the threshold on failed requests out."""
    made = convert(collection(item("x", "http://h.example/x", "pm.response.to.have.status(404)")), "c.json")
    assert "http_req_failed" not in made.script


def test_scripts_that_cannot_be_converted_are_named(convert: Converter) -> None:
    """So nobody believes that they still run."""
    made = convert(
        collection(item("Odd", "http://h.example/x", "while (true) { doThings() }", before=("eval(1)",))), "c.json"
    )
    assert "Odd: 1 line of its test script could not be converted" in made.said
    assert "Odd: its pre-request script is not in the script" in made.said


def test_a_collection_without_requests(convert: Converter) -> None:
    """Is an error."""
    made = convert(collection({"name": "empty", "item": []}), "c.json")
    assert (made.code, "there is no request in this collection" in made.said) == (2, True)


def test_urls_in_parts_and_headers_as_text(convert: Converter) -> None:
    """As v2.0 has them; values of path variables stand in the path, missing ones have to be set."""
    url = {
        "protocol": "http", "host": ["127", "0", "0", "1"], "port": "9", "path": ["a", ":id", ":other"],
        "query": [{"key": "q", "value": "a b"}], "variable": [{"id": "id", "value": "17"}],
    }  # fmt: skip
    made = convert(collection(item("x", {"url": url, "header": "X-A: 1\nCookie: sid=abcdefgh1; x=1"})), "c.json")
    assert made.calls() == [
        (
            "http.get(f'/a/17/{OTHER}', params={'q': 'a b'}, headers={'X-A': '1'}, cookies={'sid': SID, 'x': '1'}, "
            "name='/a/{a_id}/{other}')"
        )
    ]
    assert "OTHER" in made.said
