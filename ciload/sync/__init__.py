"""What a script without `await` imports:

    from ciload.sync import check, http, sleep

    def default(vu):
        reply = http.get("/users")
        check(reply, {"is up": reply.status_code == 200})
        sleep(1)

The verbs are those of `ciload`, with the same arguments; each waits until it has its answer, while other virtual users
go on. They work in plain functions of a script alone: `default()` and others that scenarios run, `setup()`,
`teardown()`, `vu_start()` and `vu_stop()`, and whatever these call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ciload.script.api import abort, check, fail, fail_test
from ciload.script.api import sleep as _sleep
from ciload.script.app import asgi
from ciload.script.data import csv_rows, data_file, json_file
from ciload.script.measure import measure
from ciload.script.metrics import Counter, Gauge, Rate, Trend
from ciload.script.think import think as _think
from ciload.script.vu import VU
from ciload.sync import http
from ciload.sync.groups import group
from ciload.sync.waiting import waiting

if TYPE_CHECKING:
    from ciload.sync.httpx import httpx_transport

__all__ = ["VU", "Counter", "Gauge", "Rate", "Trend", "abort", "asgi", "check", "csv_rows", "data_file", "fail",
           "fail_test", "group", "http", "httpx_transport", "json_file", "measure", "sleep", "think"]  # fmt: skip

sleep = waiting(_sleep)
think = waiting(_think)


def __getattr__(name: str) -> Any:
    if name == "httpx_transport":  # late: httpx takes 85 ms to import
        from ciload.sync.httpx import httpx_transport

        return httpx_transport
    raise AttributeError(f"module 'ciload.sync' has no attribute {name!r}")
