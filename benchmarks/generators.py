"""How each generator is told to do the job, and how many requests it says it did.

The job is one for all: GET one URL with two headers and check that the status is 200, in a closed loop without
pauses. Each generator runs it as its own documentation would have a user write it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

SCRIPTS = Path(__file__).parent / "scripts"
WRK_HEADERS = (
    "Authorization: Token 9944b09199c62bcf9418ad846dd0e4bbdfc6ee4b",
    "Content-Type: application/json",
)
WRK_REQUESTS = re.compile(r"(\d+) requests in ")
WRK_FAILURES = re.compile(r"Non-2xx or 3xx responses: (\d+)")
WRK_SOCKET_ERRORS = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")


@dataclass(frozen=True, slots=True)
class Job:
    """One run of one generator. It learns the URL from TARGET_URL in its environment."""

    url: str
    vus: int
    seconds: int
    for_ciload: tuple[str, ...]  # more arguments
    folder: Path  # empty; the working directory, and the place for the generator's own report
    script: str = "ciload_get.py"  # for ciload


@dataclass(frozen=True, slots=True)
class Tally:
    """What a generator says it did."""

    requests: int
    failures: int  # failed requests and failed checks


@dataclass(frozen=True, slots=True)
class Generator:
    """`read` takes the tally from the generator's report in the job's folder, or from its output.

    It raises OSError, LookupError, TypeError or ValueError when there is no such report.
    """

    name: str
    arguments: Callable[[Job], list[str]]
    read: Callable[[Job, str], Tally]
    answer: str = ""  # another kind of answer than the scenario's
    script: str = ""  # another one than the scenario's


def ciload_arguments(job: Job) -> list[str]:
    load = ["-u", str(job.vus), "-d", f"{job.seconds}s"]
    where = ["--out-dir", str(job.folder / "report"), "--insecure-skip-tls-verify"]
    return ["run", *load, *where, *job.for_ciload, str(SCRIPTS / job.script)]


def read_ciload(job: Job, _output: str) -> Tally:
    metrics = json.loads((job.folder / "report" / "result.json").read_text())["metrics"]
    requests = int(metrics["http_reqs"]["count"])
    return k6_tally(requests, metrics["http_req_failed"], metrics["checks"])


def k6_arguments(job: Job) -> list[str]:
    quiet = ["--quiet", "--no-color", "--no-usage-report"]
    return ["run", *quiet, *k6_load(job), str(SCRIPTS / "k6_get.js")]


def k9_arguments(job: Job) -> list[str]:
    return ["run", "--quiet", "--no-color", *k6_load(job), str(SCRIPTS / "k9_get.py")]


def k6_load(job: Job) -> list[str]:
    """The flags that k9 has taken over from k6."""
    load = ["--vus", str(job.vus), "--duration", f"{job.seconds}s"]
    return [*load, "--insecure-skip-tls-verify", "--summary-export", str(job.folder / "summary.json")]


def read_k6(job: Job, _output: str) -> Tally:
    metrics = json.loads((job.folder / "summary.json").read_text())["metrics"]
    return k6_tally(int(metrics["http_reqs"]["count"]), metrics["http_req_failed"], metrics["checks"])


def k6_tally(requests: int, failed: Mapping[str, int], checks: Mapping[str, int]) -> Tally:
    """`http_req_failed` counts failed requests as its "passes"; a request without its check is a failure as well."""
    return Tally(requests, failures=failed["passes"] + max(checks["fails"], requests - checks["passes"]))


def locust_arguments(job: Job) -> list[str]:
    load = ["--users", str(job.vus), "--spawn-rate", str(job.vus), "--run-time", f"{job.seconds}s"]
    report = ["--only-summary", "--loglevel", "WARNING", "--json-file", str(job.folder / "report")]  # it adds ".json"
    return ["--locustfile", str(SCRIPTS / "locustfile.py"), "--headless", *load, *report]


def read_locust(job: Job, _output: str) -> Tally:
    rows = json.loads((job.folder / "report.json").read_text())
    return Tally(sum(row["num_requests"] for row in rows), sum(row["num_failures"] for row in rows))


def httpx_arguments(job: Job) -> list[str]:
    return [str(SCRIPTS / "httpx_alone.py"), str(job.vus), str(job.seconds)]


def read_httpx(_job: Job, output: str) -> Tally:
    return Tally(**json.loads(output))


def wrk_arguments(job: Job) -> list[str]:
    headers = [argument for header in WRK_HEADERS for argument in ("--header", header)]
    load = ["--threads", "1", "--connections", str(job.vus), "--duration", f"{job.seconds}s"]
    return [*load, *headers, job.url]


def read_wrk(_job: Job, output: str) -> Tally:
    """wrk looks at every status by itself, and prints a line about failures only if there were any."""
    done = WRK_REQUESTS.search(output)
    if done is None:
        raise ValueError("no line that says how many requests were done")
    failures = WRK_FAILURES.findall(output) + [n for line in WRK_SOCKET_ERRORS.findall(output) for n in line]
    return Tally(int(done[1]), sum(int(count) for count in failures))


GENERATORS: Mapping[str, Generator] = {
    generator.name: generator
    for generator in (
        Generator("ciload", ciload_arguments, read_ciload),
        Generator("same", ciload_arguments, read_ciload, "same"),
        Generator("get", ciload_arguments, read_ciload, script="ciload_get.py"),
        Generator("k6", k6_arguments, read_k6),
        Generator("k9", k9_arguments, read_k6),
        Generator("locust", locust_arguments, read_locust),
        Generator("httpx", httpx_arguments, read_httpx),
        Generator("wrk", wrk_arguments, read_wrk),
    )
}
