"""What commands that take a script have in common, from arguments to exit code."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress

from ciload.ci.workflow_commands import Bracket, known_secrets
from ciload.cli.command import exit_code_of
from ciload.cli.flags import Asked
from ciload.errors import UsageError
from ciload.options.model import URL_OPTIONS
from ciload.runner.prepare import Request


def act_on_script(name: str, asked: Asked, act: Callable[[Request, Bracket], int]) -> int:
    """Do what a command does with its script, in the environment that was asked for; answers the exit code."""
    _allow_open_files()
    bracket = Bracket.around(os.environ)
    flags = asked.options
    urls = [url for each in URL_OPTIONS for url in (flags.get(each), os.environ.get(f"CILOAD_{each.upper()}")) if url]
    bracket.open(known_secrets(os.environ, urls))  # before the script says its first word

    def with_environment() -> int:
        if asked.script is None:
            raise UsageError(f"which script? usage: ciload {name} SCRIPT [options]; `ciload run --help` shows one")
        environment = dict(os.environ)
        os.environ.update(_parse_env(asked.env))  # after the copy: -e is for the script and never sets options
        return act(Request(asked.script, flags, environment, asked.config), bracket)

    return exit_code_of(with_environment, bracket)


def _allow_open_files() -> None:
    with suppress(ImportError, ValueError, OSError):  # Windows has no such limit
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a connection is an open file


def _parse_env(pairs: Sequence[str]) -> dict[str, str]:
    wrong = [pair for pair in pairs if not pair.partition("=")[0] or "=" not in pair]
    if wrong:
        raise UsageError(f"-e {wrong[0]}: write -e KEY=VALUE")
    return {key: value for key, _, value in (pair.partition("=") for pair in pairs)}
