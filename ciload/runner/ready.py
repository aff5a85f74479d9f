"""`--wait-for`: is the target up? Asked before the run, outside of everything measured."""

from __future__ import annotations

import asyncio
import time
from random import Random

from ciload.engine.clients import make_client
from ciload.errors import Abort, TargetNotReadyError
from ciload.http.client import request
from ciload.http.failure import ErrorCode
from ciload.http.session import Session, current
from ciload.metrics.registry import Registry, Scope
from ciload.options.model import Options
from ciload.secrets import without_secrets

PAUSE_S = 0.25
ATTEMPT_TIMEOUT_S = 5.0


class Asker:
    """Whose requests these are: nothing of a script runs here, so nothing can end the run."""

    random = Random(0)  # noqa: S311  # nobody asks

    def abort(self, order: Abort) -> None:
        raise order

    def cut_off(self, _waited_s: float, /) -> str:
        return "not waited for"


async def wait_until_ready(options: Options) -> None:
    """Come back when `wait_for` answers with a status below 400. The way to it is that of the load.

    Raises:
        TargetNotReadyError: it did not within `wait_timeout`; says what it did instead.
    """
    client = make_client(options, options.base_url)
    token = current.set(Session(client, Scope(Registry()), Asker()))
    try:
        await _ask(options.wait_for, options.wait_timeout)
    finally:
        current.get().pool.close()
        client.close()
        current.reset(token)


async def _ask(url: str, timeout_s: float) -> None:
    ends_at = time.monotonic() + timeout_s
    last = ""
    while (left := ends_at - time.monotonic()) > 0:
        reply = await request("GET", url, timeout=min(ATTEMPT_TIMEOUT_S, left), headers={"connection": "close"})
        if 0 < reply.status_code < 400 and not reply.error:
            return
        if reply.error_code != ErrorCode.TIMEOUT or left >= ATTEMPT_TIMEOUT_S or not last:
            last = reply.error or f"status {reply.status_code}"  # else it is the end that cut the attempt short
        await asyncio.sleep(min(PAUSE_S, max(0.0, ends_at - time.monotonic())))
    raise TargetNotReadyError(f"{without_secrets(url)} was not ready within {timeout_s:g} s: {last}")
