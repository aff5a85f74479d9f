"""Every sample into a file: formatted and compressed by a process of its own, so that the load keeps its core.

load ──► bounded queue ──► thread: pickles ──► pipe ──► `sample_writer.py`: lines ──► file
"""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic

from ciload.metrics.metric import Metric
from ciload.metrics.recording import Samples
from ciload.outputs.output import CLOSES_S, OutputFailedError, Second
from ciload.text import one_line

MOST_WAITING = 4_000_000  # values, of 8 bytes, that wait for the writer
Batch = tuple[dict[str, Metric], list[Samples]]  # metrics that the writer does not know yet, and samples


class SampleFile:
    """The output `jsonl` or `csv`."""

    def __init__(self, kind: str, path: str, mask: Callable[[str], str]) -> None:
        """
        Args:
            kind: of lines.
            path: of the file, which is compressed if it ends in .gz.
            mask: hides secrets in names and values of tags.

        Raises:
            OutputFailedError: the file cannot be written.
        """
        self.problem = ""
        self._name = f"{kind}={path}"
        self._mask = mask
        self._known: dict[str, Metric] = {}
        self._waiting: deque[Batch] = deque()
        self._count = 0
        self._left_out = 0
        self._changed = threading.Condition()
        self._closing = False
        try:
            Path(path).open("wb").close()  # to see that it can be
        except OSError as error:
            raise OutputFailedError(f"{self._name}: {error.strerror or error}") from None
        command = [sys.executable, "-m", "ciload.outputs.sample_writer", kind, path]
        self._writer = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)  # noqa: S603  # this very program
        self._thread = threading.Thread(target=self._send, name=f"ciload-{kind}", daemon=True)
        self._thread.start()

    def take(self, second: Second) -> None:
        count = sum(map(len, second.samples))
        if not count:
            return
        if self.problem or self._count + count > MOST_WAITING:
            self._left_out += count
            return
        new = {name: each for name, each in second.measured.metrics.items() if name not in self._known}
        self._known |= new
        masked = [Samples(self._masked(each.tags), each.times, each.values) for each in second.samples]
        with self._changed:
            self._waiting.append((new, masked))
            self._count += count
            self._changed.notify()

    def _masked(self, tags: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        return tuple((self._mask(name), self._mask(value)) for name, value in tags)

    def _send(self) -> None:
        """The thread's: whatever waits goes to the writer, which may take its time."""
        pipe = self._writer.stdin
        assert pipe is not None
        try:
            with pipe:
                while (batch := self._next()) is not None:
                    pickle.dump(batch, pipe)
        except OSError:  # the writer says why it is gone
            self.problem = self.problem or f"{self._name}: it could not be written"
            with suppress(OSError):
                pipe.close()

    def _next(self) -> Batch | None:
        with self._changed:
            while not self._waiting:
                if self._closing:
                    return None
                self._changed.wait()
            batch = self._waiting.popleft()
            self._count -= sum(map(len, batch[1]))
            return batch

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify()
        until = monotonic() + CLOSES_S
        self._thread.join(CLOSES_S)
        try:
            self._writer.wait(max(0.0, until - monotonic()))
        except subprocess.TimeoutExpired:
            self._writer.kill()
            self._writer.wait()
            self.problem = f"{self._name}: given up {CLOSES_S:.0f} s after the load, with samples left to write"
        else:
            self._see_how_it_ended()
        if self._left_out and not self.problem:
            self.problem = f"{self._name} could not keep up: {self._left_out:,} samples left out"

    def _see_how_it_ended(self) -> None:
        assert self._writer.stderr is not None
        with self._writer.stderr as words:
            said = one_line(words.read().decode(errors="replace"))
        if self._writer.returncode:
            self.problem = f"{self._name}: {said or f'its writer ended with {self._writer.returncode}'}"
