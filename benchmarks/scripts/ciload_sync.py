"""The job for ciload, without `await`."""

import os

from ciload.sync import check, http

URL = os.environ["TARGET_URL"]
HEADERS = {
    "Authorization": "Token 9944b09199c62bcf9418ad846dd0e4bbdfc6ee4b",
    "Content-Type": "application/json",
}


def default() -> None:
    response = http.get(URL, headers=HEADERS)
    check(response, {"status is 200": lambda r: r.status_code == 200})
