"""A forge for each test, and the environment of a job that belongs to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ciload.ci import forge
from tests.ci.forge import SHA, TOKEN, GitHub, GitLab, Storage, serving

Job = Callable[..., dict[str, str]]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts follow at once."""
    monkeypatch.setattr(forge, "PAUSES_S", (0.01, 0.02))


@pytest.fixture
def storage() -> Iterator[Storage]:
    server = Storage()
    with serving(server):
        yield server


@pytest.fixture
def github(storage: Storage) -> Iterator[GitHub]:
    server = GitHub()
    with serving(server):
        server.storage_url = storage.url
        yield server


@pytest.fixture
def gitlab() -> Iterator[GitLab]:
    server = GitLab()
    with serving(server):
        yield server


@pytest.fixture
def job(github: GitHub, tmp_path: Path) -> Job:
    """Makes the environment of a job on GitHub; by default that of pull request 7, which is from a fork."""

    def made(name: str = "pull_request", event: Any = None, **changes: str) -> dict[str, str]:
        path = tmp_path / "event.json"
        pull_request = {"number": 7, "head": {"sha": SHA}}
        path.write_text(json.dumps({"pull_request": pull_request} if event is None else event), encoding="utf-8")
        return {
            "GITHUB_ACTIONS": "true", "GITHUB_API_URL": github.url, "GITHUB_GRAPHQL_URL": f"{github.url}/graphql",
            "GITHUB_REPOSITORY": "a/b", "GITHUB_TOKEN": TOKEN, "GITHUB_EVENT_NAME": name,
            "GITHUB_EVENT_PATH": str(path), "GITHUB_WORKFLOW": "load", "GITHUB_JOB": "test", "GITHUB_SHA": SHA,
            "GITHUB_STEP_SUMMARY": str(tmp_path / "step.md"), "GITHUB_OUTPUT": str(tmp_path / "output"),
            "GITHUB_WORKSPACE": str(tmp_path),
        } | changes  # fmt: skip

    return made


@pytest.fixture
def pipeline(gitlab: GitLab) -> dict[str, str]:
    """The environment of a job in GitLab, in the pipeline of merge request 3 of project 5."""
    return {
        "GITLAB_CI": "true", "CI_API_V4_URL": gitlab.url, "CI_PROJECT_ID": "5", "CI_MERGE_REQUEST_IID": "3",
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main", "CI_JOB_NAME": "load", "CILOAD_GITLAB_TOKEN": TOKEN,
        "CI_JOB_TOKEN": "job-token",
    }  # fmt: skip
