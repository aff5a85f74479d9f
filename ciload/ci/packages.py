"""Baselines in GitLab's package registry: `package:NAME`. They survive red pipelines, which artifacts do not.

A job's own token may read and write there. Who saves writes a new version of the file beside the older ones, of which
the registry hands out the newest. Nothing keeps two jobs from writing at once: so what was written is read again, and
merged and written once more if the other one was faster.

Source: GitLab documentation, Generic packages repository.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from urllib.parse import quote

from ciload.ci.forge import ApiError, ForgeApi
from ciload.ci.gitlab import gitlab_api, target_project
from ciload.errors import BaselineError
from ciload.text import one_line

PREFIX = "package:"
VERSION, FILE = "1", "ciload-baseline.json"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
MOST_BYTES = 16 << 20
MOST_ATTEMPTS = 4
GONE = (404, 410)


def fetch(place: str, environment: Mapping[str, str]) -> bytes | None:
    """What the registry has; None when there is no such package.

    Raises:
        BaselineError: it cannot be asked.
    """
    path = _path(place, environment)
    try:
        with gitlab_api(environment, job_token=True) as api:
            return _read(api, path)
    except ApiError as error:
        raise BaselineError(f"{one_line(place)}: {error}{_remedy(error)}") from None


def store(
    place: str,
    environment: Mapping[str, str],
    change: Callable[[bytes | None], bytes],
    is_in: Callable[[bytes], bool],
) -> None:
    """Change what the registry has, however many do so at once.

    Args:
        place: the package.
        environment: that of the CI.
        change: makes what is to be there of what is.
        is_in: whether our own is part of what is there now.

    Raises:
        BaselineError: it cannot be written, or others always write over it.
    """
    path = _path(place, environment)
    try:
        with gitlab_api(environment, job_token=True) as api:
            for _ in range(MOST_ATTEMPTS):
                api.upload(path, change(_read(api, path)))
                written = _read(api, path)
                if written is not None and is_in(written):
                    return
    except ApiError as error:
        raise BaselineError(f"{one_line(place)}: {error}{_remedy(error)}") from None
    raise BaselineError(f"{one_line(place)}: other jobs wrote over it {MOST_ATTEMPTS} times; this run is not in it")


def _read(api: ForgeApi, path: str) -> bytes | None:
    try:
        return api.download(path, MOST_BYTES)
    except ApiError as error:
        if error.status in GONE:
            return None
        raise


def _path(place: str, environment: Mapping[str, str]) -> str:
    name = place.removeprefix(PREFIX)
    if environment.get("GITLAB_CI") != "true":
        raise BaselineError(f"{one_line(place)}: packages are those of GitLab CI; elsewhere, name a file or URL")
    if not NAME.fullmatch(name):
        raise BaselineError(f"{one_line(place)}: a package's name has letters, digits, dots, dashes and underscores")
    return f"{target_project(environment)}/packages/generic/{quote(name, safe='')}/{VERSION}/{FILE}"


def _remedy(error: ApiError) -> str:
    if not error.denied:
        return ""
    return "; the package registry must be on for the project, and CILOAD_GITLAB_TOKEN, if set, have the scope `api`"
