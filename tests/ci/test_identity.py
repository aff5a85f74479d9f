"""Who ran this, where: what CI systems and git say of themselves."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ciload.ci.identity import find_folder, fingerprint, identify_ci, identify_git
from tests.reports.results import result

GITHUB = {
    "GITHUB_ACTIONS": "true", "GITHUB_SERVER_URL": "https://github.example", "GITHUB_REPOSITORY": "a/b",
    "GITHUB_RUN_ID": "42", "GITHUB_JOB": "load", "GITHUB_REF": "refs/pull/7/merge",
}  # fmt: skip
GITLAB = {
    "GITLAB_CI": "true", "CI_PIPELINE_ID": "42", "CI_JOB_URL": "https://gitlab.example/j/1", "CI_JOB_NAME": "load",
    "CI_MERGE_REQUEST_IID": "7",
}  # fmt: skip
JENKINS = {
    "JENKINS_URL": "https://ci.example", "BUILD_NUMBER": "42", "BUILD_URL": "https://ci.example/42", "JOB_NAME": "load",
    "CHANGE_ID": "7",
}  # fmt: skip


@pytest.mark.parametrize(
    ("environment", "provider", "url"),
    [
        (GITHUB, "github", "https://github.example/a/b/actions/runs/42"),
        (GITLAB, "gitlab", "https://gitlab.example/j/1"),
        (JENKINS, "jenkins", "https://ci.example/42"),
    ],
)
def test_the_three_big_ones_are_told_apart(environment: dict[str, str], provider: str, url: str) -> None:
    """Run, link, job and pull request are found under each system's own names."""
    ci = identify_ci(environment)
    assert (ci.provider, ci.run_id, ci.run_url, ci.job, ci.pull_request) == (provider, "42", url, "load", "7")


def test_elsewhere_nothing_is_claimed() -> None:
    """A laptop is no CI; an unknown CI is one without a name."""
    assert identify_ci({}).provider is None
    assert identify_ci({"CI": "true"}).provider == "unknown"
    assert identify_ci({**GITHUB, "GITHUB_REF": "refs/heads/main"}).pull_request is None


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_git_tells_commit_branch_and_changes(tmp_path: Path) -> None:
    """Uncommitted changes are part of the result: such a run belongs to no commit."""
    git(tmp_path, "init", "-b", "trunk")
    (tmp_path / "file").write_text("1")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-m", "first")
    clean = identify_git({}, tmp_path)
    (tmp_path / "file").write_text("2")
    dirty = identify_git({"GITHUB_HEAD_REF": "feature"}, tmp_path)
    assert clean.commit is not None
    assert len(clean.commit) == 40
    assert (clean.branch, clean.dirty, dirty.branch, dirty.dirty) == ("trunk", False, "feature", True)


def test_without_git_the_ci_knows_the_commit(tmp_path: Path) -> None:
    """In a container without the repository, the environment still says what is tested."""
    found = identify_git({"CI_COMMIT_SHA": "abc", "CI_COMMIT_REF_NAME": "main"}, tmp_path)
    assert (found.commit, found.branch, found.dirty) == ("abc", "main", None)


def test_the_folder_is_told_from_the_top_of_the_repository(tmp_path: Path) -> None:
    """By git, and where there is no git, as in an image, by what the CI has checked out to."""
    inner = tmp_path / "services" / "shop"
    inner.mkdir(parents=True)
    assert find_folder({}, inner) is None
    for variable in ("GITHUB_WORKSPACE", "CI_PROJECT_DIR", "WORKSPACE"):
        assert find_folder({variable: str(tmp_path)}, inner) == "services/shop"
        assert find_folder({variable: str(tmp_path)}, tmp_path) == ""
        assert find_folder({variable: str(inner)}, tmp_path) is None
    git(tmp_path, "init", "-b", "trunk")
    assert find_folder({}, inner) == "services/shop"
    assert find_folder({}, tmp_path) == ""


def test_the_machine_is_described() -> None:
    """The fingerprint names what decides how fast things are."""
    machine = fingerprint()
    assert machine.cores >= 1
    assert machine.memory_bytes > 0
    assert machine.cpu


def test_a_branch_may_have_any_bytes_for_its_name(tmp_path: Path) -> None:
    """Names of git are bytes; one that is not UTF-8 is shown in the document, and is no reason to lose it."""
    git(tmp_path, "init", "-b", "trunk")
    (tmp_path / ".git" / "HEAD").write_bytes(b"ref: refs/heads/main-\xff\n")
    found = identify_git({}, tmp_path)
    assert found.branch == "main-\udcff"
    assert r'"branch": "main-\\udcff"' in result(git=found).to_json()
