"""The first process of the container: starts what was asked for, passes signals on, gives files to their owner.

    IMAGE run load.py …     ciload, and so for its other commands and options
    IMAGE sh -c "…"         anything else is a program, as GitLab and Jenkins start their shells
    IMAGE                   `ciload run` if CILOAD_SCRIPT says what, else the help

It stays until the end, with nothing but the standard library.
"""

from __future__ import annotations

import os
import shutil
import signal
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
NOT_FOUND = 127


def main(arguments: list[str]) -> int:
    started = time.time()
    code = run(command(arguments))
    give_to_owner(Path.cwd(), started)
    return code


def command(arguments: list[str]) -> list[str]:
    """What to start: a program if the first argument is one, else ciload."""
    if not arguments:
        return ["ciload", "run"] if os.environ.get("CILOAD_SCRIPT") else ["ciload", "--help"]
    first = arguments[0]
    if first != "ciload" and (first.startswith("-") or not shutil.which(first)):
        return ["ciload", *arguments]
    return arguments


def run(program: list[str]) -> int:
    """The program's exit code, as a shell would report it."""
    # Blocked until there is a child to pass them on to: a container's first process ignores what it does not handle.
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
    child = os.fork()
    if child == 0:
        become(program)
    for number in PASSED_ON:
        signal.signal(number, lambda received, _: pass_on(child, received))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    while True:
        pid, status = os.wait()  # also of processes whose parents are gone: they become ours
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def pass_on(child: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(child, number)


def become(program: list[str]) -> None:
    """Turn this process into the program, in a process group of its own, so that Ctrl-C reaches it only once."""
    os.setpgid(0, 0)
    with suppress(OSError):  # mostly there is no terminal
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and would bequeath that
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    try:
        os.execvp(program[0], program)  # noqa: S606  # what the user asked for
    except OSError as error:
        os.write(2, f"{program[0]}: {error.strerror}\n".encode())
        os._exit(NOT_FOUND)


def give_to_owner(folder: Path, since: float) -> None:
    """What root made in somebody else's folder becomes theirs: a later checkout could not remove it otherwise."""
    owner = folder.stat()
    if os.geteuid() != 0 or owner.st_uid == 0:
        return
    for path in made(folder, since - 1):  # a file system's clock is a little behind
        with suppress(OSError):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def made(folder: Path, since: float) -> Iterator[str]:
    """Everything of root's below the folder that came or changed since then."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = entry.stat(follow_symlinks=False)
            if found.st_uid == 0 and found.st_ctime >= since:
                yield entry.path
            if stat.S_ISDIR(found.st_mode):
                yield from made(Path(entry.path), since)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
