"""A server that behaves like GitHub's API (and GitLab's notes), with another one for storage."""

from __future__ import annotations

import io
import json
import re
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

SHA = "c0ffee" * 6 + "c0ff"
BOT = {"login": "github-actions[bot]", "id": 41898282, "type": "Bot"}
HUMAN = {"login": "mallory", "id": 666, "type": "User"}
OTHER_BOT = {"login": "dependabot[bot]", "id": 49699333, "type": "Bot"}
TOKEN = "ghs_notASecretButTreatedAsOne"


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Any

    def number(self, name: str, default: int) -> int:
        return int(self.query.get(name, [str(default)])[0])


@dataclass
class Reply:
    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


class Server:
    """Answers with `answer`, after the replies of `first`; remembers what it was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[Request] = []
        self.first: list[tuple[str, Reply]] = []  # a pattern of "METHOD /path" each, used once
        self.always: dict[str, Reply] = {}
        self.delay_s = 0.0

    def answer(self, request: Request) -> Reply:
        return Reply(404, {"message": "Not Found"})

    def take(self, request: Request) -> Reply:
        self.asked.append(request)
        time.sleep(self.delay_s)
        said = f"{request.method} {request.path}"
        for index, (pattern, reply) in enumerate(self.first):
            if re.fullmatch(pattern, said):
                del self.first[index]
                return reply
        for pattern, reply in self.always.items():
            if re.fullmatch(pattern, said):
                return reply
        return self.answer(request)

    def lines(self, *methods: str) -> list[str]:
        return [f"{each.method} {each.path}" for each in self.asked if not methods or each.method in methods]

    def page(self, request: Request, items: list[Any], wrap: str = "") -> Reply:
        """A page of a list, with the links that lead to the others."""
        size, number = min(100, request.number("per_page", 30)), request.number("page", 1)
        shown = items[size * (number - 1) : size * number]
        headers = {}
        if size * number < len(items):
            query = "&".join(f"{key}={value[0]}" for key, value in request.query.items() if key != "page")
            following = f"{self.url}{request.path}?{query}&page={number + 1}"
            headers["Link"] = f'<{following}>; rel="next", <{self.url}/x?page=99>; rel="last"'
        return Reply(200, {"total_count": len(items), wrap: shown} if wrap else shown, headers)


class Storage(Server):
    def __init__(self, archive: bytes = b"") -> None:
        super().__init__()
        self.archive = archive

    def answer(self, request: Request) -> Reply:
        return Reply(200, self.archive)


class GitHub(Server):
    """One repository, a/b, with one pull request, and artifacts that are kept elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.storage_url = ""
        self.comments: list[dict[str, Any]] = []
        self.viewer: dict[str, Any] | None = {"login": BOT["login"], "databaseId": BOT["id"]}
        self.me = BOT
        self.pulls: list[dict[str, Any]] = []
        self.artifacts: list[dict[str, Any]] = []
        self.events: dict[int, str] = {}

    def comment(self, body: str, user: dict[str, Any]) -> None:
        self.comments.append({"id": 1000 + len(self.comments), "body": body, "user": user})

    def pull(self, number: int, sha: str = SHA, source: str = "fork/b", state: str = "open") -> None:
        head = {"sha": sha, "repo": {"full_name": source}}
        self.pulls.append({"number": number, "state": state, "head": head})

    def artifact(self, number: int, event: str = "push", **changes: Any) -> None:
        run: dict[str, Any] = {"id": 7000 + number, "repository_id": 1, "head_repository_id": 1, "head_branch": "main"}
        run |= {key: changes.pop(key) for key in [*changes] if key in run}
        facts = {"id": number, "name": "ciload-baseline", "expired": False, "workflow_run": run}
        facts |= {"created_at": f"2026-11-{1 + number % 28:02}T01:02:03Z"}
        self.artifacts.append(facts | changes)
        self.events[run["id"]] = event

    def answer(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return Reply(401, {"message": "Bad credentials"})
        said = f"{request.method} {request.path}"
        if said == "POST /graphql":
            return Reply(200, {"data": {"viewer": self.viewer}}) if self.viewer else Reply(403, {"message": "no"})
        if said == "GET /repos/a/b":
            return Reply(200, {"default_branch": "main"})
        if said == "GET /repos/a/b/actions/artifacts":
            named = [each for each in self.artifacts if each["name"] == request.query["name"][0]]
            return self.page(request, named, "artifacts")
        if found := re.fullmatch(r"GET /repos/a/b/actions/runs/(\d+)", said):
            return Reply(200, {"id": int(found[1]), "event": self.events[int(found[1])]})
        if found := re.fullmatch(r"GET /repos/a/b/actions/artifacts/(\d+)/zip", said):
            return Reply(302, None, {"Location": f"{self.storage_url}/blob/{found[1]}?sig=abcdef"})
        if re.fullmatch(r"GET /repos/a/b/(pulls|commits/\w+/pulls)", said):
            return self.page(request, self.pulls)
        return self._comments(request, said)

    def _comments(self, request: Request, said: str) -> Reply:
        if said == "GET /repos/a/b/issues/7/comments":
            return self.page(request, self.comments)
        if said == "POST /repos/a/b/issues/7/comments":
            self.comment(request.body["body"], self.me)
            return Reply(201, self.comments[-1])
        if found := re.fullmatch(r"PATCH /repos/a/b/issues/comments/(\d+)", said):
            for each in self.comments:
                if each["id"] == int(found[1]):
                    each["body"] = request.body["body"]
                    return Reply(200, each)
        return Reply(404, {"message": "Not Found"})


class GitLab(Server):
    """One project, 5, with one merge request, 3."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[dict[str, Any]] = []
        self.raw: dict[str, bytes] = {}

    def answer(self, request: Request) -> Reply:
        said = f"{request.method} {request.path}"
        if said.startswith("GET /projects/5/jobs/artifacts/"):
            data = self.raw.get(request.path.rpartition("/raw/")[2])
            return Reply(200, data) if data is not None else Reply(404, {"message": "404 Not Found"})
        if request.headers.get("private-token") != TOKEN:
            return Reply(401, {"message": "401 Unauthorized"})
        if said == "GET /user":
            return Reply(200, {"id": 12})
        if said == "GET /projects/5/merge_requests/3/notes":
            return self.page(request, self.notes)
        if said == "POST /projects/5/merge_requests/3/notes":
            self.notes.append({"id": 50 + len(self.notes), "body": request.body["body"], "author": {"id": 12}})
            return Reply(201, self.notes[-1])
        if found := re.fullmatch(r"PUT /projects/5/merge_requests/3/notes/(\d+)", said):
            note = next(each for each in self.notes if each["id"] == int(found[1]))
            note["body"] = request.body["body"]
            return Reply(200, note)
        return Reply(404, {"message": "404 Not Found"})


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that goes away in mid-answer is nothing to print about."""


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """The server, listening at `server.url` while inside."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_any(self) -> None:
            data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            parts = urlsplit(self.path)
            headers = {key.lower(): value for key, value in self.headers.items()}
            body = _body(data, headers)
            reply = server.take(Request(self.command, parts.path, parse_qs(parts.query), headers, body))
            sent = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for key, value in reply.headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_POST = do_PATCH = do_PUT = do_any  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with QuietServer(("127.0.0.1", 0), Handler) as running:
        server.url = f"http://127.0.0.1:{running.server_address[1]}"
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield server
        running.shutdown()
        thread.join()


def _body(data: bytes, headers: dict[str, str]) -> Any:
    """Values, or a file that was uploaded."""
    return json.loads(data) if headers.get("content-type") == "application/json" else data or None


def archive(**files: bytes) -> bytes:
    """A zip as upload-artifact makes it; `__` in a name stands for a dot."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(name.replace("__", "."), content)
    return data.getvalue()
