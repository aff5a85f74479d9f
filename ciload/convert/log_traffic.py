"""The traffic in an access log: its endpoints, how often each was asked for, with which values, and how fast."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

from ciload.convert.clean import STATIC_PATH
from ciload.convert.journey import query_of
from ciload.convert.log_lines import Line, parse_line
from ciload.convert.values import is_id, singular
from ciload.errors import UsageError
from ciload.redaction import SHAPES, is_random, is_secret_name
from ciload.starter.names import words
from ciload.text import SAFE_PATH, one_line

SAFE_METHODS = ("GET", "HEAD")
FAILED = 400
MOST_ENDPOINTS = 40
MOST_SAMPLES = 30
MOST_CHILDREN = 20  # more than these below one path are one endpoint
MOST_SHOWN = 5
MOST_KINDS = 200_000  # of paths that are kept apart while reading
SEED = 0  # the same log makes the same script

Sample = tuple[tuple[str, ...], tuple[tuple[str, str], ...]]  # values in the path, and in the query


@dataclass(slots=True)
class Endpoint:
    """Requests of one method and templated path; names of its parameters, and a random sample of their values."""

    method: str
    segments: tuple[str, ...]  # `{name}` where values of the sample go
    parameters: tuple[str, ...]
    count: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)

    @property
    def template(self) -> str:
        return "/" + "/".join(self.segments)


@dataclass(slots=True)
class LogTraffic:
    """What a log says of the requests that can be sent again."""

    endpoints: list[Endpoint] = field(default_factory=list)
    times: Counter[int] = field(default_factory=Counter)  # requests in each second
    host: str = ""
    summary: str = ""
    secrets: dict[str, None] = field(default_factory=dict)  # names of parameters whose values were secret
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_log(text: str, shown: str, hosts: Sequence[str], *, keep_static: bool) -> LogTraffic:
    """
    Raises:
        UsageError: there is no request in it that can be sent again.
    """
    lines, broken, count = [], [], 0
    for number, raw in enumerate(text.split("\n"), 1):
        if raw.strip():
            count += 1
            line = parse_line(raw)
            if line is None:
                broken.append(number)
            else:
                lines.append(line)
    traffic = LogTraffic()
    kept = _of_host(traffic, lines, hosts)
    left_out: Counter[str] = Counter()
    sendable = [each for each in kept if (why := _why_not(each, keep_static)) is None or left_out.update([why])]
    traffic.left_out += [f"{_requests(number)}: {why}" for why, number in left_out.most_common()]
    if broken:
        where = ", ".join(map(str, broken[:MOST_SHOWN])) + (", …" if len(broken) > MOST_SHOWN else "")
        are = "is none of the" if len(broken) == 1 else "are none of the"
        traffic.left_out.append(f"{len(broken):,} of {count:,} lines {are} known formats: line {where}")
    if not sendable:
        raise UsageError(f"{shown}: there is no request in this log that can be sent again" + "".join(
            f"\n  {each}" for each in traffic.left_out))  # fmt: skip
    _gather(traffic, sendable)
    traffic.times.update(int(each.at) for each in sendable)
    share = f"{len(sendable):,} of {count:,} lines"
    number = len(traffic.endpoints)
    traffic.summary = f"{number} endpoint{'s' * (number != 1)}, from {share}."
    return traffic


def _requests(count: int) -> str:
    return f"{count:,} request{'s' * (count != 1)}"


def _of_host(traffic: LogTraffic, lines: list[Line], hosts: Sequence[str]) -> list[Line]:
    """Those of one virtual host, since there is one base URL."""
    counts = Counter(each.host for each in lines if each.host)
    if not counts:
        return lines
    wanted = hosts[0].lower().partition(":")[0] if hosts else counts.most_common(1)[0][0]
    if wanted not in counts:
        raise UsageError(f"--host {one_line(wanted)}: is not in the log; there are {', '.join(list(counts)[:8])}")
    traffic.host = wanted
    others = Counter({host: count for host, count in counts.items() if host != wanted})
    if others:
        shown = ", ".join(f"{one_line(host, 60)} ({count:,})" for host, count in others.most_common(MOST_SHOWN))
        traffic.left_out.append(f"{_requests(others.total())}: to other hosts; --host chooses one: {shown}")
    return [each for each in lines if each.host in ("", wanted)]


def _why_not(line: Line, keep_static: bool) -> str | None:
    if line.method not in SAFE_METHODS:
        return f"{line.method}: a log has no bodies, and what changes data is not for a replay" if line.method not in (
            "OPTIONS", "CONNECT", "TRACE") else f"{line.method}"  # fmt: skip
    if not line.target.startswith(("/", "http://", "https://")):
        return "targets that are no paths"
    if line.status >= FAILED or line.status == 101:
        return "answered with 4xx or 5xx" if line.status >= FAILED else "websockets"
    path = line.target.partition("?")[0]
    if any(is_random(each) or SHAPES.search(each) for each in unquote(path).split("/")):
        return "paths with tokens in them, such as links to reset passwords"
    return "static files (--keep-static keeps them)" if not keep_static and STATIC_PATH.search(path) else None


# --- endpoints

Parsed = tuple[Line, tuple[str, ...], tuple[tuple[str, str], ...]]


def _gather(traffic: LogTraffic, lines: list[Line]) -> None:
    parsed = [each for line in lines if (each := _parsed(line)) is not None]
    many = _busy_parents(parsed)
    draw = random.Random(SEED)  # noqa: S311  # it guards nothing
    found: dict[tuple[str, tuple[str, ...]], Endpoint] = {}
    for line, segments, query in parsed:
        template, names, values = _template(segments, many)
        key = (line.method, template)
        endpoint = found.get(key)
        if endpoint is None:
            if len(found) >= MOST_KINDS:
                continue
            endpoint = found[key] = Endpoint(line.method, template, names)
        endpoint.count += 1
        endpoint.statuses[line.status] += 1
        # A reservoir: each request has the same chance to be in the sample, so popular values are there more often.
        if len(endpoint.samples) < MOST_SAMPLES:
            endpoint.samples.append((values, query))
        elif (at := draw.randrange(endpoint.count)) < MOST_SAMPLES:
            endpoint.samples[at] = (values, query)
    ranked = sorted(found.values(), key=lambda each: -each.count)
    traffic.endpoints = ranked[:MOST_ENDPOINTS]
    for endpoint in traffic.endpoints:
        endpoint.samples = [(values, _without_secrets(traffic, query)) for values, query in endpoint.samples]
    rest = ranked[MOST_ENDPOINTS:]
    if rest:
        count = sum(each.count for each in rest)
        traffic.left_out.append(f"{_requests(count)}: of {len(rest):,} endpoints beyond the {MOST_ENDPOINTS} busiest")


def _parsed(line: Line) -> Parsed | None:
    try:
        parts = urlsplit(line.target if line.target.startswith("http") else f"http://x/{line.target.lstrip('/')}")
    except ValueError:
        return None
    query = tuple((name, value or "") for name, value in query_of(parts.query))
    return line, tuple(parts.path.split("/")[1:]), query


def _busy_parents(parsed: list[Parsed]) -> set[tuple[str, ...]]:
    """Paths with so many different ones below that these are names of things, such as /blog/how-to-…"""
    children: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
    for _, segments, _ in parsed:
        parent: tuple[str, ...] = ()
        for segment in segments:
            if not is_id(unquote(segment)) and len(children[parent]) <= MOST_CHILDREN:
                children[parent].add(segment)
            parent = (*parent, "{}" if is_id(unquote(segment)) else segment)
    return {parent for parent, below in children.items() if parent and len(below) > MOST_CHILDREN}


def _template(
    segments: tuple[str, ...], many: set[tuple[str, ...]]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Segments with names in braces, these names, and the values that stood there."""
    made: list[str] = []
    names: list[str] = []
    values: list[str] = []
    parent: tuple[str, ...] = ()
    before = ""
    for segment in segments:
        plain = unquote(segment)
        is_value = bool(segment) and (is_id(plain) or parent in many)
        if is_value:
            noun = singular(words(before))
            name = f"{noun}_id" if noun and not noun[:1].isdigit() else "id"
            while name in names:
                name += "_2"
            names.append(name)
            values.append(quote(plain, safe="~@!$'()*,;:=&+", errors="replace"))
            made.append(f"{{{name}}}")
            parent = (*parent, "{}")
        else:
            made.append(quote(plain, safe=SAFE_PATH, errors="replace").replace("{", "%7B").replace("}", "%7D"))
            before, parent = segment or before, (*parent, segment)
    return tuple(made), tuple(names), tuple(values)


def _without_secrets(traffic: LogTraffic, query: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Secret parameters are left out: those of somebody who was there then are nobody's now."""
    kept = []
    for name, value in query:
        if value and (is_secret_name(name) or SHAPES.search(value) or is_random(value)):
            traffic.secrets[name] = None
        else:
            kept.append((name, value))
    return tuple(kept)


# --- rates


def stages(
    times: Counter[int], duration_s: float | None, most: int = 20
) -> tuple[float, float, list[tuple[int, float]]]:
    """The log's length, that of the replay, and its stages: seconds and requests per second, on average."""
    first, last = min(times), max(times)
    span = max(1, last - first + 1)
    length = duration_s or min(span, 600)
    length = max(10.0, float(length))
    count = max(1, min(most, int(length // 10)))
    width = span / count
    sums = [0] * count
    for second, number in times.items():
        sums[min(count - 1, int((second - first) / width))] += number
    edges = [round(length * index / count) for index in range(count + 1)]
    return span, length, [(edges[i + 1] - edges[i], sums[i] / width) for i in range(count)]
