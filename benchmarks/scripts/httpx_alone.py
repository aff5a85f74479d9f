"""The same job for httpx alone: its own connections, nothing measured. Arguments: virtual users, seconds."""

import asyncio
import json
import os
import sys
from time import perf_counter

import httpx
import uvloop

URL = os.environ["TARGET_URL"]
HEADERS = {
    "Authorization": "Token 9944b09199c62bcf9418ad846dd0e4bbdfc6ee4b",
    "Content-Type": "application/json",
}
TLS = httpx.create_ssl_context()  # takes 20 ms, and each client would make its own
VUS, SECONDS = int(sys.argv[1]), float(sys.argv[2])


async def virtual_user(ends_at: float) -> list[bool]:
    async with httpx.AsyncClient(headers=HEADERS, verify=TLS) as client:
        done = []
        while perf_counter() < ends_at:
            done.append((await client.get(URL)).status_code == 200)
        return done


async def main() -> None:
    ends_at = perf_counter() + SECONDS
    done = [each for user in await asyncio.gather(*(virtual_user(ends_at) for _ in range(VUS))) for each in user]
    print(json.dumps({"requests": len(done), "failures": done.count(False)}))


uvloop.run(main())
