"""`--wait-for`: is the target up? Asked before the run, outside of everything measured."""

from __future__ import annotations

import time

import anyio

from ciload.errors import TargetNotReadyError
from ciload.secrets import without_secrets

PAUSE_S = 0.25
ATTEMPT_TIMEOUT_S = 5.0


async def wait_until_ready(url: str, timeout_s: float, verify: bool) -> None:
    """Come back when `url` answers with a status below 400.

    Raises:
        TargetNotReadyError: it did not within `timeout_s`; says what it did instead.
    """
    import httpx  # late: a run that waits for nothing should not wait for this

    ends_at = time.monotonic() + timeout_s
    last = "no answer"
    async with httpx.AsyncClient(verify=verify, follow_redirects=True, trust_env=False) as client:
        while (left := ends_at - time.monotonic()) > 0:
            try:
                reply = await client.get(url, timeout=min(ATTEMPT_TIMEOUT_S, left))
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                last = str(error) or type(error).__name__
            else:
                if reply.status_code < 400:
                    return
                last = f"status {reply.status_code}"
            await anyio.sleep(min(PAUSE_S, max(0.0, ends_at - time.monotonic())))
    raise TargetNotReadyError(f"{without_secrets(url)} was not ready within {timeout_s:g} s: {last}")
