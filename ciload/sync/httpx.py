"""`httpx.Client(transport=httpx_transport())` in plain functions of a script."""

from __future__ import annotations

from collections.abc import Mapping

from ciload.http.httpx_sync import SyncHttpxTransport
from ciload.http.httpx_transport import Namer
from ciload.http.httpx_transport import httpx_transport as async_transport
from ciload.script.greenlets import wait_for


def httpx_transport(*, name: Namer | None = None, tags: Mapping[str, str] | None = None) -> SyncHttpxTransport:
    """A transport for `httpx.Client`, or httpx2's, that sends over the measured connections of the virtual user.

    Args:
        name: a function that gets a request and gives the name to measure it under; None: the URL without query.
        tags: more tags for the samples of all requests.
    """
    return SyncHttpxTransport(async_transport(name=name, tags=tags), wait_for)
