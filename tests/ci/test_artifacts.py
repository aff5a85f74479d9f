"""Baselines from artifacts: only what the target branch itself has made, and never trusted even so."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest

from ciload.ci.artifacts import MOST_BYTES, fetch
from ciload.errors import BaselineError
from tests.ci.conftest import Job
from tests.ci.forge import TOKEN, GitHub, GitLab, Reply, Storage, archive

PLACE = "artifact:ciload-baseline"
GOOD = b'{"schema": "ciload/baseline/1"}'


@pytest.fixture(autouse=True)
def stored(storage: Storage) -> None:
    storage.archive = archive(ciload_baseline__json=GOOD)


def test_newest_artifact_of_the_default_branch_is_taken(github: GitHub, storage: Storage, job: Job) -> None:
    """By when it was made, whatever order the list has."""
    for number in (3, 9, 4):
        github.artifact(number)
    assert fetch(PLACE, job("push", {"repository": {"default_branch": "main"}})) == GOOD
    assert storage.lines() == ["GET /blob/9"]


def test_storage_never_sees_the_token(github: GitHub, storage: Storage, job: Job) -> None:
    """The forge sends us to somebody else's servers for the archive: the token stays behind."""
    github.artifact(1)
    fetch(PLACE, job(GITHUB_BASE_REF="main"))
    [asked] = storage.asked
    assert "authorization" not in asked.headers
    assert TOKEN not in str(asked.headers)


def test_pull_request_takes_its_base_branchs(github: GitHub, storage: Storage, job: Job) -> None:
    """A pull request to a release branch is compared with that."""
    github.artifact(1, head_branch="main")
    github.artifact(2, head_branch="v2")
    fetch(PLACE, job(GITHUB_BASE_REF="v2"))
    assert storage.lines() == ["GET /blob/2"]


@pytest.mark.parametrize(
    "changes",
    [
        {"head_repository_id": 666}, {"head_repository_id": None}, {"head_branch": "other"}, {"expired": True},
        {"event": "pull_request"}, {"event": "pull_request_target"}, {"event": "workflow_run"}, {"name": "another"},
        {"workflow_run": None}, {"id": "1/../../2"},
    ],
    ids=str,
)  # fmt: skip
def test_what_others_made_is_not_taken(github: GitHub, storage: Storage, job: Job, changes: dict[str, Any]) -> None:
    """A fork has a branch called main too, and whoever opens a pull request can make an artifact of any name."""
    github.artifact(1)
    github.artifact(20, **changes)
    assert fetch(PLACE, job(GITHUB_BASE_REF="main")) == GOOD
    assert storage.lines() == ["GET /blob/1"]


def test_nothing_there_is_no_error(github: GitHub, job: Job) -> None:
    """The first run has no baseline; what that means is for --on-missing-baseline."""
    assert fetch(PLACE, job(GITHUB_BASE_REF="main")) is None


def test_artifacts_are_looked_for_on_all_pages(github: GitHub, storage: Storage, job: Job) -> None:
    """A repository with many forks has pages of artifacts that are not its own."""
    for number in range(100, 320):
        github.artifact(number, head_repository_id=2)
    github.artifact(1)
    assert fetch(PLACE, job(GITHUB_BASE_REF="main")) == GOOD


def test_name_with_signs_is_one_name(github: GitHub, job: Job) -> None:
    """It cannot add a parameter to the question."""
    assert fetch("artifact:a&name=b#c", job(GITHUB_BASE_REF="main")) is None
    assert github.asked[-1].query["name"] == ["a&name=b#c"]


def test_artifact_that_has_just_expired_gives_way_to_the_one_before(github: GitHub, storage: Storage, job: Job) -> None:
    """410 is not an error of the baseline."""
    github.artifact(1)
    github.artifact(2)
    github.always[r"GET .*/2/zip"] = Reply(410, {"message": "expired"})
    assert fetch(PLACE, job(GITHUB_BASE_REF="main")) == GOOD


def test_too_many_untrusted_ones_are_an_error_and_not_nothing(github: GitHub, job: Job) -> None:
    """To give up the search is not to have found that there is none."""
    for number in range(1, 40):
        github.artifact(number, event="pull_request")
    with pytest.raises(BaselineError, match="newest 30"):
        fetch(PLACE, job(GITHUB_BASE_REF="main"))


@pytest.mark.parametrize("status", [401, 403, 404])
def test_missing_permission_is_told(github: GitHub, job: Job, status: int) -> None:
    """It is not taken for a missing baseline, or the gate would be open for ever."""
    github.always["GET .*artifacts"] = Reply(status, {"message": "Resource not accessible by integration"})
    with pytest.raises(BaselineError, match="actions: read") as caught:
        fetch(PLACE, job(GITHUB_BASE_REF="main"))
    assert TOKEN not in str(caught.value)


def test_storage_that_fails_is_tried_again_then_told(github: GitHub, storage: Storage, job: Job) -> None:
    """The signature in its URL is not."""
    github.artifact(1)
    storage.first.append(("GET .*", Reply(503)))
    assert fetch(PLACE, job(GITHUB_BASE_REF="main")) == GOOD
    storage.always["GET .*"] = Reply(500)
    with pytest.raises(BaselineError, match="500") as caught:
        fetch(PLACE, job(GITHUB_BASE_REF="main"))
    assert "abcdef" not in str(caught.value)


def lying() -> bytes:
    """An archive whose directory says that a bomb is small."""
    bomb = archive(a__json=b" " * (MOST_BYTES + 10))
    size = (MOST_BYTES + 10).to_bytes(4, "little")
    return bomb.replace(size, (10).to_bytes(4, "little"))


def encrypted() -> bytes:
    packed = bytearray(archive(a__json=GOOD))
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        packed[packed.index(signature) + flags] |= 1
    return bytes(packed)


def packed_with(method: int) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as packed:
        packed.writestr("a.json", GOOD)
    return data.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{}", b"<html>", archive(a__json=GOOD)[:-30], archive(a__json=GOOD)[30:], archive(), archive(a__txt=GOOD),
        archive(a__json=GOOD, b__json=GOOD), archive(**{f"f{each}": b"" for each in range(101)}, a__json=GOOD),
        archive(a__json=b" " * (MOST_BYTES + 1)), archive(a__json=b" " * (5 << 20)), lying(), encrypted(),
        packed_with(zipfile.ZIP_LZMA), packed_with(zipfile.ZIP_BZIP2),
        packed_with(zipfile.ZIP_STORED).replace(GOOD, b"x" * len(GOOD)),
    ],
    ids=[
        "empty", "json", "page", "cut", "beheaded", "no files", "no json", "two", "many", "large", "bomb", "liar",
        "encrypted", "lzma", "bzip2", "broken",
    ],
)  # fmt: skip
def test_bad_archives_are_errors(github: GitHub, storage: Storage, job: Job, data: bytes) -> None:
    """Exit code 97 with a sentence; no traceback, no gigabytes, no baseline."""
    github.artifact(1)
    storage.archive = data
    with pytest.raises(BaselineError, match="artifact"):
        fetch(PLACE, job(GITHUB_BASE_REF="main"))


def test_too_large_archive_is_not_read_to_its_end(github: GitHub, storage: Storage, job: Job) -> None:
    """The limit holds for what comes, not for what was announced."""
    github.artifact(1)
    storage.archive = bytes(MOST_BYTES + (1 << 20))
    with pytest.raises(BaselineError, match="larger than 16 MiB"):
        fetch(PLACE, job(GITHUB_BASE_REF="main"))


def test_names_in_the_archive_write_nothing(github: GitHub, storage: Storage, job: Job, tmp_path: Any) -> None:
    """A path that leads out of the folder is a name like any other."""
    github.artifact(1)
    storage.archive = archive(**{"../../../../tmp/evil__json": GOOD})
    assert fetch(PLACE, job(GITHUB_BASE_REF="main")) == GOOD


@pytest.mark.parametrize("place", ["artifact:", "artifact:x"])
def test_elsewhere_there_are_no_artifacts(place: str) -> None:
    """At a terminal, the message says what to name instead."""
    with pytest.raises(BaselineError, match="artifact"):
        fetch(place, {})


# --- GitLab


def test_gitlab_file_comes_from_the_target_branch(gitlab: GitLab, pipeline: dict[str, str]) -> None:
    """With our token if there is one, else with that of the job, which may read."""
    gitlab.raw = {"ciload-baseline.json": GOOD, "out/b.json": b"other"}
    assert fetch("artifact:load test", pipeline) == GOOD
    assert gitlab.asked[-1].path.startswith("/projects/5/jobs/artifacts/main/raw/")
    assert gitlab.asked[-1].query == {"job": ["load test"]}
    assert gitlab.asked[-1].headers["private-token"] == TOKEN
    del pipeline["CILOAD_GITLAB_TOKEN"]
    assert fetch("artifact:load:out/b.json", pipeline) == b"other"
    assert gitlab.asked[-1].headers["job-token"] == "job-token"


def test_gitlab_without_an_artifact_has_no_baseline(gitlab: GitLab, pipeline: dict[str, str]) -> None:
    """404 is the first run."""
    assert fetch("artifact:load", pipeline) is None


def test_gitlab_that_refuses_is_an_error(gitlab: GitLab, pipeline: dict[str, str]) -> None:
    """401 is not the first run."""
    gitlab.always["GET .*"] = Reply(401, {"message": "401 Unauthorized"})
    with pytest.raises(BaselineError, match="read_api"):
        fetch("artifact:load", pipeline)


def test_gitlab_storage_never_sees_the_token(gitlab: GitLab, pipeline: dict[str, str], storage: Storage) -> None:
    """Neither kind of token goes to object storage."""
    storage.archive = GOOD
    gitlab.always["GET .*raw.*"] = Reply(302, None, {"Location": f"{storage.url}/x?sig=1"})
    assert fetch("artifact:load", pipeline) == GOOD
    assert not {"private-token", "job-token"} & storage.asked[0].headers.keys()
