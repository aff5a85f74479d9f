"""`ciload init`: scripts that load and run whatever the document says, pipelines that CI takes, nothing overwritten."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import threading
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from ciload.cli.init import init_command, write_start
from ciload.errors import UsageError
from ciload.metrics.registry import Registry
from ciload.script.loader import Script, load_script
from ciload.starter.data import MISSING, Maker
from ciload.starter.document import Document
from ciload.starter.pipelines import PipelineGate, github, gitlab, jenkins
from ciload.starter.service import find_service

BIN = Path(sys.executable).parent
HOSTILE = '"""\n\\"; import os; os.abort() # \' \x1b[31m\u202e{x} ${{ secrets.X }} $(id)'
UUID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"

API: dict[str, Any] = {
    "openapi": "3.0.3",
    "info": {"title": HOSTILE, "version": "1"},
    "servers": [{"url": "http://127.0.0.1:1/{stage}", "variables": {"stage": {"default": "v1"}}}],
    "security": [{"token": []}],
    "paths": {
        "/users": {
            "get": {
                "operationId": "listUsers",
                "summary": HOSTILE,
                "parameters": [
                    {"name": HOSTILE, "in": "query", "required": True, "schema": {"type": "integer", "minimum": 5}},
                    {"name": "optional", "in": "query", "schema": {"type": "string"}},
                    {"name": "X-\n", "in": "header", "required": True, "schema": {"type": "string"}},
                    {"name": "X-Trace", "in": "header", "required": True, "example": HOSTILE},
                ],
                "responses": {"200": {"description": "ok"}},
            },
            "post": {
                "operationId": "class",
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/User"}}}},
                "responses": {"201": {"description": "made"}},
            },
        },
        "/users/{id}": {
            "parameters": [{"$ref": "#/components/parameters/Id"}],
            "get": {"operationId": "http", "security": [{"key": []}], "responses": {"200": {}, "202": {}}},
            "delete": {"operationId": HOSTILE, "security": [{"pair": []}], "responses": {"204": {}}},
        },
        f"/{HOSTILE}/\u00fc": {"get": {"security": [], "responses": {"default": {}}}},
        "/moved": {"get": {"operationId": "listUsers", "responses": {"302": {}}}},
        "/form": {
            "put": {
                "operationId": "__import__",
                "requestBody": {
                    "content": {
                        "application/x-www-form-urlencoded": {"schema": {"properties": {HOSTILE: {"default": HOSTILE}}}}
                    }
                },
                "responses": {"2XX": {}},
            }
        },
    },
    "components": {
        "parameters": {"Id": {"name": "id", "in": "path", "schema": {"type": "string", "format": "uuid"}}},
        "securitySchemes": {
            "token": {"type": "http", "scheme": "bearer"},
            "pair": {"type": "http", "scheme": "basic"},
            "key": {"type": "apiKey", "in": "query", "name": HOSTILE[:40]},
        },
        "schemas": {
            "User": {
                "allOf": [
                    {"required": ["name", "age"], "properties": {"name": {"example": HOSTILE}}},
                    {"properties": {"age": {"type": "integer", "minimum": 18}, "note": {"type": "string"}}},
                ],
                "properties": {"friend": {"$ref": "#/components/schemas/User"}},
            }
        },
    },
}


class Handler(BaseHTTPRequestHandler):
    """Answers as the document says, and remembers what it was asked."""

    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, str, str, bytes]]

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.seen.append((self.command, self.path, self.headers.get("Authorization", ""), body))
        self.send_response(302 if self.path == "/v1/moved" else {"POST": 201, "DELETE": 204}.get(self.command, 200))
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[str, list[tuple[str, str, str, bytes]]]]:
    """Its URL, and what it is asked."""
    seen: list[tuple[str, str, str, bytes]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Remembering", (Handler,), {"seen": seen}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", seen
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty one, in which the command runs."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def document(content: object, name: str = "api.json") -> str:
    Path(name).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return name


def ciload(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("CILOAD_")}
    return subprocess.run(
        [BIN / "ciload", *arguments], env=clean | environment, capture_output=True, text=True, timeout=60, check=False
    )


def loaded(script: str = "load.py") -> Script:
    """The script, if a run could load it."""
    found = load_script(Path(script), Registry())
    assert found.complaint_about("default") is None
    return found


def one(operation: dict[str, Any], path: str = "/x", method: str = "get", **more: Any) -> dict[str, Any]:
    return {"openapi": "3.1.0", "paths": {path: {method: operation}}, **more}


def calls(script: str = "load.py") -> list[str]:
    """The requests in the script, each on one line."""
    tree = ast.parse(Path(script).read_text(encoding="utf-8"))
    found = [node.value for node in ast.walk(tree) if isinstance(node, ast.Await) and isinstance(node.value, ast.Call)]
    return [text for each in found if (text := ast.unparse(each)).startswith("http.")]


# --- from a document


def test_a_hostile_document_makes_a_script_that_runs(server: tuple[str, list[tuple[str, str, str, bytes]]]) -> None:
    """What it says is only ever data: paths, queries, bodies, credentials and checks arrive as they are meant."""
    url, seen = server
    made = ciload("init", document(API))
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.endswith("Next:\n  ciload inspect load.py\n  ciload run load.py\n")

    done = ciload(
        "run", "load.py", "-u", "2", "-i", "2", "--base-url", url, "-e", "WRITES=1", "-e", "DELETES=1",
        API_TOKEN="t0ken", API_KEY="k3y", API_USER="ada", API_PASSWORD="pw",
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(Path("ciload-results/result.json").read_text(encoding="utf-8"))
    assert (result["verdict"]["passed"], {each["fails"] for each in result["checks"]}) == (True, {0})
    assert len({(method, path) for method, path, _, _ in seen}) == 7
    assert {path.split("/")[1] for _, path, _, _ in seen} == {"v1"}
    by = {(method, path.partition("?")[0]): (path, user, body) for method, path, user, body in seen}
    assert by["GET", "/v1/users"][1] == "Bearer t0ken"
    assert by["DELETE", f"/v1/users/{UUID}"][1] == "Basic " + b64encode(b"ada:pw").decode()
    assert by["GET", f"/v1/users/{UUID}"][0].endswith("=k3y")
    assert json.loads(by["POST", "/v1/users"][2]) == {"name": HOSTILE, "age": 18}


def test_what_changes_data_has_to_be_meant(server: tuple[str, list[tuple[str, str, str, bytes]]]) -> None:
    """Unless told, a run only reads."""
    url, seen = server
    write_start(document(API), "load.py", [], force=False)
    assert ciload("run", "load.py", "-u", "1", "-i", "1", "--base-url", url).returncode == 0
    assert {method for method, *_ in seen} == {"GET"}


@pytest.mark.parametrize("width", ["88", "120"])
def test_the_script_is_formatted(width: str) -> None:
    """A formatter leaves it alone."""
    write_start(document(API), "load.py", [], force=False)
    command = [str(ruff := BIN / "ruff"), "format", "--isolated", "--diff", "--line-length", width, "load.py"]
    if not ruff.exists():
        pytest.skip("ruff is not installed")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_names_of_functions_are_their_own() -> None:
    """Keywords, what the script uses, and names that are there twice."""
    write_start(document(API), "load.py", [], force=False)
    names = [name for name, each in loaded().names.items() if getattr(each, "__module__", "") == "ciload_script"]
    assert {"list_users", "list_users_2", "call_class", "call_http", "call_import", "default"} <= set(names)
    assert set(loaded().options["thresholds"]) == {"http_req_duration", "http_req_failed", "checks"}


def test_swagger_2() -> None:
    """Host, base path, parameters that are their own schema, body, form, and basic authentication."""
    write_start(
        document(
            "swagger: '2.0'\nhost: localhost:9000\nbasePath: /api\nschemes: [http]\n"
            "securityDefinitions: {b: {type: basic}}\nsecurity: [{b: []}]\n"
            "definitions: {P: {type: object, properties: {day: {type: string, default: 2024-01-01}}}}\n"
            "paths:\n  /pets/{n}:\n    parameters: [{name: n, in: path, type: integer, maximum: -3}]\n"
            "    get: {responses: {200: {description: yes}}}\n"
            "    post:\n      parameters: [{name: p, in: body, schema: {$ref: '#/definitions/P'}}]\n"
            "    put:\n      parameters: [{name: f, in: formData, type: string, enum: [a, b]}]\n",
            "api.yaml",
        ),
        "load.py", [], force=False,
    )  # fmt: skip
    assert loaded().options["base_url"] == "http://localhost:9000"
    assert calls() == [
        "http.get('/api/pets/-3', headers=BASIC, name='GET /pets/{n}')",
        "http.post('/api/pets/-3', headers=BASIC, json={'day': '2024-01-01'}, name='POST /pets/{n}')",
        "http.put('/api/pets/-3', headers=BASIC, data={'f': 'a'}, name='PUT /pets/{n}')",
    ]


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string", "format": "uuid"}, UUID),
        ({"type": "string", "format": "date-time"}, "2025-01-31T12:00:00Z"),
        ({"type": "string", "minLength": 9}, "exampleee"),
        ({"type": "string", "maxLength": 2}, "ex"),
        ({"type": "string", "enum": ["a"], "default": "b", "example": "c"}, "c"),
        ({"type": "string", "enum": ["a"], "default": "b"}, "b"),
        ({"examples": [7], "type": "integer"}, 7),
        ({"type": ["null", "integer"], "exclusiveMinimum": 4}, 5),
        ({"type": "integer", "minimum": 4, "exclusiveMinimum": True, "multipleOf": 3}, 6),
        ({"type": "integer", "minimum": "x", "maximum": True}, 1),
        ({"type": "number", "maximum": 0.5}, 0.5),
        ({"type": "array", "items": {"type": "boolean"}, "minItems": 2}, [True, True]),
        ({"type": "array", "minItems": 10**9}, ["example"] * 10),
        ({"oneOf": [{"type": "null"}, {"type": "integer"}, {"type": "string"}]}, 1),
        ({"anyOf": [{"enum": ["x"]}, {"type": "integer"}]}, "x"),
        ({"properties": {"a": {"type": "integer"}, "b": {}}, "required": ["a", "zzz"]}, {"a": 1}),
        ({"properties": {"a": {"type": "integer"}, "id": {"readOnly": True}}}, {"a": 1}),
        ({"properties": {"a": {"$ref": "#/loop"}, "b": {"$ref": "#/none"}}}, {"a": {"n": 1}, "b": "example"}),
        ({"$ref": "#/self"}, "example"),
        ({"$ref": "http://evil.example/x"}, "example"),
        ({"allOf": 3, "oneOf": "x", "properties": [], "required": 5, "type": {}, "format": []}, {}),
    ],
)
def test_data_is_made_from_schemas(schema: dict[str, Any], value: object) -> None:
    """Examples first, then defaults, choices, and types with their limits; nonsense and cycles have an end."""
    root = {
        "loop": {"properties": {"n": {"type": "integer"}, "again": {"$ref": "#/loop"}}},
        "self": {"$ref": "#/self"},
    }
    assert Maker(Document(root)).make(schema) == value


def test_data_has_bounds() -> None:
    """A schema that doubles at every level, and one that is deeper than any."""
    wide: dict[str, Any] = {f"s{n}": {"properties": {k: {"$ref": f"#/s{n + 1}"} for k in "abcd"}} for n in range(30)}
    maker = Maker(Document(wide))
    assert maker.make({"$ref": "#/s0"}) is not MISSING
    assert maker.left < 0


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("//evil.example/x", "/evil.example/x"),
        ("/a#b", "/a"),
        ("/a b/{..}/\n'\"", "/a%20b/1/%0A'%22"),
        ("/{a}{b}", "/11"),
    ],
)
def test_requests_stay_at_the_target(path: str, url: str) -> None:
    """No path names another server, or ends the request line."""
    write_start(document(one({}, path)), "load.py", [], force=False)
    [call] = calls()
    assert ast.literal_eval(call.removeprefix("http.get(").split(", name=")[0]) == url


def test_a_server_that_is_not_local_is_not_loaded(capsys: pytest.CaptureFixture[str]) -> None:
    """Most documents name production."""
    init_command(document(one({}, servers=[{"url": "https://api.shop.test/v2"}])), "load.py", [], force=False)
    assert "base_url" not in loaded().options
    assert "https://api.shop.test, which is not loaded unless you say so" in capsys.readouterr().out
    assert calls() == ["http.get('/v2/x', name='GET /x')"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "neither YAML nor JSON"),
        ("a: &a [*a]\nopenapi: 3", "describes no requests"),
        ("openapi: 3.0.0\npaths: {/x: {get: 5, put: [], parameters: {}}}", "describes no requests"),
        ("[" * 10_000, "nested too deeply"),
        ("!!timestamp x", "broken value"),
        ("!!int ''", "broken value"),
        ("hello", "is no OpenAPI document"),
        ("!!python/object/apply:os.abort []", "neither YAML nor JSON"),
        ("a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
            f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(12)
        ), "broken value"),
    ],
)  # fmt: skip
def test_files_that_are_no_documents(content: str, message: str) -> None:
    """Each is one line that says what is wrong, and nothing is written."""
    with pytest.raises(UsageError, match=message):
        write_start(document(content), "load.py", [], force=False)
    assert not Path("load.py").exists()


def test_nonsense_inside_of_a_document() -> None:
    """Wrong types where anything is expected are passed over."""
    junk: list[Any] = [None, 1, "x", [], [1], {}, {"a": 1}, {"$ref": 1}, {"$ref": "#/paths"}]
    for each in junk:
        operation = {"operationId": each, "parameters": each, "requestBody": each, "responses": each, "security": each}
        content = one(operation, info=each, servers=[each], components=each)
        content["paths"]["/y"] = {"post": {"requestBody": {"content": {"application/json": {"schema": each}}}}}
        content["paths"]["/z"] = {"get": {"parameters": [each, {"name": "a", "in": "query", "examples": each}]}}
        write_start(document(content), "load.py", [], force=True)
        loaded()


def test_empty_data_stays_on_its_line() -> None:
    """However long the name before it is."""
    body: dict[str, Any] = {"a" * 90: {}, "b" * 90: []}
    write_start(
        document(one({"requestBody": {"content": {"application/json": {"example": body}}}})), "load.py", [], force=False
    )
    assert calls() == [f"http.get('/x', json={body}, name='GET /x')"]


# --- from a URL, and from nothing


def test_a_url_is_requested() -> None:
    """Its origin is the base URL, so that the script can be run as it is."""
    write_start("http://localhost:8000/health?deep='\"1", "load.py", [], force=False)
    assert loaded().options["base_url"] == "http://localhost:8000"
    assert calls() == ["""http.get("/health?deep='%221")"""]


def test_without_a_target(capsys: pytest.CaptureFixture[str]) -> None:
    """A script to be run against --base-url, as the last line shows."""
    init_command("", "new/my load.py", [], force=False)
    assert "base_url" not in loaded("new/my load.py").options
    assert capsys.readouterr().out.endswith("ciload run 'new/my load.py' --base-url http://localhost:8000\n")


def test_no_trial(server: tuple[str, list[tuple[str, str, str, bytes]]], capsys: pytest.CaptureFixture[str]) -> None:
    """Where nobody answers, and where nobody wants one: the URL is looked at, and that is all."""
    url, seen = server
    init_command("http://127.0.0.1:1/users", "load.py", [], force=False)
    assert capsys.readouterr().out.startswith("wrote load.py\n\nNothing answers at http://127.0.0.1:1.")
    init_command(f"{url}/users", "load.py", [], force=True, run=False)
    assert [path for _, path, _, _ in seen] == ["/users"]
    assert "trying" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("ftp://host/x", "is no URL that can be loaded"),
        ("http://", "is no URL that can be loaded"),
        ("http://ada:hunter2@host/", "leave user and password out"),
        ("localhost:8000/health", "a URL begins with http://"),
        (".", "is no regular file"),
    ],
)
def test_targets_that_are_none(target: str, message: str) -> None:
    """They are named, without the password in them."""
    with pytest.raises(UsageError, match=message) as error:
        write_start(target, "load.py", [], force=False)
    assert "hunter2" not in str(error.value)


# --- pipelines, and files that are there


@pytest.mark.parametrize("target", ["", "http://localhost:8000/health", "https://shop.test/a?b=%7B", "api.json"])
def test_pipelines_are_what_ci_expects(target: str) -> None:
    """They parse, have the right shape, and run this script."""
    document(API)
    write_start(target, "load.py", ["github", "gitlab", "jenkins"], force=False)
    workflow = yaml.safe_load(Path(".github/workflows/load.yml").read_text(encoding="utf-8"))
    steps = workflow["jobs"]["load"]["steps"]
    inputs = next(step for step in steps if step.get("uses", "").startswith("OWNER/"))["with"]
    job = yaml.safe_load(Path(".gitlab-ci.yml").read_text(encoding="utf-8"))["load"]
    jenkinsfile = Path("Jenkinsfile").read_text(encoding="utf-8")
    assert inputs["script"] == job["variables"]["CILOAD_SCRIPT"] == "load.py"
    assert f"CILOAD_BASE_URL = '{inputs['base-url']}'" in jenkinsfile
    stops = [step["if"] for step in steps if step.get("run") == "docker compose down"]
    assert bool(stops) == ("cleanup" in jenkinsfile) == ("docker compose up" in jenkinsfile)
    assert stops in ([], ["always()"])
    assert ("services" in job) == ("docker compose up" in jenkinsfile) == (target != "https://shop.test/a?b=%7B")
    assert job["variables"]["CILOAD_BASE_URL"].startswith("https://shop" if target[:5] == "https" else "http://api:")


def test_pipelines_fit_the_schemas() -> None:
    """With everything that may be in them."""
    checker = BIN / "check-jsonschema"
    if not checker.exists():
        pytest.skip("check-jsonschema is not installed")
    Path("main.py").write_text("app = FastAPI()", encoding="utf-8")
    service = find_service(Path())
    gate = PipelineGate(
        "tests/load.py", "http://localhost:8000", True, "http://localhost:8000/health", ["API_TOKEN"], service
    )
    for schema, text in (("github-workflows", github(gate)), ("gitlab-ci", gitlab(gate))):
        Path("ci.yml").write_text(text, encoding="utf-8")
        command = [str(checker), "--regex-variant", "python", "--builtin-schema", f"vendor.{schema}", "ci.yml"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout
    assert "--env API_TOKEN" in jenkins(gate)


def test_pipelines_keep_up_with_the_recipes() -> None:
    """The same actions by the same digests, and the same image, as in examples/ci/."""
    gate = PipelineGate("load.py", "http://localhost:8000", True)
    for name, text in (
        ("github-pr-gate.yml", github(gate)),
        ("gitlab-ci.yml", gitlab(gate)),
        ("Jenkinsfile", jenkins(gate)),
    ):
        recipe = (Path(__file__).parents[2] / "examples" / "ci" / name).read_text(encoding="utf-8")
        used = re.findall(r"uses: .*|ghcr\.io/\S+", text)
        assert used
        assert [each for each in used if each not in recipe] == []


@pytest.mark.parametrize("script", ["a'b.py", "$(id).py", "../load.py", "/load.py", "a b.py", "-x.py", "${{x}}.py"])
def test_nothing_is_slipped_into_a_pipeline(script: str) -> None:
    """Names and addresses are plain, or refused."""
    with pytest.raises(UsageError, match="a pipeline needs a path"):
        PipelineGate(script, "http://localhost", True)
    with pytest.raises(UsageError, match="a pipeline needs an address"):
        PipelineGate("load.py", f"http://host/{script} '", True)


def test_files_are_not_overwritten() -> None:
    """All that are there are named, none is written; --force is for our own, never for somebody's pipeline."""
    theirs = {"load.py": "theirs", ".gitlab-ci.yml": "stages: []", ".gitlab-ci.load.yml": "x"}
    for name, text in theirs.items():
        Path(name).write_text(text, encoding="utf-8")
    done = ciload("init", "--github", "--gitlab")
    assert (done.returncode, done.stdout) == (2, "")
    assert "load.py, .gitlab-ci.load.yml; nothing was written" in done.stderr
    assert {each.name: each.read_text(encoding="utf-8") for each in Path().iterdir()} == theirs

    assert "include:" in ciload("init", "--github", "--gitlab", "--force").stdout
    assert Path(".gitlab-ci.yml").read_text(encoding="utf-8") == "stages: []"
    assert Path(".gitlab-ci.load.yml").read_text(encoding="utf-8").startswith("# Made by `ciload init`")
    loaded()


def test_our_own_pipeline_is_known_again() -> None:
    """A second time is the same place."""
    write_start("", "load.py", ["gitlab", "jenkins"], force=False)
    write_start("", "load.py", ["gitlab", "jenkins"], force=True)
    assert {each.name for each in Path().iterdir()} == {"load.py", ".gitlab-ci.yml", "Jenkinsfile"}


def test_pipelines_belong_at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere in a repository CI would not find them."""
    Path(".git").mkdir()
    Path("inside").mkdir()
    monkeypatch.chdir("inside")
    with pytest.raises(UsageError, match="at the root of the repository"):
        write_start("", "load.py", ["github"], force=False)
    write_start("", "load.py", [], force=False)
