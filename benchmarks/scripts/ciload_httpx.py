"""The same job for ciload with httpx's client."""

import os

import httpx

from ciload import VU, check, httpx_transport

URL = os.environ["TARGET_URL"]
HEADERS = {
    "Authorization": "Token 9944b09199c62bcf9418ad846dd0e4bbdfc6ee4b",
    "Content-Type": "application/json",
}


async def vu_start(vu: VU) -> None:
    vu.client = httpx.AsyncClient(transport=httpx_transport(), headers=HEADERS)


async def default(vu: VU) -> None:
    response = await vu.client.get(URL)
    check(response, {"status is 200": lambda r: r.status_code == 200})
