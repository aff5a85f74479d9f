"""Every exit code, and every error that ends a run.

    CiloadError
    ├── UsageError              2    a bad flag, a missing file
    ├── BaselineError           97   a baseline that cannot be read, used or written
    ├── TargetNotReadyError     98   --wait-for gave up
    ├── OptionsError            104  everything wrong with the options, at once
    └── ScriptError             107  the script could not be loaded

What a target does wrong is data (a sample with an error), and how a run ends is part of its result (a failure with an
exit code); neither is one of these. Anything else that reaches the top is a bug in ciload and shows its traceback.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum


class ExitCode(IntEnum):
    """What the process says to CI. k6's numbers where k6 has one."""

    PASSED = 0
    INTERNAL_ERROR = 1
    USAGE = 2
    REGRESSION = 96
    NO_COMPARISON = 97
    TARGET_NOT_READY = 98
    THRESHOLDS_FAILED = 99
    SETUP_TIMEOUT = 100
    TEARDOWN_TIMEOUT = 101
    INVALID_OPTIONS = 104
    INTERRUPTED = 105
    SCRIPT_ERROR = 107
    ABORTED = 108
    MARKED_FAILED = 110


class CiloadError(Exception):
    """A message for the user: what is wrong, why, and what to do."""

    exit_code = ExitCode.INTERNAL_ERROR


class Abort(BaseException):  # so that `except Exception` in a script does not end its way
    """The run is to end now; the engine has been told already. Teardown and reports still happen."""

    exit_code = ExitCode.ABORTED

    @property
    def reason(self) -> str:
        return "the script called abort()" + (f": {self}" if str(self) else "")


class NoTargetError(Abort):
    """A relative URL, and no base URL: no such request of this run can succeed."""

    exit_code = ExitCode.INVALID_OPTIONS

    @property
    def reason(self) -> str:
        return f"{str(self)!r} is relative, and there is no target: say --base-url, or set the option base_url"


class UsageError(CiloadError):
    exit_code = ExitCode.USAGE


class BaselineError(CiloadError):
    exit_code = ExitCode.NO_COMPARISON


class TargetNotReadyError(CiloadError):
    exit_code = ExitCode.TARGET_NOT_READY


@dataclass(frozen=True, slots=True)
class Complaint:
    """One mistake of the user's: where it was written, what is wrong with it, what was probably meant."""

    where: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" + (f"; {self.hint}" if self.hint else "")


def place(file: object, lines: Mapping[tuple[str, ...], int], keys: tuple[str, ...]) -> str:
    """`file:line` of the innermost of nested `keys` whose line is known, else the file alone."""
    line = next((lines[keys[:n]] for n in range(len(keys), 0, -1) if keys[:n] in lines), None)
    return f"{file}:{line}" if line else str(file)


class OptionsError(CiloadError):
    """All complaints about the options of a run, so that they can be mended in one go."""

    exit_code = ExitCode.INVALID_OPTIONS

    def __init__(self, complaints: list[Complaint]) -> None:
        self.complaints = complaints
        super().__init__("\n".join(str(complaint) for complaint in complaints))


class ScriptError(CiloadError):
    """The user's script raised; the message ends with the traceback of the script's own frames."""

    exit_code = ExitCode.SCRIPT_ERROR
