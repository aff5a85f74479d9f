"""The scenarios, and the alternating rounds in which each one is measured."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.generators import GENERATORS, Job, Tally
from benchmarks.measure import Usage, run_pinned
from benchmarks.server import Served, Server

WARM_UP = 0  # the round that is not counted
WARM_UP_S = 1
FINISH_S = 60.0  # what a generator gets for start-up, last iterations and reports
LAST_LINES = 15
SETTLE_S = 0.2  # for the server to see the last connections close


@dataclass(frozen=True, slots=True)
class Scenario:
    """One load, the generators that do it, and what ciload is meant to reach."""

    name: str
    title: str
    vus: int
    generators: tuple[str, ...]
    scheme: str = "http"
    answer: str = "plain"
    environment: Mapping[str, str] = field(default_factory=dict)  # what the scripts are told
    for_ciload: tuple[str, ...] = ()
    script: str = "ciload_get.py"  # for ciload
    seconds: int = 10
    goals: Mapping[str, float] = field(default_factory=dict)  # requests per CPU second, as a multiple of the peer's
    goal_rss_mb: float | None = None


SCENARIOS: Mapping[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            "http", "50 VUs over HTTP", 50, ("ciload", "k6", "k9", "locust", "wrk"),
            goals={"k6": 4.0, "k9": 2.3, "locust": 5.0, "wrk": 0.58},
        ),
        Scenario(
            "real", "a request id, a changing length", 50, ("ciload", "same", "k6"), answer="realistic",
            goals={"same": 0.85, "k6": 4.0},
        ),
        Scenario("chunked", "the same in chunks", 50, ("ciload", "k6"), answer="chunked", goals={"k6": 4.0}),
        Scenario(
            "gzip", "10 kB of JSON, gzip", 50, ("ciload", "k6"), answer="gzip", environment={"COMPRESSED": "1"},
            goals={"k6": 3.0},
        ),
        Scenario(
            "json", "10 kB of JSON, parsed", 50, ("ciload", "k6"), answer="json", environment={"READ_JSON": "1"},
            goals={"k6": 3.0},
        ),
        Scenario("https", "50 VUs over HTTPS", 50, ("ciload", "k6", "k9"), scheme="https", goals={"k6": 5.0}),
        Scenario(
            "http2", "50 VUs over HTTP/2", 50, ("ciload", "k6"), scheme="http2", for_ciload=("--http2", "auto"),
            goals={"k6": 1.0},
        ),
        Scenario(
            "httpx", "50 VUs with httpx's client", 50, ("ciload", "get", "httpx", "k6"), script="ciload_httpx.py",
            goals={"httpx": 1.5},
        ),
        Scenario(
            "sync", "50 VUs without await", 50, ("ciload", "get", "k6"), script="ciload_sync.py", goals={"k6": 2.5}
        ),
        Scenario(
            "measure", "50 VUs, an operation around each request", 50, ("ciload", "get", "k6"),
            script="ciload_measure.py", goals={"k6": 2.5},
        ),
        Scenario("vus1000", "1,000 VUs over HTTP", 1000, ("ciload", "k6"), goals={"k6": 3.0}),
        Scenario("memory", "5,000 VUs over HTTP", 5000, ("ciload",), goal_rss_mb=130.0),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one generator. It counts only if `problems` is empty."""

    scenario: str
    generator: str
    round: int
    seconds: int  # of load, as ordered
    usage: Usage
    tally: Tally
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.problems

    @property
    def per_cpu_s(self) -> float:
        """The figure of merit: requests done per CPU second."""
        return self.tally.requests / self.usage.cpu_s

    @property
    def per_s(self) -> float:
        return self.tally.requests / self.seconds

    @property
    def peak_rss_mb(self) -> float:
        return self.usage.peak_rss_bytes / 1e6

    @property
    def last_lines(self) -> str:
        return "\n".join(self.usage.output.rstrip().splitlines()[-LAST_LINES:])


@dataclass(frozen=True, slots=True)
class Stage:
    """What every run needs: the target, the programs, and the core that generators run on."""

    server: Server
    tools: Mapping[str, Path]
    core: int


def play(scenario: Scenario, stage: Stage, rounds: int, seconds: int, report: Callable[[Run], None]) -> Iterator[Run]:
    """Measure `scenario` in rounds. In each round every generator runs once, so that drift of the machine hits all.

    The first round is short and warms up: caches are filled, and a generator that does not work is found out in a
    second. It is left out of the later rounds, and the others go on without it.
    """
    names = list(scenario.generators)
    for number in range(WARM_UP, rounds + 1):
        for name in list(names):
            run = run_once(scenario, stage, name, number, WARM_UP_S if number == WARM_UP else seconds)
            report(run)
            if number == WARM_UP and not run.ok:
                names.remove(name)
            if number != WARM_UP or not run.ok:
                yield run
        names = names[1:] + names[:1]  # whoever went first goes last


def run_once(scenario: Scenario, stage: Stage, name: str, number: int, seconds: int) -> Run:
    generator = GENERATORS[name]
    url = stage.server.url(scenario.scheme, generator.answer or scenario.answer)
    with TemporaryDirectory(prefix=f"ciload-bench-{name}-") as folder:
        script = generator.script or scenario.script
        job = Job(url, scenario.vus, seconds, scenario.for_ciload, Path(folder), script)
        before = stage.server.served()
        usage = run_pinned(
            [str(stage.tools[name]), *generator.arguments(job)],
            core=stage.core, folder=job.folder, env={**environment(job), **scenario.environment},
            timeout_s=seconds + FINISH_S,
        )  # fmt: skip
        time.sleep(SETTLE_S)
        after = stage.server.served()
        try:
            tally = generator.read(job, usage.output)
        except (OSError, LookupError, TypeError, ValueError) as error:
            tally = Tally(0, 0)
            problems: tuple[str, ...] = (f"no usable report: {error}",)
        else:
            problems = ()
    # A reading of the server's counters is in them itself, once.
    served = Served(after.connections - before.connections - 1, after.requests - before.requests - 1)
    problems += tuple(doubts(job, usage, tally, served))
    return Run(scenario.name, name, number, seconds, usage, tally, problems)


def environment(job: Job) -> dict[str, str]:
    """A clean environment: no settings of a generator, no proxy, no CI to report to, an empty home."""
    return {
        "HOME": str(job.folder),
        "LANG": "C.UTF-8",
        "PATH": os.environ.get("PATH", os.defpath),
        "TARGET_URL": job.url,
    }


def doubts(job: Job, usage: Usage, tally: Tally, served: Served) -> Iterator[str]:
    """Every reason not to count a run. The server's own counters have the last word on what was done."""
    if usage.timed_out:
        yield f"still running after {usage.wall_s:.0f} s, killed"
    elif usage.exit_code:
        yield f"exit code {usage.exit_code}"
    if tally.failures:
        yield f"{tally.failures} failed requests or checks"
    if usage.wall_s < job.seconds * 0.95:
        yield f"finished after {usage.wall_s:.1f} s of {job.seconds} s"
    if tally.requests < job.vus:
        yield f"{tally.requests} requests by {job.vus} VUs"
    if served.connections < job.vus:
        yield f"{served.connections} connections for {job.vus} VUs"
    # Requests still open at the end reach the server but no report, one per VU.
    if not tally.requests <= served.requests <= tally.requests + job.vus:
        yield f"reports {tally.requests} requests, but the server answered {served.requests}"
