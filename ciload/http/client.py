"""`http.request`, from the call to the response, and the client that the requests of one event loop share."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ciload.durations import LARGEST_BARE, check_unit, parse_duration
from ciload.http.auth import fixed_header
from ciload.http.body import Content, Files, encode_body
from ciload.http.connection import Connection, ConnectionSettings, sweep
from ciload.http.cookies import CookieJar
from ciload.http.dial import Dialer, Http2
from ciload.http.exchange import exchange, transfer, unsent
from ciload.http.expectations import Ask, Expect, ask_plainly, expectation, expected_statuses
from ciload.http.failure import RequestFailedError
from ciload.http.hops import Hops
from ciload.http.network import DEFAULT_NETWORK, Network
from ciload.http.request import DEFAULTS, HeaderPairs, HeaderTypes, Preparer, Request, RequestDefaults
from ciload.http.response import Response
from ciload.http.session import Channel, NoVirtualUserError, Pool, Session, current
from ciload.http.target import Origin, Params, parse_target, with_params
from ciload.metrics.expected import StatusTypes, parse_statuses
from ciload.metrics.registry import Labels
from ciload.metrics.series import Tags
from ciload.secrets import without_secrets

if TYPE_CHECKING:
    from ciload.http.auth import Auth
    from ciload.http.watching import Watch

DEFAULT_TIMEOUT_S = 60.0
SWEEP_EVERY_S = 0.02  # how late a timeout may be noticed
NO_TAGS: Tags = ()


class Client:
    """The HTTP client of one event loop. Virtual users bring their own connections and cookies (`Session`)."""

    def __init__(
        self,
        *,
        base_url: str = "",
        network: Network = DEFAULT_NETWORK,
        defaults: RequestDefaults = DEFAULTS,
        max_redirects: int = 10,
        keep_cookies: bool = False,
        max_body_kept: int = 8 * 1024 * 1024,
        discard_bodies: bool = False,
        batch: int = 20,
        batch_per_host: int = 6,
        http2: Http2 = "off",
        ask: Ask = ask_plainly,
        watch: Watch | None = None,
    ) -> None:
        """
        Args:
            ask: asks a script's `expect=` functions.
            watch: what takes the place of `exchange`, to see or change what is sent.
        """
        self.settings = ConnectionSettings(0 if discard_bodies else max_body_kept)
        self.batch = batch  # requests of one http.batch() at once; 0: no limit
        self.batch_per_host = batch_per_host
        self.base_url = base_url
        self.max_redirects = max_redirects  # 0: they are answers like others
        self.keep_cookies = keep_cookies  # from one iteration to the next
        self.ask = ask
        self.exchange = exchange if watch is None else watch(exchange)
        self.preparer = Preparer(base_url, defaults, network.proxies)
        self.dialer = Dialer(self.settings, network, http2=http2)
        self._sweeping: asyncio.TimerHandle | None = None

    def check(self, entry: Request) -> str:
        """See that a request can be sent at all; answers its origin, "" when its URL leads nowhere.

        Raises:
            ValueError, TypeError: it cannot, whatever the target does.
        """
        body = None
        if any(given is not None for given in (entry.json, entry.data, entry.content, entry.files)):
            body = encode_body(entry.json, entry.data, entry.content, entry.files, entry.compression)
        if entry.auth is not None:
            fixed_header(entry.auth)
        if entry.timeout is not None:
            timeout_s(entry.timeout)
        if entry.tags:
            tag_pairs(entry.tags)
        if entry.expected is not None:
            parse_statuses(entry.expected)
        if entry.expect is not None:
            expectation(entry.expect, self.ask, follows=entry.follow_redirects, stream=entry.stream)
        url = entry.url if entry.params is None else with_params(entry.url, entry.params)
        try:
            prepared = self.preparer.prepare((entry.method, url, header_pairs(entry.headers)))
            if body is not None or entry.cookies is not None:
                prepared.encode(body, CookieJar().header_for(prepared.target, entry.cookies))
            return prepared.origin_key
        except RequestFailedError:  # a URL that leads nowhere is a failed request, not a mistake
            return ""

    async def dial(self, origin: Origin, deadline: float, pool: Pool) -> Channel:
        """A connection ready to send on, or a place on one that `pool` shares.

        Raises:
            RequestFailedError: none could be opened, or `deadline` has passed.
        """
        if self._sweeping is None:
            self._sweep()
        if not self.dialer.may_share(origin):
            connection = await self.dialer.dial(origin, deadline)
            assert isinstance(connection, Connection)
            return connection
        from ciload.http.http2.origin import OriginConnections

        connections = pool.shared.get(origin.key)
        if connections is None:
            connections = pool.shared[origin.key] = OriginConnections()
        return await connections.channel(self.dialer, origin, deadline)

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


async def request(  # noqa: C901  # one piece: it is the hot path
    method: str,
    url: str,
    *,
    params: Params | None = None,
    headers: HeaderTypes | None = None,
    json: Any = None,
    data: Params | Content | None = None,
    content: Content | None = None,
    files: Files | None = None,
    compression: str | Sequence[str] | None = None,
    auth: Auth | None = None,
    cookies: Mapping[str, str] | None = None,
    timeout: float | str | None = None,  # noqa: ASYNC109  # httpx's name; it covers the whole request
    name: str | None = None,
    tags: Mapping[str, str] | None = None,
    expected: StatusTypes | None = None,
    expect: Expect | None = None,
    follow_redirects: bool = True,
    stream: bool = False,
) -> Response:
    """Send a request and measure it.

    Whatever the target does is in the response: without one, `status_code` is 0 and `error` and `error_code` say why.

    Args:
        method: any HTTP method.
        url: absolute, or a path below `--base-url`.
        params: added to the query; lists repeat the key.
        headers: a mapping or pairs. Only User-Agent and Host are sent besides.
        json: a value sent as JSON.
        data: a mapping sent as a form, or what `content` may be.
        content: text or bytes sent as they are; or a file, or an iterator of bytes, which are read while they are sent:
            with their length when that is known (or said in a Content-Length), else in chunks.
        files: multipart/form-data, beside the fields in `data`: names to files, or to tuples of file name, content,
            type and more headers, as in httpx.
        compression: gzip, deflate, br or zstd, or several in a row, for the body.
        auth: (user, password), `http.BearerAuth(token)`, `http.DigestAuth(user, password)`, a class of httpx's kind,
            or a function that gets and gives an `httpx.Request`.
        cookies: names to values, for this request beside those of the virtual user, or in their place.
        timeout: seconds, or text such as "500ms", from look-up to last byte, redirects included; 60 s unless set.
        name: what to measure this request under; unless set, the URL without query.
        tags: more tags for the samples of this request.
        expected: statuses that are no failure, in place of those of the run: 404, "2xx", "2xx,404", or a set of these.
            A redirect that is followed is expected in any case.
        expect: a function of the response. An answer with an expected status for which it is not true counts as failed.
        follow_redirects: up to 10, each measured as a request of its own; another one fails.
        stream: come back with the head, for the script to read the body as it comes: `async for` over `aiter_bytes()`,
            `aiter_lines()` or `aiter_sse()`, or `aread()`. The request is counted when it has ended.

    Raises:
        ValueError, TypeError: an argument that cannot be sent. Nothing was sent.
        NoTargetError: the URL is relative and there is no `--base-url`, which ends the run.
    """
    session = current.get(None)
    if session is None or session.client is None:
        raise NoVirtualUserError
    if params is not None:
        url = with_params(url, params)
    body = None
    if json is not None or data is not None or content is not None or files is not None:
        body = encode_body(json, data, content, files, compression)
    deadline = perf_counter() + (DEFAULT_TIMEOUT_S if timeout is None else timeout_s(timeout))
    labels: Labels = tag_pairs(tags) if tags else NO_TAGS
    if tags and name is None:
        name = tags.get("name")  # k6's way to say it
    if expected is not None:
        labels = (*labels, expected_statuses(expected, follows=follow_redirects))
    asked = None
    if expect is not None:
        asked = expectation(expect, session.client.ask, follows=follow_redirects, stream=stream)
    if auth is not None and (header := fixed_header(auth)) is not None:
        others = (pair for pair in header_pairs(headers) if str(pair[0]).lower() != "authorization")
        headers, auth = (*others, ("authorization", header)), None
    # A dict is told by its class: the question whether something is a Mapping takes longer than all else here.
    key = (method, url, tuple(headers.items()) if headers.__class__ is dict else header_pairs(headers))
    try:
        prepared = session.client.preparer.memory.get(key) or session.client.preparer.prepare(key)
    except RequestFailedError as failure:
        return unsent(session, method, without_secrets(url), name, labels, failure)
    raw = prepared.bare
    if auth is None:
        if body is not None or session.jar or cookies is not None:
            raw = prepared.encode(body, session.jar.header_for(prepared.target, cookies))
        special = transfer(body, stream=stream) if stream or body is not None else None
        client = session.client
        response = await client.exchange(session, client, prepared, raw, deadline, name, labels, special, asked)
        if not (follow_redirects and response.has_redirect_location and session.client.max_redirects):
            return response
    hops = Hops(session, body, cookies, auth, deadline, name, labels, stream, asked)
    if auth is not None:
        response = await hops.send(prepared)
    if follow_redirects and response.has_redirect_location and session.client.max_redirects:
        return await hops.follow(response, prepared)
    return response


async def renew_connections(session: Session) -> None:
    """Exchange a virtual user's resting connections for new ones. No request waits for that, and nothing counts it."""
    client = session.client
    for origin, resting in list(session.pool.idle.items()):
        if not resting or client is None:
            continue
        session.pool.renounce(origin)
        target, deadline = parse_target(origin), perf_counter() + DEFAULT_TIMEOUT_S
        with contextlib.suppress(RequestFailedError):  # the next request will meet the same, and is measured
            fresh = await client.dial(target.origin, deadline, session.pool)
            fresh.idle = resting
            fresh.done_at = perf_counter()
            resting.append(fresh)


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
