"""Where a commit can be looked at, and which addresses of others may be linked to."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from ciload.secrets import without_secrets

COMMIT = re.compile(r"[0-9a-fA-F]{7,64}")
# Of runs: GitHub, Gitea and Forgejo; GitLab.
OF_GITHUB = re.compile(r"(https?://[^/]+/.+?)/actions/runs/\d+(?:/.*)?")
OF_GITLAB = re.compile(r"(https?://[^/]+/.+?)/-/(?:jobs|pipelines)/\d+(?:/.*)?")


def plain_link(url: str) -> str:
    """An http(s) address without what is nobody's business, such as passwords; "" if it is none to link to."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    shown = without_secrets(url)
    is_plain = parts.scheme in ("http", "https") and parts.hostname and re.fullmatch(r"[!-~]+", shown)
    return shown if is_plain and "***" not in shown and len(shown) <= 2_000 else ""


def commits_of(repository: str) -> str:
    """What the addresses of a repository's commits begin with.

    Args:
        repository: its own address; or with `/commit` or `/-/commit` behind it, where the host does not tell which.
    """
    base = plain_link(repository.strip()).rstrip("/").removesuffix(".git")
    if not base or base.endswith("/commit"):
        return base and f"{base}/"
    return f"{base}/-/commit/" if "gitlab" in (urlsplit(base).hostname or "") else f"{base}/commit/"


def commits_of_run(url: str) -> str:
    """The same, by the address of a CI run of that repository; "" if it does not tell."""
    link = plain_link(url)
    if found := OF_GITLAB.fullmatch(link):
        return f"{found[1]}/-/commit/"
    if found := OF_GITHUB.fullmatch(link):
        return f"{found[1]}/commit/"
    return ""


def commit_link(commit: str, commits: str) -> str:
    """The address of a commit; "" if it is none, or its repository is not known."""
    return f"{commits}{commit}" if commits and COMMIT.fullmatch(commit) else ""
