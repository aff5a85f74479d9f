"""Options of k6 and Locust that ciload does not have, and what does their work here."""

from __future__ import annotations

from collections.abc import Mapping

from ciload.options.scenarios import snake_case

_PER_REQUEST = "pass it to the request: http.get(url, {0})"
_SUMMARY = "`handle_summary(result)` makes summaries of your own, `result.json` has all the numbers"
_TLS = "ciload takes OpenSSL's ciphers; `tls_version` bounds the versions"
_NO_SKIP = "take the function out of the script, or let it look at os.environ"
_SEGMENTS = "`workers` spreads the load over the cores of one machine"

_BY_NAME: Mapping[str, str] = {
    "blacklistIPs": "that is `block_ips`",
    "cloud": "ciload has no cloud",
    "compatibilityMode": "scripts are Python",
    "consoleOutput": "print() writes to stdout",
    "ext": "ciload has no cloud",
    "executionSegment": _SEGMENTS,
    "executionSegmentSequence": _SEGMENTS,
    "host": "that is `base_url`",
    "linger": "a run ends when its load has ended",
    "logOutput": "messages go to stderr",
    "noCookiesReset": "that is `keep_cookies`",
    "noSetup": _NO_SKIP,
    "noSummary": "that is `quiet`",
    "noTeardown": _NO_SKIP,
    "noThresholds": "leave `thresholds` out",
    "noUsageReport": "ciload reports to nobody",
    "noVUConnectionReuse": "virtual users keep their connections; `no_connection_reuse` opens one for each request",
    "out": "that is `output`: jsonl=FILE, csv=FILE, otlp=URL or statsd=HOST:PORT",
    "paused": "a run starts at once; `wait_for` waits for the target",
    "rampUp": "that is a stage: `stages: [{duration: 30s, target: 20}]`",
    "resultsOutput": _SUMMARY,
    "rps": "an arrival rate is steady whatever the target does: `rate: 50/s` with a `duration`",
    "runTime": "that is `duration`",
    "spawnRate": "that is a stage: `stages: [{duration: 30s, target: 20}]`",
    "summaryExport": _SUMMARY,
    "systemTags": "all tags are kept",
    "throw": "failed requests are responses; `reply.raise_for_status()` raises",
    "timeout": _PER_REQUEST.format('timeout="10s"'),
    "tlsCipherSuites": _TLS,
    "users": "that is `vus`",
    "vusMax": "that is `maxVUs` of an arrival rate's scenario",
    "env": "set variables with -e KEY=VALUE, or in a scenario's `env`",
    "secret": "that is `secrets`, a list of variables' names",
}
INSTEAD = {snake_case(name): text for name, text in _BY_NAME.items()}
