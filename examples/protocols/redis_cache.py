"""A cache in Redis: times of reading and writing, and how often it has what is asked for."""

import os

from redis.asyncio import Redis

from ciload import Rate, measure, sleep

URL = os.environ.get("REDIS_URL", "redis://localhost:6379")
hits = Rate("cache hits", gate=True, better="higher")

options = {
    "name": "redis",
    "vus": 10,
    "duration": "30s",
    "thresholds": {"op_duration{name:GET}": "p(95)<20", "op_failed": "rate<0.01", "cache hits": "rate>0.3"},
}


async def vu_start(vu):
    vu.redis = Redis.from_url(URL)


async def default(vu):
    key = f"item:{vu.random.randrange(50)}"
    async with measure("GET", protocol="redis"):
        value = await vu.redis.get(key)
    hits.add(value is not None)
    if value is None:
        async with measure("SET", protocol="redis"):
            await vu.redis.set(key, b"x" * 1000, ex=60)
    await sleep("10ms")


async def vu_stop(vu):
    await vu.redis.aclose()
