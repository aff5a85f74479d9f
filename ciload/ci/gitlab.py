"""Notes on GitLab's merge requests."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from ciload.ci.forge import ApiError, ForgeApi, dig
from ciload.ci.sticky import Thread, stick


def gitlab_api(environment: Mapping[str, str], *, job_token: bool = False) -> ForgeApi:
    """The API with our token; for what a job may read, the job's own token will do.

    Raises:
        ApiError: there is no token, or no API.
    """
    base = environment.get("CI_API_V4_URL", "")
    token = environment.get("CILOAD_GITLAB_TOKEN", "").strip()
    own = environment.get("CI_JOB_TOKEN", "").strip() if job_token else ""
    if not base:
        raise ApiError("CI_API_V4_URL is not set: this is no GitLab job")
    if not token and not own:
        raise ApiError("no token: set CILOAD_GITLAB_TOKEN, a project access token with the scope `api`")
    return ForgeApi(base, {"PRIVATE-TOKEN": token} if token else {"JOB-TOKEN": own})


def target_project(environment: Mapping[str, str]) -> str:
    """`/projects/ID` of the project that is merged into, which is not that of a fork's pipeline."""
    number = environment.get("CI_MERGE_REQUEST_PROJECT_ID") or environment.get("CI_PROJECT_ID", "")
    return f"/projects/{quote(number, safe='')}"


def post_note(environment: Mapping[str, str], marker: str, body: str, *, begin: bool = True) -> str:
    """Write the note at the merge request of this pipeline; "updated", "created", or "" when there is none.

    Raises:
        ApiError: it could not be written.
    """
    number = environment.get("CI_MERGE_REQUEST_IID")
    if not number:
        return ""
    notes = f"{target_project(environment)}/merge_requests/{quote(number, safe='')}/notes"
    with gitlab_api(environment) as api:
        me = dig(api.call("GET", "/user"), "id")
        if not isinstance(me, int):
            raise ApiError("GitLab does not say whose token CILOAD_GITLAB_TOKEN is")
        thread = Thread(notes, f"{notes}/{{id}}", "PUT", lambda note: dig(note, "author", "id") == me)
        return stick(api, thread, marker, body, begin=begin)
