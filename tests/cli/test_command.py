"""How commands begin and end, whatever happens in between."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ciload.cli.command import exit_code_of, say
from ciload.errors import Complaint, ExitCode, OptionsError, UsageError

ROOT = Path(__file__).parent.parent.parent


def fail(error: BaseException) -> int:
    raise error


def test_what_is_said_cannot_act_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Lines stay lines, and whatever else moves or hides text is shown."""
    say("error: the script raised\n  \x1b[2Jgone\u202e")
    assert capsys.readouterr().err == "ciload: error: the script raised\n  \\x1b[2Jgone\\u202e\n"


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (UsageError("no \x1b[2J"), 2, "ciload: error: no \\x1b[2J\n"),
        (OptionsError([Complaint("a:1", "x"), Complaint("a:2", "y")]), 104, "2 mistakes in the options:\n  a:1: x\n"),
        (KeyboardInterrupt(), 105, "ciload: interrupted\n"),
    ],
)
def test_errors_of_the_users_are_lines(
    error: BaseException, code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each has its exit code, and none a traceback."""
    assert exit_code_of(lambda: fail(error)) == code
    shown = capsys.readouterr().err
    assert text in shown
    assert "Traceback" not in shown


def test_a_bug_shows_its_traceback_harmlessly() -> None:
    """Its message may quote what a target answered."""
    broken = "def broken(**_): raise RuntimeError('a bug \\x1b[2J')"
    code = f"import ciload.cli as cli\n{broken}\ncli.app = broken\ncli.main()\n"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert done.returncode == ExitCode.INTERNAL_ERROR
    assert done.stderr.splitlines()[-1] == "RuntimeError: a bug \\x1b[2J"
