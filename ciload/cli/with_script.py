"""Commands that take a script: from arguments to exit code."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress

from ciload.ci.workflow_commands import Bracket, to_mask
from ciload.cli.command import exit_code_of, show, wants_color
from ciload.cli.flags import Asked
from ciload.cli.plan_text import outlook
from ciload.cli.terminal import Terminal
from ciload.engine.control import Control
from ciload.errors import ExitCode, UsageError
from ciload.metrics.registry import Registry
from ciload.options.plan import origins
from ciload.options.sources import from_environment, from_flags
from ciload.runner.masking import secrets_at_start
from ciload.runner.prepare import Request, load
from ciload.runner.run import run
from ciload.secrets import Masker, take_tokens


def run_command(asked: Asked) -> int:
    """Do the run; every outcome ends here as an exit code and, unless it was a usage error, as reports."""
    bracket = Bracket.around(os.environ)
    return _command("run", asked, bracket, lambda request: run(request, Terminal(bracket, request.mask)).exit_code)


def inspect_command(asked: Asked) -> int:
    """Print what a run would do. Nothing is sent, written or removed, and mistakes end as they do in a run."""
    return _command("inspect", asked, Bracket.around(os.environ), _inspect)


def _inspect(request: Request) -> int:
    sources = [from_flags(request.flags), from_environment(request.environment)]
    script, plan = load(request, sources, Registry(), Control())
    plan = request.mask.document(plan)  # before lines are broken in the middle of a secret
    show(request.mask(outlook(script, plan, origins(sources), color=wants_color())))
    return ExitCode.PASSED


def _command(name: str, asked: Asked, bracket: Bracket, act: Callable[[Request], int]) -> int:
    _allow_open_files()
    secrets = secrets_at_start(os.environ, asked.env, asked.options)
    mask = Masker(secrets)
    bracket.open(to_mask(secrets, os.environ))  # before the script says its first word

    def with_environment() -> int:
        if asked.script is None:
            raise UsageError(f"which script? usage: ciload {name} SCRIPT [options]; `ciload run --help` shows one")
        environment = dict(os.environ)
        take_tokens(os.environ)  # they are for comments and artifacts, not for the script
        os.environ.update(_parse_env(asked.env))  # after the copy: -e is for the script and never sets options
        return act(Request(asked.script, asked.options, environment, asked.config, mask))

    return exit_code_of(with_environment, bracket, mask)


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
