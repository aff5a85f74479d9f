"""The application of `ciload.asgi(app)`, served on loopback by a thread of this process while the run lasts."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import ExitStack
from typing import Any, Self

from ciload.errors import ScriptError
from ciload.options.plan import Plan
from ciload.script.loader import Script
from ciload.text import one_line

IN_PROCESS = "in-process"  # as a target: runs against a server of its own are no comparison
WARNING = "the target ran in ciload's own process and shared its CPU: these times are no server's"
LOOK_EVERY_S = 0.01
SHUTDOWN_S = 5.0
REQUESTS_LEFT_S = 1  # what the last requests get before they are cut off


def serve_app(script: Script, plan: Plan, stack: ExitStack) -> Plan:
    """The plan of a run at the script's own application, which is served until `stack` ends.

    Without one, or with a base URL that somebody has set, it is the plan as it was.

    Raises:
        ScriptError: the application does not start, or uvicorn is not there.
    """
    options = plan.options
    if script.app is None or options.base_url:
        return plan
    url = stack.enter_context(AppServer(script.app, options.setup_timeout)).url
    changed = options.model_copy(update={"base_url": url, "target": options.target or IN_PROCESS})
    return plan.model_copy(update={"options": changed, "warnings": (*plan.warnings, WARNING)})


class AppServer:
    """uvicorn in a thread. The context is the application's lifespan."""

    def __init__(self, app: Any, startup_s: float) -> None:
        """
        Args:
            app: an ASGI application.
            startup_s: how long its start-up may take.

        Raises:
            ScriptError: uvicorn is not installed.
        """
        try:
            import uvicorn
        except ImportError:
            raise ScriptError("asgi() needs uvicorn: pip install 'ciload[asgi]'") from None
        self._app = app
        self._startup_s = startup_s
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=1024)
        quiet: dict[str, Any] = {"log_config": None, "log_level": "critical", "access_log": False, "interface": "asgi3"}
        config = uvicorn.Config(self._watched, timeout_graceful_shutdown=REQUESTS_LEFT_S, **quiet)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="ciload-app", daemon=True)
        self._failure = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._wait_until_started()
        except BaseException:  # a signal as well
            self._server.should_exit = True
            raise
        return self

    def _wait_until_started(self) -> None:
        ends_at = time.monotonic() + self._startup_s
        while not self._server.started:
            if not self._thread.is_alive():
                raise ScriptError(f"the application of asgi() did not start: {self._failure or 'it gave no reason'}")
            if time.monotonic() > ends_at:
                raise ScriptError(f"the application of asgi() did not start within {self._startup_s:g} s")
            time.sleep(LOOK_EVERY_S)

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(SHUTDOWN_S)
        self._socket.close()

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._socket])
        except BaseException as error:  # noqa: BLE001  # it has to be told where somebody waits for it
            self._failure = self._failure or one_line(f"{type(error).__name__}: {error}")

    async def _watched(self, scope: Any, receive: Any, send: Any) -> None:
        """The application; why its start-up has failed is only said here."""
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return

        async def listen(message: Any) -> None:
            if message["type"] == "lifespan.startup.failed":
                self._failure = one_line(str(message.get("message", "")).strip().rpartition("\n")[2])
            await send(message)

        await self._app(scope, receive, listen)
