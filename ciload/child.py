"""Processes of our own: the same Python and the same search path, with a pipe between parent and child."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from multiprocessing.connection import Connection, Pipe

START = (
    "import importlib, json, sys; sys.path[:] = json.loads(sys.argv[3]); "
    "importlib.import_module(sys.argv[1]).main(int(sys.argv[2]))"
)
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def start_child(module: str, *, own_session: bool = False) -> tuple[subprocess.Popen[bytes], Connection]:
    """Start a process that calls `main(descriptor)` of the module; the process, and our end of its pipe.

    SIGINT and SIGTERM are blocked in it: it may not be ended by one before it has said what is to be done about them.

    Args:
        module: that of `main`, which opens its end of the pipe by the descriptor.
        own_session: a terminal's signals reach only us.
    """
    ours, theirs = Pipe()
    descriptor = theirs.fileno()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        process = subprocess.Popen(  # noqa: S603  # ourselves
            [sys.executable, "-P", "-c", START, module, str(descriptor), json.dumps(sys.path)],
            pass_fds=[descriptor], stdin=subprocess.DEVNULL, start_new_session=own_session,
        )  # fmt: skip
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()
    return process, ours


def how_it_ended(code: int) -> str:
    """What the exit code of a child says, in words."""
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
