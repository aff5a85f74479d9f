"""Step 1: virtual users that list the users as fast as they can.

    ciload run -u 30 -d 30s --base-url http://127.0.0.1:8000 examples/guide/01_get_users.py

On a modest box most requests fail: thirty users without a pause ask for more than it has.
"""

import os

from ciload import Rate, check, http

TOKEN = os.environ.get("API_TOKEN", "c110add0c110add0c110add0c110add0c110add0")
HEADERS = {"Authorization": f"Token {TOKEN}"}

errors = Rate("errors")


async def default():
    reply = await http.get("/v3/users", headers=HEADERS)
    ok = check(reply, {"status is 200": lambda r: r.status_code == 200})
    errors.add(not ok)
