"""`ciload comment`: a result from another workflow, which is untrusted, made into a comment of our own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ciload.ci.forge import ApiError, dig
from ciload.ci.github_comments import post_comment, read_event
from ciload.ci.sticky import comment_text, marker_of
from ciload.cli.command import exit_code_of, say
from ciload.errors import BaselineError, ExitCode, UsageError
from ciload.result.reader import read_tested
from ciload.result.suite import Tested


def comment_command(folder: Path) -> int:
    """Post the comment that a run could not, from the results in a folder."""
    return exit_code_of(lambda: _comment(folder, os.environ))


def _comment(folder: Path, environment: Mapping[str, str]) -> int:
    if environment.get("GITHUB_ACTIONS") != "true":
        raise UsageError("ciload comment is for workflows of GitHub Actions: docs/ci.md shows one")
    tested = _read(folder)
    run = dig(read_event(environment), "workflow_run")
    # The name that the other run's workflow has, so that the comment is the one that it would have written itself.
    workflow = dig(run, "name") or environment.get("GITHUB_WORKFLOW", "")
    marker = marker_of(tested, str(workflow), tested.ci.job or "")
    url = dig(run, "html_url")
    origin = "from the run's own files, which the pull request decides on" if run else ""
    body = comment_text(tested, marker, url if isinstance(url, str) else None, origin)
    try:
        posted = post_comment(environment, marker, body)
    except ApiError as error:
        hint = "; the job needs `permissions: pull-requests: write`" if error.denied else ""
        raise UsageError(f"no comment could be written: {error}{hint}") from None
    if posted.done:
        say(f"{posted.done} a comment at pull request {posted.number}")
    else:
        say("no comment: no open pull request is at the commit that was run")
    return ExitCode.PASSED


def _read(folder: Path) -> Tested:
    try:
        return read_tested(folder)
    except BaselineError as error:
        raise UsageError(f"{error}; use the same version of ciload in both workflows") from None
