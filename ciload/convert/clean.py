"""What of a recording is the journey: requests to the service itself that answered, with redirects as one step."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from ciload.convert.har import location_of
from ciload.convert.journey import Journey, Step
from ciload.convert.naming import template
from ciload.errors import UsageError
from ciload.starter.places import is_local
from ciload.text import one_line

STATIC_KINDS = frozenset({"image", "font", "stylesheet", "script", "media", "manifest", "texttrack", "preflight"})
STATIC_MEDIA = re.compile(
    r"(image|font|video|audio)/|text/css|(text|application)/(x-)?javascript|application/(ecmascript|wasm|font|x-font|"
    r"manifest\+json|vnd\.ms-fontobject)"
)
STATIC_PATH = re.compile(
    r"\.(css|m?js|map|png|jpe?g|gif|svg|ico|webp|avif|bmp|woff2?|ttf|otf|eot|mp[34]|webm|ogg|wasm|webmanifest)$",
    re.IGNORECASE,
)
SHOWN_HOSTS = 8
FAILED = 400
NOT_MODIFIED = 304


def is_static(step: Step) -> bool:
    """A file that browsers keep, and a CDN sends."""
    if step.kind in ("document", "xhr", "fetch") or step.request.writes:
        return False
    return bool(
        step.kind in STATIC_KINDS or STATIC_MEDIA.match(step.reply.media) or STATIC_PATH.search(step.request.path)
    )


def host_of(origin: str) -> str:
    """Host and port, without the scheme."""
    return origin.partition("://")[2]


def site_of(origin: str) -> str:
    """What hosts of one owner share: the last two labels, or three under such as co.uk. Addresses are their own."""
    host = host_of(origin).partition(":")[0] if "[" not in origin else host_of(origin)
    labels = host.split(".")
    if len(labels) < 3 or labels[-1].isdigit():
        return host
    count = 3 if len(labels[-1]) == 2 and len(labels[-2]) <= 3 else 2
    return ".".join(labels[-count:])


def clean_journey(journey: Journey, hosts: Sequence[str], *, keep_static: bool) -> None:
    """Leave out what is not the service's, or failed, and put redirects together.

    Raises:
        UsageError: nothing is left.
    """
    total = len(journey.steps)
    if not keep_static:
        kept = [each for each in journey.steps if not is_static(each)]
        _note(journey, total - len(kept), "static file", "--keep-static keeps them")
        journey.steps = kept
    _keep_hosts(journey, [each.lower() for each in hosts])
    _join_redirects(journey)
    failed = [each for each in journey.steps if each.reply.status >= FAILED]
    journey.steps = [each for each in journey.steps if each.reply.status < FAILED]
    for each in failed[:SHOWN_HOSTS]:
        called = f"{each.request.method} {one_line(template(journey, each.request.path), 80)}"
        journey.left_out.append(f"answered {each.reply.status} in the recording: {called}")
    _note(journey, len(failed[SHOWN_HOSTS:]), "more request", "which failed in the recording")
    if not journey.steps:
        why = "".join(f"\n  {each}" for each in journey.left_out)
        raise UsageError(f"nothing of the recording is left for a script; left out are:{why}")


def _note(journey: Journey, count: int, what: str, how: str) -> None:
    if count:
        journey.left_out.append(f"{count:,} {what}{'s' * (count != 1)} ({how})")


def _keep_hosts(journey: Journey, hosts: list[str]) -> None:
    """Keep the hosts that were asked for, else all of the main site; the main one becomes the base URL."""
    counts = Counter(each.request.origin for each in journey.steps)
    if not counts:
        return
    if hosts:
        kept = [each for host in hosts for each in counts if host in (host_of(each), host_of(each).partition(":")[0])]
        if not kept:
            there = ", ".join(one_line(host_of(each), 60) for each, _ in counts.most_common(SHOWN_HOSTS))
            raise UsageError(f"--host {one_line(hosts[0])}: nothing was sent there; there are {there}")
        main = kept[0]
    else:
        pages = Counter(
            site_of(each.request.origin)
            for each in journey.steps
            if each.kind == "document" or each.reply.media == "text/html"
        )
        sites = Counter(site_of(each.request.origin) for each in journey.steps)
        site = max(sites, key=lambda each: (pages[each] > 0, sites[each]))
        kept = [each for each in counts if site_of(each) == site]
        main = max(kept, key=lambda each: counts[each])
    others = Counter({host_of(each): count for each, count in counts.items() if each not in kept})
    if others:
        shown = ", ".join(f"{one_line(host, 60)} ({count})" for host, count in others.most_common(SHOWN_HOSTS))
        more = f" and {len(others) - SHOWN_HOSTS} more" if len(others) > SHOWN_HOSTS else ""
        _note(journey, others.total(), "request", f"to other hosts; --host chooses: {shown}{more}")
    journey.steps = [each for each in journey.steps if each.request.origin in kept]
    journey.base_url = main
    for step in journey.steps:
        if step.request.origin == main:
            step.request.origin = ""


def may_load(journey: Journey) -> bool:
    """The base URL may stand in the script: it is on this machine, or whoever converts has named it."""
    return bool(journey.base_url) and (journey.was_asked or is_local(journey.base_url))


def _join_redirects(journey: Journey) -> None:
    """A redirect and the request that follows it are one step: the client follows by itself."""
    kept: list[Step] = []
    waiting: dict[str, Step] = {}  # by the URL that their last redirect points to
    for step in journey.steps:
        url = step.reply.url.partition("#")[0]
        before = waiting.pop(url, None) if not step.request.writes else None
        if before is not None:
            before.replies += step.replies
            before.end, before.kind = step.end, before.kind or step.kind
        else:
            kept.append(step)
        target = before or step
        if location := location_of(target.reply):
            waiting[location] = target
    for step in kept:
        if step.reply.status == NOT_MODIFIED:
            step.reply.status = 200  # the script does not say what it has already
        elif 300 <= step.reply.status < FAILED:
            step.follows = False  # to where the recording did not
    journey.steps = kept
