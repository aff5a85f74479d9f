"""`with group("log in"):` in plain functions."""

from __future__ import annotations

from types import TracebackType

from ciload.script.api import group as async_group
from ciload.sync.waiting import waiting


class group(async_group):  # noqa: N801  # reads as a verb
    """Name a part of an iteration: samples inside carry `group=::outer::inner`, `group_duration` its time."""

    def __enter__(self) -> None:
        waiting(self.__aenter__)()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        waiting(self.__aexit__)(kind, error, trace)
