"""Think times: how long people look at what they got before they go on."""

from __future__ import annotations

import math

from ciload.durations import parse_duration
from ciload.http.session import current_session
from ciload.script.api import sleep

# Of the logarithm of think times: half of them lie between 0.71 and 1.4 times the median, one of forty is longer than
# 2.7 times. People's times are spread like that, with a heavy tail (Liu, White and Dumais, Understanding Web Browsing
# Behaviors through Weibull Analysis of Dwell Time, SIGIR 2010); log-normal is the simplest model of it.
SIGMA = 0.5


async def think(seconds: float | str, most: float | str | None = None) -> None:
    """Pause this virtual user as a person would; ends early when the run does.

    What `vu.random` draws decides, so that the times are the same in every run, and at both targets side by side.

    Args:
        seconds: the median of log-normal times; with `most`, the shortest of times that are all as likely.
        most: the longest.

    Raises:
        ValueError: a time of 0 or less, or `most` below `seconds`.
    """
    first = parse_duration(seconds)
    last = first if most is None else parse_duration(most)
    if first <= 0:
        raise ValueError(f"think({seconds!r}): a think time is longer than 0")
    if last < first:
        raise ValueError(f"think({seconds!r}, {most!r}): the longest time comes second")
    random = current_session().owner.random
    await sleep(random.lognormvariate(math.log(first), SIGMA) if most is None else random.uniform(first, last))
