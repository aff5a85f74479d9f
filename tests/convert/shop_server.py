"""The service of the recordings: ids and tokens are new each time, and it refuses whatever is not its own."""

from __future__ import annotations

import json
import secrets
import sys
import uuid
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

PASSWORD, KEY = sys.argv[1:3]
forms: set[str] = set()
sessions: dict[str, str] = {}  # and the tokens of their users
orders: dict[str, str] = {}


class Shop(BaseHTTPRequestHandler):
    """One request after the other; everything that it sees goes to standard output."""

    protocol_version = "HTTP/1.1"

    def answer(
        self, status: int, body: object = None, *headers: tuple[str, str], media: str = "application/json"
    ) -> None:
        content = b"" if body is None else (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        for name, value in (("Content-Type", media), ("Content-Length", str(len(content))), *headers):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        sys.stdout.write(f"{self.command} {self.path} {status}\n")
        sys.stdout.flush()

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        cookie = SimpleCookie(self.headers.get("Cookie", "")).get("session")
        token = sessions.get(cookie.value) if cookie else None
        path, bearer = urlsplit(self.path).path, self.headers.get("Authorization", "").removeprefix("Bearer ")
        if path == "/login" and self.command == "GET":
            forms.add(csrf := secrets.token_hex(16))
            field = f"<input value='{csrf}' name='csrf_token' type=\"hidden\">"
            return self.answer(200, f"<form>{field}</form>", media="text/html")
        if path == "/login":
            given = {name: values[0] for name, values in parse_qs(body.decode()).items()}
            if given.get("csrf_token") not in forms or given.get("password") != PASSWORD:
                return self.answer(403)
            sessions[session := secrets.token_hex(8)] = secrets.token_hex(12)
            return self.answer(303, None, ("Location", "/account"), ("Set-Cookie", f"session={session}; Path=/"))
        if token is None:
            return self.answer(401)
        if path == "/account":
            return self.answer(200, "<h1>Hello</h1>", media="text/html")
        if path == "/api/token":
            return self.answer(200, {"data": {"accessToken": token, "user": {"id": len(token) * 1000}}})
        if bearer != token or self.headers.get("X-Api-Key") != KEY:
            return self.answer(403)
        if path == "/api/orders":
            if json.loads(body) != {"userId": len(token) * 1000, "sku": "blue-shoe", "count": 2}:
                return self.answer(422)
            orders[number := str(secrets.randbelow(10**6) + 100)] = str(uuid.uuid4())
            return self.answer(201, {"id": int(number), "ref": orders[number]}, ("Location", f"/api/orders/{number}"))
        if path.startswith("/api/orders/"):
            query = urlsplit(self.path).query == "expand=items&tag=a&tag=b"
            return self.answer(200 if path.rpartition("/")[2] in orders and query else 404, {})
        if path.startswith("/api/refs/"):
            there = path.rpartition("/")[2] in orders.values() and b'filename="cat.png"' in body
            return self.answer(204 if there else 404)
        return self.answer(404)

    do_GET = do_POST = do_PUT = handle_any  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
sys.stdout.write(f"{server.server_port}\n")
sys.stdout.flush()
server.serve_forever()
