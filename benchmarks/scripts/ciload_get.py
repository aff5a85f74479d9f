"""The job for ciload."""

import os

from ciload import check, http

URL = os.environ["TARGET_URL"]
HEADERS = {
    "Authorization": "Token 9944b09199c62bcf9418ad846dd0e4bbdfc6ee4b",
    "Content-Type": "application/json",
}
if "COMPRESSED" in os.environ:
    HEADERS["Accept-Encoding"] = "gzip"
READ_JSON = "READ_JSON" in os.environ


async def default() -> None:
    response = await http.get(URL, headers=HEADERS)
    check(response, {"status is 200": lambda r: r.status_code == 200})
    if READ_JSON:
        response.json()
