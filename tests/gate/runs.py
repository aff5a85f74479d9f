"""Stored runs for tests: builders whose defaults make one plain, accepted run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ciload.gate.document import Baseline, StoredEndpoint, StoredRun
from ciload.gate.levels import merge
from ciload.gate.store import update
from ciload.result.document import Environment, Fingerprint

START = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
ENVIRONMENT = Environment(
    ciload="1.4.0", python="3.11.9", os="Linux 6.8", machine="x86_64", cpu="AMD EPYC 7763", cores=4,
    memory_bytes=16 << 30,
)  # fmt: skip


def fingerprint(**changes: str) -> Fingerprint:
    """A kind of run; `changes` are fields of `Fingerprint`."""
    fields = {
        "scenario": "sha256:5a1e", "load": "10-vus-30s", "target": "shop.test", "runner": "Linux x86_64 4 cores",
        "ciload": "1",
    }  # fmt: skip
    return Fingerprint(**(fields | changes))


def endpoint(name: str = "", **changes: Any) -> StoredEndpoint:
    """The requests of one name; all requests without one. `changes` are fields of `StoredEndpoint`."""
    fields: dict[str, Any] = {
        "name": name, "method": "GET" if name else "", "requests": 1_000, "failed": 0, "avg": 11.0, "p50": 10.0,
        "p95": 20.0, "p99": 30.0,
    }  # fmt: skip
    return StoredEndpoint(**(fields | changes))


def stored_run(
    *,
    p50: float | None = 10.0,
    p95: float | None = 20.0,
    requests: int = 1_000,
    failed: int = 0,
    endpoints: Iterable[StoredEndpoint] = (),
    **changes: Any,
) -> StoredRun:
    """A run whose requests took so long; `endpoints` come after that of all requests.

    `changes` are fields of `StoredRun`. Those of all requests that have no parameter: give it `total=endpoint(...)`.
    """
    total = changes.pop("total", None) or endpoint(p50=p50, p95=p95, requests=requests, failed=failed)
    fields: dict[str, Any] = {
        "run_id": "run-1", "at": START, "commit": "0123456789abcdef0123456789abcdef01234567", "branch": "main",
        "environment": ENVIRONMENT, "fingerprint": fingerprint(), "accepted": True, "load_s": 30.0,
        "open_model": False, "requests_per_s": total.requests / 30.0, "endpoints": [total, *endpoints],
    }  # fmt: skip
    return StoredRun(**(fields | changes))


def stored_runs(p50s: Sequence[float], **changes: Any) -> list[StoredRun]:
    """One run an hour, `run-1` the first, with these medians and twice as much as 95th percentiles."""
    runs = []
    for n, p50 in enumerate(p50s):
        fields: dict[str, Any] = {"p95": 2 * p50, "at": START + timedelta(hours=n), "run_id": f"run-{n + 1}"}
        runs.append(stored_run(p50=p50, **(fields | changes)))
    return runs


def save_run(path: Path, run: StoredRun) -> Baseline:
    """Add a run to the file, as `ciload run --save-baseline` does."""
    return update(path, lambda baseline: merge(baseline, Baseline(runs=[run])))
