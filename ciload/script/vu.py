"""The virtual user as a script sees it."""

from __future__ import annotations

from ciload.http.session import Session


class VU:
    """One virtual user: `id` counts from 1, `iteration` from 0 (k6's `__VU` and `__ITER`).

    A script may set attributes of its own; they belong to this virtual user alone and last until the run ends.
    """

    __slots__ = ("__dict__", "id", "iteration", "session")

    def __init__(self, number: int, session: Session) -> None:
        self.id = number
        self.iteration = 0
        self.session = session

    def __repr__(self) -> str:
        return f"<VU {self.id}, iteration {self.iteration}>"
