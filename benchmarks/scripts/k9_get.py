"""The job for k9-load, in its async tier (the faster one for a script)."""
# mypy: ignore-errors
# k9 is installed in the peers' own environment, where the type checker does not look.

import os

from k9 import check, http

URL = os.environ["TARGET_URL"]
HEADERS = {
    "Authorization": "Token 9944b09199c62bcf9418ad846dd0e4bbdfc6ee4b",
    "Content-Type": "application/json",
}


async def default() -> None:
    response = await http.get(URL, headers=HEADERS)
    check(response, {"status is 200": lambda r: r.status == 200})
