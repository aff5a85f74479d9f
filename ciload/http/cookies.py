"""A cookie jar for one virtual user (RFC 6265), emptied at the start of each iteration."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

from ciload.http.target import Target

OWN_NAME = re.compile(r"[^=;,\s\x00-\x1f\x7f]+")
OWN_VALUE = re.compile(r"[^;\r\n\x00]*")


@dataclass(frozen=True, slots=True)
class Cookie:
    name: str
    value: str
    domain: str
    host_only: bool
    path: str
    secure: bool
    expires_at: float | None  # seconds since the epoch; None: for the session

    def fits(self, target: Target, now: float) -> bool:
        if self.expires_at is not None and self.expires_at <= now:
            return False
        if self.secure and not target.origin.secure:
            return False
        host = target.origin.host
        if host != self.domain and (self.host_only or not host.endswith("." + self.domain)):
            return False
        path = target.path
        return path == self.path or path.startswith(self.path if self.path.endswith("/") else self.path + "/")


class CookieJar:
    """Cookies by (domain, path, name). Falsy when empty, which is all that most requests ask."""

    __slots__ = ("_cookies",)

    def __init__(self) -> None:
        self._cookies: dict[tuple[str, str, str], Cookie] = {}

    def __len__(self) -> int:
        return len(self._cookies)

    def copy(self) -> CookieJar:
        jar = CookieJar()
        jar._cookies.update(self._cookies)
        return jar

    def return_to(self, earlier: CookieJar | None) -> None:
        """Forget everything but the cookies of an earlier copy."""
        self._cookies = {} if earlier is None else dict(earlier._cookies)

    def store(self, lines: Iterable[str], target: Target) -> None:
        """Take in the Set-Cookie lines of a response; what breaks the rules is ignored, as browsers do."""
        now = time.time()
        for line in lines:
            cookie = parse_set_cookie(line, target, now)
            if cookie is None:
                continue
            key = (cookie.domain, cookie.path, cookie.name)
            if cookie.expires_at is None or cookie.expires_at > now:
                self._cookies[key] = cookie  # in the place of the one it replaces (RFC 6265 5.3, step 11)
            else:
                self._cookies.pop(key, None)

    def header_for(self, target: Target, more: Mapping[str, str] | None = None) -> str:
        """The Cookie header for a request, longest path first; "" when no cookie fits.

        `more` are those of this request alone: they take the place of others of their name, and stay out of the jar.

        Raises:
            ValueError: a name or value that would be another cookie, or header, as well.
        """
        own = [f"{name}={value}" for name, value in (more or {}).items()]
        for name, value in (more or {}).items():
            if not OWN_NAME.fullmatch(str(name)) or not OWN_VALUE.fullmatch(str(value)):
                raise ValueError(f"cookies: {name!r}: a name or value that cannot be sent")
        now = time.time()
        fitting = [cookie for cookie in self._cookies.values() if cookie.fits(target, now)]
        fitting.sort(key=lambda cookie: -len(cookie.path))
        kept = [f"{cookie.name}={cookie.value}" for cookie in fitting if more is None or cookie.name not in more]
        return "; ".join(kept + own)


def parse_set_cookie(line: str, target: Target, now: float) -> Cookie | None:
    """One Set-Cookie line, by RFC 6265 5.2 and 5.3; None when it must be ignored."""
    pair, *attributes = line.split(";")
    name, equals, value = pair.partition("=")
    if not equals or not name.strip() or any(ord(character) < 32 for character in pair):
        return None
    given = {}
    for attribute in attributes:
        key, _, text = attribute.partition("=")
        given[key.strip().lower()] = text.strip()
    host = target.origin.host
    domain = given.get("domain", "").lstrip(".").lower()
    # Without a public suffix list: a domain of one label ("com") is never a site of its own, nor part of an address.
    if domain and domain != host and not (host.endswith("." + domain) and "." in domain and host[-1:].isalpha()):
        return None
    path = given.get("path", "")
    if not path.startswith("/"):
        path = target.path.rpartition("/")[0] or "/"
    return Cookie(name.strip(), value.strip(), domain or host, not domain, path, "secure" in given, _expiry(given, now))


def _expiry(given: dict[str, str], now: float) -> float | None:
    """Max-Age before Expires; either is ignored when it makes no sense."""
    with suppress(KeyError, ValueError, OverflowError):
        return now + int(given["max-age"])
    with suppress(KeyError, ValueError, OverflowError):
        expires = parsedate_to_datetime(given["expires"])
        return (expires if expires.tzinfo else expires.replace(tzinfo=UTC)).timestamp()  # RFC 6265 5.1.1
    return None
