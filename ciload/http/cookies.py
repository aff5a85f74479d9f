"""Cookies (RFC 6265): the jar of a virtual user, and what a script sees of it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

from ciload.durations import parse_duration
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

    def all(self) -> list[Cookie]:
        """Those that have not expired."""
        now = time.time()
        return [each for each in self._cookies.values() if each.expires_at is None or each.expires_at > now]

    def add(self, cookie: Cookie) -> None:
        self._cookies[cookie.domain, cookie.path, cookie.name] = cookie

    def remove(self, cookies: Iterable[Cookie]) -> None:
        for each in cookies:
            self._cookies.pop((each.domain, each.path, each.name), None)

    def store(self, lines: Iterable[str], target: Target) -> None:
        """Take in the Set-Cookie lines of a response; what breaks the rules is ignored, as browsers do."""
        now = time.time()
        for line in lines:
            cookie = parse_set_cookie(line, target, now)
            if cookie is None:
                continue
            if cookie.expires_at is None or cookie.expires_at > now:
                self.add(cookie)  # in the place of the one it replaces (RFC 6265 5.3, step 11)
            else:
                self.remove([cookie])

    def header_for(self, target: Target, more: Mapping[str, str] | None = None) -> str:
        """The Cookie header for a request, longest path first; "" when no cookie fits.

        `more` are those of this request alone: they take the place of others of their name, and stay out of the jar.

        Raises:
            ValueError: a name or value that would be another cookie, or header, as well.
        """
        own = [f"{name}={value}" for name, value in (more or {}).items()]
        for name, value in (more or {}).items():
            check_cookie(name, value)
        now = time.time()
        fitting = [cookie for cookie in self._cookies.values() if cookie.fits(target, now)]
        fitting.sort(key=lambda cookie: -len(cookie.path))
        kept = [f"{cookie.name}={cookie.value}" for cookie in fitting if more is None or cookie.name not in more]
        return "; ".join(kept + own)


class Cookies(MutableMapping[str, str]):
    """The cookies of a virtual user, by name: those of the last response, and those that the script has set.

    They are sent where a browser would send them, and an iteration begins without those of the one before, unless the
    run keeps them (`keep_cookies`).
    """

    __slots__ = ("_host", "_jar")

    def __init__(self, jar: CookieJar, host: str) -> None:
        """`host` is the one that cookies are for unless they are set for another; "" if there is none."""
        self._jar = jar
        self._host = host

    def __getitem__(self, name: str) -> str:
        """The value; of several cookies of that name the one for the longest path, then the one set last."""
        found = self._named(name)
        if not found:
            raise KeyError(name)
        return max(reversed(found), key=lambda each: len(each.path)).value

    def __setitem__(self, name: str, value: str) -> None:
        self.set(name, value)

    def __delitem__(self, name: str) -> None:
        found = self._named(name)
        if not found:
            raise KeyError(name)
        self._jar.remove(found)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(each.name for each in self._jar.all()))

    def __len__(self) -> int:
        return len({each.name for each in self._jar.all()})

    def __repr__(self) -> str:
        return f"<Cookies: {', '.join(self)}>"  # the values may be secret

    def set(
        self, name: str, value: str, *, domain: str = "", path: str = "/", secure: bool = False,
        max_age: float | str | None = None,
    ) -> None:  # fmt: skip
        """Add a cookie, or replace the one of that name, domain and path.

        Args:
            name: of the cookie.
            value: as it is sent.
            domain: the server, and those below it (`example.com` is api.example.com's as well); "": that of
                `--base-url`, and no other.
            path: the paths that it is sent to begin with it.
            secure: only over https.
            max_age: how long it lasts, in seconds or as text like "5m"; None: as long as the jar.

        Raises:
            ValueError: it cannot be sent, or there is no base URL and no domain.
        """
        check_cookie(name, value)
        host = domain.lstrip(".").lower() or self._host
        if not host:
            raise ValueError(f"cookies.set({name!r}): say domain=, as there is no --base-url")
        if not path.startswith("/"):
            raise ValueError(f"cookies.set({name!r}): path is {path!r}, and would never fit: it begins with /")
        expires_at = None if max_age is None else time.time() + parse_duration(max_age)
        self._jar.add(Cookie(name, str(value), host, not domain or not host[-1].isalpha(), path, secure, expires_at))

    def _named(self, name: str) -> list[Cookie]:
        return [each for each in self._jar.all() if each.name == name]


def check_cookie(name: object, value: object) -> None:
    """See that it can be sent.

    Raises:
        ValueError: it would be another cookie, or header, as well.
    """
    if not OWN_NAME.fullmatch(str(name)) or not OWN_VALUE.fullmatch(str(value)):
        raise ValueError(f"cookies: {name!r}: a name or value that cannot be sent")


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
