"""Whatever is in a file, it is an error in words or a script that compiles, in which its text is data."""

from __future__ import annotations

import ast
import json
import string
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ciload.convert.kinds import Choices, Converted, convert, convert_curl
from ciload.errors import UsageError
from tests.convert.recordings import entry, har

PIECES = [
    '"',
    "'",
    '"""',
    "\\",
    "\n",
    "\r",
    "\x0c",
    "\x85",
    "\u2028",
    "\u202e",
    "\0",
    "{",
    "}",
    "{x}",
    "{{x}}",
    "{{$guid}}",
    "#",
    "/",
    "?",
    "&",
    "=",
    " ",
    "ü",
    "import os",
    "os.abort()",
    "; ",
    "`",
    "$(id)",
    "%s",
    "%22",
    ":id",
    "\ue000",
    "\ue0000\ue001",
    "\ue002",
    "\ud800",
    "class",
    "http",
    "f'",
    "{os.abort()}",
    "://",
    "[::1",
    "@",
    "17",
    "pm.environment.set('",
    "')",
    "pm.response.json()",
    ".",
    "Bearer ",
    "a1b2c3d4e5f6a7b8c9d0",
]
texts = st.lists(st.sampled_from(PIECES), max_size=5).map("".join)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
urls = texts.map("http://h/".__add__) | texts.map("https://h.example/a?".__add__) | texts
rows = st.lists(st.fixed_dictionaries({"name": texts, "value": texts, "key": texts}) | anything, max_size=3)
media = (
    st.sampled_from(
        ["application/json", "application/x-www-form-urlencoded", "text/xml", "multipart/form-data; boundary=B"]
    )
    | texts
)
contents = (
    texts
    | anything.map(lambda value: json.dumps(value))
    | texts.map(
        lambda text: f'--B\r\nContent-Disposition: form-data; name="{text}"; filename="{text}"\r\n\r\n{text}\r\n--B--'
    )
)
posts = st.fixed_dictionaries({"mimeType": media}, optional={"text": contents, "params": rows}) | anything
requests = st.fixed_dictionaries(
    {"url": urls, "method": st.sampled_from(["GET", "POST", "PURGE"]) | texts},
    optional={"headers": rows, "postData": posts, "cookies": rows},
)
replies = st.fixed_dictionaries(
    {"status": st.sampled_from([200, 201, 302, 304]) | anything},
    optional={
        "headers": rows,
        "content": st.fixed_dictionaries({"mimeType": media, "text": contents}) | anything,
    },
)
entries = (
    st.fixed_dictionaries(
        {"request": requests, "response": replies},
        optional={
            "startedDateTime": texts | st.just("2026-01-01T00:00:00Z"),
            "time": anything,
            "pageref": anything,
        },
    )
    | anything
)
recordings = st.fixed_dictionaries({"log": st.fixed_dictionaries({"entries": st.lists(entries, max_size=4)})})

asked = st.fixed_dictionaries(
    {
        "url": urls
        | st.fixed_dictionaries({"raw": urls}, optional={"query": rows, "variable": rows, "path": anything})
        | anything
    },
    optional={
        "method": texts,
        "header": rows,
        "auth": st.fixed_dictionaries(
            {
                "type": st.sampled_from(["bearer", "basic", "apikey", "awsv4"]),
                "bearer": rows,
                "basic": rows,
                "apikey": rows,
            }
        ),
        "body": st.fixed_dictionaries(
            {"mode": st.sampled_from(["raw", "urlencoded", "formdata", "file", "graphql"])},
            optional={
                "raw": contents,
                "urlencoded": rows,
                "formdata": rows,
                "file": anything,
                "graphql": anything | (st.fixed_dictionaries({"query": texts, "variables": contents})),
            },
        )
        | anything,
    },
)
scripts = st.lists(
    st.sampled_from(
        [
            "pm.environment.set('x', pm.response.json().a)",
            "pm.test('n', () => { pm.response.to.have.status(201) })",
            "const a = pm.response.json();",
            "pm.globals.set('id', a['b'][0].c);",
            "pm.expect(a.b).to.eql('c')",
        ]
    )
    | texts,
    max_size=3,
)
steps = st.fixed_dictionaries(
    {"name": texts, "request": asked},
    optional={
        "event": st.lists(
            st.fixed_dictionaries(
                {
                    "listen": st.sampled_from(["test", "prerequest"]),
                    "script": st.fixed_dictionaries({"exec": scripts | texts}),
                }
            ),
            max_size=2,
        )
    },
)
folders = st.fixed_dictionaries({"name": texts, "item": st.lists(steps | anything, max_size=2)})
collections = st.fixed_dictionaries(
    {"info": anything, "item": st.lists(steps | folders, max_size=3)}, optional={"variable": rows, "auth": anything}
)

log_targets = texts.map("/".__add__)
log_lines = (
    st.builds(
        lambda target, status, method: (
            f'::1 - - [10/Oct/2025:13:55:36 +0200] "{method} {target.replace(chr(34), "")} HTTP/1.1" {status} 5 "-" "-"'
        ),
        log_targets,
        st.sampled_from([200, 301, 404]),
        st.sampled_from(["GET", "HEAD", "POST"]),
    )
    | texts
    | anything.map(json.dumps)
)

# Beside names that tell what they are made of, all names in scripts are these.
CALLED = {
    "check",
    "http",
    "sleep",
    "group",
    "fail",
    "field",
    "between",
    "vu",
    "os",
    "re",
    "html",
    "uuid",
    "time",
    "datetime",
    "UTC",
    "reply",
    "unquote",
    "int",
    "str",
    "dict",
    "list",
    "json",
    "request",
    "query",
    "tag",
    "found",
    "values",
    "succeeded",
    "r",
}


def made(act: Callable[[], Converted]) -> Converted | None:
    with suppress(UsageError):
        return act()
    return None


def see_that_it_is_inert(source: str) -> None:
    """It compiles, and calls nothing but what scripts call."""
    tree = ast.parse(source.encode())
    compile(tree, "load.py", "exec", dont_inherit=True)
    assert all(line.isprintable() for line in source.split("\n"))
    defined = {each.name for each in ast.walk(tree) if isinstance(each, ast.AsyncFunctionDef | ast.FunctionDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id in CALLED | defined
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert node.value.id != "os" or node.attr == "environ"
        if isinstance(node, ast.Name):
            assert set(node.id) <= set(string.ascii_letters + string.digits + "_")


def of_text(text: str, folder: Path) -> None:
    path = folder / "material"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    converted = made(lambda: convert(str(path), "load.py", Choices()))
    if converted is not None:
        see_that_it_is_inert(converted.script)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


often = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])


@given(recordings)
@often
def test_recordings(folder: Path, recording: dict[str, Any]) -> None:
    """HAR with anything anywhere."""
    of_text(json.dumps(recording), folder)


@given(collections)
@often
def test_collections(folder: Path, collection: dict[str, Any]) -> None:
    """Postman's collections with anything anywhere."""
    of_text(json.dumps(collection), folder)


@given(st.lists(log_lines, max_size=8))
@often
def test_logs(folder: Path, lines: list[str]) -> None:
    """Logs with broken lines, and targets of all kinds."""
    of_text("\n".join(lines), folder)


@given(
    st.lists(
        st.sampled_from(
            [
                "-H",
                "-d",
                "-F",
                "-b",
                "-X",
                "-u",
                "--json",
                "-G",
                "--next",
                "https://h/",
                "a: b",
                "x=y",
                "x=@f.png",
                "--data-urlencode",
                "-A",
            ]
        )
        | texts
        | urls,
        max_size=8,
    )
)
@often
def test_curl_arguments(arguments: list[str]) -> None:
    """What a shell would hand over."""
    converted = made(lambda: convert_curl(arguments, "load.py"))
    if converted is not None:
        see_that_it_is_inert(converted.script)


@given(texts, texts)
@often
def test_curl_in_a_file(folder: Path, first: str, second: str) -> None:
    """Commands with any quoting."""
    of_text(f"curl https://h/{first} {second}", folder)


@given(st.binary(max_size=60))
@often
def test_any_bytes(folder: Path, data: bytes) -> None:
    """What is nothing that we know is said to be so."""
    path = folder / "bytes"
    path.write_bytes(data)
    made(lambda: convert(str(path), "load.py", Choices()))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ('{"log": {"entries": [}}', ":1: broken JSON"),
        ('{"log":\n{"entries": [\n}}', ":3: broken JSON"),
        ('{"log": ' + "[" * 100_000, "nested too deeply"),
        ('{"log": {"entries": []}}', "`log.entries` is empty"),
        ('{"openapi": "3.0.0"}', "ciload init"),
        ('{"a": 1}', "neither a HAR recording"),
        ('{"name": "x", "values": []}', "--variables"),
        ("hello\nworld\n", "is neither a HAR recording, a Postman collection, an access log, or a curl command"),
        ("\x1f\x8bxx", "cannot be unpacked"),
        ("PK\x03\x04xx", "unpack it"),
    ],
)
def test_errors_say_what_and_where(tmp_path: Path, text: str, said: str) -> None:
    """With the file, and the line where there is one."""
    path = tmp_path / "x.har"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError) as caught:
        convert(str(path), "load.py", Choices())
    assert said in str(caught.value)
    assert str(path)[:40] in str(caught.value)


def test_deeply_nested_bodies_are_text(tmp_path: Path) -> None:
    """A body that a script could not hold as JSON is sent as it is."""
    path = tmp_path / "x.har"
    body = {"mimeType": "application/json", "text": "[" * 300 + "]" * 300}
    path.write_text(har(entry(0, "POST", "http://h/a", posted=body)))
    see_that_it_is_inert(script := convert(str(path), "load.py", Choices()).script)
    assert "content=" in script
