"""`ciload comment`: somebody else's result, read with suspicion, made into a comment of our own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from ciload.ci.forge import ApiError, dig
from ciload.ci.github_comments import post_comment, read_event
from ciload.ci.sticky import comment_text, marker_of
from ciload.cli.command import exit_code_of, say
from ciload.errors import ExitCode, UsageError
from ciload.result.document import RunResult

MOST_BYTES = 32 << 20


def comment_command(folder: Path) -> int:
    """Post the comment that a run could not."""
    return exit_code_of(lambda: _comment(folder, os.environ))


def _comment(folder: Path, environment: Mapping[str, str]) -> int:
    if environment.get("GITHUB_ACTIONS") != "true":
        raise UsageError("ciload comment is for workflows of GitHub Actions: docs/ci.md shows one")
    result = _read(folder / "result.json")
    run = dig(read_event(environment), "workflow_run")
    # The name that the other run's workflow has, so that the comment is the one that it would have written itself.
    workflow = dig(run, "name") or environment.get("GITHUB_WORKFLOW", "")
    marker = marker_of(result, str(workflow), result.ci.job or "")
    url = dig(run, "html_url")
    origin = " · from the run's own files, which the pull request decides on" if run else ""
    body = comment_text(result, marker, url if isinstance(url, str) else None, origin)
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


def _read(path: Path) -> RunResult:
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: cannot read the result: {error.strerror or error}") from None
    if len(data) > MOST_BYTES:
        raise UsageError(f"{path}: larger than {MOST_BYTES >> 20} MiB, so it is no result of a run")
    try:
        return RunResult.model_validate_json(data)
    except ValidationError as error:
        raise UsageError(
            f"{path}: is no result that this ciload can read ({error.error_count()} mistakes); "
            "use the same version in both workflows"
        ) from None
