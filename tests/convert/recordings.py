"""Recordings as browsers and tools write them, put together from what they say."""

from __future__ import annotations

import base64
import json
from typing import Any


def entry(
    at: float, method: str, url: str, status: int = 200, *, sent: dict[str, str] | None = None,
    got: list[tuple[str, str]] | None = None, media: str = "application/json", text: str = "",
    posted: dict[str, Any] | None = None, kind: str = "xhr", encode: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """An entry of a HAR. `at` is in seconds."""
    headers = {":method": method, ":authority": "x", "sec-fetch-mode": "cors", "user-agent": "Mozilla/5.0",
               "accept-encoding": "gzip", **(sent or {})}  # fmt: skip
    request: dict[str, Any] = {
        "method": method, "url": url, "httpVersion": "http/2.0", "queryString": [], "cookies": [],
        "headers": [{"name": name, "value": value} for name, value in headers.items()],
    }  # fmt: skip
    if posted:
        request["postData"] = posted
    content: dict[str, Any] = {"mimeType": media, "size": len(text), "text": text}
    if encode:
        content |= {"text": base64.b64encode(text.encode()).decode(), "encoding": "base64"}
    response = {
        "status": status, "content": content, "redirectURL": dict(got or []).get("Location", ""),
        "headers": [{"name": name, "value": value} for name, value in got or []],
    }  # fmt: skip
    return {
        "startedDateTime": f"2026-03-01T10:{int(at) // 60:02}:{at % 60:06.3f}Z", "time": 40.5, "pageref": "page_1",
        "request": request, "response": response, "_resourceType": kind, "cache": {}, "timings": {},
    }  # fmt: skip


def har(*entries: dict[str, Any]) -> str:
    pages = [{"id": "page_1", "title": "Shop"}]
    return json.dumps({"log": {"version": "1.2", "creator": {"name": "WebInspector"}, "pages": pages,
                               "entries": entries}})  # fmt: skip


def form(text: str) -> dict[str, Any]:
    return {"mimeType": "application/x-www-form-urlencoded", "text": text}


def as_json(value: object) -> dict[str, Any]:
    return {"mimeType": "application/json;charset=UTF-8", "text": json.dumps(value)}


PASSWORD, KEY, CSRF, TOKEN, SESSION = (
    "correct-horse-9", "live-key-8f3a2b1c", "c5rf8a7b6c5d4e3f2a1b", "tok_4f9a8b7c6d5e4f3a2b1c", "s3551on9f8e7d6c",
)  # fmt: skip
SECRETS = (PASSWORD, KEY, CSRF, TOKEN, SESSION)


def shop(base: str = "https://www.shop.example") -> str:
    """Somebody logs in by a form, looks around, and orders; with all that browsers record besides."""
    page = f'<html><form method="post"><input type="hidden" name="csrf_token" value="{CSRF}"></form></html>'
    bearer = {"authorization": f"Bearer {TOKEN}", "x-api-key": KEY, "accept": "application/json"}
    uuid = "1f0c3a52-8c1d-4a57-9d0e-2b7c6a5d4e3f"
    return har(
        entry(0, "GET", f"{base}/login", media="text/html", text=page, kind="document", encode=True),
        entry(0.1, "GET", f"{base}/static/app.js", media="text/javascript", kind="script"),
        entry(0.1, "GET", f"{base}/logo.png", media="image/png", kind="image"),
        entry(0.2, "GET", "data:image/png;base64,AAAA", media="image/png", kind="image"),
        entry(0.2, "POST", "https://www.google-analytics.com/g/collect", 204, media="text/plain"),
        entry(0.2, "GET", f"{base.replace('http', 'ws')}/live", 101, kind="websocket"),
        entry(0.3, "GET", f"{base}/api/slow", 0),
        entry(0.3, "GET", f"{base}/api/me", 401),
        entry(4, "POST", f"{base}/login", 303, sent={"cookie": "_ga=GA1; theme=dark"}, kind="document",
              got=[("Location", "/account"), ("Set-Cookie", f"session={SESSION}; Path=/; HttpOnly")],
              posted=form(f"user=ada&password={PASSWORD}&csrf_token={CSRF}")),
        entry(4.1, "GET", f"{base}/account", media="text/html", text="<h1>Hello</h1>", kind="document",
              sent={"cookie": f"session={SESSION}; theme=dark"}),
        entry(4.3, "OPTIONS", f"{base}/api/token", 204, sent={"access-control-request-method": "GET"}),
        entry(4.4, "GET", f"{base}/api/token", text=json.dumps({"data": {"accessToken": TOKEN, "user": {"id": 42}}})),
        entry(9.4, "POST", f"{base}/api/orders", 201, sent=bearer, text=json.dumps({"id": 17, "ref": uuid}),
              got=[("Location", "/api/orders/17")], posted=as_json({"userId": 42, "sku": "blue-shoe", "count": 2})),
        entry(9.6, "GET", f"{base}/api/orders/17?expand=items&tag=a&tag=b", 304, sent=bearer),
        entry(12.6, "PUT", f"{base}/api/refs/{uuid}", 204, sent=bearer, posted={
            "mimeType": "multipart/form-data; boundary=XX", "text":
            '--XX\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n--XX\r\nContent-Disposition: '
            'form-data; name="photo"; filename="cat.png"\r\nContent-Type: image/png\r\n\r\n\r\n--XX--\r\n'}),
    )  # fmt: skip
