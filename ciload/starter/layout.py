"""What every generated script looks like: its docstring, its options, and calls as a formatter leaves them."""

from __future__ import annotations

from collections.abc import Sequence

from ciload.starter.literals import INDENT, WIDTH, literal
from ciload.text import one_line

LONGEST_NAME = 200
OPTIONS = """
    # Runs are compared with earlier ones of this name, also when the script has changed.
    "name": {name},
{base}    "vus": 10,
    "duration": "30s",
    "thresholds": {{
        # To start with. What this service can do, runs tell: keep them with
        # --save-baseline baseline.json, look at `ciload calibrate baseline.json`,
        # and let --baseline baseline.json find what has become slower.
        "http_req_duration": ["p(95)<500"],
        "http_req_failed": ["rate<0.01"],
        "checks": ["rate>0.99"],
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


def options_lines(file: str, base_url: str) -> list[str]:
    """The options that a script begins with."""
    name = file.removesuffix(".py")[:LONGEST_NAME]
    base = f'    "base_url": {literal(base_url, 1)},\n' if base_url else ""
    return ["", "options = {", *OPTIONS.format(base=base, name=literal(name, 1)).strip("\n").split("\n"), "}"]


def call_lines(called: str, arguments: Sequence[str], depth: int, before: str = "") -> list[str]:
    """A call as a formatter leaves it; arguments are source for one level deeper than `depth`."""
    start = f"{INDENT * depth}{before}{called}("
    in_one = f"{start}{', '.join(arguments)})"
    if len(in_one) <= WIDTH and "\n" not in in_one:
        return [in_one]
    inside = INDENT * (depth + 1)
    return [start, *"\n".join(f"{inside}{each}," for each in arguments).split("\n"), f"{INDENT * depth})"]
