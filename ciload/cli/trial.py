"""One iteration of a script that was just written, so that its author sees what each request gets."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import ciload
from ciload.errors import CiloadError
from ciload.reports.format import format_value
from ciload.result.document import Endpoint, RunResult
from ciload.result.reader import read_result
from ciload.text import one_line, request_label

PROBE_TIMEOUT_S = 3.0
LOAD_S = 30
PATIENCE_S = 30.0
MOST_ROWS = 40
# A trial has no options, and it is none of the CI's runs.
KEPT = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "PYTHONPATH", "SYSTEMROOT")
AUTHORITIES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def answers(url: str) -> bool:
    """Whether somebody listens there."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    with suppress(OSError, UnicodeError), socket.create_connection((parts.hostname or "", port), PROBE_TIMEOUT_S):
        return True
    return False


def try_script(script: Path, variables: Sequence[str]) -> RunResult | None:
    """Run it once, as a user would; None when there is no result.

    Args:
        script: has its base URL.
        variables: of the environment that it reads.
    """
    command = [
        sys.executable, "-m", "ciload", "run", str(script.resolve()), "--quiet", "--vus", "1", "--iterations", "1",
        "--duration", f"{LOAD_S}s", "--graceful-stop", "1s",
    ]  # fmt: skip
    with TemporaryDirectory(prefix="ciload-init-") as folder:
        try:
            subprocess.run(  # noqa: S603  # ourselves
                command, cwd=folder, env=_environment(variables), capture_output=True, timeout=LOAD_S + PATIENCE_S,
                check=False,
            )  # fmt: skip
            return read_result(Path(folder) / "ciload-results" / "result.json")
        except (subprocess.TimeoutExpired, CiloadError):
            return None


def describe_trial(result: RunResult, functions: Mapping[str, str], variables: Sequence[str]) -> list[str]:
    """What each request got, and what there may be to mend.

    Args:
        result: of the trial.
        functions: of the script, by the request that it makes.
        variables: of the environment, that it reads credentials from.
    """
    failed = {each.name.partition(" ")[0] for each in result.checks if each.fails}
    rows = [(each, _is_good(each, functions, failed)) for each in result.endpoints]
    shown = sorted(rows, key=lambda row: row[1])[:MOST_ROWS]
    lines = [_row(each, good, result) for each, good in rows if (each, good) in shown]
    if len(rows) > len(shown):
        lines.append(f"  and {len(rows) - len(shown)} more that answer as they should")
    lines += [f"  ✗ {one_line(each.message)}" for each in result.errors if each.source == "script"]
    statuses = {int(status) for each, good in rows if not good for status in each.statuses}
    wrong = sum(not good for _, good in rows)
    if not wrong:
        return [*lines, "All answer as the script expects." if rows else "No request was made."]
    do = "does" if wrong == 1 else "do"
    return [*lines, f"{wrong} of {len(rows)} {do} not answer as the script expects:", *_advice(statuses, variables)]


def _is_good(endpoint: Endpoint, functions: Mapping[str, str], failed: set[str]) -> bool:
    return not endpoint.failed and functions.get(_label(endpoint)) not in failed


def _label(endpoint: Endpoint) -> str:
    return request_label(endpoint.method, endpoint.name)


def _row(endpoint: Endpoint, good: bool, result: RunResult) -> str:
    label = _label(endpoint)
    status = "/".join(each for each in endpoint.statuses if each != "0") or "-"
    time = format_value(endpoint.duration.avg, "ms") if endpoint.duration else "-"
    why = ""
    if status == "-":
        message = next((each.message for each in result.errors if each.source == label), "")
        why = f"  {one_line(message)}" if message else ""
    return f"  {'✓' if good else '✗'} {status:>3}  {time:>9}  {one_line(label)}{why}"


def _advice(statuses: set[int], variables: Sequence[str]) -> list[str]:
    """One line for each kind of answer."""
    lines = []
    if statuses & {401, 403}:
        unset = [each for each in variables if not os.environ.get(each)]
        if unset:
            lines.append(f"  401, 403: set {', '.join(unset)} in the environment.")
        else:
            lines.append("  401, 403: sign in, with headers= of the request; the document says nothing better.")
    if statuses & {404, 410}:
        lines.append("  404: in the URL, put what there is, such as an id of your test data.")
    if statuses & {400, 409, 415, 422}:
        lines.append("  400, 422: the data is made from types: put some that the service takes.")
    if any(each >= 500 for each in statuses):
        lines.append("  500 and more: the service has failed; its log says why.")
    if 0 in statuses:
        lines.append("  -: there was no answer, for the reason beside it.")
    if any(0 < each < 400 for each in statuses):
        lines.append("  Others: the answer is none that the document has; mend the check, or the document.")
    return lines


def _environment(variables: Sequence[str]) -> dict[str, str]:
    kept = {name: os.environ[name] for name in (*KEPT, *variables) if name in os.environ}
    ours = str(Path(ciload.__file__).parents[1])
    kept |= {name: str(Path(os.environ[name]).resolve()) for name in AUTHORITIES if os.environ.get(name)}
    kept["PYTHONDONTWRITEBYTECODE"] = "1"  # the trial leaves nothing beside the script
    return kept | {"PYTHONPATH": os.pathsep.join(filter(None, (ours, kept.get("PYTHONPATH", ""))))}
