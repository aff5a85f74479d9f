"""curl commands: what is pasted from documentation, and from browsers' "Copy as cURL"."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, quote_plus, urlsplit

from ciload.convert.bodies import FORM, body_of, file_constant, header_media, media_of
from ciload.convert.curl_options import ELSEWHERE, options_of
from ciload.convert.headers import basic_pair, cookies_in, kept_headers
from ciload.convert.journey import Body, Journey, Part, Reply, Request, Setting, Step, query_of, split_url
from ciload.convert.marks import Reference, clean
from ciload.errors import UsageError
from ciload.files import read_file
from ciload.secrets import without_secrets
from ciload.starter.names import unique, words
from ciload.starter.security import TOKEN
from ciload.text import one_line

LOOKS = re.compile(r"\s*(#[^\n]*\n\s*)*(\$\s+)?(\w+=\S*\s+)*(\S*/)?curl(\s|\\)")
ENVIRONMENT = re.compile(r"\{\{\$env:(\w+)\}\}")
MOST_STEPS = 1_000
MOST_FILE = 64 << 20


def looks_like_curl(text: str) -> bool:
    return LOOKS.match(text[:10_000]) is not None


@dataclass(slots=True)
class _Command:
    """What the options of one command, or of one part before `--next`, add up to."""

    urls: list[str] = field(default_factory=list)
    method: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    file: str = ""  # that is the body
    parts: list[Part] = field(default_factory=list)
    query: list[tuple[str, str | None]] = field(default_factory=list)
    cookies: dict[str, str] = field(default_factory=dict)
    auth: tuple[str, str] | None = None
    flags: set[str] = field(default_factory=set)


class Curl:
    """Reads commands into the steps of one journey."""

    def __init__(self, shown: str) -> None:
        self.shown = shown
        self.journey = Journey("A request", "", was_asked=True)

    def read(self, arguments: Sequence[str]) -> None:
        command = _Command()
        for name, text in options_of([clean(each) for each in arguments], self.shown):
            value = ENVIRONMENT.sub(lambda hit: self._variable(hit[1]), text)
            if name == "next":
                self._finish(command)
                command = _Command()
            else:
                self._take(command, name, value)
        self._finish(command)

    def _variable(self, name: str) -> str:
        """A variable of the shell is one of the script's environment."""
        known = next((each for each in self.journey.settings if each.variable == name), None)
        if known is None:
            constant = unique(words(name).upper() or "VALUE", self.journey.taken)
            known = Setting(constant, name, "a variable in the command")
            self.journey.settings.append(known)
        return self.journey.references.mark(Reference(known.constant, known.constant.lower()))

    def _take(self, command: _Command, name: str, value: str) -> None:
        if name == "url":
            command.urls.append(value)
        elif name == "request":
            if not TOKEN.fullmatch(value):
                raise UsageError(f"{self.shown}: -X {one_line(value, 40)!r}: is no method")
            command.method = value.upper()
        elif name in ("header", "user-agent", "referer"):
            self._take_header(command, value if name == "header" else f"{name.title()}: {value}")
        elif name in ("data", "data-ascii", "data-binary", "data-raw", "json", "data-urlencode"):
            self._take_data(command, name, value)
        elif name in ("form", "form-string"):
            command.parts.append(self._part(value, literally=name == "form-string"))
        elif name in ("user", "oauth2-bearer", "cookie"):
            self._take_credentials(command, name, value)
        elif name == "url-query":
            command.query += query_of(value.removeprefix("+"))
        elif name == "upload-file":
            command.file, command.method = value, command.method or "PUT"
        elif name in ("get", "head", "location", "location-trusted", "digest", "insecure", "aws-sigv4"):
            command.flags.add(name)
        else:
            self._note(name)

    def _note(self, name: str) -> None:
        if name in ELSEWHERE:
            self.journey.notes.append(f"curl's --{name} is not in the script")

    def _take_header(self, command: _Command, value: str) -> None:
        name, colon, text = value.partition(":")
        if not colon and name.endswith(";"):
            command.headers.append((name[:-1].strip(), ""))
        elif colon and text.strip() and name.strip().lower() == "cookie":
            self._take_credentials(command, "cookie", text.strip())
        elif colon and text.strip():
            command.headers.append((name.strip(), text.strip()))
        elif value.startswith("@"):
            raise UsageError(
                f"{self.shown}: -H {one_line(value, 40)}: headers from a file are not read; write them out"
            )

    def _take_credentials(self, command: _Command, name: str, value: str) -> None:
        if name == "user":
            user, _, password = value.partition(":")
            command.auth = (user, password)
        elif name == "oauth2-bearer":
            command.headers.append(("Authorization", f"Bearer {value}"))
        elif "=" not in value:
            self.journey.notes.append("curl's cookie file is not read: cookies that replies set are kept by themselves")
        else:
            command.cookies |= cookies_in([("cookie", value)])

    def _take_data(self, command: _Command, name: str, value: str) -> None:
        if name == "json":
            have = {key.lower() for key, _ in command.headers}
            command.headers += [("Content-Type", "application/json")] if "content-type" not in have else []
            command.headers += [("Accept", "application/json")] if "accept" not in have else []
        if name == "data-urlencode":
            key, equals, text = value.partition("=")
            if not equals and "@" in value:
                raise UsageError(f"{self.shown}: --data-urlencode from a file is not read; write the value out")
            made = (f"{key}=" if key else "") + _encoded(text) if equals else _encoded(value)
            command.data.append(made)
        elif value.startswith("@") and name != "data-raw":
            command.file = value[1:]
        else:
            command.data.append(value)

    def _part(self, value: str, *, literally: bool) -> Part:
        name, equals, content = value.partition("=")
        if not equals:
            raise UsageError(f"{self.shown}: -F {one_line(name, 40)!r}: a field is NAME=VALUE, or NAME=@FILE")
        if literally or content[:1] not in ("@", "<"):
            text, _, kind = content.partition(";type=") if not literally else (content, "", "")
            return Part(name, text, "", header_media(kind))
        path, *more = content[1:].split(";")
        path = path.strip('"')
        given = {key.strip(): text.strip('"') for key, _, text in (each.partition("=") for each in more)}
        media = header_media(given.get("type", "")) or mimetypes.guess_type(path)[0] or ""
        constant = file_constant(self.journey, path, _is_there(path))
        return Part(name, "", given.get("filename", path.rpartition("/")[2]) or "file", media, constant)

    def _finish(self, command: _Command) -> None:
        if not command.urls:
            raise UsageError(f"{self.shown}: there is no URL in this command")
        for url in command.urls:
            if len(self.journey.steps) >= MOST_STEPS:
                raise UsageError(f"{self.shown}: more than {MOST_STEPS:,} requests")
            self.journey.steps.append(self._step(command, url))
        if "insecure" in command.flags:
            self.journey.notes.append("-k: certificates are verified unless the run has --insecure-skip-tls-verify")
        for each in ("digest", "aws-sigv4"):
            if each in command.flags:
                self.journey.notes.append(f"curl's --{each} is not in the script: see docs/scripting.md for auth=")

    def _step(self, command: _Command, url: str) -> Step:
        shown = one_line(without_secrets(url), 80)
        url = url if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", url) else f"http://{url}"
        try:
            origin, path, query = split_url(url)
            parts = urlsplit(url)
            _ = parts.port
        except ValueError as error:
            raise UsageError(f"{self.shown}: {shown}: is no URL: {one_line(str(error))}") from None
        if parts.scheme.lower() not in ("http", "https"):
            raise UsageError(f"{self.shown}: {shown}: only http and https can be loaded")
        said = next((value for name, value in command.headers if name.lower() == "content-type"), "")
        body = self._body(command, said)
        method = command.method or ("HEAD" if "head" in command.flags else "POST" if _has(body) else "GET")
        if "get" in command.flags:
            query += [each for text in command.data for each in query_of(text)]
            body, method = Body(), command.method or "GET"
        headers = kept_headers(command.headers, all_of_them=not _from_browser(command.headers))
        request = Request(method, origin, path, query + command.query, headers, dict(command.cookies), body)
        user = (parts.username, parts.password or "") if parts.username is not None else None
        request.auth = command.auth or user or basic_pair(command.headers)
        return Step(request, [Reply(url=url)])

    def _body(self, command: _Command, said: str) -> Body:
        if command.parts:
            return Body(
                parts=[Part(each.name, each.value, each.file, each.media, each.constant) for each in command.parts]
            )
        if command.file:
            media = header_media(said) or FORM
            return Body(constant=file_constant(self.journey, command.file, _is_there(command.file)), media=media)
        if not command.data:
            return Body()
        is_json = "json" in media_of(said)
        text = ("" if is_json else "&").join(command.data)
        return body_of(text, said or FORM)


def _has(body: Body) -> bool:
    return body != Body()


def _from_browser(headers: list[tuple[str, str]]) -> bool:
    return any(name.lower().startswith("sec-") or name.lower() == "upgrade-insecure-requests" for name, _ in headers)


def _encoded(text: str) -> str:
    """As in a form, with variables as they are."""
    return "".join(
        each if ord(each[:1] or " ") >= 0xE000 else quote_plus(each) for each in re.split("(\ue000\\d+\ue001)", text)
    )


def _is_there(path: str) -> bool:
    """A script reads what lies beside it."""
    try:
        return not Path(path).is_absolute() and Path(path).is_file() and len(read_file(path, MOST_FILE)) >= 0
    except (OSError, ValueError):
        return False


def read_curl(commands: list[list[str]], shown: str) -> Journey:
    """The requests of curl commands, in their order.

    Raises:
        UsageError: a mistake in one of them.
    """
    reader = Curl(shown)
    for each in commands:
        reader.read(each)
    journey = reader.journey
    first = journey.steps[0].request.origin
    # A host that is a variable cannot be the base URL: it is known when the script runs.
    journey.base_url = first if "\ue000" not in first else ""
    for step in journey.steps:
        if step.request.origin == journey.base_url:
            step.request.origin = ""
    if len(journey.steps) > 1:
        journey.title = "Requests"
    journey.title += f" to {one_line(quote(first.partition('://')[2], safe=':.[]-'), 60)}" if journey.base_url else ""
    return journey
