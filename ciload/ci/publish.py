"""Hands the result of a run, or of several tests, to the CI that it runs in.

What cannot be handed over is a warning: it must not hide the verdict. Only the comment's file, one of the results,
has to be written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ciload.ci.commit_status import set_status
from ciload.ci.forge import ApiError
from ciload.ci.github import annotate, append_outputs, append_summary, outputs_of
from ciload.ci.github_comments import post_comment
from ciload.ci.gitlab import post_note
from ciload.ci.sticky import comment_text, marker_of
from ciload.ci.workflow_commands import workflow_command
from ciload.result.comparison import GateVerdict
from ciload.result.suite import Tested, has_passed, results_of

GITHUB, GITLAB = "github", "gitlab"
DOCS = "docs/ci.md"
CHANGED = (GateVerdict.REGRESSION, GateVerdict.SUSPICIOUS, GateVerdict.IMPROVED)


@dataclass(slots=True)
class Published:
    """What to tell the user, and which workflow commands to give when everything is printed."""

    said: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)

    def add(self, said: str, denied: bool) -> None:
        """What came of something that takes a permission: without it, the workflow's page says so."""
        self.said.append(said)
        self.commands += [workflow_command("notice", said, {"title": "ciload"})] if denied else []


def publish(
    tested: Tested,
    files: Sequence[Path],
    folder: Path,
    environment: Mapping[str, str],
    write_comment: Callable[[str], Path],
    *,
    comment: str = "off",
    status: bool = False,
    exit_code: int,
) -> Published:
    """Summary, outputs, annotations, comment and status, where there are such things.

    Args:
        tested: what was run.
        files: its reports.
        folder: where they are.
        environment: that of the CI.
        write_comment: writes the comment's file.
        comment: when there is to be one on the pull request: always, on-failure, on-change, off.
        status: whether the commit gets one.
        exit_code: what the process will say; not always the verdict's, since the baseline is saved after it.

    Raises:
        Only what `write_comment` does.
    """
    published, files = Published(), [*files]
    provider = tested.ci.provider
    if comment != "off":
        job = environment.get("GITHUB_JOB") or environment.get("CI_JOB_NAME") or tested.ci.job or ""
        workflow = environment.get("GITHUB_WORKFLOW", "")
        marker = marker_of(tested, workflow, job)
        body = comment_text(tested, marker, tested.ci.run_url)
        files.append(write_comment(body))
        published.add(*_comment(tested, environment, marker, body, files[-1], when=comment))
    if status:
        published.add(*_status(tested, environment))
    if provider == GITHUB:
        published.commands += annotate(tested, environment)
        outputs = outputs_of(tested, exit_code, folder, files, environment)
        published.said += _write_or_warn("GITHUB_STEP_SUMMARY", lambda: append_summary(tested, folder, environment))
        published.said += _write_or_warn("GITHUB_OUTPUT", lambda: append_outputs(outputs, environment))
    return published


def _write_or_warn(variable: str, write: Callable[[], str | None]) -> list[str]:
    try:
        said = write()
    except KeyError:
        return [f"warning: {variable} is not set, though this is GitHub Actions; in a container, hand it on"]
    except OSError as error:
        return [f"warning: {variable}: cannot write there: {error.strerror or error}"]
    return [f"warning: {said}"] if said else []


def is_worth_a_comment(tested: Tested, when: str) -> bool:
    """Whether a comment is to be begun. One that is there is brought up to date in any case, or it would be wrong."""
    changed = any(each.verdict in CHANGED for result in results_of(tested) for each in result.comparisons)
    return when == "always" or not has_passed(tested) or (when == "on-change" and changed)


def _comment(
    tested: Tested, environment: Mapping[str, str], marker: str, body: str, file: Path, *, when: str
) -> tuple[str, bool]:
    """Try to comment; what came of it, and whether the token may not do it."""
    provider, begin = tested.ci.provider, is_worth_a_comment(tested, when)
    try:
        if provider == GITHUB:
            posted = post_comment(environment, marker, body, begin=begin)
            done = f"{posted.done} a comment at pull request {posted.number}" if posted.done else ""
        elif provider == GITLAB:
            noted = post_note(environment, marker, body, begin=begin)
            done = f"{noted} a note at the merge request" if noted else ""
        else:
            return f"--comment: comments are for GitHub and GitLab; {file} has what one would say", False
    except ApiError as error:
        if error.denied:
            why = "That is so for pull requests from forks, and for jobs without the permission"
            said = f"no comment, because the token may not write one: {error}. {why}: {DOCS} shows what to do"
            return f"{said}. {file} has the comment", True
        return f"warning: no comment: {error}. {file} has it", False
    if not (done or begin):
        return f"comment: {when}: nothing to comment on; {file} has what a comment would say", False
    return done or f"--comment: this run belongs to no open pull request; {file} has what a comment would say", False


def _status(tested: Tested, environment: Mapping[str, str]) -> tuple[str, bool]:
    """Try to set the status of the commit; what came of it, and whether the token may not do it."""
    try:
        done = set_status(tested, environment)
    except ApiError as error:
        why = "; the token may not do it: a job needs `permissions: statuses: write`" if error.denied else ""
        return f"{'' if error.denied else 'warning: '}no status at the commit: {error}{why}", error.denied
    return done or "--status: the commits of GitHub and GitLab have one; this run belongs to neither", False
