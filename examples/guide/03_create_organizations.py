"""Step 4: virtual users that create organizations, each with a name of its own.

    ciload run -u 20 -d 30s --base-url http://127.0.0.1:8000 examples/guide/03_create_organizations.py

On a modest box every request succeeds, but takes longer than a read.
"""

import os

from ciload import Rate, check, http, sleep

TOKEN = os.environ.get("API_TOKEN", "c110add0c110add0c110add0c110add0c110add0")
HEADERS = {"Authorization": f"Token {TOKEN}"}

errors = Rate("errors")


async def default(vu):
    organization = {"name": f"Organization {vu.id}: {vu.iteration}"}
    reply = await http.post("/v3/organizations", json=organization, headers=HEADERS)
    ok = check(reply, {"status is 201": lambda r: r.status_code == 201})
    errors.add(not ok)
    await sleep(1)
