"""The script of `ciload run URL`: one request, and nothing of it in a file."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from ciload.errors import UsageError
from ciload.http.failure import RequestFailedError
from ciload.http.target import parse_target
from ciload.http.verbs import get
from ciload.script.api import check
from ciload.secrets import without_secrets

OPTIONS: Mapping[str, Any] = {"thresholds": {"http_req_failed": ["rate<0.01"], "checks": ["rate>0.99"]}}


@dataclass(frozen=True, slots=True)
class Page:
    """A page to request. As text it is its host and path, without what may be secret.

    `base_url` may hold credentials, and so may the query in `path`.
    """

    base_url: str
    path: str
    shown: str

    @classmethod
    def at(cls, url: str) -> Page:
        """
        Raises:
            UsageError: nothing can be requested there.
        """
        try:
            target = parse_target(url)
        except RequestFailedError as failure:
            raise UsageError(f"{failure.text}; a page is like http://localhost:8000/health") from None
        parts = urlsplit(url.strip())
        shown = without_secrets(target.url if parts.username is None and not target.ambiguous else url.strip())
        return cls(f"{parts.scheme}://{parts.netloc}", target.request_target, shown.partition("://")[2])

    def __str__(self) -> str:
        return self.shown

    @property
    def digest(self) -> str:
        """What tells it from other tests. Values of the query may be secret, and change from run to run."""
        names = sorted({name for name, _ in parse_qsl(urlsplit(self.path).query, keep_blank_values=True)})
        return sha256(f"GET {self.shown} {names}".encode()).hexdigest()

    def function(self) -> Callable[[], Awaitable[None]]:
        """What each virtual user does, over and over."""

        async def default() -> None:
            reply = await get(self.path)
            check(reply, {"status is below 400": 200 <= reply.status_code < 400})

        return default
