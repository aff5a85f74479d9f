"""Where measurements go while a run goes on: `--output jsonl=samples.jsonl.gz`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, NamedTuple
from urllib.parse import urlsplit

from pydantic import BeforeValidator, PlainSerializer

from ciload.secrets import without_secrets

KINDS = {
    "jsonl": "FILE or FILE.gz, every sample as k6's JSON lines",
    "csv": "FILE or FILE.gz, every sample as k6's CSV",
    "otlp": "URL of an OpenTelemetry collector",
    "statsd": "HOST:PORT",
}
OF_SAMPLES = ("jsonl", "csv")
MEANT = {"json": "jsonl", "opentelemetry": "otlp", "datadog": "statsd"}
MOST_PORT = 65_535


STATS = ("avg", "min", "med", "max", "count")
PERCENTILE = re.compile(r"p\((\d+(?:\.\d+)?)\)")
MOST_STATS = 20


def _stats(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, list | tuple) or not 0 < len(value) <= MOST_STATS:
        raise ValueError(f"write one to {MOST_STATS} of {', '.join(STATS)}, p(N)")
    names = tuple("".join(str(each).split()) for each in value)
    for name in names:
        percentile = PERCENTILE.fullmatch(name)
        if name not in STATS and not (percentile and float(percentile[1]) <= 100):
            raise ValueError(f"{name!r} is none of {', '.join(STATS)}, p(0) to p(100)")
    return names


def time_unit(value: object) -> object:
    return "us" if value == "µs" else value


# What the summary shows of a trend: k6's summaryTrendStats.
TrendStats = Annotated[tuple[str, ...], BeforeValidator(_stats)]


class OutputTarget(NamedTuple):
    """One output: what it is, and the file, URL or address that it goes to."""

    kind: str
    target: str

    def of_test(self, test: str) -> OutputTarget:
        """The same for one test of several, which would otherwise overwrite each other's samples: a file of its own."""
        path = Path(self.target)
        if self.kind not in OF_SAMPLES or (path.exists() and not path.is_file()):  # a pipe, a device
            return self
        stem, dot, ending = path.name.partition(".")
        return self._replace(target=str(path.with_name(f"{stem}-{test}{dot}{ending}")))

    def __str__(self) -> str:
        return f"{self.kind}={without_secrets(self.target) if self.kind == 'otlp' else self.target}"


def _outputs(value: object) -> tuple[OutputTarget, ...]:
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, list | tuple):
        raise ValueError("not an output: write KIND=TARGET, or a list of these")
    outputs = tuple(each if isinstance(each, OutputTarget) else _output(str(each)) for each in value)
    files = [Path(each.target) for each in outputs if each.kind in OF_SAMPLES]
    for file in files:
        if files.count(file) > 1:
            raise ValueError(f"{str(file)!r} is the file of two outputs: give each its own")
    return outputs


def _output(text: str) -> OutputTarget:
    kind, equals, target = text.partition("=")
    if kind not in KINDS:
        known = "; ".join(f"{name}={about}" for name, about in KINDS.items())
        meant = f"did you mean {MEANT[kind]}=…? " if kind in MEANT else ""
        raise ValueError(f"{meant}{kind!r} is no kind of output, which are: {known}")
    if not (equals and target):
        raise ValueError(f"{kind} needs a target: {kind}={KINDS[kind]}")
    if kind == "otlp" and (urlsplit(target).scheme not in ("http", "https") or not urlsplit(target).hostname):
        raise ValueError("otlp needs a URL such as http://localhost:4318")
    if kind == "statsd":
        host, _, port = target.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) <= MOST_PORT:
            raise ValueError("statsd needs HOST:PORT, such as localhost:8125")
    return OutputTarget(kind, target)


OutputTargets = Annotated[
    tuple[OutputTarget, ...],
    BeforeValidator(_outputs),
    PlainSerializer(lambda outputs: [str(each) for each in outputs]),
]
