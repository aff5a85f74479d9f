"""The script of an access log: a function for each endpoint, chosen by its share, at the log's rate over time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from ciload.convert.log_traffic import Endpoint, LogTraffic, stages
from ciload.starter.layout import call_lines, check_lines, options_lines, run_line, top
from ciload.starter.literals import INDENT, Code, escaped, literal, text_literal
from ciload.starter.names import LONGEST, TAKEN, unique, words
from ciload.text import one_line

NAMES = {*TAKEN, "vu", "reply", "r", "request", "query", "succeeded"}
REDIRECTS, NOT_MODIFIED = 300, 304
MOST_STATUSES = 4
PER = {"1s": 1, "1m": 60, "1h": 3600}
FEWEST = 20  # in a unit of time: targets are whole numbers, and 20.4 is not far from 20


def log_script(
    traffic: LogTraffic, made_by: str, file: str, duration_s: float | None
) -> tuple[str, list[tuple[str, str]]]:
    """The script, and the variables to set, of which there are none: secrets of a log are left out."""
    span, length, parts = stages(traffic.times, duration_s)
    lines = top(
        "Load test like an access log", made_by, run_line(file, "", f"https://{traffic.host}" if traffic.host else
        "http://localhost:8000"), "",
        "Endpoints come by their share of the log's requests, at the log's rate over time. Only GET and",
        "HEAD are sent: a log has no bodies.",
    )  # fmt: skip
    if traffic.secrets:
        names = ", ".join(one_line(each, 40) for each in list(traffic.secrets)[:8])
        traffic.notes.append(f"parameters that looked secret are left out of queries: {names}")
    if span > length * 1.01:
        traffic.notes.append(
            f"the log's {_time(span)} are played in {_time(length)}, at the log's rates; --duration says another time"
        )
    traffic.notes.append("samples of paths and queries are of real requests: see that nothing private is among them")
    if traffic.left_out:
        head = ["", "# Not in this script:", *(f"# - {one_line(each)}" for each in traffic.left_out)]
    else:
        head = []
    lines += ["from ciload import check, http", *options_lines(file, "", load=_load(parts)), *head]
    taken = set(NAMES)
    functions = []
    for endpoint in traffic.endpoints:
        name = unique(_function_name(endpoint), taken)
        functions.append((name, endpoint.count))
        lines += _endpoint(endpoint, name, taken)
    total = sum(count for _, count in functions)
    lines += ["", "", f"# How often each was asked for, of {total:,} requests.", "SHARES = {"]
    lines += [f"{INDENT}{name}: {count}," for name, count in functions] + ["}"]
    lines += [
        "", "", "async def default(vu):",
        f"{INDENT}[request] = vu.random.choices(list(SHARES), list(SHARES.values()))",
        f"{INDENT}await request(vu)", "",
    ]  # fmt: skip
    return "\n".join(lines), []


def _time(seconds: float) -> str:
    whole = round(seconds)
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if whole >= 2 * size:
            return f"{whole / size:.3g} {unit}"
    return f"{whole} s"


def _load(parts: list[tuple[int, float]]) -> str:
    """The scenario: straight lines to the rate of each part of the log."""
    peak = max(rate for _, rate in parts)
    unit = next((each for each, size in PER.items() if peak * size >= FEWEST), "1h")
    targets = [(seconds, max(0 if peak else 1, round(rate * PER[unit]))) for seconds, rate in parts]
    # A part's rate is that of its middle: straight lines go from middle to middle.
    half = targets[0][0] / 2
    points = [(half, targets[0][1])]
    for (before, _), (seconds, target) in pairwise(targets):
        points.append(((before + seconds) / 2, target))
    points.append((targets[-1][0] / 2, targets[-1][1]))
    joined: list[tuple[float, int]] = []
    for length, target in points:
        if len(joined) > 1 and joined[-1][1] == target == joined[-2][1]:
            joined[-1] = (joined[-1][0] + length, target)
        else:
            joined.append((length, target))
    scenario = [
        '    "scenarios": {', '        "traffic": {', '            "executor": "ramping-arrival-rate",',
        f'            "startRate": {joined[0][1]},', f'            "timeUnit": "{unit}",', '            "stages": [',
        *[f'                {{"duration": "{seconds:.15g}s", "target": {target}}},' for seconds, target in joined],
        "            ],", "        },", "    },",
    ]  # fmt: skip
    return "\n".join(scenario) + "\n"


def _function_name(endpoint: Endpoint) -> str:
    parts = [words(each) for each in endpoint.segments if not each.startswith("{")]
    name = "_".join(filter(None, parts)) or "home"
    if endpoint.segments[-1].startswith("{"):
        name += "_item" if parts else ""
    name = name[-LONGEST:].strip("_") or "request"
    name = f"head_{name}" if endpoint.method == "HEAD" else name
    return f"get_{name}" if name[:1].isdigit() else name


def _endpoint(endpoint: Endpoint, name: str, taken: set[str]) -> Iterator[str]:
    has_query = any(query for _, query in endpoint.samples)
    drawn = [*endpoint.parameters, *(["query"] if has_query else [])]
    depth = 1
    body: list[str] = []
    if drawn:
        constant = unique(f"{name.upper()}_SAMPLE", taken)
        rows = [_row(values, query, has_query) for values, query in endpoint.samples]
        if len({str(each) for each in rows}) > 1:
            yield from (
                "",
                "",
                "# From the log, at random: what was asked for often is here often.",
            )
            yield from literal(rows, 0, f"{constant} = ").split("\n")
            body = [f"{INDENT}{', '.join(drawn)} = vu.random.choice({constant})"]
        else:
            body = [f"{INDENT}{', '.join(drawn)} = {literal(rows[0], 1)}"]
    yield from ("", "", f"async def {name}({'vu' if 'vu.' in ''.join(body) else '_vu'}):", *body)
    path = "".join(
        "/" + (each if each.startswith("{") else escaped(each, '"').replace("{", "{{").replace("}", "}}"))
        for each in endpoint.segments
    )
    url = Code(f'f"{path}"') if endpoint.parameters else endpoint.template
    arguments = [text_literal(url), *(["params=query"] if has_query else [])]
    statuses = sorted(
        {200 if each == NOT_MODIFIED else each for each, _ in endpoint.statuses.most_common(MOST_STATUSES)}
    )
    # A log has a line for a redirect, and one for what it leads to.
    arguments += ["follow_redirects=False"] if any(each >= REDIRECTS for each in statuses) else []
    arguments += [f"name={text_literal(endpoint.template)}"] if endpoint.parameters else []
    yield from call_lines(f"http.{endpoint.method.lower()}", arguments, depth, "reply = await ")
    label = one_line(f"{endpoint.method} {endpoint.template} answers {' or '.join(map(str, statuses))}", 150)
    code = f"r.status_code in {tuple(statuses)}" if len(statuses) > 1 else f"r.status_code == {statuses[0]}"
    yield from check_lines([(label, code)], depth)


def _row(values: tuple[str, ...], query: tuple[tuple[str, str], ...], has_query: bool) -> object:
    """One value as it is; several as a tuple."""
    params: dict[str, object] = {}
    for name, value in query:
        if name not in params:
            params[name] = value
        elif isinstance(before := params[name], list):
            before.append(value)
        else:
            params[name] = [before, value]
    columns: list[object] = [*values, *([params] if has_query else [])]
    if len(columns) == 1:
        return columns[0]
    return Code(f"({', '.join(literal(each, 1) for each in columns)})")
