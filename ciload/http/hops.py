"""What one request of a script may take: authentication, and redirects, as fetch and Go follow them.

Each hop is measured as a request of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ciload.http.auth import authenticate
from ciload.http.body import Body
from ciload.http.exchange import transfer, unsent
from ciload.http.expectations import Expectation
from ciload.http.failure import ErrorCode, RequestFailedError
from ciload.http.request import Prepared
from ciload.http.response import Response
from ciload.http.session import Session
from ciload.http.target import parse_target
from ciload.metrics.expected import Statuses
from ciload.metrics.registry import Labels
from ciload.secrets import without_secrets

OF_ONE_ORIGIN = frozenset({"authorization", "cookie", "host", "proxy-authorization", "www-authenticate"})
BODY_HEADERS = frozenset({"content-type", "content-length", "content-encoding", "transfer-encoding"})


@dataclass(slots=True)
class Hops:
    """What all hops of one request have in common."""

    session: Session
    body: Body | None
    cookies: Mapping[str, str] | None
    auth: Any  # None, or what answers to each hop; a header that is always the same is among the headers
    deadline: float
    name: str | None
    labels: Labels
    stream: bool
    expect: Expectation | None

    async def send(self, prepared: Prepared) -> Response:
        if self.auth is None:
            return await self._send(prepared, self.body)
        client = self.session.client
        assert client is not None
        try:
            return await authenticate(self.auth, prepared, self.body, client.preparer, self._send)
        except RequestFailedError as failure:
            url = prepared.target.if_unreachable.url
            return unsent(self.session, prepared.method, url, self.name or prepared.name, self.labels, failure)

    async def _send(self, prepared: Prepared, body: Body | None, challenge: bool = False) -> Response:
        session = self.session
        assert session.client is not None
        raw = prepared.encode(body, session.jar.header_for(prepared.target, self.cookies))
        labels, expect = (self._labels_of_challenge(), None) if challenge else (self.labels, self.expect)
        special = transfer(body, stream=self.stream)
        return await session.client.exchange(
            session, session.client, prepared, raw, self.deadline, self.name, labels, special, expect
        )

    def _labels_of_challenge(self) -> Labels:
        """Of a request that is answered by 401, before the one that is meant."""
        expected = self.session.scope.expected(self.labels).and_also((401, 401))
        return (*(each for each in self.labels if not isinstance(each, Statuses)), expected)

    async def follow(self, response: Response, prepared: Prepared) -> Response:
        """Go where a redirect points; one more than the run allows is a failed request."""
        session = self.session
        assert session.client is not None
        most = session.client.max_redirects
        history = list(response.history)
        redirects = 0
        while response.has_redirect_location:
            await response.aread()
            history.append(response)
            redirects += 1
            method, headers = prepared.method, prepared.headers
            rewritten = response.status_code == 303 or (response.status_code in (301, 302) and method == "POST")
            if rewritten and method != "HEAD":
                method, self.body = "GET", None
                headers = tuple(pair for pair in headers if pair[0].lower() not in BODY_HEADERS)
            location = response.head.location or ""
            try:
                if redirects > most:
                    raise RequestFailedError(ErrorCode.UNKNOWN, f"too many redirects: more than {most}")
                if self.body is not None and not self.body.rewind():
                    raise RequestFailedError(ErrorCode.UNKNOWN, "redirected, and the body cannot be sent again")
                target = parse_target(location, prepared.target.url, session.client.preparer.base)
                if target.origin != prepared.target.origin:  # what was meant for one server is not another's to know
                    private = OF_ONE_ORIGIN | session.client.preparer.private
                    headers = tuple(pair for pair in headers if pair[0].lower() not in private)
                    self.auth = self.cookies = None
                elif prepared.target.authorization and not target.authorization:
                    target = replace(target, authorization=prepared.target.authorization)
                prepared = session.client.preparer.make(method, target, headers)
            except RequestFailedError as failure:
                response = unsent(session, method, without_secrets(location), self.name, self.labels, failure)
                break
            response = await self.send(prepared)
            history += response.history
        response.history = tuple(history)
        return response
