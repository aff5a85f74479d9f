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

from ciload.script.api import abort, check, fail, fail_test
from ciload.script.api import sleep as _sleep
from ciload.script.data import csv_rows, data_file, json_file
from ciload.script.measure import measure
from ciload.script.metrics import Counter, Gauge, Rate, Trend
from ciload.script.think import think as _think
from ciload.script.vu import VU
from ciload.sync import http
from ciload.sync.groups import group
from ciload.sync.waiting import waiting

__all__ = ["VU", "Counter", "Gauge", "Rate", "Trend", "abort", "check", "csv_rows", "data_file", "fail", "fail_test",
           "group", "http", "json_file", "measure", "sleep", "think"]  # fmt: skip

sleep = waiting(_sleep)
think = waiting(_think)
