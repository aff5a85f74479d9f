"""What must not be printed, and text without it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from contextlib import suppress
from enum import Enum
from typing import Any, Literal, TypeVar, get_args, get_origin
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

HIDDEN = "***"
SHORTEST_SECRET = 4  # to mask shorter ones would punch holes into every word
SHORTEST_LINE = 8  # of a secret that has several
ELLIPSIS = re.compile(r"\n?…")  # where text was cut

# --- URLs

SCHEME = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//")
HOST_AND_PORT = re.compile(r"(\[[^\[\]/@]*\]|[^:\[\]]*)(:\d*)?")


def without_secrets(url: str) -> str:
    """A URL, or what was meant to be one, that may be printed: no userinfo, no query, no fragment.

    Where an `@` may end a password with a `/` or a `?` in it, nothing of the rest can be shown.
    """
    if url.startswith("/") and not url.startswith("//"):  # a path has no userinfo
        return _until_query(url)
    scheme = SCHEME.match(url)
    if scheme is None:
        return HIDDEN if "@" in url else _until_query(url)
    authority, slash, path = _until_query(url[scheme.end() :]).partition("/")
    userinfo, _, host = authority.rpartition("@")
    at_signs = url.count("@")
    if at_signs > 1 or (at_signs and not userinfo) or not HOST_AND_PORT.fullmatch(host):
        return scheme[0] + HIDDEN
    return scheme[0] + host + slash + path


def _until_query(url: str) -> str:
    return url.split("#", 1)[0].split("?", 1)[0]


SECRET_PARAMETER = re.compile(r"token|key|secret|sig|pass|auth|credential", re.IGNORECASE)


def credentials_in(url: str) -> list[str]:
    """What a URL holds to identify somebody, as it is written there and decoded."""
    found = []
    with suppress(ValueError):
        parts = urlsplit(url)
        user, colon, password = parts.netloc.rpartition("@")[0].partition(":")
        found = [password if colon else user]
        found += [value for name, value in parse_qsl(parts.query) if SECRET_PARAMETER.search(name)]
    return [each for credential in found for each in (credential, unquote(credential)) if each]


# --- variables

SECRET_PREFIX = "CILOAD_SECRET_"  # noqa: S105  # a variable of the script's, whose value is to be masked
# What ciload itself signs in with, at the CI that it runs in.
TOKEN_VARIABLE = re.compile(rf"GITHUB_TOKEN|CI_JOB_TOKEN|(?!{SECRET_PREFIX})CILOAD_\w*TOKEN")


def take_tokens(environment: MutableMapping[str, str]) -> None:
    """Remove ciload's tokens, and the copies that GitLab makes of its job token, from what a script gets to see."""
    tokens = [name for name in environment if TOKEN_VARIABLE.fullmatch(name)]
    values = [environment.pop(name) for name in tokens]
    for name, value in list(environment.items()):
        if name.startswith("CI_") and any(len(each) >= SHORTEST_SECRET and each in value for each in values):
            del environment[name]


def secrets_of(environment: Mapping[str, str], names: Iterable[str] = ()) -> list[str]:
    """The values of the variables that are secret: by what they are called, or because they are among `names`."""
    marked = {name for name in environment if TOKEN_VARIABLE.fullmatch(name) or name.startswith(SECRET_PREFIX)}
    return [environment[name] for name in sorted(marked.union(names)) if name in environment]


# --- values in text

Part = TypeVar("Part")


class Masker:
    """Replaces secret values by `***`, as they are and as URLs, JSON and Python spell them.

    Values of less than four characters are left alone. More values may be added as they become known.
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._spellings: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.add(values)

    def add(self, values: Iterable[str]) -> None:
        for value in values:
            for part in _parts(value):
                self._spellings.update(_spellings(part))
        # The longest first: a secret may begin with another one.
        known = sorted(self._spellings, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, text: str) -> str:
        if self._pattern is None:
            return text
        text = self._pattern.sub(HIDDEN, text)
        return self._without_beginnings(text) if "…" in text else text

    def _without_beginnings(self, text: str) -> str:
        """Mask what is left of a secret where text was cut in the middle of it."""
        for cut in reversed(list(ELLIPSIS.finditer(text))):
            before = text[: cut.start()]
            longest = max((_overlap(before, each) for each in self._spellings), default=0)
            if longest:
                text = before[:-longest] + HIDDEN + text[cut.start() :]
        return text

    def document(self, part: Part, names: Iterable[str] = ()) -> Part:
        """A copy of a document (a pydantic model) with all of its text masked, but for what gives it its form.

        Args:
            part: the model.
            names: keys that stay as they are, with or without a selector in braces behind them.
        """
        if self._pattern is None:
            return part
        masked: Part = self._masked(part, frozenset(names))
        return masked

    def _masked(self, value: Any, names: frozenset[str]) -> Any:
        if isinstance(value, Enum):
            return value
        if isinstance(value, str):
            name, brace, selector = value.partition("{")
            return name + self(brace + selector) if name in names else self(value)
        if isinstance(value, dict):
            return {self._masked(key, names): self._masked(each, names) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self._masked(each, names) for each in value)
        fields = getattr(type(value), "model_fields", None)
        if fields is None:
            return value
        free = [name for name, field in fields.items() if _is_free(name, field)]
        return value.model_copy(update={name: self._masked(getattr(value, name), names) for name in free})


# Fields that other fields or programs refer to.
FORM = frozenset(
    {"run_id", "script_sha256", "results", "commit", "histogram", "started_at", "at", "executor", "aggregation",
     "operator", "unit"}
)  # fmt: skip


def _is_free(name: str, field: Any) -> bool:
    return name not in FORM and not _is_choice(field.annotation)


def _is_choice(annotation: Any) -> bool:
    return get_origin(annotation) is Literal or any(map(_is_choice, get_args(annotation)))


def _parts(value: str) -> Iterator[str]:
    """A secret, and the lines of a long one: each may be printed alone, or all in one line."""
    stripped = value.strip()
    if len(stripped) >= SHORTEST_SECRET:
        yield stripped
    if len(collapsed := " ".join(stripped.split())) >= SHORTEST_SECRET:  # as messages in one line show it
        yield collapsed
    lines = stripped.splitlines()
    if len(lines) > 1:
        yield from (line.strip() for line in lines if len(line.strip()) >= SHORTEST_LINE)


def _spellings(value: str) -> set[str]:
    quoted = {quote(value), quote(value, safe=""), quote_plus(value)}
    lower = {re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), each) for each in quoted}
    escaped = {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1]}
    return {value, *quoted, *lower, *escaped}


def _overlap(text: str, secret: str) -> int:
    """How many of the secret's first characters end the text; 0 when these are too few to give anything away."""
    longest = min(len(secret) - 1, len(text))
    return next((n for n in range(longest, SHORTEST_SECRET - 1, -1) if text.endswith(secret[:n])), 0)
