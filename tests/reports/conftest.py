"""A page of a real browser for the tests that look at reports."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests.reports.rendering import browser_page


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """One browser for all."""
    with browser_page() as opened:
        yield opened
