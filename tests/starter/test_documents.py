"""Documents in several files and at URLs: what they refer to is followed, or it is said why not."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ciload.errors import UsageError
from ciload.starter import places
from ciload.starter.bodies import Part
from ciload.starter.choice import Choice
from ciload.starter.discovery import look_at
from ciload.starter.document import Document, read_document
from ciload.starter.operations import ApiDescription, Operation, read_api
from ciload.starter.plain import parse
from ciload.starter.security import Scheme

Pages = dict[str, bytes | str | dict[str, Any] | int]
SECRET = "s3cr3tzqx"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty one, in which documents are."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(**texts: str) -> None:
    """Files by name, in which __ stands for a slash and _ before the ending for a dot."""
    for name, text in texts.items():
        path = Path(name.replace("__", "/").replace("_yaml", ".yaml"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def api(document: dict[str, Any], choice: Choice | None = None, home: str = "") -> ApiDescription:
    root = parse(json.dumps({"openapi": "3.1.0"} | document).encode(), "", "")
    return read_api(Document(root), choice, home)


def only(document: dict[str, Any]) -> Operation:
    [found] = api(document).operations
    return found


def operation(node: dict[str, Any], **more: Any) -> Operation:
    return only({"paths": {"/x": {"post": node}}, **more})


@contextmanager
def serving(pages: Pages, seen: list[str] | None = None) -> Iterator[str]:
    """A server of these pages: their content, or the status of an error or of a redirect."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if seen is not None:
                seen.append(self.path)
            page = pages.get(self.path.partition("?")[0], 404)
            data = json.dumps(page).encode() if isinstance(page, dict) else b"" if isinstance(page, int) else page
            data = data.encode() if isinstance(data, str) else data
            self.send_response(page if isinstance(page, int) else 200)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


# --- several files


def test_references_lead_to_other_files() -> None:
    """To whole files and to parts of them, from wherever they stand, and back."""
    files(
        api__openapi_yaml="openapi: 3.0.0\npaths:\n  /users: {$ref: paths/users.yaml}\n"
        "  /users/{id}: {$ref: 'paths/all.yaml#/~1users~1{id}'}\ncomponents: {schemas: {City: {example: Bern}}}\n",
        api__paths__users_yaml="post: {requestBody: {$ref: '../../common/bodies.yaml#/User'}}\n",
        api__paths__all_yaml="/users/{id}:\n  parameters: [{name: id, in: path, schema: {type: integer, minimum: 7}}]\n"
        "  get: {}\n",
        common__bodies_yaml="User: {content: {application/json: {schema: {$ref: schemas.yaml}}}}\n",
        common__schemas_yaml="properties:\n  city: {$ref: '../api/openapi.yaml#/components/schemas/City'}\n"
        "  friend: {$ref: '#'}\n",
    )
    found = read_api(read_document("api/openapi.yaml"))
    assert [(each.name, each.url) for each in found.operations] == [
        ("POST /users", "/users"), ("GET /users/{id}", "/users/7")
    ]  # fmt: skip
    assert found.operations[0].body.json == {"city": "Bern"}
    assert found.missing == ()


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("gone.yaml", "there is no such file"),
        (".", "is no regular file"),
        ("../outside.yaml", "lies outside of"),
        ("/etc/passwd", "lies outside of"),
        ("%2e%2e/outside.yaml", "lies outside of"),
        ("link.yaml", "lies outside of"),
        ("\0.yaml", "no file can be called so"),
        ("file:///etc/passwd", "no URL is followed"),
        ("https://evil.test/x.yaml", "no URL is followed"),
        ("//evil.test/x.yaml", "no URL is followed"),
        ("broken.yaml", "neither YAML nor JSON"),
        ("binary.yaml", "is not UTF-8"),
        ("#/paths/nowhere", "is not in the document"),
        ("#anchor", "begins with #/"),
        ("#/paths/~1x", "refers to itself"),
        ("loop.yaml", "refers to itself"),
    ],
)
def test_what_cannot_be_followed_is_said(folder: Path, reference: str, why: str) -> None:
    """The other operations are there; the lost one has its reference, its place, and a reason."""
    inside = folder / "inside"
    inside.mkdir()
    (folder / "outside.yaml").write_text("get: {operationId: stolen}", encoding="utf-8")
    (inside / "link.yaml").symlink_to(folder / "outside.yaml")
    (inside / "broken.yaml").write_text("a: [", encoding="utf-8")
    (inside / "binary.yaml").write_bytes(b"\xff\xfe")
    (inside / "loop.yaml").write_text("$ref: loop.yaml", encoding="utf-8")
    document = {"openapi": "3.0.0", "paths": {"/x": {"$ref": reference}, "/y": {"get": {}}}}
    (inside / "api.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(inside)
        found = read_api(read_document("api.json"))
    assert [each.name for each in found.operations] == ["GET /y"]
    [missing] = found.missing
    assert why in missing
    assert reference == "loop.yaml" or "(in api.json#/paths/~1x): " in missing


def test_documents_have_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """In their number and together: a chain without end, and many that are large."""
    chain = {
        f"p{n}_yaml": f"get: {{}}\nx: {{$ref: p{n + 1}.yaml}}\npost: {{$ref: 'p{n + 1}.yaml#/get'}}" for n in range(9)
    }
    files(api_yaml="openapi: 3.0.0\npaths:\n" + "".join(f"  /{n}: {{$ref: p{n}.yaml}}\n" for n in range(8)), **chain)
    monkeypatch.setattr(places.Files, "most_documents", 3)
    found = read_api(read_document("api.yaml"))
    assert any("more than 3 documents" in each for each in found.missing)
    monkeypatch.setattr("ciload.starter.document.MOST_BYTES", 60)
    assert any("together" in each for each in read_api(read_document("api.yaml")).missing)


@pytest.mark.parametrize(
    "text",
    [
        f"a: &a {{{','.join(f'k{n}: 0' for n in range(1000))}}}\nb: {{<<: [{','.join(['*a'] * 2000)}]}}\n",
        "&a {<<: *a}",
        "x: &a {<<: [*a, *a]}",
    ],
    ids=["merged keys", "merges itself", "merges itself twice"],
)  # fmt: skip
def test_yaml_has_an_end(text: str) -> None:
    """A few lines that would be billions of values, or have no end at all."""
    with pytest.raises(UsageError, match=r"too large|nested too deeply|neither YAML"):
        parse(text.encode(), "api.yaml", "")


# --- URLs


def test_a_document_at_a_url_is_followed_at_its_server_only(folder: Path) -> None:
    """Relative references are; files of this machine and other servers are not, and what redirects is not."""
    (folder / "local.yaml").write_text("get: {}", encoding="utf-8")
    stolen: list[str] = []
    with serving({"/x": {"get": {}}}, stolen) as other:
        pages: Pages = {
            "/api/openapi.json": {"openapi": "3.0.0", "servers": [{"url": "/v1"}], "paths": {
                "/a": {"$ref": "paths/a.yaml"}, "/b": {"$ref": "/shared.json#/b"},
                "/c": {"$ref": f"{other}/x"}, "/d": {"$ref": f"file://{folder}/local.yaml"},
                "/e": {"$ref": "moved.json"},
            }},
            "/api/paths/a.yaml": "get: {responses: {200: {}}}\n",
            "/shared.json": {"b": {"get": {"$ref": "#/c"}}, "c": {"operationId": "shared"}},
            "/api/moved.json": 302, "/elsewhere": {"get": {}},
        }  # fmt: skip
        with serving(pages) as url:
            found = look_at(f"{url}/api/openapi.json?token={SECRET}")
            assert found.document is not None
            described = read_api(found.document, home=url)
    assert (described.base_url, [each.url for each in described.operations]) == (url, ["/v1/a", "/v1/b"])
    assert [each.partition("): ")[2] for each in described.missing] == [
        "is at another server than the document, which is not asked",
        "is at another server than the document, which is not asked",
        "the server answers with status 302",
    ]
    assert stolen == []
    assert SECRET not in str(described.missing)


PAGE = "<!doctype html><title>openapi: 3</title>"
SHOWS = """<div id="swagger-ui"></div><script>SwaggerUIBundle({url: '/deep/openapi.json'})</script>"""
DOCUMENT: dict[str, Any] = {"openapi": "3.1.0", "paths": {"/x": {"get": {}}}}


@pytest.mark.parametrize(
    ("path", "pages", "where"),
    [
        ("/anything", {"/anything": DOCUMENT}, "/anything"),
        ("/spec.yaml", {"/spec.yaml": "swagger: '2.0'\npaths: {}\n"}, "/spec.yaml"),
        ("", {"/openapi.json": DOCUMENT}, "/openapi.json"),
        ("/", {"/": PAGE, "/v3/api-docs": DOCUMENT}, "/v3/api-docs"),
        ("/docs", {"/docs": SHOWS, "/deep/openapi.json": DOCUMENT}, "/deep/openapi.json"),
        ("/moved", {"/moved": 307, "/elsewhere": DOCUMENT}, "/elsewhere"),
        ("/health", {"/health": "ok", "/openapi.json": DOCUMENT}, None),
        ("/page", {"/page": PAGE}, None),
        ("/data.json", {"/data.json": {"version": 3}}, None),
        ("/", {"/": PAGE}, None),
    ],
)
def test_a_document_is_known_by_what_it_says(path: str, pages: Pages, where: str | None) -> None:
    """Not by its name; a service, and a page that shows a document, are asked for it."""
    with serving(pages) as url:
        found = look_at(url + path)
        assert found.url.removeprefix(url) == (where if where is not None else path)
        assert (found.document is not None) == (where is not None)


@pytest.mark.parametrize(
    ("page", "why"),
    [
        (404, "answers with status 404"),
        (PAGE, "is no OpenAPI document"),
        ('{"openapi": ', "neither YAML nor JSON"),
        (b"#" * 2000, "is larger than"),
    ],
)
def test_what_is_called_a_document_is_one(monkeypatch: pytest.MonkeyPatch, page: Any, why: str) -> None:
    """Otherwise nothing is written, and the user learns why, without the query."""
    monkeypatch.setattr(places, "MOST_BYTES", 1000)
    with serving({"/openapi.json": page}) as url, pytest.raises(UsageError, match=why) as error:
        look_at(f"{url}/openapi.json?key={SECRET}")
    assert SECRET not in str(error.value)


def test_nobody_answers() -> None:
    """A document that cannot be read is an error; a page may come up later."""
    with pytest.raises(UsageError, match="cannot be read: Connection refused"):
        look_at("http://127.0.0.1:1/openapi.json")
    assert look_at("http://127.0.0.1:1/health").status is None


# --- servers


@pytest.mark.parametrize(
    ("home", "servers", "base_url", "url"),
    [
        ("", [{"url": "/api/v1"}], "", "/api/v1/x"),
        ("", [{"url": "https://shop.test/v2"}, {"url": "http://localhost:81/v3"}], "http://localhost:81", "/v3/x"),
        ("http://localhost:80", [], "http://localhost:80", "/x"),
        ("http://localhost:80", [{"url": "https://shop.test/v2"}], "http://localhost:80", "/v2/x"),
        ("https://shop.test", [{"url": "https://old.test"}, {"url": "https://shop.test/v2"}], "https://shop.test",
         "/v2/x"),
        ("https://docs.test", [{"url": "https://shop.test/v2"}], "", "/v2/x"),
        ("https://shop.test", [{"url": "/v2/"}], "https://shop.test", "/v2/x"),
        ("", [{"url": "{s}://localhost{p}/v4", "variables": {"s": {"enum": ["http"]}, "p": {"default": ":82"}}}],
         "http://localhost:82", "/v4/x"),
    ],
)  # fmt: skip
def test_where_requests_go(home: str, servers: list[Any], base_url: str, url: str) -> None:
    """To the server that the document came from, or a local one; others only say what paths begin with."""
    found = api({"servers": servers, "paths": {"/x": {"get": {}}}}, home=home)
    assert (found.base_url, found.operations[0].url) == (base_url, url)


def test_operations_have_servers_of_their_own() -> None:
    """A path and an operation may say so; another server is asked if it is local."""
    found = api({
        "servers": [{"url": "http://localhost:80/v1"}],
        "paths": {
            "/a": {"servers": [{"url": "/v2"}], "get": {}, "post": {"servers": [{"url": "http://localhost:81/up"}]}},
            "/b": {"get": {"servers": [{"url": "https://files.test"}]}},
            "/c": {"get": {}},
        },
    })  # fmt: skip
    assert [each.url for each in found.operations] == ["/v2/a", "http://localhost:81/up/a", "/v1/c"]
    assert found.missing == ("GET /b: is served by https://files.test, which is not loaded",)


# --- signing in

SCHEMES = {
    "token": {"type": "http", "scheme": "Bearer"}, "pair": {"type": "http", "scheme": "basic"},
    "login": {"type": "oauth2"}, "open": {"type": "openIdConnect"},
    "key": {"type": "apiKey", "in": "header", "name": "X-K"},
    "sid": {"type": "apiKey", "in": "cookie", "name": "sid"}, "tls": {"type": "mutualTLS"},
    "digest": {"type": "http", "scheme": "digest"}, "bad": {"type": "apiKey", "in": "header", "name": "a b"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("security", "expected"),
    [
        (["token"], [Scheme("bearer")]), (["login"], [Scheme("bearer")]), (["open"], [Scheme("bearer")]),
        (["pair"], [Scheme("basic")]), (["key"], [Scheme("header", "X-K")]), (["sid"], [Scheme("cookie", "sid")]),
        (["tls", "pair"], [Scheme("basic")]), ([], []), (["token", None], []), (["digest"], "digest"),
        (["bad"], "apiKey"),
        (["gone"], "not described"),
    ],
)  # fmt: skip
def test_how_requests_sign_in(security: list[str | None], expected: list[Scheme] | str) -> None:
    """The first way that a script can go; where none is needed, none; where there is no such way, it is said."""
    ways: list[dict[str, list[str]]] = [{each: []} if each else {} for each in security]
    found = api({
        "security": [{"key": []}], "components": {"securitySchemes": SCHEMES},
        "paths": {"/x": {"get": {"security": ways}}},
    })  # fmt: skip
    schemes, why = (expected, []) if isinstance(expected, list) else ([], [expected])
    assert list(found.operations[0].schemes) == schemes
    assert [each for each in why if each in found.missing[0]] == why == list(why)[: len(found.missing)]


# --- bodies


def upload(schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"requestBody": {"content": {"multipart/form-data": {"schema": schema, **more}}}}


BINARY = {"type": "string", "format": "binary"}
FILE = ("example.bin", "application/octet-stream")


@pytest.mark.parametrize(
    ("node", "parts"),
    [
        (upload({"properties": {"f": BINARY, "t": {"example": "x"}}}), [Part("f", b"example", *FILE), Part("t", "x")]),
        (upload({"properties": {"f": {"type": "string", "contentMediaType": "application/octet-stream"}}}),
         [Part("f", b"example", *FILE)]),
        (upload({"properties": {"f": {"type": "array", "items": BINARY}}}), [Part("f", b"example", *FILE)]),
        (upload({"properties": {"f": {"anyOf": [{"type": "null"}, BINARY]}}}), [Part("f", b"example", *FILE)]),
        (upload({"properties": {"f": BINARY, "t": {}}, "required": ["f"]}), [Part("f", b"example", *FILE)]),
        (upload({"properties": {"o": {"example": {"a": 1}}, "l": {"example": [1, True]}}}),
         [Part("o", '{"a": 1}', "", "application/json"), Part("l", "1"), Part("l", "true")]),
        (upload({"properties": {"f": BINARY}}, encoding={"f": {"contentType": "text/csv"}}),
         [Part("f", b"example", "example.csv", "text/csv")]),
    ],
)  # fmt: skip
def test_uploads_are_forms_of_parts(node: dict[str, Any], parts: list[Part]) -> None:
    """Files as files, with a name and a type; values as text, or JSON where they are objects."""
    assert list(operation(node).body.parts or ()) == parts


def test_swagger_2_uploads() -> None:
    """Fields and files are parameters there."""
    parameters = [{"name": "t", "in": "formData", "type": "integer"}, {"name": "f", "in": "formData", "type": "file"}]
    document = {"swagger": "2.0", "paths": {"/x": {"post": {"parameters": parameters}}}}
    assert only(document).body.parts == (Part("t", "1"), Part("f", b"example", *FILE))
    document["paths"]["/x"]["post"] = {"parameters": parameters[:1], "consumes": ["multipart/form-data"]}  # type: ignore[index]
    assert only(document).body.parts == (Part("t", "1"),)


@pytest.mark.parametrize(
    ("media", "node", "content"),
    [
        ("application/octet-stream", {}, b"example"),
        ("image/png", {"schema": BINARY}, b"example"),
        ("text/plain", {"schema": {"type": "string"}}, "example"),
        ("application/xml", {"example": "<a/>"}, "<a/>"),
        ("application/xml", {"schema": {"type": "object"}}, None),
    ],
)
def test_other_bodies(media: str, node: dict[str, Any], content: object) -> None:
    """Bytes, text and examples have their media type; what there is no data for is listed."""
    found = api({"paths": {"/x": {"post": {"requestBody": {"content": {media: node}}}}}})
    body = found.operations[0].body
    assert (body.content, body.media if content else "") == (content, media if content else "")
    assert bool(found.missing) == (content is None)


# --- a choice


def many() -> dict[str, Any]:
    paths = {f"/users/{n}": {"get": {"tags": ["Users"]}} for n in range(3)}
    return {"paths": paths | {f"/orders/{n}": {"get": {"tags": ["orders"]}, "post": {}} for n in range(3)}}


@pytest.mark.parametrize(
    ("choice", "count", "others", "left_out"),
    [
        (Choice(), 9, 0, 0),
        (Choice(tags=["users"]), 3, 6, 0),
        (Choice(tags=["users", "ORDERS"]), 6, 3, 0),
        (Choice(paths=["/orders/*"]), 6, 3, 0),
        (Choice(paths=["/orders/1", "/users/1"]), 3, 6, 0),
        (Choice(tags=["orders"], paths=["*/2"]), 1, 8, 0),
        (Choice(limit=4), 4, 0, 5),
        (Choice(paths=["/orders/*"], limit=2), 2, 3, 4),
    ],
)
def test_operations_are_chosen(choice: Choice, count: int, others: int, left_out: int) -> None:
    """By tag, whatever its case, by path, and at most so many; the rest is counted."""
    found = api(many(), choice)
    assert (len(found.operations), found.others, found.left_out) == (count, others, left_out)
    assert sum(found.beyond.values()) == left_out


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (Choice(tags=["user"]), "--tag user: no operation has this tag; there are Users, orders"),
        (Choice(paths=["/user"]), "--path '/user': no operation is like this; there are /users/"),
    ],
)
def test_a_choice_of_nothing_is_a_mistake(choice: Choice, message: str) -> None:
    """It names what there is, the likeliest first."""
    with pytest.raises(UsageError) as error:
        api(many(), choice)
    assert message in str(error.value)


def test_fastapi_names_its_operations_thrice() -> None:
    """The function's name is enough."""
    assert (
        only({"paths": {"/items/{id}": {"get": {"operationId": "read_item_items__id__get"}}}}).function == "read_item"
    )
