"""Steps 2 and 3: the same, but a virtual user pauses after each answer, as a person would.

    ciload run -u 20 -d 30s --base-url http://127.0.0.1:8000 examples/guide/02_get_users_sleep.py
    ciload run -u 20 -d 30s --base-url http://127.0.0.1:8000 -e PAUSE=1 examples/guide/02_get_users_sleep.py

On a modest box half a second (the default) is better than nothing; with a whole one every request succeeds.
"""

import os

from ciload import Rate, check, http, sleep

TOKEN = os.environ.get("API_TOKEN", "c110add0c110add0c110add0c110add0c110add0")
HEADERS = {"Authorization": f"Token {TOKEN}"}
PAUSE_S = float(os.environ.get("PAUSE", "0.5"))

errors = Rate("errors")


async def default():
    reply = await http.get("/v3/users", headers=HEADERS)
    ok = check(reply, {"status is 200": lambda r: r.status_code == 200})
    errors.add(not ok)
    await sleep(PAUSE_S)
