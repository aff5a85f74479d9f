"""Postman collections, v2.0 and v2.1: folders are groups, requests are steps, in the order of a runner."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ciload.convert.bodies import body_of, file_constant
from ciload.convert.headers import basic_pair, cookies_in, kept_headers
from ciload.convert.journey import Body, Check, Extraction, Journey, Part, Reply, Request, Step
from ciload.convert.marks import WHOLE, Bare, Reference, clean, has_mark
from ciload.convert.postman_scripts import understand
from ciload.convert.postman_urls import choose_base, raw_url, split_marked, without_disabled
from ciload.convert.postman_variables import Variables
from ciload.convert.reading import cleaned, items, json_body, mapping, mappings, text_of
from ciload.errors import UsageError
from ciload.starter.data import MISSING
from ciload.starter.security import TOKEN
from ciload.text import one_line

MOST_STEPS = 1_000
DEEPEST = 20
LANGUAGES = {"json": "application/json", "xml": "application/xml", "html": "text/html", "text": "text/plain",
             "javascript": "application/javascript"}  # fmt: skip
COLON = re.compile(r"(?<=/):([A-Za-z_][\w-]*)")
QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|\{\{\s*[^{}]{1,200}?\s*\}\}')


class Collection:
    """Reads a collection into the steps of a journey."""

    def __init__(self, root: Mapping[str, Any], shown: str, environment: Sequence[Mapping[str, Any]]) -> None:
        title = one_line(text_of(mapping(root.get("info")).get("name")) or "a Postman collection", 80)
        self.shown = shown
        self.journey = Journey(f"Load test of {title}", "")
        self.variables = Variables(self.journey, [mappings(root.get("variable")), environment])
        self.root = root

    def read(self) -> Journey:
        self._scripts_before(self.root, "the collection")
        self._folder(self.root, (), self.root.get("auth"), 0)
        if not self.journey.steps:
            raise UsageError(f"{self.shown}: there is no request in this collection" + "".join(
                f"\n  {each}" for each in self.journey.left_out[:10]))  # fmt: skip
        choose_base(self.journey)
        return self.journey

    def _folder(self, folder: Mapping[str, Any], groups: tuple[str, ...], auth: Any, depth: int) -> None:
        for item in mappings(folder.get("item")):
            name = one_line(text_of(item.get("name")), 80) or "request"
            if "item" in item:
                if depth >= DEEPEST:
                    self.journey.left_out.append(f"{name}: folders inside of {DEEPEST} folders")
                    continue
                self._scripts_before(item, name)
                inherited = item.get("auth") or auth
                self._folder(item, (*groups, name.replace("::", ":")), inherited, depth + 1)
            elif "request" in item:
                self._request(item, name, groups, auth)

    def _request(self, item: Mapping[str, Any], name: str, groups: tuple[str, ...], auth: Any) -> None:
        if len(self.journey.steps) >= MOST_STEPS:
            self.journey.left_out.append(f"{name}: beyond the first {MOST_STEPS:,} requests")
            return
        given = item["request"]
        asked = {"url": given} if isinstance(given, str) else mapping(given)
        self._scripts_before(item, name)
        try:
            step = self._step(asked, name, groups)
        except ValueError as error:
            self.journey.left_out.append(f"{name}: its URL is none: {one_line(str(error), 80)}")
            return
        self._sign_in(step, asked.get("auth") or auth, name)
        self._scripts_after(item, step, name)
        self.journey.steps.append(step)

    def _step(self, asked: Mapping[str, Any], name: str, groups: tuple[str, ...]) -> Step:
        url = asked.get("url")
        raw = clean(url) if isinstance(url, str) else raw_url(mapping(url))
        method = text_of(asked.get("method")).upper() or "GET"
        if not TOKEN.fullmatch(method):
            raise ValueError(f"the method {method!r}")
        ids = {
            text_of(each.get("key")) or text_of(each.get("id")): text_of(each.get("value"))
            for each in mappings(mapping(url).get("variable"))
        }
        raw = without_disabled(raw, mapping(url))
        whole = self.variables.url(COLON.sub(lambda hit: ids.get(hit[1]) or f"{{{{{hit[1]}}}}}", raw.partition("#")[0]))
        if whole and not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://|\ue000|/", whole):
            whole = f"http://{whole}"
        origin, path, query = split_marked(whole)
        fill = self.variables.fill
        said = [
            (fill(text_of(each.get("key"))), fill(text_of(each.get("value"))))
            for each in mappings(asked.get("header"))
            if each.get("disabled") is not True
        ]
        if isinstance(header := asked.get("header"), str):
            lines = [line.partition(":") for line in clean(header).split("\n")]
            said = [(key.strip(), fill(value.strip())) for key, colon, value in lines if colon]
        said = [(key, value) for key, value in said if TOKEN.fullmatch(key)]
        request = Request(method, origin, path, query, kept_headers(said, all_of_them=True))
        request.auth = basic_pair(said)
        request.cookies = cookies_in(said)
        if urlsplit(whole).username is not None:
            request.auth = (urlsplit(whole).username or "", urlsplit(whole).password or "")
        content_type = next((value for key, value in said if key.lower() == "content-type"), "")
        request.body = self._body(mapping(asked.get("body")), content_type)
        return Step(request, [Reply()], title=name, group=groups)

    def _body(self, body: Mapping[str, Any], said: str) -> Body:
        mode, fill = body.get("mode"), self.variables.fill
        if body.get("disabled") is True or not isinstance(mode, str):
            return Body()
        rows = [each for each in mappings(body.get(mode)) if each.get("disabled") is not True]
        if mode == "urlencoded":
            return Body(form=[(fill(text_of(each.get("key"))), fill(text_of(each.get("value")))) for each in rows])
        if mode == "formdata":
            return Body(parts=[part for each in rows for part in self._parts(each)])
        if mode == "file":
            source = text_of(mapping(body.get("file")).get("src")) or "file"
            return Body(constant=file_constant(self.journey, source), media=said)
        if mode == "graphql":
            return self._graphql(mapping(body.get("graphql")))
        text = text_of(body.get("raw"))
        language = text_of(mapping(mapping(mapping(body.get("options")).get("raw"))).get("language"))
        media = said or LANGUAGES.get(language, "")
        if not text.strip():
            return Body()
        value = self._json(text) if "json" in media or not media else MISSING
        if value is MISSING or value is None:
            return body_of(fill(text), media or "text/plain")
        return Body(json=value, media="" if media in ("", "application/json") else media)

    def _json(self, text: str) -> Any:
        """JSON in which variables stand for text, for parts of it, or for whole values."""

        def filled(hit: re.Match[str]) -> str:
            if hit[0].startswith('"'):
                return self.variables.fill(hit[0])
            return f'"{WHOLE}{self.variables.fill(hit[0])}"'

        value = json_body_with_marks(QUOTED.sub(filled, text))
        return _with_bare(value) if value is not MISSING else MISSING

    def _graphql(self, graphql: Mapping[str, Any]) -> Body:
        made: dict[str, Any] = {"query": self.variables.fill(text_of(graphql.get("query")))}
        if operation := text_of(graphql.get("operationName")):
            made["operationName"] = operation
        given = graphql.get("variables")
        values = self._json(given) if isinstance(given, str) and given.strip() else cleaned(given)
        if values not in (MISSING, None, ""):
            made["variables"] = values
        return Body(json=made)

    def _parts(self, row: Mapping[str, Any]) -> list[Part]:
        name = self.variables.fill(text_of(row.get("key")))
        media = text_of(row.get("contentType"))
        if row.get("type") != "file":
            return [Part(name, self.variables.fill(text_of(row.get("value"))), "", media)]
        sources = [text_of(each) for each in items(row.get("src"))] or [text_of(row.get("src")) or "file.bin"]
        return [
            Part(
                name,
                "",
                source.replace("\\", "/").rpartition("/")[2] or "file",
                media,
                file_constant(self.journey, source),
            )
            for source in sources
        ]

    def _sign_in(self, step: Step, auth: Any, name: str) -> None:
        auth = mapping(auth)
        kind = text_of(auth.get("type"))
        values = _auth_values(auth.get(kind))
        fill, headers = self.variables.fill, step.request.headers
        if not kind or kind == "noauth" or any(key.lower() == "authorization" for key, _ in headers):
            return
        if kind == "bearer" or (kind == "oauth2" and values.get("accessToken")):
            headers.append(
                ("Authorization", f"Bearer {fill(values.get('token') or values.get('accessToken') or '{{token}}')}")
            )
        elif kind == "basic":
            step.request.auth = (fill(values.get("username", "")), fill(values.get("password", "")))
        elif kind == "apikey":
            key, value = values.get("key") or "X-API-Key", fill(values.get("value", ""))
            if value and not has_mark(value):
                self.journey.secrets[value] = "api_key"
            if values.get("in") == "query":
                step.request.query.append((key, value))
            elif TOKEN.fullmatch(key):
                headers.append((key, value))
        else:
            self.journey.notes.append(f"{name}: signs in by {one_line(kind, 30)}, which is for you to add (auth=)")

    def _scripts_before(self, owner: Mapping[str, Any], name: str) -> None:
        for kept in (found := understand(_script(owner, "prerequest"))).kept:
            if not kept.code:
                self.variables.set(kept.name, kept.text)
        if found.rest or any(each.code for each in found.kept):
            self.journey.notes.append(f"{name}: its pre-request script is not in the script")

    def _scripts_after(self, item: Mapping[str, Any], step: Step, name: str) -> None:
        found = understand(_script(item, "test"))
        step.checks, step.reply.status = found.checks, found.status
        for kept in found.kept:
            if not kept.code:
                self.variables.set(kept.name, kept.text)
                continue
            variable = self.variables.variable(kept.name, name)
            step.extractions.append(Extraction(variable, kept.code))
            is_text = "json()" not in kept.code
            self.variables.keep(kept.name, Reference(variable, variable, is_text, is_local=True))
        has_status = any("r.status_code" in each.code or "is_success" in each.code for each in found.checks)
        if found.checks and not has_status:
            step.checks = [Check(f"{name} succeeds", "r.is_success"), *found.checks]
        if found.rest:
            lines = "1 line" if found.rest == 1 else f"{found.rest} lines"
            self.journey.notes.append(f"{name}: {lines} of its test script could not be converted")


def read_collection(root: Mapping[str, Any], shown: str, environment: Sequence[Mapping[str, Any]]) -> Journey:
    """The requests of a collection.

    Raises:
        UsageError: there are none.
    """
    return Collection(root, shown, environment).read()


def json_body_with_marks(text: str) -> Any:
    """JSON of a file that was cleaned already, so that marks in it are ours."""
    value = json_body(text)
    return MISSING if value is MISSING else json.loads(text)


def _with_bare(value: Any) -> Any:
    if isinstance(value, str):
        return Bare(value[1:]) if value.startswith(WHOLE) else value
    if isinstance(value, dict):
        return {key: _with_bare(each) for key, each in value.items()}
    return [_with_bare(each) for each in value] if isinstance(value, list) else value


def _auth_values(given: Any) -> dict[str, str]:
    """v2.1 has a list of rows, v2.0 a mapping."""
    if isinstance(given, dict):
        return {key: text_of(value) for key, value in given.items()}
    return {text_of(each.get("key")): text_of(each.get("value")) for each in mappings(given)}


def _script(owner: Mapping[str, Any], listen: str) -> str:
    found = []
    for event in mappings(owner.get("event")):
        if event.get("listen") == listen and event.get("disabled") is not True:
            lines = mapping(event.get("script")).get("exec")
            found += [text_of(each) for each in items(lines)] or [text_of(lines)]
    return "\n".join(found)
