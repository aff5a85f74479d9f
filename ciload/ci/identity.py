"""Who ran this, where: from the environment variables of CI systems, from git, and from the machine."""

from __future__ import annotations

import getpass
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from ciload.result.document import CI, Environment, Git
from ciload.version import __version__

GIT_TIMEOUT_S = 5
CHECKOUTS = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR", "WORKSPACE")
USERS = ("GITHUB_ACTOR", "GITLAB_USER_LOGIN", "BUILD_USER_ID")


def identify_ci(environment: Mapping[str, str]) -> CI:
    """The CI run that this process belongs to."""
    get = environment.get
    if get("GITHUB_ACTIONS") == "true":
        server, repository, run_id = get("GITHUB_SERVER_URL"), get("GITHUB_REPOSITORY"), get("GITHUB_RUN_ID")
        url = f"{server}/{repository}/actions/runs/{run_id}" if server and repository and run_id else None
        number = re.fullmatch(r"refs/pull/(\d+)/\w+", get("GITHUB_REF", ""))
        return CI(
            provider="github", run_id=run_id, run_url=url, job=get("GITHUB_JOB"), pull_request=number and number[1]
        )
    if get("GITLAB_CI") == "true":
        return CI(
            provider="gitlab",
            run_id=get("CI_PIPELINE_ID"),
            run_url=get("CI_JOB_URL"),
            job=get("CI_JOB_NAME"),
            pull_request=get("CI_MERGE_REQUEST_IID"),
        )
    if get("JENKINS_URL"):
        return CI(
            provider="jenkins",
            run_id=get("BUILD_NUMBER"),
            run_url=get("BUILD_URL"),
            job=get("JOB_NAME"),
            pull_request=get("CHANGE_ID"),
        )
    return CI(provider="unknown" if get("CI", "").lower() in ("1", "true") else None)


def identify_git(environment: Mapping[str, str], folder: Path) -> Git:
    """The commit under test: what git says of `folder`, else what the CI system says."""
    commit = _git(folder, "rev-parse", "HEAD") or environment.get("GITHUB_SHA") or environment.get("CI_COMMIT_SHA")
    branch = (
        environment.get("GITHUB_HEAD_REF")
        or environment.get("GITHUB_REF_NAME")
        or environment.get("CI_COMMIT_REF_NAME")
        or environment.get("BRANCH_NAME")
        or _git(folder, "branch", "--show-current")
    )
    status = _git(folder, "status", "--porcelain", "--untracked-files=no")
    commit = commit or environment.get("GIT_COMMIT")
    return Git(commit=commit, branch=branch or None, dirty=None if status is None else bool(status))


def find_folder(environment: Mapping[str, str], folder: Path) -> str | None:
    """Where `folder` is in the repository, "" at its top: by git, else by what the CI checks out to."""
    prefix = _git(folder, "rev-parse", "--show-prefix")
    if prefix is not None:
        return prefix.rstrip("/")
    for variable in CHECKOUTS:
        top = environment.get(variable)
        if top and folder.is_relative_to(top):
            return folder.relative_to(top).as_posix().removeprefix(".")
    return None


def identify_user(environment: Mapping[str, str]) -> str:
    """Who started this: the user of the CI job, of git, or the login; "" if nobody has a name here."""
    for variable in USERS:
        if name := environment.get(variable, "").strip():
            return name
    if in_git := _git(Path.cwd(), "config", "user.name"):
        return in_git
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container whose user has no name
        return ""


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603  # fixed arguments
            ["git", "-C", str(folder), *arguments],  # noqa: S607  # whichever git the user has
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",  # as in the environment; a branch may have any bytes for its name
            timeout=GIT_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def fingerprint() -> Environment:
    """This machine, as far as it decides how fast things are."""
    return Environment(
        ciload=__version__,
        python=platform.python_version(),
        os=f"{platform.system()} {platform.release()}",
        machine=platform.machine(),
        cpu=_cpu_model(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_bytes=_memory_bytes(),
    )


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows, and systems that do not tell
        return 0


def _cpu_model() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or "unknown"
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return model[1] if model else platform.processor() or "unknown"
