"""The job for ciload, with an operation around each request."""

import os

from ciload import check, http, measure

URL = os.environ["TARGET_URL"]
HEADERS = {
    "Authorization": "Token 9944b09199c62bcf9418ad846dd0e4bbdfc6ee4b",
    "Content-Type": "application/json",
}


async def default() -> None:
    async with measure("get"):
        response = await http.get(URL, headers=HEADERS)
    check(response, {"status is 200": lambda r: r.status_code == 200})
