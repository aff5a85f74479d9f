"""The status of a commit: one line in the list of its checks, which has the headline."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from ciload.ci.forge import dig
from ciload.ci.github_comments import github_api, read_event, repository_of
from ciload.ci.gitlab import gitlab_api
from ciload.reports.headline import headline_of
from ciload.reports.suite_headline import suite_headline
from ciload.result.suite import Suite, Tested, has_passed
from ciload.text import one_line

LONGEST = 140  # of a description on GitHub; GitLab takes 255


def set_status(tested: Tested, environment: Mapping[str, str]) -> str:
    """Set it; what was done, "" if there is no commit at a forge.

    Raises:
        ApiError: it could not be set.
    """
    headline = suite_headline(tested) if isinstance(tested, Suite) else headline_of(tested)
    name, said = f"ciload: {headline.name}", one_line(headline.found, LONGEST)
    link = {"target_url": tested.ci.run_url} if tested.ci.run_url else {}
    passed = has_passed(tested)
    if tested.ci.provider == "github" and (sha := _sha_on_github(environment)):
        with github_api(environment) as api:
            status = {"state": "success" if passed else "failure", "context": name, "description": said, **link}
            api.call("POST", f"{repository_of(environment)}/statuses/{quote(sha, safe='')}", status)
    elif tested.ci.provider == "gitlab" and (sha := environment.get("CI_COMMIT_SHA", "")):
        project = quote(environment.get("CI_PROJECT_ID", ""), safe="")
        with gitlab_api(environment) as api:
            status = {"state": "success" if passed else "failed", "name": name, "description": said, **link}
            api.call("POST", f"/projects/{project}/statuses/{quote(sha, safe='')}", status)
    else:
        return ""
    return f"set the status of commit {sha[:7]}"


def _sha_on_github(environment: Mapping[str, str]) -> str:
    """The commit that was pushed; what a pull request's job checks out is a merge that nobody looks at."""
    head = dig(read_event(environment), "pull_request", "head", "sha")
    return head if isinstance(head, str) else environment.get("GITHUB_SHA", "")
