"""One request from call to sample: keep-alive, one retry on a stale connection, redirects, cookies, measuring."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

from ciload.durations import LARGEST_BARE, check_unit, parse_duration
from ciload.http.connection import IDLE, Connection, ConnectionSettings, sweep
from ciload.http.decoding import decode
from ciload.http.dial import Dialer
from ciload.http.failure import ConnectionLostError, ErrorCode, RequestFailedError
from ciload.http.head import NO_HEAD
from ciload.http.request import HeaderPairs, HeaderTypes, Prepared, Preparer, Request, encode_body
from ciload.http.response import Response
from ciload.http.session import NoVirtualUserError, Session, current
from ciload.http.target import Origin, Params, parse_target, with_params
from ciload.http.timings import REUSED
from ciload.metrics.series import Tags
from ciload.secrets import without_secrets

DEFAULT_TIMEOUT_S = 60.0
MOST_REDIRECTS = 10
RESTED_S = 0.001  # what a connection has rested for when something may have come that nobody has seen
SWEEP_EVERY_S = 0.02  # how late a timeout may be noticed
NO_TAGS: Tags = ()
OF_ONE_ORIGIN = frozenset({"authorization", "cookie", "host", "proxy-authorization", "www-authenticate"})
BODY_HEADERS = frozenset({"content-type", "content-length", "content-encoding", "transfer-encoding"})


@dataclass(frozen=True, slots=True)
class Lost:
    """What a first attempt has cost, on a connection that the server closed: it is a part of the same request."""

    seconds: float = 0.0
    sent: int = 0


NOTHING = Lost()


class Client:
    """The HTTP client of one event loop. Virtual users bring their own connections and cookies (`Session`)."""

    def __init__(
        self,
        *,
        base_url: str = "",
        verify: bool = True,
        max_body_kept: int = 8 * 1024 * 1024,
        discard_bodies: bool = False,
        batch: int = 20,
        batch_per_host: int = 6,
    ) -> None:
        self.settings = ConnectionSettings(0 if discard_bodies else max_body_kept)
        self.batch = batch  # requests of one http.batch() at once; 0: no limit
        self.batch_per_host = batch_per_host
        self.preparer = Preparer(base_url)
        self.dialer = Dialer(self.settings, verify=verify)
        self._sweeping: asyncio.TimerHandle | None = None

    def check(self, entry: Request) -> str:
        """See that a request can be sent at all; answers its origin, "" when its URL leads nowhere.

        Raises:
            ValueError, TypeError: it cannot, whatever the target does.
        """
        if entry.json is not None or entry.data is not None or entry.content is not None:
            encode_body(entry.json, entry.data, entry.content)
        if entry.timeout is not None:
            timeout_s(entry.timeout)
        if entry.tags:
            tag_pairs(entry.tags)
        url = entry.url if entry.params is None else with_params(entry.url, entry.params)
        try:
            return self.preparer.prepare((entry.method, url, header_pairs(entry.headers))).origin_key
        except RequestFailedError:  # a URL that leads nowhere is a failed request, not a mistake
            return ""

    async def dial(self, origin: Origin, deadline: float) -> Connection:
        if self._sweeping is None:
            self._sweep()
        return await self.dialer.dial(origin, deadline)

    def _sweep(self) -> None:
        sweep(self.settings, perf_counter())
        self._sweeping = asyncio.get_running_loop().call_later(SWEEP_EVERY_S, self._sweep)

    def close(self) -> None:
        """Stop the timer and drop whatever is still open."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        for connection in list(self.settings.open):
            connection.abort()


async def request(
    method: str,
    url: str,
    *,
    params: Params | None = None,
    headers: HeaderTypes | None = None,
    json: Any = None,
    data: Params | str | bytes | None = None,
    content: str | bytes | None = None,
    timeout: float | str | None = None,  # noqa: ASYNC109  # httpx's name; it covers the whole request
    name: str | None = None,
    tags: Mapping[str, str] | None = None,
    follow_redirects: bool = True,
) -> Response:
    """Send a request and measure it.

    Whatever the target does is in the response: without one, `status_code` is 0 and `error` and `error_code` say why.

    Args:
        method: any HTTP method.
        url: absolute, or a path below `--base-url`.
        params: added to the query; lists repeat the key.
        headers: a mapping or pairs. Only User-Agent and Host are sent besides.
        json: a value sent as JSON.
        data: a mapping sent as a form, or text or bytes sent as they are.
        content: text or bytes sent as they are.
        timeout: seconds, or text such as "500ms", from look-up to last byte, redirects included; 60 s unless set.
        name: what to measure this request under; unless set, the URL without query.
        tags: more tags for the samples of this request.
        follow_redirects: up to 10, each measured as a request of its own; another one fails.

    Raises:
        ValueError, TypeError: an argument that cannot be sent. Nothing was sent.
        NoTargetError: the URL is relative and there is no `--base-url`, which ends the run.
    """
    session = current.get(None)
    if session is None or session.client is None:
        raise NoVirtualUserError
    if params is not None:
        url = with_params(url, params)
    body = content_type = None
    if json is not None or data is not None or content is not None:
        body, content_type = encode_body(json, data, content)
    deadline = perf_counter() + (DEFAULT_TIMEOUT_S if timeout is None else timeout_s(timeout))
    labels = tag_pairs(tags) if tags else NO_TAGS
    if tags and name is None:
        name = tags.get("name")  # k6's way to say it
    # A dict is told by its class: the question whether something is a Mapping takes longer than all else here.
    key = (method, url, tuple(headers.items()) if headers.__class__ is dict else header_pairs(headers))
    try:
        prepared = session.client.preparer.memory.get(key) or session.client.preparer.prepare(key)
    except RequestFailedError as failure:
        return _unsent(session, method, without_secrets(url), name, labels, failure)
    raw = prepared.bare
    if body is not None or session.jar:
        raw = prepared.encode(body, content_type, session.jar.header_for(prepared.target))
    response = await exchange(session, session.client, prepared, raw, deadline, name, labels)
    if follow_redirects and response.has_redirect_location:
        return await _follow(response, prepared, body, content_type, deadline, name, labels)
    return response


async def exchange(  # noqa: C901  # one piece: it is the hot path
    session: Session,
    client: Client,
    prepared: Prepared,
    raw: bytes,
    deadline: float,
    name: str | None,
    tags: Tags,
) -> Response:
    """One hop: take a connection, send, wait, record, give the connection back."""
    idle = session.pool.idle.get(prepared.origin_key)
    if idle is None:
        idle = session.pool.idle[prepared.origin_key] = []
    connection = idle.pop() if idle else None
    started = perf_counter()
    # To look costs some microseconds: not between requests in a row.
    while connection is not None and started - connection.done_at > RESTED_S and connection.has_unread:
        connection.abort()
        connection = idle.pop() if idle else None
    dialed, lost = REUSED, NOTHING
    try:
        while True:
            if connection is None:
                started = perf_counter()
                connection = await client.dial(prepared.target.origin, deadline)
                connection.idle = idle
                dialed = connection.dialed
                started = perf_counter()
            waiter = connection.send(raw, deadline, prepared.is_head)
            await waiter
            if connection.failure is None or not _went_stale(connection, prepared, reused=dialed is REUSED):
                break
            lost = Lost(connection.done_at - started, len(raw) if connection.bytes_sent else 0)
            connection = None
    except RequestFailedError as failure:
        target = prepared.target.if_unreachable
        return _unsent(session, prepared.method, target.url, name or target.name, tags, failure, lost)
    except BaseException:  # the iteration is being interrupted: the response may still be on its way
        _cancelled(session, prepared, raw, name, tags, connection, started, lost)
        raise
    session.pool.used = True

    first, sent = connection.first_byte_at or connection.done_at, connection.sent_at
    if not started <= sent <= first:  # still writing when the answer began
        sent = first
    sending, waiting, receiving = sent - started, first - sent, connection.done_at - first
    if lost is not NOTHING:
        waiting += lost.seconds
    head = connection.head
    response = Response(
        head.status_code, head, connection.content, prepared.method, prepared.target.url, dialed,
        (sending, waiting, receiving),
    )  # fmt: skip
    connection.content = b""  # the script's from here on; an idle connection must not keep it
    if connection.failure is not None or head.codings or head.set_cookies or connection.truncated:
        _look_closer(response, connection, session, client, prepared)
    status = response.status_code
    if status >= 400:
        response.error_code = 1000 + status

    key = (name or prepared.name, prepared.method, status, response.error, tags)
    series = session.scope.http.get(key) or session.scope.http_series(key, response.error_code)
    if session.late or dialed is not REUSED:
        series.add_wait(session.late, dialed)
    series.sending.append(sending)
    series.waiting.append(waiting)
    series.receiving.append(receiving)
    series.bytes_sent += len(raw) + lost.sent
    series.bytes_received += connection.bytes_received
    if session.exchanges is not None:
        session.exchanges.append((key, sending + waiting + receiving if 200 <= status < 400 else 0.0))

    if connection.state is IDLE and not prepared.closes:
        idle.append(connection)
    else:
        connection.abort()
    return response


async def renew_connections(session: Session) -> None:
    """Exchange a virtual user's resting connections for new ones. No request waits for that, and nothing counts it."""
    client = session.client
    for origin, resting in list(session.pool.idle.items()):
        if not resting or client is None:
            continue
        for connection in list(resting):
            connection.abort()
        with contextlib.suppress(RequestFailedError):  # the next request will meet the same, and is measured
            fresh = await client.dial(parse_target(origin).origin, perf_counter() + DEFAULT_TIMEOUT_S)
            fresh.idle = resting
            fresh.done_at = perf_counter()
            resting.append(fresh)


def _cancelled(
    session: Session,
    prepared: Prepared,
    raw: bytes,
    name: str | None,
    tags: Tags,
    connection: Connection | None,
    began: float,
    lost: Lost,
) -> None:
    """Count a request that somebody stopped waiting for: as failed, with the time that it has waited."""
    now = perf_counter()
    failure = RequestFailedError(ErrorCode.TIMEOUT, session.owner.cut_off(now - began + lost.seconds))
    if connection is None or not connection.bytes_sent:
        _unsent(session, prepared.method, prepared.target.url, name or prepared.name, tags, failure, lost)
    else:
        series = session.scope.http_series(
            (name or prepared.name, prepared.method, 0, failure.text, tags), failure.code
        )
        sent = connection.sent_at or now  # 0: it was still being written
        first = connection.first_byte_at or now
        series.sending.append(sent - began)
        series.waiting.append(max(0.0, first - sent) + lost.seconds)
        series.receiving.append(now - first)
        series.bytes_sent += len(raw) + lost.sent
        series.bytes_received += connection.bytes_received
    if connection is not None:
        connection.abort()


def _went_stale(connection: Connection, prepared: Prepared, *, reused: bool) -> bool:
    """The server closed an idle connection just as it was used again: ask once more on a fresh one (RFC 9112 9.3.1).

    Raises:
        RequestFailedError: a fresh connection took nothing of the request.
    """
    assert connection.failure is not None
    nothing_sent = not connection.bytes_sent
    lost = isinstance(connection.failure, ConnectionLostError) and not connection.first_byte_at
    if reused and lost and (prepared.idempotent or nothing_sent):
        return True
    if nothing_sent:
        raise connection.failure
    return False


def _look_closer(
    response: Response, connection: Connection, session: Session, client: Client, prepared: Prepared
) -> None:
    """What most responses do not need: failures, cookies, decoding."""
    if connection.failure is not None:
        _mark_failed(response, connection.failure)
        return
    session.jar.store(response.head.set_cookies, prepared.target)
    _decode(response, client, connection.truncated)


def header_pairs(headers: HeaderTypes | None) -> HeaderPairs:
    if not headers:
        return ()
    return tuple(headers.items()) if isinstance(headers, Mapping) else tuple((name, value) for name, value in headers)


def tag_pairs(tags: Mapping[str, str]) -> Tags:
    if not isinstance(tags, Mapping):
        raise TypeError(f"tags are a mapping of names to values, not {type(tags).__name__}")
    return tuple((str(key), str(value)) for key, value in tags.items())


def timeout_s(timeout: float | str) -> float:
    seconds = parse_duration(timeout)
    if seconds >= LARGEST_BARE:
        check_unit(timeout)  # k6's 60000 would be 16 hours
    if seconds == 0:
        raise ValueError("a timeout must be longer than 0")
    return seconds


def _mark_failed(response: Response, failure: RequestFailedError) -> None:
    """Make it a response with status 0."""
    response.status_code = 0
    response.head = NO_HEAD
    response.content = b""
    response.error = failure.text
    response.error_code = failure.code


def _decode(response: Response, client: Client, truncated: bool) -> None:
    """Undo the codings of the body within the bound on kept ones."""
    response.truncated = truncated
    if not response.head.codings or not response.content:
        return
    keep = client.settings.keep_bytes
    try:
        content = decode(response.content, response.head.codings, keep + 1, whole=not truncated)
    except RequestFailedError as failure:
        _mark_failed(response, failure)
    else:
        response.truncated |= len(content) > keep
        response.content = content[:keep]


def _unsent(
    session: Session,
    method: str,
    url: str,
    name: str | None,
    tags: Tags,
    failure: RequestFailedError,
    lost: Lost = NOTHING,
) -> Response:
    """The response to a request that reached no connection: counted as failed, without any time.

    If one that was reused took it and was closed, that is its time.
    """
    response = Response(0, NO_HEAD, b"", method, url, failure.dialed, (0.0, lost.seconds, 0.0))
    _mark_failed(response, failure)
    key = (name or url, method, 0, failure.text, tags)
    series = session.scope.http.get(key) or session.scope.http_series(key, failure.code)
    if lost.sent:
        series.sending.append(0.0)
        series.waiting.append(lost.seconds)
        series.receiving.append(0.0)
        series.bytes_sent += lost.sent
    else:
        series.unsent += 1
    if session.exchanges is not None:
        session.exchanges.append((key, 0.0))
    return response


async def _follow(
    response: Response,
    prepared: Prepared,
    body: bytes | None,
    content_type: str | None,
    deadline: float,
    name: str | None,
    tags: Tags,
) -> Response:
    """Go where a redirect points, as fetch and Go do; one more than ten is a failed request."""
    session = current.get()
    assert session.client is not None
    history: list[Response] = []
    while response.has_redirect_location:
        history.append(response)
        method, headers = prepared.method, prepared.headers
        rewritten = response.status_code == 303 or (response.status_code in (301, 302) and method == "POST")
        if rewritten and method != "HEAD":
            method, body = "GET", None
            headers = tuple(pair for pair in headers if pair[0].lower() not in BODY_HEADERS)
        location = response.head.location or ""
        try:
            if len(history) > MOST_REDIRECTS:
                raise RequestFailedError(ErrorCode.UNKNOWN, f"too many redirects: more than {MOST_REDIRECTS}")
            target = parse_target(location, prepared.target.url, session.client.preparer.base)
            if target.origin != prepared.target.origin:  # what was meant for one server is not another's to know
                headers = tuple(pair for pair in headers if pair[0].lower() not in OF_ONE_ORIGIN)
            elif prepared.target.authorization and not target.authorization:
                target = replace(target, authorization=prepared.target.authorization)
            prepared = Prepared(method, target, headers)
            session.client.preparer.note(prepared)
        except RequestFailedError as failure:
            response = _unsent(session, method, without_secrets(location), name, tags, failure)
            break
        raw = prepared.encode(body, content_type, session.jar.header_for(prepared.target))
        response = await exchange(session, session.client, prepared, raw, deadline, name, tags)
    response.history = tuple(history)
    return response
