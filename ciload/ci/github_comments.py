"""Comments on GitHub's pull requests: which one a run belongs to, who we are there, and what it takes to write."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ciload.ci.forge import ApiError, ForgeApi, dig
from ciload.ci.sticky import Thread, stick

GITHUB_COM = "https://api.github.com"
ACTIONS_BOT = "github-actions[bot]"
MOST_EVENT_BYTES = 10 << 20


@dataclass(frozen=True, slots=True)
class Posted:
    """What became of a comment. `done` is "created" or "updated", "" when there was no pull request."""

    done: str
    number: int | None = None


def github_api(environment: Mapping[str, str]) -> ForgeApi:
    """The API with the token that we are to use.

    Raises:
        ApiError: there is no token.
    """
    token = environment.get("CILOAD_GITHUB_TOKEN", "").strip() or environment.get("GITHUB_TOKEN", "").strip()
    if not token:
        raise ApiError("no token: give the step `env: GITHUB_TOKEN: ${{ github.token }}`")
    headers = {
        "Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json",
        "X-GitHub-ForgeApi-Version": "2022-11-28",
    }  # fmt: skip
    return ForgeApi(environment.get("GITHUB_API_URL") or GITHUB_COM, headers)


def repository_of(environment: Mapping[str, str]) -> str:
    """`/repos/OWNER/NAME`, the start of every path."""
    return "/repos/" + quote(environment.get("GITHUB_REPOSITORY", ""))


def read_event(environment: Mapping[str, str]) -> Any:
    """What made the workflow run, as GitHub tells it; None when it does not."""
    path = environment.get("GITHUB_EVENT_PATH")
    try:
        with Path(path or "").open("rb") as file:
            return json.loads(file.read(MOST_EVENT_BYTES))
    except (OSError, ValueError, RecursionError):
        return None


def post_comment(environment: Mapping[str, str], marker: str, body: str, *, begin: bool = True) -> Posted:
    """Write the comment at the pull request of this run, if there is one.

    Raises:
        ApiError: it could not be written.
    """
    with github_api(environment) as api:
        repository = repository_of(environment)
        number = find_pull_request(api, repository, environment)
        if number is None:
            return Posted("")
        me = _who_am_i(api, environment)
        thread = Thread(
            listing=f"{repository}/issues/{number}/comments", edit=f"{repository}/issues/comments/{{id}}",
            edit_method="PATCH", mine=lambda comment: _is_mine(comment, me),
        )  # fmt: skip
        return Posted(stick(api, thread, marker, body, begin=begin), number)


def find_pull_request(api: ForgeApi, repository: str, environment: Mapping[str, str]) -> int | None:
    """The number of the pull request whose code was run. What the run says of that is untrusted."""
    event, name = read_event(environment), environment.get("GITHUB_EVENT_NAME")
    number = None
    if name == "workflow_run":
        return _of_workflow_run(api, repository, dig(event, "workflow_run"))
    if name == "issue_comment":
        number = dig(event, "issue", "number") if dig(event, "issue", "pull_request") else None
    elif dig(event, "pull_request"):
        number = dig(event, "pull_request", "number")
    elif name == "push" and (sha := environment.get("GITHUB_SHA")):
        return _open_at(api, f"{repository}/commits/{quote(sha, safe='')}/pulls?per_page=100", sha)
    return number if isinstance(number, int) else None


def _of_workflow_run(api: ForgeApi, repository: str, run: Any) -> int | None:
    """Of a fork's run, the event lists no pull requests: look for one that is at the commit that was run."""
    sha, branch = dig(run, "head_sha"), dig(run, "head_branch")
    owner, source = dig(run, "head_repository", "owner", "login"), dig(run, "head_repository", "full_name")
    if not all(isinstance(each, str) and each for each in (sha, branch, owner, source)):
        return None
    head = quote(f"{owner}:{branch}", safe="")
    return _open_at(api, f"{repository}/pulls?state=open&head={head}&per_page=100", sha, source)


def _open_at(api: ForgeApi, path: str, sha: str, source: str | None = None) -> int | None:
    for page in api.pages(path):
        for each in page if isinstance(page, list) else ():
            number = dig(each, "number")
            there = dig(each, "state") == "open" and dig(each, "head", "sha") == sha
            if there and source in (None, dig(each, "head", "repo", "full_name")) and isinstance(number, int):
                return number
    return None


@dataclass(frozen=True, slots=True)
class Me:
    login: str
    id: int | None = None


def _who_am_i(api: ForgeApi, environment: Mapping[str, str]) -> Me:
    """Whose token this is. REST tells that to people only; GraphQL to the apps behind GITHUB_TOKEN as well."""
    base = (environment.get("GITHUB_API_URL") or GITHUB_COM).rstrip("/")
    url = (
        environment.get("GITHUB_GRAPHQL_URL") or base.removesuffix("/v3") + "/graphql"
    )  # /api/v3: an enterprise server
    try:
        viewer = dig(api.call("POST", url, {"query": "{viewer{login databaseId}}"}), "data", "viewer")
    except ApiError:
        return Me(ACTIONS_BOT)
    login, number = dig(viewer, "login"), dig(viewer, "databaseId")
    if not isinstance(login, str):
        return Me(ACTIONS_BOT)
    return Me(login, number if isinstance(number, int) else None)


def _is_mine(comment: Any, me: Me) -> bool:
    """A token that may comment may change the comments of others: whose they are is for us to see to."""
    user = dig(comment, "user")
    if me.login.endswith("[bot]") and dig(user, "type") != "Bot":
        return False
    return bool(dig(user, "id") == me.id if me.id is not None else dig(user, "login") == me.login)
