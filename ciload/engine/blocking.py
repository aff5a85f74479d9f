"""Which synchronous library a script waits in while all of its virtual users stand still, and what to use instead."""

from __future__ import annotations

import linecache
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import FrameType

THREAD = "await anyio.to_thread.run_sync(...), or a client for asyncio"
OURS = "`http` of ciload, or httpx.AsyncClient(transport=ciload.httpx_transport())"
SLEEP = "time.sleep"

# By the beginning of a module's name; modules for asyncio of the same packages begin otherwise.
REMEDIES: Mapping[str, tuple[str, str]] = {
    "requests.": ("requests", OURS),
    "httpcore._sync.": ("a synchronous httpx client", OURS),
    "urllib3.": ("urllib3", OURS),
    "urllib.request": ("urllib", OURS),
    "http.client": ("http.client", OURS),
    "redis.connection": ("redis", "redis.asyncio"),
    "redis.client": ("redis", "redis.asyncio"),
    "psycopg.waiting": ("psycopg", "psycopg.AsyncConnection"),
    "grpc._channel": ("grpc", "grpc.aio"),
    "pymongo.synchronous.": ("pymongo", "pymongo.AsyncMongoClient"),
    "pymysql.": ("pymysql", "asyncmy or aiomysql"),
    "mysql.connector.": ("mysql.connector", "mysql.connector.aio"),
    "botocore.": ("botocore", "aioboto3"),
    "kafka.": ("kafka", "aiokafka"),
    "pika.": ("pika", "aio-pika"),
    "paramiko.": ("paramiko", "asyncssh"),
    "smtplib": ("smtplib", "aiosmtplib"),
    "playwright.sync_api": ("playwright.sync_api", "playwright.async_api"),
    "selenium.": ("selenium", THREAD),
    "subprocess": ("subprocess", "asyncio.create_subprocess_exec"),
}
ELSE = "`await sleep()` and clients for asyncio"


@dataclass(frozen=True, slots=True)
class Blocked:
    """The script holds up the event loop.

    Attributes:
        where: in the script.
        seconds: how long by now; of a sample, for how long it stands.
        library: that it waits in, if that is known.
        sampled: it was found there when somebody looked, which may have been a short wait among many.
    """

    where: str
    seconds: float
    library: str = ""
    sampled: bool = False


def library_in(frame: FrameType | None, script: str) -> str:
    """The library, as people call it, that code of the script at `frame` waits in; "" if it is none that is known.

    The one that the script itself has called comes first: `requests` rather than the urllib3 in it.
    """
    found = ""
    inner = True
    while frame is not None and frame.f_code.co_filename != script:
        module = str(frame.f_globals.get("__name__", ""))
        found = next((name for start, (name, _) in REMEDIES.items() if f"{module}.".startswith(start)), found)
        frame, inner = frame.f_back, False
    if frame is None:
        return ""
    return SLEEP if inner and _sleeps(frame) else found


def _sleeps(frame: FrameType) -> bool:
    """Whether the line is a call of `time.sleep`, which has no frame of its own."""
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
    imported = (name for name, value in list(frame.f_globals.items()) if value is time.sleep)
    return "time.sleep(" in line or any(f"{name}(" in line for name in imported)


def remedy(library: str) -> str:
    """What to use in its place."""
    if library == SLEEP:
        return "`await sleep()` of ciload (in a plain function, `sleep()` of ciload.sync)"
    return next((instead for name, instead in REMEDIES.values() if name == library), ELSE)
