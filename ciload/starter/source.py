"""Python source of a starter script. Whatever text goes into it is a literal, or on one line of a docstring."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ciload.starter.operations import READS, ApiDescription, Operation, Scheme
from ciload.text import one_line

WIDTH = 88  # what formatters take unless told otherwise
INDENT = "    "
LONGEST_NAME = 200
BEARER = Scheme("bearer")
BASIC = Scheme("basic")
ESCAPED = {'"': '\\"', "'": "\\'"}
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
    }},
"""
DATA = "Look at the data below: where the document has no example, it is made from types."
WRITES = """
# A load test sends everything thousands of times, and what it creates, changes or
# deletes stays so. Mean it: -e WRITES=1 sends POST, PUT and PATCH, -e DELETES=1 DELETE.
"""


def page_script(path: str, base_url: str, made_by: str, file: str) -> str:
    """A script that requests one page."""
    call = _call("get", [_literal(path, 2)], 1, "reply = await ")
    return "\n".join(
        [
            *_top("A first load test", made_by, _run(file, base_url)),
            "from ciload import check, http, sleep",
            *_options(file, base_url),
            "",
            "",
            "async def default():",
            *call,
            '    check(reply, {"status is 200": lambda r: r.status_code == 200})',
            "    await sleep(0.5)",
            "",
        ]
    )


def api_script(api: ApiDescription, made_by: str, file: str) -> str:
    """A script with a function for each operation."""
    base_url = api.server if api.is_local else ""
    schemes = list(dict.fromkeys(scheme for each in api.operations for scheme in each.schemes))
    writes = [each for each in api.operations if each.method not in READS and each.method != "delete"]
    deletes = [each for each in api.operations if each.method == "delete"]
    lines = _top(f"Load test of {api.title}", made_by, _run(file, base_url), "", DATA)
    modules = ["base64"] * (BASIC in schemes) + ["os"] * bool(schemes or writes or deletes)
    lines += [f"import {each}" for each in modules] + [""] * bool(modules)
    lines += ["from ciload import check, http, sleep", *_options(file, base_url)]
    if writes or deletes:
        lines += WRITES.rstrip("\n").split("\n")
        lines += ['WRITES = os.environ.get("WRITES") == "1"'] * bool(writes)
        lines += ['DELETES = os.environ.get("DELETES") == "1"'] * bool(deletes)
    lines += _authentication(schemes)
    for operation in api.operations:
        lines += ["", "", *_function(operation, schemes)]
    lines += ["", "", "async def default():"]
    reads = [each for each in api.operations if each.method in READS]
    lines += [f"    await {each.function}()" for each in reads]
    for flag, some in (("WRITES", writes), ("DELETES", deletes)):
        lines += [f"    if {flag}:"] * bool(some) + [f"        await {each.function}()" for each in some]
    return "\n".join([*lines, "    await sleep(0.5)", ""])


def variables(api: ApiDescription) -> list[str]:
    """The environment variables that its script reads credentials from."""
    schemes = list(dict.fromkeys(scheme for each in api.operations for scheme in each.schemes))
    return [name for scheme in schemes for name in _variables(scheme, schemes)]


# --- parts


def _top(title: str, made_by: str, run: str, *more: str) -> list[str]:
    return [f'"""{_harmless(title)}, made by `{_harmless(made_by)}`.', "", f"    {_harmless(run)}", *more, '"""', ""]


def _run(file: str, base_url: str) -> str:
    return f"ciload run {file}" + ("" if base_url else " --base-url http://localhost:8000")


def _harmless(text: str) -> str:
    """Text for a docstring, which it can neither end nor escape from."""
    return one_line(text).replace("\\", "/").replace('"', "'")


def _options(file: str, base_url: str) -> list[str]:
    name = file.removesuffix(".py")[:LONGEST_NAME]
    base = f'    "base_url": {_literal(base_url, 1)},\n' if base_url else ""
    return ["", "options = {", *OPTIONS.format(base=base, name=_literal(name, 1)).strip("\n").split("\n"), "}"]


def _variables(scheme: Scheme, schemes: list[Scheme]) -> list[str]:
    if scheme == BEARER:
        return ["API_TOKEN"]
    if scheme == BASIC:
        return ["API_USER", "API_PASSWORD"]
    number = [each for each in schemes if each not in (BEARER, BASIC)].index(scheme) + 1
    return ["API_KEY" if number == 1 else f"API_KEY_{number}"]


def _constant(scheme: Scheme, schemes: list[Scheme]) -> str:
    if scheme in (BEARER, BASIC):
        return scheme.kind.upper()
    return _variables(scheme, schemes)[0].removeprefix("API_")


def _authentication(schemes: list[Scheme]) -> Iterator[str]:
    if schemes:
        yield from ("", "# Credentials come from the environment, and belong to CI's secrets.")
    for scheme in schemes:
        names = [f'os.environ.get("{name}", "")' for name in _variables(scheme, schemes)]
        constant = _constant(scheme, schemes)
        if scheme == BEARER:
            yield f'{constant} = {{"Authorization": "Bearer " + {names[0]}}}'
        elif scheme == BASIC:
            yield f'PAIR = {names[0]} + ":" + {names[1]}'
            yield f'{constant} = {{"Authorization": "Basic " + base64.b64encode(PAIR.encode()).decode()}}'
        else:
            key = "Cookie" if scheme.kind == "cookie" else scheme.name
            before = f'"{scheme.name}=" + ' if scheme.kind == "cookie" else ""
            in_one = f"{constant} = {{{_text(key)}: {before}{names[0]}}}"
            lines = [f"{constant}_NAME = {_text(key)}", f"{constant} = {{{constant}_NAME: {before}{names[0]}}}"]
            yield from [in_one] if len(in_one) <= WIDTH else lines


def _function(operation: Operation, schemes: list[Scheme]) -> Iterator[str]:
    yield f"async def {operation.function}():"
    if operation.unmade:
        yield "    # Its body is of a type that has no example here: add content=."
    arguments = [_literal(operation.url, 2)]
    used = [each for each in operation.schemes if each.kind != "query"]
    for name, values, kinds in (
        ("params", operation.params, [each for each in operation.schemes if each.kind == "query"]),
        ("headers", operation.headers, used),
    ):
        spread = [_constant(each, schemes) for each in kinds]
        if len(spread) == 1 and not values:
            arguments.append(f"{name}={spread[0]}")
        elif spread or values:
            arguments.append(_literal(values, 2, f"{name}=", [f"**{each}" for each in spread]))
    if operation.json is not None:
        arguments.append(_literal(operation.json, 2, "json="))
    if operation.form is not None:
        arguments.append(_literal(operation.form, 2, "data="))
    if operation.statuses and operation.statuses[0] >= 300:
        arguments.append("follow_redirects=False")
    arguments.append(f"name={_text(operation.name)}")
    yield from _call(operation.method, arguments, 1, "reply = await ")
    yield from _check(operation)


def _check(operation: Operation) -> list[str]:
    codes = operation.statuses
    said = f"answers {' or '.join(map(str, codes))}" if 1 <= len(codes) <= 2 else "succeeds"
    test = f"status_code in {codes}" if len(codes) > 1 else f"status_code == {codes[0]}" if codes else "is_success"
    name = f'"{operation.function} {said}"'
    in_one = f"    check(reply, {{{name}: lambda r: r.{test}}})"
    if len(in_one) <= WIDTH:
        return [in_one]
    before, in_one = f"    succeeded = reply.{test}", f"    check(reply, {{{name}: succeeded}})"
    if len(in_one) <= WIDTH:
        return [before, in_one]
    item = f"            {name}: succeeded,"
    return [before, "    check(", "        reply,", "        {", item, "        },", "    )"]


def _call(method: str, arguments: list[str], depth: int, before: str) -> list[str]:
    start = f"{INDENT * depth}{before}http.{method}("
    in_one = f"{start}{', '.join(arguments)})"
    if len(in_one) <= WIDTH and "\n" not in in_one:
        return [in_one]
    inside = INDENT * (depth + 1)
    return [start, *"\n".join(f"{inside}{each}," for each in arguments).split("\n"), f"{INDENT * depth})"]


# --- literals


def _literal(value: Any, depth: int, before: str = "", first: Iterable[str] = ()) -> str:
    """Source of data as a formatter leaves it, where `before` stands on a line that is `depth` deep."""
    if not isinstance(value, Mapping | list):
        return before + (_text(value) if isinstance(value, str) else repr(value))
    opening, closing = "{}" if isinstance(value, Mapping) else "[]"
    inside = INDENT * (depth + 1)
    if isinstance(value, Mapping):
        items = [*first, *(_literal(each, depth + 1, f"{_text(key)}: ") for key, each in value.items())]
    else:
        items = [_literal(each, depth + 1) for each in value]
    in_one = f"{before}{opening}{', '.join(items)}{closing}"
    fits = "\n" not in in_one and len(INDENT) * depth + len(in_one) < WIDTH
    if fits or not items:
        return in_one
    return f"{before}{opening}\n{inside}" + f",\n{inside}".join(items) + f",\n{INDENT * depth}{closing}"


def _text(text: str) -> str:
    """A literal in the quotes that formatters prefer, with everything escaped that does not print."""
    mark = '"' if text.count('"') <= text.count("'") else "'"
    return mark + "".join(ESCAPED[each] if each == mark else _escaped(each) for each in text) + mark


def _escaped(character: str) -> str:
    return character if character in ESCAPED else repr(character)[1:-1]
