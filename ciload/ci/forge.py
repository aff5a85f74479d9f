"""A CI system's API: JSON, pages, downloads. Bounded answers, few retries, and a token that stays at its host."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from ciload.secrets import without_secrets
from ciload.text import one_line

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 10.0  # of a pause
WITHIN_S = 60.0  # everything that is asked of one API, retries included
PAUSES_S = (1.0, 3.0)  # before another attempt, when the server does not say
LONGEST_PAUSE_S = 20.0
MOST_REDIRECTS = 3
MOST_PAGES = 100
MOST_BYTES = 16 << 20
AGAIN = (429, 500, 502, 503, 504)
SAFE = ("GET", "PATCH", "PUT")  # to do again what perhaps was done


class ApiError(Exception):
    """What the API said or did, without secrets."""

    def __init__(
        self, message: str, status: int | None = None, pause_s: float | None = None, *, unanswered: bool = False
    ) -> None:
        super().__init__(message)
        self.status = status
        self.unanswered = unanswered  # asked, and nothing came back
        self.pause_s = pause_s  # how long the server asks to wait

    @property
    def denied(self) -> bool:
        """The token may not do this; systems that tell nobody what exists say 404."""
        return self.status in (401, 403, 404) and self.pause_s is None

    @property
    def passing(self) -> bool:
        """It may work in a moment."""
        return self.unanswered or self.status in AGAIN or (self.status == 403 and self.pause_s is not None)


@dataclass(frozen=True, slots=True)
class Answer:
    data: Any
    next_page: str | None


class ForgeApi:
    """One API and one token, in `headers`. To be used in a `with`.

    Raises:
        ApiError: the token cannot be sent.
    """

    def __init__(self, base: str, headers: Mapping[str, str]) -> None:
        import httpx  # late: most runs ask no API

        if not all(value.isascii() and value.isprintable() for value in headers.values()):
            raise ApiError("the token has characters that no token has, such as line breaks")
        self._base = base.rstrip("/")
        # Compressed answers are not asked for: a few kB of them could be GBs.
        self._headers = {"Accept-Encoding": "identity", "User-Agent": "ciload"} | dict(headers)
        self._client = httpx.Client(timeout=TIMEOUT_S)
        self._ends_at = time.monotonic() + WITHIN_S
        self._pauses = 0

    def __enter__(self) -> ForgeApi:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def call(self, method: str, path: str, body: object = None) -> Any:
        """What the API answers, as plain values.

        Raises:
            ApiError: it does not, or with a status of 400 or more.
        """
        return self._answer(method, path, body).data

    def pages(self, path: str) -> Iterator[Any]:
        """Each page of a list; a page is looked for at this API's own host only."""
        following: str | None = path
        for _ in range(MOST_PAGES):
            if following is None:
                return
            answer = self._answer("GET", following, None)
            yield answer.data
            following = answer.next_page
        raise ApiError(f"{_shown(path)}: more than {MOST_PAGES} pages")

    def download(self, path: str, most_bytes: int) -> bytes:
        """A file. Where the API sends us elsewhere for it, we go without the token.

        Raises:
            ApiError: it cannot be had, or is too large.
        """
        return self._retry("GET", path, None, most_bytes, elsewhere=True)[0]

    def upload(self, path: str, data: bytes) -> None:
        """Put a file there.

        Raises:
            ApiError: it is not taken.
        """
        self._retry("PUT", path, data, MOST_BYTES, elsewhere=False)

    def pause(self, error: ApiError) -> bool:
        """Wait before another attempt; False when none is to be made. All that one API is asked shares the few."""
        if not error.passing or self._pauses == len(PAUSES_S):
            return False
        pause_s = PAUSES_S[self._pauses] if error.pause_s is None else error.pause_s
        if pause_s > LONGEST_PAUSE_S or time.monotonic() + pause_s > self._ends_at:
            return False
        self._pauses += 1
        time.sleep(pause_s)
        return True

    def _answer(self, method: str, path: str, body: object) -> Answer:
        import json

        data, reply = self._retry(method, path, body, MOST_BYTES, elsewhere=False)
        following = reply.links.get("next", {}).get("url")
        try:
            # None of the lists is of anything but objects; what else comes is found out where it is used.
            return Answer(json.loads(data) if data else None, following)
        except (ValueError, RecursionError):
            raise ApiError(f"{_shown(path)}: the answer is no JSON") from None

    def _retry(
        self, method: str, path: str, body: object, most_bytes: int, *, elsewhere: bool
    ) -> tuple[bytes, httpx.Response]:
        while True:
            try:
                return self._follow(method, path, body, most_bytes, elsewhere=elsewhere)
            except ApiError as error:
                if method not in SAFE or not self.pause(error):
                    raise

    def _follow(
        self, method: str, path: str, body: object, most_bytes: int, *, elsewhere: bool
    ) -> tuple[bytes, httpx.Response]:
        url = path if "://" in path else self._base + path
        home = True
        if not self._at_home(url):
            raise ApiError(f"{_shown(path)}: at another host than the API, which is not asked")
        for _ in range(MOST_REDIRECTS + 1):
            data, reply = self._send(method, url, body, most_bytes, home=home)
            if reply.status_code not in (301, 302, 303, 307, 308):
                return data, reply
            url = urljoin(url, reply.headers.get("Location", ""))
            home = home and self._at_home(url)  # who has left once gets the token never again
            if not home and not elsewhere:
                raise ApiError(f"{_shown(path)}: redirected to another host, {_shown(url)}", reply.status_code)
        raise ApiError(f"{_shown(path)}: redirected more than {MOST_REDIRECTS} times")

    def _send(
        self, method: str, url: str, body: object, most_bytes: int, *, home: bool
    ) -> tuple[bytes, httpx.Response]:
        import httpx

        data = bytearray()
        try:
            headers = self._headers if home else {"Accept-Encoding": "identity"}
            sent = body if home else None
            content, values = (sent, None) if isinstance(sent, bytes) else (None, sent)
            with self._client.stream(
                method, url, headers=headers, follow_redirects=False, content=content, json=values
            ) as reply:
                for chunk in reply.iter_bytes():
                    data += chunk
                    if len(data) > most_bytes:
                        raise ApiError(f"{_shown(url)}: the answer is larger than {most_bytes >> 20} MiB")
                    if time.monotonic() > self._ends_at:
                        raise ApiError(f"{_shown(url)}: not done within {WITHIN_S:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            said = one_line(str(error), 200) or type(error).__name__
            raise ApiError(f"{_shown(url)}: {said}", unanswered=True) from None
        if reply.status_code >= 400:
            raise ApiError(
                f"{_shown(url)}: status {reply.status_code}{_message(bytes(data))}", reply.status_code, _pause_s(reply)
            )
        return bytes(data), reply

    def _at_home(self, url: str) -> bool:
        import httpx

        try:
            there, here = httpx.URL(url), httpx.URL(self._base)
        except httpx.InvalidURL:
            return False
        return (there.scheme, there.host, there.port) == (here.scheme, here.host, here.port)


def _shown(url: str) -> str:
    return one_line(without_secrets(url), 200)


def _message(data: bytes) -> str:
    import json

    try:
        said = json.loads(data[:10_000])
    except (ValueError, RecursionError):
        return ""
    text = said.get("message") or said.get("error") if isinstance(said, dict) else None
    return f" ({one_line(str(text), 200)})" if text else ""


def _pause_s(reply: httpx.Response) -> float | None:
    try:
        return max(0.0, float(reply.headers["Retry-After"]))
    except (KeyError, ValueError):  # a date is too rare to be worth a parser
        return None


def dig(value: Any, *keys: str) -> Any:
    """What stands in nested objects, None where there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
