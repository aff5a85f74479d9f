"""From a journey as it was recorded to one that can be made again: clean, correlated, without secrets, with names."""

from __future__ import annotations

from collections.abc import Sequence

from ciload.convert.bodies import with_constants
from ciload.convert.clean import clean_journey, host_of
from ciload.convert.cookies import keep_own_cookies
from ciload.convert.correlate import correlate
from ciload.convert.credentials import hide_secrets
from ciload.convert.journey import Journey, Setting
from ciload.convert.marks import Reference
from ciload.convert.naming import group_recording, name_requests
from ciload.starter.names import unique, words


def finish_recording(journey: Journey, hosts: Sequence[str], *, keep_static: bool) -> None:
    """All that a recording of a browser needs.

    Raises:
        UsageError: nothing of it is left.
    """
    clean_journey(journey, hosts, keep_static=keep_static)
    keep_own_cookies(journey)
    correlate(journey)
    finish(journey)
    group_recording(journey)


def finish(journey: Journey) -> None:
    """What every journey needs."""
    hide_secrets(journey)
    for step in journey.steps:
        with_constants(journey, step.request.body)
    name_requests(journey)
    _name_hosts(journey)


def _name_hosts(journey: Journey) -> None:
    """Hosts beside the main one are constants that the environment can change, since only one is the base URL."""
    origins = dict.fromkeys(step.request.origin for step in journey.steps if step.request.origin.startswith("http"))
    for origin in origins:
        name = unique(f"{words(host_of(origin).partition('.')[0]).upper()}_URL", journey.taken)
        name = unique(f"HOST_{name}", journey.taken) if name[:1].isdigit() else name
        journey.settings.append(Setting(name, name, "", origin))
        mark = journey.references.mark(Reference(name, name.lower()))
        for step in journey.steps:
            if step.request.origin == origin:
                step.request.origin = mark
