"""What every generated script looks like: its docstring, its options, and calls as a formatter leaves them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ciload.starter.literals import INDENT, WIDTH, literal, text_literal
from ciload.text import one_line

LONGEST_NAME = 200
SIMPLE = re.compile(r"r\.(status_code (==|in) [\d(), ]+|is_success)")
LOAD = """\
    "vus": 10,
    "duration": "30s",
"""
FAILED = """\
        "http_req_failed": ["rate<0.01"],
"""
OPTIONS = """
    # Runs are compared with earlier ones of this name, also when the script has changed.
    "name": {name},
{base}{load}    "thresholds": {{
        # To start with. What this service can do, runs tell: keep them with
        # --save-baseline baseline.json, look at `ciload calibrate baseline.json`,
        # and let --baseline baseline.json find what has become slower.
        "http_req_duration": ["p(95)<500"],
{failed}        "checks": ["rate>0.99"],
    }},
"""


def top(title: str, made_by: str, run: str, *more: str) -> list[str]:
    """The docstring: what this is, and how it is run."""
    return [f'"""{harmless(title)}, made by `{harmless(made_by)}`.', "", f"    {harmless(run)}", *more, '"""', ""]


def run_line(file: str, base_url: str, elsewhere: str = "http://localhost:8000") -> str:
    """How the script is run; `elsewhere` is its target where the script has none."""
    return f"ciload run {file}" + ("" if base_url else f" --base-url {elsewhere}")


def harmless(text: str) -> str:
    """Text for a docstring, which it can neither end nor escape from."""
    return one_line(text).replace("\\", "/").replace('"', "'")


def options_lines(file: str, base_url: str, *, failures: bool = False, load: str = LOAD) -> list[str]:
    """The options that a script begins with.

    Args:
        file: the script's name.
        base_url: of the target; empty if whoever runs the script says it.
        failures: some requests are meant to fail.
        load: the lines that say how much load there is.
    """
    name = file.removesuffix(".py")[:LONGEST_NAME]
    base = f'    "base_url": {literal(base_url, 1)},\n' if base_url else ""
    return [
        "",
        "options = {",
        *OPTIONS.format(base=base, load=load, failed="" if failures else FAILED, name=literal(name, 1))
        .strip("\n")
        .split("\n"),
        "}",
    ]


def call_lines(called: str, arguments: Sequence[str], depth: int, before: str = "") -> list[str]:
    """A call as a formatter leaves it; arguments are source for one level deeper than `depth`."""
    start = f"{INDENT * depth}{before}{called}("
    in_one = f"{start}{', '.join(arguments)})"
    if len(in_one) <= WIDTH and "\n" not in in_one:
        return [in_one]
    inside = INDENT * (depth + 1)
    return [start, *"\n".join(f"{inside}{each}," for each in arguments).split("\n"), f"{INDENT * depth})"]


def check_lines(checks: Sequence[tuple[str, str]], depth: int, *, must_hold: bool = False) -> Iterator[str]:
    """Checks of `reply` by names and code about `r`; the iteration ends where they `must_hold` and do not."""
    before, after = ("if not ", ":") if must_hold else ("", "")
    items = [f"{text_literal(name)}: lambda r: {code}" for name, code in checks]
    in_one = f"{INDENT * depth}{before}check(reply, {{{', '.join(items)}}}){after}"
    if len(items) == 1 and len(in_one) > WIDTH and SIMPLE.fullmatch(checks[0][1]):
        yield f"{INDENT * depth}succeeded = reply{checks[0][1].removeprefix('r')}"
        items = [f"{text_literal(checks[0][0])}: succeeded"]
        in_one = f"{INDENT * depth}{before}check(reply, {{{items[0]}}}){after}"
    if len(items) == 1 and len(in_one) <= WIDTH:
        yield in_one
    else:
        inside, inmost = INDENT * (depth + 1), INDENT * (depth + 2)
        yield from (f"{INDENT * depth}{before}check(", f"{inside}reply,", f"{inside}{{")
        yield from (f"{inmost}{each}," for each in items)
        yield from (f"{inside}}},", f"{INDENT * depth}){after}")
    if must_hold:
        yield f"{INDENT * (depth + 1)}return"
