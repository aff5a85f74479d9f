"""What commands that take a script have in common, from arguments to exit code."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ciload.ci.workflow_commands import Bracket, to_mask
from ciload.cli.command import exit_code_of
from ciload.cli.flags import Asked
from ciload.errors import UsageError
from ciload.runner.masking import secrets_at_start
from ciload.runner.prepare import RunRequest
from ciload.script.page import Page
from ciload.secrets import Masker, take_tokens

ADDRESS = re.compile(r"https?:/|[\w.-]+:\d+(/|$)", re.IGNORECASE)
URL = re.compile(r"https?://", re.IGNORECASE)


def act_on_script(name: str, asked: Asked, act: Callable[[RunRequest, Bracket], int]) -> int:
    """Do what a command does with its script, in the environment that was asked for; answers the exit code."""
    _allow_open_files()
    bracket = Bracket.around(os.environ)
    is_page = bool(asked.script and URL.match(asked.script))
    said = {**asked.options, "base_url": asked.script} if is_page else asked.options  # its query may be secret as well
    secrets = secrets_at_start(os.environ, asked.env, said)
    mask = Masker(secrets)
    bracket.open(to_mask(secrets, os.environ))  # before the script says its first word

    def with_environment() -> int:
        script, options = _script(name, asked)
        environment = dict(os.environ)
        take_tokens(os.environ)  # they are for comments and artifacts, not for the script
        os.environ.update(_parse_env(asked.env))  # after the copy: -e is for the script and never sets options
        return act(RunRequest(script, options, environment, asked.config, mask), bracket)

    return exit_code_of(with_environment, bracket, mask, is_run=name == "run")


def _script(name: str, asked: Asked) -> tuple[Path | Page, Mapping[str, Any]]:
    """What is to be run, and the options of the command line: the URL of a page is also its target."""
    if asked.script is None:
        raise UsageError(f"which script? usage: ciload {name} SCRIPT|URL [options]; `ciload run --help` shows one")
    if not ADDRESS.match(asked.script):
        return Path(asked.script), asked.options
    if not URL.match(asked.script):
        raise UsageError(f"a script is a file; to request one page, write its whole URL: ciload {name} http://…")
    if asked.options.get("base_url"):
        raise UsageError("there are two targets: --base-url is for scripts, and this URL says where it is itself")
    page = Page.at(asked.script)
    return page, {**asked.options, "base_url": page.base_url}


def _allow_open_files() -> None:
    with suppress(ImportError, ValueError, OSError):  # Windows has no such limit
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a connection is an open file


def _parse_env(pairs: Sequence[str]) -> dict[str, str]:
    wrong = [number for number, pair in enumerate(pairs, 1) if not pair.partition("=")[0] or "=" not in pair]
    if wrong:  # unquoted: it may be a secret
        raise UsageError(f"-e, number {wrong[0]} of {len(pairs)}: write -e KEY=VALUE")
    return {key: value for key, _, value in (pair.partition("=") for pair in pairs)}
