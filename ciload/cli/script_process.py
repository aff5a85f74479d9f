"""The process of one test of a suite."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from multiprocessing.connection import Connection

from ciload.child import SIGNALS, start_child
from ciload.ci.workflow_commands import Bracket
from ciload.cli.command import exit_code_of
from ciload.cli.run_script import run_script
from ciload.cli.terminal import Terminal
from ciload.errors import CiloadError
from ciload.runner.prepare import RunRequest
from ciload.runner.suite import TestEnd
from ciload.streams import secure_streams


def start_script(request: RunRequest) -> tuple[subprocess.Popen[bytes], Connection]:
    """Start the process of a test, which sends a `TestEnd` in the end."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):
            stream.flush()
    # A terminal's Ctrl-C would reach the test twice, by us and by itself, and the second one ends it at once.
    process, connection = start_child(__name__, own_session=True)
    with suppress(OSError):  # it is gone, as its exit code says
        connection.send(request)
    return process, connection


def main(descriptor: int) -> None:
    """What the process runs; `descriptor` is its end of the pipe to the suite's."""
    secure_streams()
    os.set_inheritable(descriptor, False)
    connection = Connection(descriptor)
    for number in SIGNALS:  # until the run has its own way with them
        signal.signal(number, signal.default_int_handler)
    error = ""

    def tell(exit_code: int) -> None:
        with suppress(OSError):
            connection.send(TestEnd(exit_code, error))

    def act() -> int:
        nonlocal error
        request: RunRequest = connection.recv()
        threading.Thread(target=_end_with_parent, args=(connection,), daemon=True).start()
        terminal = Terminal(Bracket(), request.mask)
        terminal.before_leaving = tell
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            return run_script(request, terminal)
        except CiloadError as raised:
            terminal.last_error = request.mask(str(raised))
            raise
        finally:
            error = terminal.last_error

    code = exit_code_of(act, Bracket())
    tell(code)
    sys.exit(code)


def _end_with_parent(connection: Connection) -> None:
    """No load goes on when nobody waits for it."""
    with suppress(OSError):
        connection.poll(None)  # nothing is ever sent: that there is something to read is the end
        os.kill(os.getpid(), signal.SIGTERM)
