"""The generated script: whatever a document says, it is data in it, and never code."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ciload.starter.document import Document
from ciload.starter.operations import read_api
from ciload.starter.plain import parse
from ciload.starter.source import api_script

# Quotes, escapes, line ends of all kinds, turns of direction, braces of formats, and words of Python.
PIECES = ['"', "'", '"""', "\\", "\n", "\r", "\x0c", "\x1e", "\x85", "\u2028", "\u202e", "\0", "{", "}", "{x}", "#",
          "/", " ", "ü", "import os", "os.abort()", "; ", "`", "$(id)", "%s", "coding: utf-7",
          "class", "http", "form"]  # fmt: skip
texts = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)
examples = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
schemas = st.sampled_from(
    [{"type": "string", "format": "binary"}, {"type": "array", "items": {"format": "binary"}}]
) | (st.fixed_dictionaries({}, optional={"example": examples, "type": texts, "contentMediaType": texts}))
media = st.sampled_from(
    ["application/json", "a/b+json", "multipart/form-data", "application/x-www-form-urlencoded", "text/plain",
     "application/octet-stream", "application/xml"]
) | texts  # fmt: skip
bodies = st.fixed_dictionaries({
    "content": st.dictionaries(media, st.fixed_dictionaries({
        "schema": st.fixed_dictionaries({"properties": st.dictionaries(texts, schemas, max_size=3)}),
    }, optional={
        "example": examples, "encoding": st.dictionaries(texts, st.fixed_dictionaries({"contentType": texts})),
    }), max_size=2),
})  # fmt: skip
parameters = st.fixed_dictionaries({
    "name": texts, "in": st.sampled_from(["query", "header", "cookie", "path", "body", "formData"]),
    "required": st.just(True), "schema": schemas,
}, optional={"type": st.sampled_from(["file", "string"])})  # fmt: skip
operations = st.fixed_dictionaries({}, optional={
    "operationId": texts, "parameters": st.lists(parameters, max_size=3), "requestBody": bodies,
    "responses": st.dictionaries(st.sampled_from(["200", "204", "302", "default"]) | texts, st.just({}), max_size=3),
    "security": st.lists(st.dictionaries(st.sampled_from("abcde"), st.just([]), max_size=2), max_size=2),
    "servers": st.lists(st.fixed_dictionaries({"url": texts | st.just("http://localhost:1/'\"")}), max_size=1),
})  # fmt: skip
documents = st.fixed_dictionaries({
    "openapi": st.just("3.1.0"),
    "info": st.fixed_dictionaries({"title": texts}),
    "paths": st.dictionaries(
        texts.map("/".__add__) | texts,
        st.dictionaries(st.sampled_from(["get", "post", "delete", "trace"]), operations, max_size=2)
        | st.fixed_dictionaries({"$ref": texts}),
        min_size=1, max_size=3,
    ),
    "components": st.fixed_dictionaries({"securitySchemes": st.fixed_dictionaries({
        "a": st.just({"type": "http", "scheme": "bearer"}), "b": st.just({"type": "http", "scheme": "basic"}),
        "c": st.fixed_dictionaries({"type": st.just("apiKey"), "in": st.just("query"), "name": texts}),
        "d": st.just({"type": "apiKey", "in": "cookie", "name": "sid"}),
        "e": st.fixed_dictionaries({"type": texts}),
    })}),
}, optional={"servers": st.lists(st.fixed_dictionaries({"url": texts}), max_size=1)})  # fmt: skip
OURS = {
    "os", "base64", "ciload", "check", "http", "sleep", "options", "WRITES", "DELETES", "BEARER", "BASIC", "PAIR",
    "FORM", "form", "parts", "lines", "name", "content", "file", "kind", "x", "reply", "succeeded", "r", "isinstance",
    "bytes", "encode", "join", "environ", "get", "b64encode", "decode", "status_code", "is_success", "default", "head",
    "post", "put", "patch", "delete", "params", "headers", "json", "data", "follow_redirects", "b",
}  # fmt: skip
KEY = re.compile(r"KEY(_\d+)?(_NAME)?")
FUNCTION = re.compile(r"[a-z][a-z0-9_]*")


@given(documents, texts)
def test_nothing_of_a_document_is_code(document: dict[str, Any], file: str) -> None:
    """The script compiles, and every name in it is one of ours or that of a function, which is a plain word."""
    root = parse(json.dumps(document).encode(), "", "")
    api = read_api(Document(root))
    functions = {each.function for each in api.operations}

    source = api_script(api, f"ciload init {file}", "load.py")

    tree = ast.parse(source.encode())
    compile(tree, "load.py", "exec", dont_inherit=True)
    names = set[str]()
    for node in ast.walk(tree):
        for field in ("id", "attr", "name", "arg", "module"):
            if isinstance(name := getattr(node, field, None), str):
                names.add(name)
    assert all(FUNCTION.fullmatch(each) for each in functions)
    assert {each for each in names if not KEY.fullmatch(each)} <= OURS | functions
    assert all(line.isprintable() for line in source.split("\n"))
    ends = [node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    assert set(ends) <= {"check", "sleep", "form", "isinstance"} | functions


def test_a_part_of_a_form_stays_one() -> None:
    """A field's name ends no header, and the bytes are those that servers read."""
    properties = {'a"\r\nX: y': {"default": "1"}, "f": {"format": "binary"}}
    form = {"schema": {"properties": properties}, "encoding": {"f": {"contentType": "image/png, image/gif"}}}
    body = {"content": {"multipart/form-data": form}}
    document = {"openapi": "3.0.0", "paths": {"/x": {"post": {"requestBody": body}}}}
    source = api_script(read_api(Document(document)), "", "load.py")
    names: dict[str, Any] = {}
    start = source.index("FORM = ")
    exec(source[start : source.index("async def")], names)
    [call] = re.findall(r"content=(form\(.*?\n        \))", source, re.DOTALL)
    assert eval(call, names) == (
        b'--ciload-form\r\nContent-Disposition: form-data; name="a%22%0D%0AX: y"\r\n\r\n1\r\n'
        b'--ciload-form\r\nContent-Disposition: form-data; name="f"; filename="example.png"\r\n'
        b"Content-Type: image/png\r\n\r\nexample\r\n--ciload-form--\r\n"
    )
