"""Baselines from artifacts of earlier jobs: `artifact:NAME` on GitHub, `artifact:JOB[:PATH]` on GitLab.

Anybody can make an artifact: a pull request from a fork, in a branch that is called main. What is taken is what the
target branch's own runs made, and it is read as untrusted all the same.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from io import BytesIO
from typing import Any
from urllib.parse import quote

from ciload.ci.forge import ApiError, ForgeApi, dig
from ciload.ci.github_comments import github_api, read_event, repository_of
from ciload.ci.gitlab import gitlab_api, target_project
from ciload.errors import BaselineError
from ciload.text import one_line

PREFIX = "artifact:"
DEFAULT_PATH = "ciload-baseline.json"
MOST_BYTES = 16 << 20  # of the file, and of the archive it is in
MOST_MEMBERS = 100
MOST_RATIO = 200  # a baseline, which is text and numbers, is packed some ten times smaller
TRUSTED_EVENTS = ("push", "schedule", "workflow_dispatch")
MOST_CANDIDATES = 30
GONE = (404, 410)
COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def fetch(place: str, environment: Mapping[str, str]) -> bytes | None:
    """The baseline file that `place` names; None when no run has made one yet.

    Raises:
        BaselineError: it cannot be looked for, or what is there cannot be used.
    """
    name = place.removeprefix(PREFIX)
    shown = one_line(place, 200)
    if not name:
        raise BaselineError(f"{shown}: name the artifact, as in artifact:ciload-baseline")
    try:
        if environment.get("GITHUB_ACTIONS") == "true":
            return _from_github(name, environment)
        if environment.get("GITLAB_CI") == "true":
            return _from_gitlab(name, environment)
    except (ApiError, ArchiveError) as error:
        raise BaselineError(f"{shown}: {error}{_remedy(error, environment)}") from None
    raise BaselineError(f"{shown}: artifacts are those of GitHub Actions and GitLab CI; elsewhere, name a file or URL")


def _remedy(error: Exception, environment: Mapping[str, str]) -> str:
    if not (isinstance(error, ApiError) and error.denied):
        return ""
    if environment.get("GITHUB_ACTIONS") == "true":
        return "; the job needs `permissions: actions: read`, and GITHUB_TOKEN in its environment"
    return "; set CILOAD_GITLAB_TOKEN, a project access token with the scope `read_api`"


# --- GitHub


def _from_github(name: str, environment: Mapping[str, str]) -> bytes | None:
    with github_api(environment) as api:
        repository = repository_of(environment)
        branch = _base_branch(api, repository, environment)
        for artifact in _candidates(api, repository, name, branch):
            number, run = dig(artifact, "id"), dig(artifact, "workflow_run", "id")
            if dig(api.call("GET", f"{repository}/actions/runs/{run}"), "event") not in TRUSTED_EVENTS:
                continue
            try:
                archive = api.download(f"{repository}/actions/artifacts/{number}/zip", MOST_BYTES)
            except ApiError as error:
                if error.status in GONE:  # it has expired since it was listed
                    continue
                raise
            return _only_json(archive)
    return None


def _base_branch(api: ForgeApi, repository: str, environment: Mapping[str, str]) -> str:
    branch = environment.get("GITHUB_BASE_REF") or dig(read_event(environment), "repository", "default_branch")
    branch = branch or dig(api.call("GET", repository), "default_branch")
    if not isinstance(branch, str):
        raise ApiError("GitHub does not say which branch is the default")
    return branch


def _candidates(api: ForgeApi, repository: str, name: str, branch: str) -> Iterator[Any]:
    """Artifacts of this name that the branch itself has made, the newest first."""
    found = []
    for page in api.pages(f"{repository}/actions/artifacts?name={quote(name, safe='')}&per_page=100"):
        listed = dig(page, "artifacts")
        found += [each for each in listed if _is_ours(each, name, branch)] if isinstance(listed, list) else []
    found.sort(key=_made_at, reverse=True)
    if len(found) > MOST_CANDIDATES:
        yield from found[:MOST_CANDIDATES]
        raise ApiError(f"none of the newest {MOST_CANDIDATES} was made by {', '.join(TRUSTED_EVENTS)}")
    yield from found


def _is_ours(artifact: Any, name: str, branch: str) -> bool:
    run = dig(artifact, "workflow_run")
    repository = dig(run, "repository_id")
    return (
        dig(artifact, "name") == name
        and dig(artifact, "expired") is False
        and isinstance(dig(artifact, "id"), int)
        and isinstance(dig(run, "id"), int)
        and repository is not None
        and repository == dig(run, "head_repository_id")
        and dig(run, "head_branch") == branch
    )


def _made_at(artifact: Any) -> tuple[float, int]:
    try:
        made_at = datetime.fromisoformat(str(dig(artifact, "created_at"))).timestamp()
    except (ValueError, OverflowError, OSError):
        made_at = 0.0
    return made_at, dig(artifact, "id")


class ArchiveError(Exception):
    """What is wrong with an artifact's archive."""


def _only_json(archive: bytes) -> bytes:
    """The content of the one JSON file in it. Nothing is written anywhere, so what names say does no harm."""
    try:
        with zipfile.ZipFile(BytesIO(archive)) as unpacked:
            members = unpacked.infolist()
            if len(members) > MOST_MEMBERS:
                raise ArchiveError(f"the artifact has {len(members):,} files; put the baseline alone into it")
            files = [each for each in members if each.filename.endswith(".json") and not each.is_dir()]
            if len(files) != 1:
                raise ArchiveError(f"the artifact has {len(files)} JSON files, where one is expected: the baseline")
            return _content(unpacked, files[0])
    except (zipfile.BadZipFile, zlib.error, RuntimeError, ValueError, EOFError, OSError) as error:
        raise ArchiveError(f"the artifact is no whole archive: {one_line(str(error), 200)}") from None


def _content(unpacked: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.compress_type not in COMPRESSIONS:
        raise ArchiveError("the artifact is packed in a way that GitHub does not pack")
    with unpacked.open(member) as file:
        data = file.read(MOST_BYTES + 1)  # the size that the archive states is untrusted
    if len(data) > min(MOST_BYTES, MOST_RATIO * max(member.compress_size, 1024)):
        raise ArchiveError(f"the artifact's JSON file is too large: more than {MOST_BYTES >> 20} MiB, or than it packs")
    return data


# --- GitLab


def _from_gitlab(name: str, environment: Mapping[str, str]) -> bytes | None:
    job, _, path = name.partition(":")
    branch = environment.get("CI_MERGE_REQUEST_TARGET_BRANCH_NAME") or environment.get("CI_DEFAULT_BRANCH")
    if not branch:
        raise ApiError("neither CI_MERGE_REQUEST_TARGET_BRANCH_NAME nor CI_DEFAULT_BRANCH is set: which branch?")
    where = f"{target_project(environment)}/jobs/artifacts/{quote(branch, safe='')}/raw/{quote(path or DEFAULT_PATH)}"
    with gitlab_api(environment, job_token=True) as api:
        try:
            return api.download(f"{where}?job={quote(job, safe='')}", MOST_BYTES)
        except ApiError as error:
            if error.status in GONE:
                return None
            raise
