"""The process that writes samples, in the formats of k6's outputs `json` and `csv`, which other programs read.

`python -m ciload.outputs.sample_writer KIND PATH` reads pickled batches from its parent until that closes the pipe.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import pickle
import signal
import sys
from collections.abc import Iterator, Mapping
from typing import IO, BinaryIO

import numpy as np

from ciload.metrics.metric import Metric
from ciload.metrics.recording import Samples
from ciload.streams import secure_streams

CONTAINS = {"ms": "time", "bytes": "data"}
# k6's columns for its system tags, in its order; what is none of them stands in extra_tags.
COLUMNS = ("check", "error", "error_code", "expected_response", "group", "method", "name", "proto", "scenario",
           "service", "status", "subproto", "tls_version", "url")  # fmt: skip
HEAD = ("metric_name", "timestamp", "metric_value", *COLUMNS, "extra_tags", "metadata")


def main(kind: str, path: str) -> int:
    """Write until there is no more; answers the exit code."""
    secure_streams()
    for number in (signal.SIGINT, signal.SIGTERM):  # the parent gets them too, and closes the pipe when it is through
        signal.signal(number, signal.SIG_IGN)
    try:
        with open(path, "wb") as plain, _compressed(plain, path) as file:  # noqa: PTH123  # as it was given
            for text in {"jsonl": json_lines, "csv": csv_lines}[kind](batches(sys.stdin.buffer)):
                file.write(text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        sys.stderr.write(str(error.strerror or error))
        return 1
    return 0


def _compressed(plain: BinaryIO, path: str) -> gzip.GzipFile | BinaryIO:
    return gzip.open(plain, "wb", compresslevel=1) if path.endswith(".gz") else plain


def batches(pipe: BinaryIO | IO[bytes]) -> Iterator[tuple[Mapping[str, Metric], list[Samples]]]:
    while True:
        try:
            yield pickle.load(pipe)  # noqa: S301  # from our parent, over a pipe that nobody else has
        except EOFError:
            return


def json_lines(batches: Iterator[tuple[Mapping[str, Metric], list[Samples]]]) -> Iterator[str]:
    """A line for each metric before its first sample, and a line for each sample."""
    known: dict[str, Metric] = {}
    told: set[str] = set()
    for metrics, found in batches:
        known |= metrics
        for samples in found:
            tags = json.dumps(dict(samples.tags), ensure_ascii=False)
            times = _rfc3339(samples.times)
            for name, values in samples.values.items():
                if name not in told:
                    told.add(name)
                    yield _metric_line(known.get(name) or Metric(name, known["iterations"].kind))
                start = f'{{"metric":{json.dumps(name)},"type":"Point","data":{{"time":"'
                end = f',"tags":{tags}}}}}\n'
                points = zip(times, values.tolist(), strict=True)
                yield "".join([f'{start}{at}","value":{value!r}{end}' for at, value in points])


def _metric_line(metric: Metric) -> str:
    data: dict[str, object] = {
        "name": metric.name, "type": str(metric.kind), "contains": CONTAINS.get(metric.unit, "default"),
        "thresholds": [], "submetrics": None,
    }  # fmt: skip
    return json.dumps({"type": "Metric", "data": data, "metric": metric.name}, ensure_ascii=False) + "\n"


def csv_lines(batches: Iterator[tuple[Mapping[str, Metric], list[Samples]]]) -> Iterator[str]:
    """k6's columns; times are whole seconds since the epoch."""
    yield ",".join(HEAD) + "\n"
    for _, found in batches:
        for samples in found:
            tags = dict(samples.tags)
            system = [tags.pop(name, "") for name in COLUMNS]
            more = "&".join(f"{name}={value}" for name, value in tags.items())
            end = _csv_cells([*system, more, ""])
            times = samples.times.astype(np.int64).tolist()
            for name, values in samples.values.items():
                start = _csv_cells([name])
                points = zip(times, values.tolist(), strict=True)
                yield "".join([f"{start},{at},{value:.6f},{end}\n" for at, value in points])


def _csv_cells(cells: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue()


def _rfc3339(times: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[str]:
    nanoseconds = (times * 1e9).astype(np.int64).astype("datetime64[ns]")
    return [f"{each}Z" for each in np.datetime_as_string(nanoseconds, unit="us").tolist()]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
