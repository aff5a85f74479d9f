"""The script of a journey. Text of the recording is a literal in it, or one line of a comment, and never code."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from urllib.parse import quote

from ciload.convert.bodies import MULTIPART
from ciload.convert.clean import FAILED, may_load
from ciload.convert.expressions import json_source, pairs_source, path_source, text_source
from ciload.convert.journey import Check, Journey, Pairs, Part, Step
from ciload.convert.naming import label
from ciload.starter.data import MISSING
from ciload.starter.layout import call_lines, check_lines, options_lines, run_line, top
from ciload.starter.literals import INDENT, Code, literal, text_literal
from ciload.text import one_line

MOST_LEFT_OUT = 50
BARE = "/:@!$'()*,;~-._"  # of a query's names without values
VERBS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
FIELD = '''
def field(reply, name):
    """The value of a page's hidden field, or meta tag, of this name."""
    for tag in re.findall(r"<(?:input|meta)\\b[^>]*>", reply.text, re.IGNORECASE):
        found = re.findall(r"""([\\w:-]+)\\s*=\\s*(?:"([^"]*)"|'([^']*)')""", tag)
        values = {key.lower(): html.unescape(one or other) for key, one, other in found}
        if values.get("name") == name:
            return values.get("value", values.get("content", ""))
    return fail(f"there is no field {name!r} in {reply.url}")
'''
BETWEEN = '''
def between(reply, before, after):
    """What stands between two texts in a reply."""
    value, found, _ = reply.text.partition(before)[2].partition(after)
    return value if found else fail(f"there is no {before!r} in {reply.url}")
'''
WRITES = ("A load test sends this thousands of times: what it creates, changes or deletes stays so.",)


class Writer:
    """Writes the script of one journey, once all of its text is known."""

    def __init__(self, journey: Journey) -> None:
        self.journey = journey
        self.references = journey.references
        self.headers: dict[str, str] = {}  # constants, by their source

    def script(self, file: str) -> str:
        journey = self.journey
        self.headers = self._shared_headers()
        base = journey.base_url if may_load(journey) else ""
        elsewhere = journey.base_url or "http://localhost:8000"
        more = ["", *WRITES] if any(each.request.writes for each in journey.steps) else []
        body = ["", "", f"async def default({'vu' if self._needs_vu() else ''}):", *self._steps()]
        text = "\n".join([*self._constants(), *body])
        helpers = [each for name, each in (("field", FIELD), ("between", BETWEEN)) if f"{name}(reply" in text]
        whole = "".join([*helpers, text])
        names = {"check", "http", "sleep"} | {name for name in ("group", "fail") if re.search(rf"\b{name}\(", whole)}
        if any(source.startswith("data_file(") for _, source, _ in journey.constants):
            names.add("data_file")
        lines = top(f"{journey.title}", journey.made_by, run_line(file, base, elsewhere), *more)
        modules = [name for name in ("html", "json", "os", "re", "time", "uuid") if re.search(rf"\b{name}\.\w", whole)]
        lines += [f"import {each}" for each in modules]
        lines += ["from datetime import UTC, datetime"] * ("datetime." in whole)
        lines += ["from urllib.parse import unquote"] * ("unquote(" in whole)
        lines += [""] * (lines[-1] != "")
        lines.append(f"from ciload import {', '.join(sorted(names))}")
        lines += options_lines(file, base, failures=self._expects_failures())
        lines += self._left_out()
        lines += self._constants()
        for helper in helpers:
            lines += ["", *helper.rstrip("\n").split("\n")]
        return "\n".join([*lines, *body, ""])

    # --- top

    def _left_out(self) -> Iterator[str]:
        lines = self.journey.left_out
        if lines:
            yield from ("", "# Not in this script:")
            yield from (f"# - {one_line(each)}" for each in lines[:MOST_LEFT_OUT])
        if len(lines) > MOST_LEFT_OUT:
            yield f"# - and {len(lines) - MOST_LEFT_OUT} more"

    def _constants(self) -> Iterator[str]:
        secrets = [each for each in self.journey.settings if each.default is None]
        others = [each for each in self.journey.settings if each.default is not None]
        if secrets:
            yield from ("", "# From the environment; secrets belong to CI's.")
        for setting in (*secrets, *others):
            if setting is (others[0] if others else None):
                yield from ("", "# From the environment, or as they were.")
            name = text_literal(setting.variable)
            arguments = [name, text_literal(setting.default or "")]
            yield from call_lines("os.environ.get", arguments, 0, f"{setting.constant} = ")
        for name, source, comment in self.journey.constants:
            yield from ("", f"# {one_line(comment)}", *f"{name} = {source}".split("\n"))
        if self.headers:
            yield ""
        for source, name in self.headers.items():
            yield from f"{name} = {source}".split("\n")

    def _expects_failures(self) -> bool:
        return any(each.reply.status >= FAILED for each in self.journey.steps)

    def _needs_vu(self) -> bool:
        used = {each for each in self.references.known if "vu." in each.code}
        return bool(used)

    def _shared_headers(self) -> dict[str, str]:
        """Headers of several requests that no reply gives, by their source."""
        counts = Counter(self._fixed_headers(each) for each in self.journey.steps)
        shared = [source for source, count in counts.most_common() if count > 1 and source != "{}"]
        return {source: "HEADERS" if not index else f"HEADERS_{index + 1}" for index, source in enumerate(shared[:9])}

    def _fixed_headers(self, step: Step) -> str:
        fixed = [(name, value) for name, value in step.request.headers if not self.references.are_local(value)]
        return literal(dict(self._header_items(fixed)), 0)

    def _header_items(self, pairs: Pairs) -> Iterator[tuple[str, str | Code]]:
        for name, value in pairs:
            yield name, text_source(self.references, value)

    # --- steps

    def _steps(self) -> Iterator[str]:
        group: tuple[str, ...] = ()
        for step in self.journey.steps:
            shared = 0
            while shared < min(len(group), len(step.group)) and group[shared] == step.group[shared]:
                shared += 1
            if step.pause:
                yield f"{INDENT * (1 + (shared if step.group == group else 0))}await sleep({_seconds(step.pause)})"
            for depth in range(shared, len(step.group)):
                yield f"{INDENT * (depth + 1)}async with group({text_literal(step.group[depth])}):"
            group = step.group
            yield from self._step(step, len(group) + 1)
        yield f"{INDENT}await sleep(1)"

    def _step(self, step: Step, depth: int) -> Iterator[str]:
        request, inner = step.request, depth + 1
        arguments = [path_source(self.references, request.origin, request.path, self._bare_query(step))]
        if request.method not in VERBS:
            arguments.insert(0, text_literal(request.method))
        params = pairs_source(self.references, [(name, value) for name, value in request.query if value is not None])
        arguments += [literal(params, inner, "params=")] if params else []
        arguments += self._headers(step, inner)
        if request.cookies:
            arguments.append(literal(pairs_source(self.references, list(request.cookies.items())), inner, "cookies="))
        if request.auth is not None:
            user, password = (text_literal(text_source(self.references, each, exact=True)) for each in request.auth)
            arguments.append(f"auth=({user}, {password})")
        arguments += self._body(step, inner)
        if not step.follows:
            arguments.append("follow_redirects=False")
        if step.name:
            arguments.append(f"name={text_literal(step.name)}")
        called = f"http.{request.method.lower()}" if request.method in VERBS else "http.request"
        yield from call_lines(called, arguments, depth, "reply = await ")
        checks = [(each.name, each.code) for each in step.checks or [self._status_check(step)]]
        yield from check_lines(checks, depth, must_hold=bool(step.extractions))
        for name, code in step.extractions:
            yield f"{INDENT * depth}{name} = {code}"

    def _bare_query(self, step: Step) -> str:
        """Names without values, which only a URL can hold."""
        bare = [name for name, value in step.request.query if value is None]
        return "&".join(quote(each, safe=BARE, errors="replace") for each in bare)

    def _headers(self, step: Step, depth: int) -> list[str]:
        fixed = self._fixed_headers(step)
        local = dict(
            self._header_items([(name, value) for name, value in step.request.headers
                                if fixed not in self.headers or self.references.are_local(value)])
        )  # fmt: skip
        media = step.request.body.media
        if media and media != MULTIPART:
            local["Content-Type"] = text_source(self.references, media)
        if fixed not in self.headers:
            return [literal(local, depth, "headers=")] if local else []
        constant = self.headers[fixed]
        return [literal(local, depth, "headers=", [f"**{constant}"])] if local else [f"headers={constant}"]

    def _body(self, step: Step, depth: int) -> list[str]:
        body = step.request.body
        if body.json is not MISSING:
            return [literal(json_source(self.references, body.json), depth, "json=")]
        if body.form is not None:
            return [literal(pairs_source(self.references, body.form), depth, "data=")]
        if body.constant:
            return [f"content={body.constant}"]
        if isinstance(body.content, str):
            return ["content=" + text_literal(text_source(self.references, body.content, exact=True))]
        return self._parts(step, depth) if body.parts else []

    def _parts(self, step: Step, depth: int) -> list[str]:
        parts = step.request.body.parts or []
        files = [each for each in parts if each.file]
        # Multipart all the same: fields go as parts without names of files, unless there are files beside them.
        fields = [(each.name, each.value) for each in parts if not each.file] if files else []
        data = [literal(pairs_source(self.references, fields), depth, "data=")] if fields else []
        items = [Code(f"({text_literal(each.name)}, {self._part(each)})") for each in files or parts]
        return [*data, literal(items, depth, "files=")]

    def _part(self, part: Part) -> str:
        content = part.constant or text_literal(text_source(self.references, part.value, exact=True))
        media = [text_literal(part.media)] if part.media else []
        return f"({', '.join([text_literal(part.file) if part.file else 'None', content, *media])})"

    def _status_check(self, step: Step) -> Check:
        status = step.reply.status
        name = one_line(f"{label(self.journey, step)} {f'answers {status}' if status else 'succeeds'}", 150)
        return Check(name, f"r.status_code == {status}" if status else "r.is_success")


def _seconds(pause: float) -> str:
    return str(int(pause)) if pause == int(pause) else str(pause)


def journey_script(journey: Journey, file: str) -> str:
    """The source of a script that makes this journey, over and over."""
    return Writer(journey).script(file)
