"""Python source of a starter script. Text in it is a literal, or on one line of a docstring or a comment."""

from __future__ import annotations

from collections.abc import Iterator

from ciload.starter.bodies import Body, Part
from ciload.starter.data import MISSING
from ciload.starter.layout import call_lines, options_lines, run_line, top
from ciload.starter.literals import INDENT, WIDTH, literal, text_literal
from ciload.starter.operations import ApiDescription, Operation
from ciload.starter.security import Scheme
from ciload.text import one_line

MOST_MISSING = 50
BEARER = Scheme("bearer")
BASIC = Scheme("basic")
DATA = "Look at the data below: where the document has no example, it is made from types."
WRITES = """
# A load test sends everything thousands of times, and what it creates, changes or
# deletes stays so. Mean it: -e WRITES=1 sends POST, PUT and PATCH, -e DELETES=1 DELETE.
"""
FORM = '''
FORM = {"Content-Type": "multipart/form-data; boundary=ciload-form"}


def form(*parts):
    """The body of a form. A part is a name and content; a file has its name and type, too.

    The content of a file of yours is `data_file("photo.jpg").read_bytes()`, of ciload.
    """
    lines = []
    for name, content, file, kind in parts:
        lines += ["--ciload-form", f'Content-Disposition: form-data; name="{name}"']
        lines[-1] += f'; filename="{file}"' if file else ""
        lines += [f"Content-Type: {kind}"] if kind else []
        lines += ["", content]
    lines += ["--ciload-form--", ""]
    return b"\\r\\n".join(x if isinstance(x, bytes) else x.encode() for x in lines)
'''


def page_script(path: str, base_url: str, made_by: str, file: str) -> str:
    """A script that requests one page."""
    call = call_lines("http.get", [literal(path, 2)], 1, "reply = await ")
    return "\n".join(
        [
            *top("A first load test", made_by, run_line(file, base_url)),
            "from ciload import check, http, sleep",
            *options_lines(file, base_url),
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
    schemes = list(dict.fromkeys(scheme for each in api.operations for scheme in each.schemes))
    writes = [each for each in api.operations if not each.reads and each.method != "delete"]
    deletes = [each for each in api.operations if each.method == "delete"]
    lines = top(f"Load test of {api.title}", made_by, run_line(file, api.base_url), "", DATA)
    modules = ["base64"] * (BASIC in schemes) + ["os"] * bool(schemes or writes or deletes)
    lines += [f"import {each}" for each in modules] + [""] * bool(modules)
    lines += ["from ciload import check, http, sleep", *options_lines(file, api.base_url), *_missing(api)]
    if writes or deletes:
        lines += WRITES.rstrip("\n").split("\n")
        lines += ['WRITES = os.environ.get("WRITES") == "1"'] * bool(writes)
        lines += ['DELETES = os.environ.get("DELETES") == "1"'] * bool(deletes)
    lines += _authentication(schemes)
    if any(each.body.parts is not None for each in api.operations):
        lines += FORM.rstrip("\n").split("\n")
    for operation in api.operations:
        lines += ["", "", *_function(operation, schemes)]
    lines += ["", "", "async def default():"]
    lines += [f"    await {each.function}()" for each in api.operations if each.reads]
    for flag, some in (("WRITES", writes), ("DELETES", deletes)):
        lines += [f"    if {flag}:"] * bool(some) + [f"        await {each.function}()" for each in some]
    return "\n".join([*lines, "    await sleep(0.5)", ""])


def variables(api: ApiDescription) -> list[str]:
    """The environment variables that its script reads credentials from."""
    schemes = list(dict.fromkeys(scheme for each in api.operations for scheme in each.schemes))
    return [name for scheme in schemes for name in _variables(scheme, schemes)]


# --- parts


def _missing(api: ApiDescription) -> Iterator[str]:
    """What is not in the script, as comments: who reads it should not have to know the document."""
    beyond = [f"{api.left_out} operations beyond --limit"] if api.left_out else []
    not_asked = [f"{api.others} operations that --tag and --path leave out"] if api.others else []
    lines = [*beyond, *not_asked, *api.missing]
    if lines:
        yield from ("", "# Not in this script:")
        yield from (f"# - {one_line(each)}" for each in lines[:MOST_MISSING])
    if len(lines) > MOST_MISSING:
        yield f"# - and {len(lines) - MOST_MISSING} more"


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
            in_one = f"{constant} = {{{text_literal(key)}: {before}{names[0]}}}"
            lines = [
                f"{constant}_NAME = {text_literal(key)}", f"{constant} = {{{constant}_NAME: {before}{names[0]}}}",
            ]  # fmt: skip
            yield from [in_one] if len(in_one) <= WIDTH else lines


def _function(operation: Operation, schemes: list[Scheme]) -> Iterator[str]:
    yield f"async def {operation.function}():"
    if operation.body.unmade:
        yield "    # Its body is of a type that has no example here: add content=."
    arguments = [literal(operation.url, 2)]
    keys = [_constant(each, schemes) for each in operation.schemes if each.kind == "query"]
    arguments += _pairs("params", operation.params, [f"**{each}" for each in keys])
    arguments += _pairs("headers", *_headers(operation, schemes))
    arguments += _body(operation.body)
    if operation.statuses and operation.statuses[0] >= 300:
        arguments.append("follow_redirects=False")
    arguments.append(f"name={text_literal(operation.name)}")
    yield from call_lines(f"http.{operation.method}", arguments, 1, "reply = await ")
    yield from _check(operation)


def _pairs(name: str, values: dict[str, str], others: list[str]) -> list[str]:
    """The argument for a mapping of literal values and other items; a constant stands as it is where it is alone."""
    if len(others) == 1 and others[0].startswith("**") and not values:
        return [f"{name}={others[0][2:]}"]
    return [literal(values, 2, f"{name}=", others)] if values or others else []


def _headers(operation: Operation, schemes: list[Scheme]) -> tuple[dict[str, str], list[str]]:
    """Literal headers and those of constants. There is one Cookie, however many cookies are in it."""
    values, body = dict(operation.headers), operation.body
    if body.media and body.parts is None:
        values["Content-Type"] = body.media
    others = [
        f"**{_constant(each, schemes)}" for each in operation.schemes if each.kind in ("bearer", "basic", "header")
    ]
    cookies = [_constant(each, schemes) for each in operation.schemes if each.kind == "cookie"]
    if len(cookies) + bool(operation.cookies) > 1:
        texts = [f'{each}["Cookie"]' for each in cookies] + [text_literal(each) for each in operation.cookies]
        others.append('"Cookie": ' + ' + "; " + '.join(texts))
    elif cookies:
        others.append(f"**{cookies[0]}")
    elif operation.cookies:
        values["Cookie"] = "; ".join(operation.cookies)
    return values, [*others, *["**FORM"] * (body.parts is not None)]


def _body(body: Body) -> list[str]:
    if body.json is not MISSING and body.json is not None:
        return [literal(body.json, 2, "json=")]
    if body.form is not None:
        return [literal(body.form, 2, "data=")]
    if body.content is not None:
        return [literal(body.content, 2, "content=")]
    if body.parts is not None:
        parts = [_part(each) for each in body.parts]
        return ["\n".join(["content=form(", *[f"{INDENT * 3}{each}," for each in parts], f"{INDENT * 2})"])]
    return []


def _part(part: Part) -> str:
    values = (part.name, part.content, part.file, part.media)
    return f"({', '.join(literal(each, 3) for each in values)})"


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
