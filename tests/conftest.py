"""What holds for every test."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest
from hypothesis import settings

# How long an example takes says nothing on a busy machine.
settings.register_profile("ciload", deadline=None)
settings.load_profile("ciload")

# What CI systems say of themselves, and what may have been set for ciload: tests say so themselves where it matters.
OF_CI = re.compile(
    r"(?i:(https?|all|no)_proxy)|CI|(CI|GITHUB|GITLAB|RUNNER|ACTIONS|INPUT|CILOAD)_.*|JENKINS_URL|BUILD_(NUMBER|URL)|JOB_NAME|CHANGE_ID"
    r"|BRANCH_NAME|GIT_COMMIT"
)


@pytest.fixture(scope="session", autouse=True)
def no_ci_around() -> Iterator[None]:
    """Tests of ciload run in CI themselves, and must not see it."""
    taken = {name: os.environ.pop(name) for name in list(os.environ) if OF_CI.fullmatch(name)}
    yield
    os.environ.update(taken)
