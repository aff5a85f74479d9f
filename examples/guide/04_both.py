"""Step 5: both endpoints at once, each with its own error rate, response times and threshold.

    ciload run --base-url http://127.0.0.1:8000 examples/guide/04_both.py

On a modest box every request succeeds, but creating an organization takes longer than its threshold allows.
"""

import os

from ciload import Rate, Trend, check, http, sleep

TOKEN = os.environ.get("API_TOKEN", "c110add0c110add0c110add0c110add0c110add0")
HEADERS = {"Authorization": f"Token {TOKEN}"}

options = {
    "vus": 15,
    "duration": "30s",
    "thresholds": {
        "List Users": ["p(95)<500"],
        "Create Organization": ["p(95)<800"],
    },
}

list_errors = Rate("List Users errors")
create_errors = Rate("Create Organization errors")
list_trend = Trend("List Users", unit="ms")
create_trend = Trend("Create Organization", unit="ms")


async def default(vu):
    organization = {"name": f"Organization {vu.id}: {vu.iteration}"}
    replies = await http.batch(
        {
            "list": http.Request("GET", "/v3/users", headers=HEADERS),
            "create": http.Request("POST", "/v3/organizations", headers=HEADERS, json=organization),
        }
    )

    listed = replies["list"]
    ok = check(listed, {"status is 200": lambda r: r.status_code == 200})
    list_errors.add(not ok)
    list_trend.add(listed.timings.duration)

    created = replies["create"]
    ok = check(created, {"status is 201": lambda r: r.status_code == 201})
    create_errors.add(not ok)
    create_trend.add(created.timings.duration)

    await sleep(1)
