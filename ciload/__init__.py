"""ciload: a load tester that lives in CI.

What a scenario script imports:

    from ciload import Rate, Trend, check, http, sleep

Names are loaded when they are first used, so that `ciload --version` does not wait for an HTTP client.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ciload.version import __version__

if TYPE_CHECKING:
    from ciload import http
    from ciload.http.httpx_transport import httpx_transport
    from ciload.script.api import abort, check, fail, fail_test, group, sleep
    from ciload.script.app import asgi
    from ciload.script.data import csv_rows, data_file, json_file
    from ciload.script.measure import measure
    from ciload.script.metrics import Counter, Gauge, Rate, Trend
    from ciload.script.think import think
    from ciload.script.vu import VU

__all__ = ["VU", "Counter", "Gauge", "Rate", "Trend", "__version__", "abort", "asgi", "check", "csv_rows", "data_file",
           "fail", "fail_test", "group", "http", "httpx_transport", "json_file", "measure", "sleep",
           "think"]  # fmt: skip

_HOME = {
    **dict.fromkeys(("abort", "check", "fail", "fail_test", "group", "sleep"), "ciload.script.api"),
    **dict.fromkeys(("csv_rows", "data_file", "json_file"), "ciload.script.data"),
    **dict.fromkeys(("Counter", "Gauge", "Rate", "Trend"), "ciload.script.metrics"),
    "VU": "ciload.script.vu",
    "measure": "ciload.script.measure",
    "asgi": "ciload.script.app",
    "httpx_transport": "ciload.http.httpx_transport",
    "think": "ciload.script.think",
}


def __getattr__(name: str) -> Any:
    if name == "http":
        return import_module("ciload.http")
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'ciload' has no attribute {name!r}")
