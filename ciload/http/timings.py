"""Where the time of a request goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time of one request went, in ms; k6's phases.

    `blocked` is everything before the request could be sent, so it contains `looking_up`, `connecting` and
    `tls_handshaking`; `duration` is `sending + waiting + receiving`.
    """

    blocked: float = 0.0
    looking_up: float = 0.0
    connecting: float = 0.0
    tls_handshaking: float = 0.0
    sending: float = 0.0
    waiting: float = 0.0
    receiving: float = 0.0

    @property
    def duration(self) -> float:
        return self.sending + self.waiting + self.receiving


class Dialed(NamedTuple):
    """What opening a connection cost, in seconds; all 0 on a kept-alive one."""

    blocked: float = 0.0
    looking_up: float = 0.0
    connecting: float = 0.0
    tls_handshaking: float = 0.0


REUSED = Dialed()
