"""Workflow commands of GitHub Actions: how to give one, and how to keep what others print from being taken for one.

A runner takes each line of both streams that begins with `::` (or has `##[` anywhere) for a command: a mask, an error,
a search path. What scripts print, and what targets answer, must not get there. So everything from the first line to the
last stands between `::stop-commands::TOKEN` and `::TOKEN::`, and our own commands come after that.
"""

from __future__ import annotations

import atexit
import os
import re
import secrets
import stat
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from ciload.secrets import SHORTEST_SECRET, credentials_in, secrets_of

STDOUT, STDERR = 1, 2
DRAIN_TIMEOUT_S = 2.0
PAUSE_S = 0.2  # a runner needs no more from reading a line to acting on it


def workflow_command(name: str, message: str, properties: Mapping[str, str] | None = None) -> str:
    """A command as a line, whatever stands in its parts."""
    given = ",".join(f"{key}={_escape(value, ':,')}" for key, value in (properties or {}).items() if value)
    return f"::{name}{' ' + given if given else ''}::{_escape(message)}"


def _escape(text: str, more: str = "") -> str:
    return re.sub(f"[%\r\n{more}]", lambda match: f"%{ord(match[0]):02X}", text)


def known_secrets(environment: Mapping[str, str], urls: Iterable[str], names: Iterable[str] = ()) -> list[str]:
    """What must not be in a log: tokens, secret variables and those of these names, and what URLs hold to sign in."""
    found = secrets_of(environment, names)
    found += [each for url in urls for each in credentials_in(url)]
    return [each for each in dict.fromkeys(map(str.strip, found)) if len(each) >= SHORTEST_SECRET]


def to_mask(secrets: Iterable[str], environment: Mapping[str, str]) -> list[str]:
    """Those that the CI does not mask by itself: its own tokens need not be told to it."""
    own = [environment.get(name, "").strip() for name in ("GITHUB_TOKEN", "CI_JOB_TOKEN")]
    return [each for each in secrets if each not in own]


class Bracket:
    """From `open` to the end of the process, nothing that it or its children print is a command.

    The token is in this object and in the log, nowhere else: not in the environment or on a command line, where a
    script would hand it on without knowing. What a script does to its own process on purpose is out of reach; it might
    as well write to $GITHUB_ENV.
    """

    def __init__(self, streams: Sequence[int] = ()) -> None:
        # A file is read by nobody who would act on it, and it may be the output that somebody asked for.
        self._streams = _distinct([each for each in streams if not _is_file(each)])
        self._token = ""
        self._process = os.getpid()
        self._commands: list[str] = []

    @classmethod
    def around(cls, environment: Mapping[str, str]) -> Bracket:
        """The bracket that this CI needs."""
        return cls((STDOUT, STDERR) if environment.get("GITHUB_ACTIONS") == "true" else ())

    def open(self, masked: Iterable[str] = ()) -> None:
        """Take no more commands, on either stream: a runner reads both, in no certain order."""
        if not self._streams or self._token:
            return
        # First registered is last called: what a script does at exit is still inside.
        atexit.register(self.close)
        self._token = secrets.token_hex(16)
        _flush()
        # Not on stdout: it may be on its way into a file. Not before they are read: they would be text, for all to see.
        if masks := "".join(f"{workflow_command('add-mask', each)}\n" for each in masked):
            _write(self._streams[-1], masks)
            if len(self._streams) > 1:
                _wait_until_read(self._streams[-1])
        for each in self._streams:
            _write(each, f"::stop-commands::{self._token}\n")

    def later(self, commands: Iterable[str]) -> None:
        """Give these when all is printed; nowhere but on GitHub."""
        self._commands += commands

    def close(self) -> None:
        """Take commands again, and give ours."""
        if not self._token or os.getpid() != self._process:  # a fork of the script's comes to its end here too
            return
        _flush()
        first, *others = self._streams
        for each in self._streams:
            _write(each, "\n")  # a line that somebody left unfinished would be looked at after the last token
        # The other stream has no place in the order of this one: it must be read before commands are taken again.
        for each in others:
            _wait_until_read(each)
        token, self._token = self._token, ""
        _write(first, "".join(f"{line}\n" for line in (f"::{token}::", *self._commands)))
        self._commands = []


def _distinct(streams: Iterable[int]) -> list[int]:
    found: dict[tuple[int, int], int] = {}
    for each in streams:
        with suppress(OSError):  # closed
            status = os.fstat(each)
            same = (status.st_dev, status.st_ino) if status.st_ino else (each, 0)  # Windows numbers no pipes
            found.setdefault(same, each)
    return list(found.values())


def _is_file(stream: int) -> bool:
    try:
        return stat.S_ISREG(os.fstat(stream).st_mode)
    except OSError:
        return False


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):  # scripts replace and close them
            stream.flush()


def _write(stream: int, text: str) -> None:
    data = text.encode("utf-8", "replace")
    with suppress(OSError):  # nobody reads on, or a script has closed it
        while data:
            data = data[os.write(stream, data) :]


def _wait_until_read(stream: int) -> None:
    ends_at = time.monotonic() + DRAIN_TIMEOUT_S
    while _unread(stream) and time.monotonic() < ends_at:
        time.sleep(0.01)
    time.sleep(PAUSE_S)


def _unread(stream: int) -> int:
    """Bytes in a pipe that its reader has not taken; 0 where that cannot be known."""
    try:
        import fcntl
        import termios

        return int.from_bytes(fcntl.ioctl(stream, termios.FIONREAD, bytes(4)), sys.byteorder)
    except (ImportError, OSError):
        return 0
