"""The standard streams of a process, made so that nothing about them changes what a run measures or how it ends.

They may be closed (`>&-`), their reader may have gone (`| head`), or their disk may be full (`> /dev/full`).
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import Any, TextIO

STDIN, STDOUT, STDERR = 0, 1, 2


class UnfailingFile(io.FileIO):
    """A stream to write to. When that fails, it is said once on stderr, and everything from then on is dropped."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self._drop_the_rest(error)
            return len(data)

    def _drop_the_rest(self, error: OSError) -> None:
        descriptor = self.fileno()
        with suppress(OSError):
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, descriptor)
            os.close(nothing)
        if descriptor == STDOUT and not isinstance(error, BrokenPipeError):  # whoever leaves a pipe knows it
            with suppress(OSError):
                os.write(STDERR, f"ciload: warning: standard output cannot be written: {error.strerror}\n".encode())


def secure_streams() -> None:
    """Open closed standard streams on the null device, and let no failure to write to them raise.

    To be called before anything else is opened, which would take the numbers of closed ones.
    """
    for descriptor, mode in ((STDIN, os.O_RDONLY), (STDOUT, os.O_WRONLY), (STDERR, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, mode)  # the lowest free number
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
            os.set_inheritable(descriptor, True)
    if sys.stdin is None:
        sys.stdin = open(STDIN, encoding="utf-8", closefd=False)  # noqa: SIM115  # for the whole process
    sys.stdout, sys.stderr = _unfailing(STDOUT, sys.stdout), _unfailing(STDERR, sys.stderr)


def _unfailing(descriptor: int, stream: TextIO | None) -> TextIO:
    if stream is not None:
        with suppress(OSError, ValueError):
            stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(UnfailingFile(descriptor, "wb", closefd=False)),
        encoding=stream.encoding if stream is not None else "utf-8",
        errors="replace",  # a check mark must not crash a terminal that has none
        line_buffering=descriptor == STDERR or os.isatty(descriptor),
    )
