"""A line `ciload-accept: REASON`: whose word counts, where it may stand, and what is told when it does not count."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from ciload.ci.acceptance import NOTHING, Search, find_acceptance, reason_in
from ciload.result.comparison import Accepted
from tests.ci.conftest import Job
from tests.ci.forge import SHA, GitHub, Reply

PERMISSION = "GET /repos/a/b/collaborators/ann/permission"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """An empty one."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch", "main")
    return folder


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org")
    done = subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(folder: Path, message: str) -> str:
    git(folder, "commit", "--quiet", "--allow-empty", "--message", message)
    return git(folder, "rev-parse", "HEAD")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Add TLS\n\nciload-accept: TLS to the database\n", "TLS to the database"),
        ("ciload-accept:x", "x"),
        ("  Ciload-Accept:  two words \r\nSigned-off-by: x", "two words"),
        ("ciload-accept:\nnext line", ""),
        ("please do not write ciload-accept: here", ""),
        ("`ciload-accept: a quotation`", ""),
        (None, ""),
        (7, ""),
    ],
)
def test_the_line(text: object, reason: str) -> None:
    assert reason_in(text) == reason


def test_the_first_text_that_has_it_counts_and_escape_sequences_do_not_get_through() -> None:
    assert reason_in("nothing", "ciload-accept: a\x1b[31mb", "ciload-accept: c") == reason_in(
        "ciload-accept: a\x1b[31mb"
    )
    assert "\x1b" not in reason_in("ciload-accept: a\x1b[31mb")


# --- GitHub


def pull_request(body: str = "ciload-accept: new index", source: str = "a/b", association: str = "MEMBER") -> Any:
    return {
        "number": 7, "body": body, "user": {"login": "ann"}, "author_association": association,
        "head": {"sha": SHA, "repo": {"full_name": source}}, "base": {"repo": {"full_name": "a/b"}},
    }  # fmt: skip


def permits(github: GitHub, permission: str) -> None:
    github.always[PERMISSION] = Reply(200, {"permission": permission})


def test_any_commit_of_a_push_counts(job: Job, repository: Path) -> None:
    event = {
        "pusher": {"name": "ann"}, "head_commit": {"message": "Merge"},
        "commits": [{"message": "Add index\n\nciload-accept: new index"}, {"message": "Merge"}],
    }  # fmt: skip
    found = find_acceptance(job("push", event), repository)
    assert found.accepted == Accepted(by="ann", reason="new index", where=f"the message of commit {SHA[:7]}")


@pytest.mark.parametrize("event", ["workflow_dispatch", "schedule", "merge_group"])
def test_the_commit_that_is_checked_out_counts_where_only_writers_start_runs(
    event: str, job: Job, repository: Path
) -> None:
    commit(repository, "Add index\n\nciload-accept: new index")
    found = find_acceptance(job(event, {}, GITHUB_ACTOR="bob"), repository)
    assert found.accepted is not None
    assert (found.accepted.by, found.accepted.reason) == ("bob", "new index")


@pytest.mark.parametrize("event", ["workflow_run", "issue_comment", "pull_request_target_of_tomorrow"])
def test_what_strangers_may_have_checked_out_does_not(event: str, job: Job, repository: Path) -> None:
    commit(repository, "ciload-accept: because I say so")
    assert find_acceptance(job(event, {}), repository) == NOTHING


def test_only_the_newest_commit_counts_where_nobody_says_what_was_pushed(job: Job, repository: Path) -> None:
    commit(repository, "ciload-accept: long ago")
    commit(repository, "Something else")
    assert find_acceptance(job("schedule", {}), repository) == NOTHING


@pytest.mark.parametrize("permission", ["admin", "write"])
def test_the_text_of_a_pull_request_counts_when_its_author_may_write(
    permission: str, job: Job, github: GitHub, repository: Path
) -> None:
    permits(github, permission)
    for source in ("a/b", "fork/b"):
        found = find_acceptance(job(event={"pull_request": pull_request(source=source)}), repository)
        assert found.accepted == Accepted(by="ann", reason="new index", where="the text of pull request 7")


@pytest.mark.parametrize("permission", ["read", "none", None])
def test_it_does_not_when_the_author_may_only_read(permission: Any, job: Job, github: GitHub, repository: Path) -> None:
    permits(github, permission)
    found = find_acceptance(job(event={"pull_request": pull_request()}), repository)
    assert found.accepted is None
    assert found.refused == (
        "`ciload-accept: new index` in the text of pull request 7 does not count: ann may not write to this repository"
    )


@pytest.mark.parametrize(
    ("source", "association", "counts"),
    [
        ("a/b", "MEMBER", True),
        ("a/b", "COLLABORATOR", True),
        ("a/b", "CONTRIBUTOR", False),
        ("fork/b", "MEMBER", False),
        ("fork/b", "NONE", False),
    ],
)
def test_where_the_token_may_not_ask_a_members_own_branch_counts(
    source: str, association: str, counts: bool, job: Job, github: GitHub, repository: Path
) -> None:
    github.always[PERMISSION] = Reply(403, {"message": "Resource not accessible by integration"})
    found = find_acceptance(
        job(event={"pull_request": pull_request(source=source, association=association)}), repository
    )
    assert (found.accepted is not None) == counts
    assert bool(found.refused) != counts


def test_a_commit_of_the_pull_request_counts_as_its_text_does(job: Job, github: GitHub, repository: Path) -> None:
    sha = commit(repository, "ciload-accept: from the commit")
    asked = pull_request(body="no line here")
    asked["head"]["sha"] = sha
    permits(github, "write")
    found = find_acceptance(job(event={"pull_request": asked}), repository)
    assert found.accepted is not None
    assert found.accepted.where == f"the message of commit {sha[:7]}"
    permits(github, "read")
    assert find_acceptance(job(event={"pull_request": asked}), repository).accepted is None


def test_a_commit_that_is_not_checked_out_is_asked_for(job: Job, github: GitHub, repository: Path) -> None:
    github.always[f"GET /repos/a/b/commits/{SHA}"] = Reply(200, {"commit": {"message": "ciload-accept: over there"}})
    permits(github, "write")
    found = find_acceptance(job(event={"pull_request": pull_request(body="")}), repository)
    assert reason(found) == "over there"


def test_a_merge_takes_the_text_of_its_pull_request_along(job: Job, github: GitHub, repository: Path) -> None:
    merged = pull_request() | {"merged_at": "2026-11-01T00:00:00Z", "merge_commit_sha": SHA}
    github.pulls = [merged | {"merge_commit_sha": "0" * 40, "body": "ciload-accept: of another"}, merged]
    permits(github, "write")
    push = {"head_commit": {"message": "Merge pull request #7"}, "commits": []}
    found = find_acceptance(job("push", push), repository)
    assert found.accepted == Accepted(by="ann", reason="new index", where="the text of pull request 7")
    github.pulls = [merged | {"merged_at": None}]
    assert find_acceptance(job("push", push), repository) == NOTHING
    assert find_acceptance(job("push", push, GITHUB_TOKEN=""), repository) == NOTHING


@pytest.mark.parametrize(
    "event", [None, [], {"pull_request": 7}, {"pull_request": {"head": []}}, {"commits": {"a": 1}}]
)
def test_events_of_any_shape_are_survived(event: Any, job: Job, repository: Path) -> None:
    for name in ("push", "pull_request"):
        assert find_acceptance(job(name, event), repository) == NOTHING


# --- GitLab and Jenkins


MERGE_REQUEST = {
    "CI_MERGE_REQUEST_DESCRIPTION": "Why\n\nciload-accept: new index", "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "5",
    "CI_MERGE_REQUEST_PROJECT_ID": "5", "GITLAB_USER_LOGIN": "ann",
}  # fmt: skip


def test_gitlab_takes_the_word_of_whoever_may_push(pipeline: dict[str, str], repository: Path) -> None:
    found = find_acceptance(pipeline | MERGE_REQUEST, repository)
    assert found.accepted == Accepted(by="ann", reason="new index", where="the text of merge request 3")
    of_fork = find_acceptance(pipeline | MERGE_REQUEST | {"CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "9"}, repository)
    assert of_fork.accepted is None
    assert of_fork.refused.endswith("does not count: it is not known to be from this project, but from a fork")
    unknown = {"CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "", "CI_MERGE_REQUEST_PROJECT_ID": ""}
    assert find_acceptance(pipeline | MERGE_REQUEST | unknown, repository).accepted is None


def test_gitlab_finds_it_among_all_commits_of_a_push(pipeline: dict[str, str], repository: Path) -> None:
    before = commit(repository, "ciload-accept: long ago")
    commit(repository, "Add index\n\nciload-accept: new index")
    last = commit(repository, "Merge")
    branch = {key: value for key, value in pipeline.items() if "MERGE_REQUEST" not in key}
    pushed = branch | {"CI_COMMIT_BEFORE_SHA": before, "CI_COMMIT_SHA": last, "CI_COMMIT_MESSAGE": "Merge"}
    assert reason(find_acceptance(pushed, repository)) == "new index"
    assert find_acceptance(pushed | {"CI_COMMIT_BEFORE_SHA": "0" * 40}, repository) == NOTHING  # a new branch
    assert find_acceptance(pushed | {"CI_COMMIT_BEFORE_SHA": "1" * 40}, repository) == NOTHING  # a shallow clone
    assert find_acceptance(pushed | {"CI_COMMIT_BEFORE_SHA": "--all"}, repository) == NOTHING


def test_jenkins_takes_it_from_git_and_not_from_forks(repository: Path) -> None:
    before = commit(repository, "First")
    commit(repository, "ciload-accept: new index")
    commit(repository, "Last")
    build = {"JENKINS_URL": "https://ci.example", "GIT_PREVIOUS_COMMIT": before, "BUILD_USER_ID": "ann"}
    assert reason(find_acceptance(build, repository)) == "new index"
    assert find_acceptance(build | {"CHANGE_FORK": "mallory"}, repository).accepted is None


def test_elsewhere_nobody_is_asked(repository: Path) -> None:
    commit(repository, "ciload-accept: new index")
    assert find_acceptance({"CI": "true"}, repository) == NOTHING
    assert find_acceptance({"JENKINS_URL": "x"}, repository / "gone") == NOTHING


def reason(search: Search) -> str:
    assert search.accepted is not None
    return search.accepted.reason
