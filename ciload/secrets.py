"""What must not be printed, and text without it."""

from __future__ import annotations

import re

HOST_AND_PORT = re.compile(r"(\[[^\[\]/@]*\]|[^:\[\]]*)(:\d*)?")


def without_secrets(url: str) -> str:
    """A URL, or what was meant to be one, that may be printed: no userinfo, no query, no fragment."""
    rest = url.split("#", 1)[0].split("?", 1)[0]
    scheme, separator, after = rest.partition("//")
    authority, slash, path = after.partition("/")
    host = authority.rpartition("@")[2]
    if separator and HOST_AND_PORT.fullmatch(host):
        return scheme + separator + host + slash + path
    # No URL: perhaps a password with a "/" or "?" in it, or no scheme. What follows the last "@" is surely no secret.
    return url.rpartition("@")[2].split("#", 1)[0].split("?", 1)[0]
