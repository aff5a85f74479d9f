"""Server-sent events: how long until the first one comes, and how long between them?"""

import os
from itertools import pairwise

from ciload import Trend, check, http

first_event = Trend("time to first event", unit="ms", gate=True)
between_events = Trend("time between events", unit="ms", gate=True)

options = {
    "name": "server-sent events",
    "base_url": os.environ.get("EVENTS_URL", "http://localhost:8000"),
    "vus": 10,
    "duration": "30s",
    "thresholds": {"time to first event": "p(95)<500", "time between events": "p(95)<500", "checks": "rate>0.99"},
}


async def default():
    events = []
    async with await http.get("/events", stream=True, timeout="1m") as reply:
        async for event in reply.aiter_sse():
            events.append(event.at)  # ms since the request was sent
            if len(events) == 10:
                break
    if events:
        first_event.add(events[0])
    for earlier, later in pairwise(events):
        between_events.add(later - earlier)
    check(events, {"ten events": len(events) == 10})
