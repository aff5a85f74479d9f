"""Postman's scripts, as far as they are of the usual form: what is kept of a reply, and what is checked."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from ciload.convert.journey import Check
from ciload.convert.marks import clean
from ciload.starter.literals import text_literal
from ciload.text import one_line

NAME = r"""["'`]([^"'`]{1,200})["'`]"""
MOST = 20_000  # characters of a script that are looked at
SET = re.compile(
    r"(?:pm\.(?:environment|collectionVariables|globals|variables)\.set|postman\.set(?:Environment|Global)Variable)\(\s*"
    + NAME + r"\s*,\s*([^;\n]{1,300}?)\s*\)\s*(?:;|$|\n|\})"
)  # fmt: skip
JSON = r"(?:pm\.response\.json\(\)|JSON\.parse\(\s*responseBody\s*\)|JSON\.parse\(\s*pm\.response\.text\(\)\s*\))"
ASSIGNED = re.compile(r"(?:(?:var|let|const)\s+)?(\w+)\s*=\s*([^;\n=][^;\n]{0,200})")
PATH = re.compile(r"""(?:\??\.(\w+)|\[\s*(\d+)\s*\]|\[\s*["']([^"'\]]+)["']\s*\])""")
TEST = re.compile(r"pm\.test\(\s*" + NAME)
STATUS = re.compile(
    r"pm\.response\.to\.have\.status\(\s*(\d{3})\s*\)"
    r"|pm\.expect\(\s*pm\.response\.code\s*\)\.to\.(?:equal|eql|eq|be\.equal)\(\s*(\d{3})\s*\)"
    r"|responseCode\.code\s*===?\s*(\d{3})"
)
ONE_OF = re.compile(r"pm\.expect\(\s*pm\.response\.code\s*\)\.to\.(?:be\.)?oneOf\(\s*\[([\d,\s]+)\]")
SUCCESS = re.compile(r"pm\.response\.to\.be\.(?:ok|success)\b")
EQUALS = re.compile(
    r"""pm\.expect\(\s*([^()]{1,100}(?:\(\))?[^()]{0,100})\)\.to\.(?:be\.)?(?:equal|eql|eq)\(\s*("[^"\\]*"|'[^'\\]*'|-?\d{1,15}(?:\.\d{1,15})?|true|false|null)\s*\)"""
)
HAS = re.compile(
    r"""pm\.expect\(\s*([^()]{1,100}(?:\(\))?[^()]{0,100})\)\.to\.have\.property\(\s*["']([^"']+)["']\s*\)"""
)
HEADER = re.compile(
    r"""pm\.response\.headers\.get\(\s*["']([\w-]+)["']\s*\)|postman\.getResponseHeader\(\s*["']([\w-]+)["']\s*\)"""
)
COOKIE = re.compile(r"""pm\.cookies\.get\(\s*["']([\w.-]+)["']\s*\)""")
COMMENT = re.compile(r"(?<![:\"'])//[^\n]*|/\*.*?\*/", re.DOTALL)
QUIET = re.compile(r"^\s*(console\.\w+\(.*|\}\)?;?|\{|\}?\s*\)?;?)\s*$")


class Kept(NamedTuple):
    """A variable that a script sets: of the reply by an expression, or to a text."""

    name: str
    code: str
    text: str = ""


class Understood(NamedTuple):
    kept: list[Kept]
    checks: list[Check]
    status: int  # that is expected; 0 if it is not said
    rest: int  # lines that were not understood


def understand(script: str) -> Understood:
    """What a test script does."""
    script = COMMENT.sub("", clean(script[:MOST]))
    names: dict[str, str] = {}
    kept: list[Kept] = []
    for hit in ASSIGNED.finditer(script):
        if code := _expression(hit[2].strip(), names):
            names[hit[1]] = code
    for hit in SET.finditer(script):
        value = hit[2].strip()
        if code := _expression(value, names):
            kept.append(Kept(hit[1], code))
        elif re.fullmatch(r"""["'][^"'\\]*["']|-?\d+(\.\d+)?""", value):
            kept.append(Kept(hit[1], "", value.strip("\"'")))
    checks, status = _checks(script, names)
    rest = sum(1 for line in script.split("\n") if line.strip() and not _is_understood(line, kept, checks))
    return Understood(kept, checks, status, rest)


def _is_understood(line: str, kept: list[Kept], checks: list[Check]) -> bool:
    if QUIET.match(line) or TEST.search(line):
        return True
    patterns = (STATUS, ONE_OF, SUCCESS, EQUALS, HAS) if checks else ()
    if any(each.search(line) for each in patterns) or re.match(r"\s*(?:var|let|const)\s+\w+\s*=\s*", line):
        return True
    return any(each.name in line and ".set" in line for each in kept)


def _expression(value: str, names: dict[str, str]) -> str:
    """The script's expression for one of JavaScript's; empty if it is none that we know."""
    if hit := HEADER.fullmatch(value):
        return f"reply.headers[{text_literal((hit[1] or hit[2]).lower())}]"
    if hit := COOKIE.fullmatch(value):
        return f"reply.cookies[{text_literal(hit[1])}]"
    if re.fullmatch(r"pm\.response\.text\(\)|responseBody", value):
        return "reply.text"
    if hit := re.match(JSON, value):
        return _path("reply.json()", value[hit.end() :])
    if (hit := re.match(r"\w+", value)) and hit[0] in names:
        return _path(names[hit[0]], value[hit.end() :])
    return ""


def _path(start: str, rest: str) -> str:
    made, at = start, 0
    for hit in PATH.finditer(rest):
        if hit.start() != at:
            return ""
        made += f"[{hit[2]}]" if hit[2] else f"[{text_literal(hit[1] or hit[3])}]"
        at = hit.end()
    return made if at == len(rest) else ""


def _checks(script: str, names: dict[str, str]) -> tuple[list[Check], int]:
    """A check for each assertion, under the name of the test that it stands in."""
    found: list[tuple[int, Check]] = []
    status = 0

    def add(pattern: re.Pattern[str], check: Callable[[re.Match[str]], str]) -> None:
        found.extend((hit.start(), Check("", code)) for hit in pattern.finditer(script) if (code := check(hit)))

    for hit in STATUS.finditer(script):
        status = status or int(hit[1] or hit[2] or hit[3])
    add(STATUS, lambda hit: f"r.status_code == {hit[1] or hit[2] or hit[3]}")
    add(
        ONE_OF,
        lambda hit: (
            f"r.status_code in ({', '.join(str(int(n)) for n in hit[1].split(',') if n.strip())},)".replace(",)", ")")
            if hit[1].count(",")
            else f"r.status_code == {int(hit[1])}"
        ),
    )
    add(SUCCESS, lambda _: "r.is_success")

    def equals(hit: re.Match[str]) -> str:
        code = _expression(hit[1].strip(), names)
        word = {"true": "True", "false": "False", "null": "None"}
        text = hit[2]
        number = str(float(text) if "." in text else int(text)) if text.lstrip("-")[0].isdigit() else ""
        value = word.get(text) or number or text_literal(text[1:-1])
        return f"r{code.removeprefix('reply')} {'is' if hit[2] in word else '=='} {value}" if code else ""

    add(EQUALS, equals)
    add(HAS, lambda hit: f"{text_literal(hit[2])} in r{code.removeprefix('reply')}" if (
        code := _expression(hit[1].strip(), names)) else "")  # fmt: skip
    tests = [(hit.start(), one_line(hit[1], 100)) for hit in TEST.finditer(script)]
    checks: dict[str, Check] = {}
    for at, check in sorted(found, key=lambda each: each[0]):
        name = next((name for start, name in reversed(tests) if start < at), check.code.removeprefix("r."))
        if name in checks:
            checks[name].code += f" and {check.code}"
        else:
            checks[name] = Check(name, check.code)
    return list(checks.values()), status
