"""`ciload doctor`: what this machine can see, printed as it is found."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterable, Mapping
from pathlib import Path

from ciload.cli.command import exit_code_of, say, show
from ciload.doctor.checks import Check, check_machine
from ciload.doctor.report import document, selftest_checks, sentence
from ciload.doctor.selftest import SelfTest, run_selftest
from ciload.errors import ExitCode
from ciload.text import one_line

NAME_WIDTH = 12
LONGEST_TEXT = 400


def doctor_command(seconds: int, *, quick: bool, as_json: bool) -> int:
    """Look at the machine, and unless `quick` let the gate judge servers of our own for `seconds` each."""

    # A job that is cancelled: as with Ctrl-C, what was started is ended on the way out.
    signal.signal(signal.SIGTERM, signal.default_int_handler)

    def act() -> int:
        checks = list(_shown(check_machine(), as_json))
        found: SelfTest | None = None
        if not quick:
            found = run_selftest(seconds, lambda text: say(f"self-test: {text}"))
            checks += _shown(selftest_checks(found), as_json)
        code = ExitCode.PASSED if found is None or found.usable else ExitCode.NO_COMPARISON
        show(f"{json.dumps(document(checks, found, code), indent=1)}\n" if as_json else f"\n  {sentence(found)}\n")
        _tell_github(sentence(found), os.environ)
        return code

    return exit_code_of(act)


def _shown(checks: Iterable[Check], as_json: bool) -> Iterable[Check]:
    """The checks, each printed as soon as it is known."""
    for each in checks:
        if not as_json:
            advice = "" if each.good or not each.advice else f" ({each.advice})"
            text = one_line(f"{each.text}{advice}", LONGEST_TEXT)
            show(f"  {'✓' if each.good else '!'} {each.name:<{NAME_WIDTH}} {text}\n")
        yield each


def _tell_github(line: str, environment: Mapping[str, str]) -> None:
    """In GitHub Actions, one line of the job's summary. It has no text of others in it."""
    if environment.get("GITHUB_ACTIONS") == "true" and (path := environment.get("GITHUB_STEP_SUMMARY")):
        try:
            with Path(path).open("a", encoding="utf-8", newline="\n") as file:
                file.write(f"🩺 {line}\n\n")
        except OSError as error:
            say(f"warning: the job summary cannot be written: {error}")
