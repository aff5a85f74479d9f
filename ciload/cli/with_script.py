"""What commands that take a script have in common, from arguments to exit code."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ciload.ci.workflow_commands import Bracket, to_mask
from ciload.cli.command import exit_code_of, say
from ciload.cli.flags import Asked
from ciload.cli.scripts import asked_scripts, find_scripts
from ciload.errors import UsageError
from ciload.runner.masking import secrets_at_start
from ciload.runner.prepare import RunRequest
from ciload.script.page import Page
from ciload.secrets import Masker, take_tokens

URL = re.compile(r"https?://", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Requests:
    """A request for each of the scripts, as they were asked for. `is_suite`: they are tests, even if it is only one."""

    scripts: Sequence[str]
    each: Sequence[RunRequest]
    is_suite: bool


def act_on_script(name: str, asked: Asked, act: Callable[[RunRequest, Bracket], int]) -> int:
    """What `act_on_scripts` does, for a command that takes one script."""

    def act_on_one(requests: Requests, bracket: Bracket) -> int:
        if len(requests.each) > 1:
            raise UsageError(f"ciload {name} takes one script; these are {len(requests.each)}")
        return act(requests.each[0], bracket)

    return act_on_scripts(name, asked, act_on_one)


def act_on_scripts(name: str, asked: Asked, act: Callable[[Requests, Bracket], int]) -> int:
    """Do what a command does with its scripts, in the environment that was asked for; answers the exit code."""
    _allow_open_files()
    bracket = Bracket.around(os.environ)
    scripts = asked_scripts(asked.scripts, os.environ)
    pages = [each for each in scripts if URL.match(each)]  # their queries may be secret
    secrets = secrets_at_start(os.environ, asked.env, asked.options, pages)
    mask = Masker(secrets)
    bracket.open(to_mask(secrets, os.environ))  # before the script says its first word

    def with_environment() -> int:
        found = find_scripts(scripts, name)
        for each in found.left_out:
            say(f"{each}: no test, since its name begins with _")
        environment = dict(os.environ)
        take_tokens(os.environ)  # they are for comments and artifacts, not for the script
        os.environ.update(_parse_env(asked.env))  # after the copy: -e is for the script and never sets options
        requests = [
            RunRequest(each, _options(each, asked.options), environment, asked.config, mask) for each in found.found
        ]
        return act(Requests(scripts, requests, found.is_suite), bracket)

    return exit_code_of(with_environment, bracket, mask, is_run=name == "run")


def _options(script: Path | Page, options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Those of the command line: the URL of a page is also its target."""
    if not isinstance(script, Page):
        return options
    if options.get("base_url"):
        raise UsageError("there are two targets: --base-url is for scripts, and this URL says where it is itself")
    return {**options, "base_url": script.base_url}


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
