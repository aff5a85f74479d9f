"""Whether somebody who may write has accepted a change of the level: a line `ciload-accept: REASON`.

It stands in the message of a commit, or in the text of the pull request. Whoever may push may change what is measured
anyway, so their word counts; anybody else's does not. How that is known depends on the CI:

- A push, a schedule or a started pipeline of the repository itself takes write access; all commits of a push count.
- A pull request counts when its branch is in this repository, since to push there takes write access; on GitHub its
  author has to be a member as well, whom GitHub names, and whose right to write is asked for where the token may ask.
- A pull request from a fork counts on GitHub when its author has the right to write here, and nowhere else.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ciload.ci.forge import ApiError, dig
from ciload.ci.github_comments import github_api, read_event, repository_of
from ciload.result.comparison import Accepted
from ciload.text import one_line

LINE = re.compile(r"^[ \t]*ciload-accept:[ \t]*(\S.*?)[ \t]*$", re.IGNORECASE | re.MULTILINE)
MESSAGES = "CILOAD_COMMIT_MESSAGE"  # of what was pushed, for an image without git
LONGEST_REASON = 500
LONGEST_TEXT = 1 << 20
MOST_COMMITS = 50
GIT_TIMEOUT_S = 5
WRITERS = ("admin", "maintain", "write")
MEMBERS = ("OWNER", "MEMBER", "COLLABORATOR")
OF_WRITERS = ("push", "schedule", "workflow_dispatch", "repository_dispatch", "merge_group")  # events
NO_COMMIT = re.compile("0*")


@dataclass(frozen=True, slots=True)
class Search:
    """What was found, and what to tell the user: a line that does not count, and why."""

    accepted: Accepted | None = None
    refused: str = ""


NOTHING = Search()


def find_acceptance(environment: Mapping[str, str], folder: Path) -> Search:
    """Look for the line in what this CI run is about. Git and the API are asked as little as possible."""
    if environment.get("GITHUB_ACTIONS") == "true":
        return _on_github(environment, folder)
    if environment.get("GITLAB_CI") == "true":
        return _on_gitlab(environment, folder)
    if environment.get("JENKINS_URL"):
        return _on_jenkins(environment, folder)
    return NOTHING


def reason_in(*texts: object) -> str:
    """The reason in the first of the texts that has the line; "" if none has."""
    for text in texts:
        if isinstance(text, str) and (found := LINE.search(text[:LONGEST_TEXT])):
            return one_line(found[1], LONGEST_REASON)
    return ""


# --- GitHub


def _on_github(environment: Mapping[str, str], folder: Path) -> Search:
    event = read_event(environment)
    if (pull_request := dig(event, "pull_request")) is not None:
        return _of_pull_request(pull_request, environment, folder)
    if environment.get("GITHUB_EVENT_NAME") not in OF_WRITERS:  # what is checked out may be anybody's
        return NOTHING
    messages = [dig(each, "message") for each in _listed(dig(event, "commits"))[::-1]]
    reason = reason_in(dig(event, "head_commit", "message"), *messages) or reason_in(*_messages(folder))
    if reason:
        who = dig(event, "pusher", "name") or environment.get("GITHUB_ACTOR", "")
        return _accepted(reason, who, f"the message of commit {environment.get('GITHUB_SHA', '')[:7]}")
    return _of_merged(environment)


def _of_pull_request(pull_request: Any, environment: Mapping[str, str], folder: Path) -> Search:
    sha, number = dig(pull_request, "head", "sha"), dig(pull_request, "number")
    where = f"the text of pull request {number}"
    reason = reason_in(dig(pull_request, "body"))
    if not reason and isinstance(sha, str):
        messages: Sequence[object] = _messages(folder, sha) or [_asked_message(sha, environment)]
        reason, where = reason_in(*messages), f"the message of commit {sha[:7]}"
    if not reason:
        return NOTHING
    return _if_a_writer_says_so(pull_request, reason, where, environment)


def _asked_message(sha: str, environment: Mapping[str, str]) -> object:
    """What a commit says that git does not have here: a pull request is checked out as a merge; images have no git."""
    try:
        with github_api(environment) as api:
            path = f"{repository_of(environment)}/commits/{quote(sha, safe='')}"
            return dig(api.call("GET", path), "commit", "message")
    except ApiError:
        return None


def _of_merged(environment: Mapping[str, str]) -> Search:
    """The text of the pull request that a push has merged, where the token may read it."""
    sha = environment.get("GITHUB_SHA")
    if environment.get("GITHUB_EVENT_NAME") != "push" or not sha:
        return NOTHING
    try:
        with github_api(environment) as api:
            merged = _listed(api.call("GET", f"{repository_of(environment)}/commits/{quote(sha, safe='')}/pulls"))
    except ApiError:
        return NOTHING
    for each in merged:
        if dig(each, "merged_at") and dig(each, "merge_commit_sha") == sha and (reason := reason_in(dig(each, "body"))):
            where = f"the text of pull request {dig(each, 'number')}"
            return _if_a_writer_says_so(each, reason, where, environment)
    return NOTHING


def _if_a_writer_says_so(pull_request: Any, reason: str, where: str, environment: Mapping[str, str]) -> Search:
    author, base = dig(pull_request, "user", "login"), dig(pull_request, "base", "repo", "full_name")
    ours = isinstance(base, str) and dig(pull_request, "head", "repo", "full_name") == base
    why = _why_no_writer(author, dig(pull_request, "author_association"), environment, ours=ours)
    return _accepted(reason, author, where) if not why else _refused(reason, where, why)


def _why_no_writer(author: Any, association: Any, environment: Mapping[str, str], *, ours: bool) -> str:
    """Why the author's word does not count; "" if it does."""
    if not isinstance(author, str) or not author:
        return "GitHub does not name its author"
    try:
        with github_api(environment) as api:
            path = f"{repository_of(environment)}/collaborators/{quote(author, safe='')}/permission"
            permission = dig(api.call("GET", path), "permission")
    except ApiError:
        if ours and association in MEMBERS:
            return ""
        return f"whether {one_line(author, 100)} may write to this repository is not known"
    return "" if permission in WRITERS else f"{one_line(author, 100)} may not write to this repository"


# --- GitLab and Jenkins


def _on_gitlab(environment: Mapping[str, str], folder: Path) -> Search:
    get = environment.get
    who, number = get("GITLAB_USER_LOGIN", ""), get("CI_MERGE_REQUEST_IID")
    reason, where = reason_in(get("CI_MERGE_REQUEST_DESCRIPTION")), f"the text of merge request {number}"
    if not reason:
        reason = reason_in(
            get("CI_COMMIT_MESSAGE"), get(MESSAGES), *_messages(folder, _since(get("CI_COMMIT_BEFORE_SHA")))
        )
        where = f"the message of commit {get('CI_COMMIT_SHA', '')[:7]}"
    if not reason:
        return NOTHING
    project = get("CI_MERGE_REQUEST_PROJECT_ID")
    if number and (not project or get("CI_MERGE_REQUEST_SOURCE_PROJECT_ID") != project):
        return _refused(reason, where, "it is not known to be from this project, but from a fork")
    return _accepted(reason, who, where)


def _on_jenkins(environment: Mapping[str, str], folder: Path) -> Search:
    get = environment.get
    reason = reason_in(get(MESSAGES), *_messages(folder, _since(get("GIT_PREVIOUS_COMMIT"))))
    where = f"the message of commit {get('GIT_COMMIT', '')[:7]}".rstrip()
    if not reason:
        return NOTHING
    if get("CHANGE_FORK"):
        return _refused(reason, where, "it is from a fork")
    return _accepted(reason, get("CHANGE_AUTHOR") or get("BUILD_USER_ID", ""), where)


# --- what they have in common


def _since(commit: str | None) -> str:
    """What to list of the history: what came after the commit that was built before, if it is there."""
    return "HEAD" if not commit or NO_COMMIT.fullmatch(commit) else f"{commit}..HEAD"


def _messages(folder: Path, revisions: str = "HEAD") -> Sequence[str]:
    """Messages of the newest commits in the range; of a single revision just its own. None where git knows nothing."""
    if not re.fullmatch(r"[0-9a-zA-Z][0-9a-zA-Z.]*", revisions):
        return ()
    most = MOST_COMMITS if ".." in revisions else 1
    command = ["git", "-C", str(folder), "log", f"--max-count={most}", "--format=%B%x00", revisions, "--"]
    try:
        done = subprocess.run(  # noqa: S603  # fixed but for a checked revision
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=GIT_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    if done.returncode and most > 1:  # a shallow clone
        return _messages(folder)
    return done.stdout.split("\0") if not done.returncode else ()


def _listed(found: Any) -> list[Any]:
    return found if isinstance(found, list) else []


def _accepted(reason: str, who: object, where: str) -> Search:
    by = one_line(who, 200) if isinstance(who, str) and who else "somebody who may write"
    return Search(Accepted(by=by, reason=reason, where=where))


def _refused(reason: str, where: str, why: str) -> Search:
    return Search(refused=f"`ciload-accept: {reason}` in {where} does not count: {why}")
