"""Several requests at once: `http.batch`."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import fields
from typing import TypeVar, overload

from ciload.http.client import request
from ciload.http.request import Request
from ciload.http.response import Response
from ciload.http.session import current_session

Key = TypeVar("Key", bound=Hashable)
ARGUMENTS = [field.name for field in fields(Request) if field.name not in ("method", "url")]


@overload
async def batch(requests: Mapping[Key, Request | str]) -> dict[Key, Response]: ...
@overload
async def batch(requests: Sequence[Request | str]) -> list[Response]: ...
async def batch(
    requests: Mapping[Key, Request | str] | Sequence[Request | str],
) -> dict[Key, Response] | list[Response]:
    """Send requests concurrently: at most `batch` (20) at once and `batch_per_host` (6) to one host.

    Args:
        requests: a mapping or a list of `Request(method, url, ...)`, or of URLs to GET.

    Returns:
        The responses, under the same keys or in the same order.

    Raises:
        TypeError, ValueError: an entry is no request. Nothing was sent then.
    """
    session = current_session()
    assert session.client is not None
    session.pool.used = True
    named = list(requests.items()) if isinstance(requests, Mapping) else list(enumerate(requests))
    entries = [_entry(key, value) for key, value in named]
    hosts = [session.client.check(each) for each in entries]
    limit, per_host = session.client.batch, session.client.batch_per_host
    everywhere = _limiter(limit, len(entries))
    by_host = {host: _limiter(per_host, count) for host, count in _counts(hosts).items()}
    sends = [_send(each, everywhere, by_host[host]) for each, host in zip(entries, hosts, strict=True)]
    responses = await asyncio.gather(*sends)
    if isinstance(requests, Mapping):
        return dict(zip(requests, responses, strict=True))
    return responses


def _entry(key: object, value: object) -> Request:
    if isinstance(value, Request):
        return value
    if isinstance(value, str):
        return Request("GET", value)
    raise TypeError(f"batch entry {key!r}: expected http.Request or a URL, got {type(value).__name__}")


def _counts(hosts: Iterable[str]) -> Mapping[str, int]:
    counts: defaultdict[str, int] = defaultdict(int)
    for host in hosts:
        counts[host] += 1
    return counts


def _limiter(limit: int, wanted: int) -> AbstractAsyncContextManager[None]:
    return asyncio.Semaphore(limit) if 0 < limit < wanted else nullcontext()


async def _send(
    each: Request, everywhere: AbstractAsyncContextManager[None], host: AbstractAsyncContextManager[None]
) -> Response:
    # The host's turn first: a request that waits for its host must not hold one of the 20 places.
    async with host, everywhere:
        return await request(each.method, each.url, **{name: getattr(each, name) for name in ARGUMENTS})
