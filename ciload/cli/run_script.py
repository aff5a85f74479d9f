"""The run of one script, to the last of its threads."""

from __future__ import annotations

import shlex
import threading
import time

from ciload.cli.terminal import Terminal
from ciload.runner.prepare import RunRequest
from ciload.runner.run import run
from ciload.script.page import Page

THREADS_S = 5.0  # for threads of the script's to end when everything else has


def run_script(request: RunRequest, terminal: Terminal) -> int:
    """Do the run; its exit code. Does not return if the script has begun what would never end."""
    exit_code = run(request, terminal).exit_code
    if isinstance(request.script, Page):
        terminal.say(f"to keep this test as a script: ciload init {_for_shell(request.script)}")
    if not _threads_end():  # Python would wait for them without end
        terminal.say("a thread of the script's goes on; it is left behind", "warning")
        terminal.leave(exit_code)
    return exit_code


def _for_shell(page: Page) -> str:
    """Its URL, but for what may be secret."""
    scheme, query = page.base_url.partition("://")[0], "?…" * ("?" in page.path)
    return shlex.quote(f"{scheme}://{page}{query}")


def _threads_end() -> bool:
    """Whether all that the process would wait for comes to its end in some seconds."""
    ends_at = time.monotonic() + THREADS_S
    waited_for = [each for each in threading.enumerate() if not each.daemon and each is not threading.main_thread()]
    for each in waited_for:
        each.join(max(0.0, ends_at - time.monotonic()))
    return not any(each.is_alive() for each in waited_for)
