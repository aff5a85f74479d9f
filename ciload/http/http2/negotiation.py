"""Which version of HTTP a new connection speaks: what the server has chosen of what TLS offered it (ALPN, RFC 7301)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

from ciload.http.connection import Connection
from ciload.http.http2.connection import Http2Connection


class Negotiation(asyncio.Protocol):
    """Stands in until TLS is there, and then hands over to `chosen`."""

    def __init__(self, http1: Connection, http2: Callable[[], Http2Connection]) -> None:
        self._http2 = http2
        self.chosen: Connection | Http2Connection = http1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        tls = cast("ssl.SSLObject | None", transport.get_extra_info("ssl_object"))
        # Without TLS there is nobody to ask: then HTTP/2 is known to be there (RFC 9113 3.3).
        if tls is None or tls.selected_alpn_protocol() == "h2":
            self.chosen = self._http2()
        transport.set_protocol(self.chosen)
        self.chosen.connection_made(transport)
