"""Which test, or suite, was run, among all of a repository: what its comment, and in CI its files, are found by."""

from __future__ import annotations

from urllib.parse import urlsplit

from ciload.result.document import RunResult
from ciload.result.suite import Suite, Tested


def identity_of(tested: Tested) -> tuple[str, ...]:
    """The same for every run of a test or a suite, another for every other one.

    A test is what it is named. Without a name it is its script, in the folder where it was started, at its target. The
    legs of a matrix are tests of their own, and so is a named test at a target that was named.
    A suite is what it is named, else the scripts that were asked for.
    """
    if isinstance(tested, Suite):
        scripts = () if tested.name else (tested.folder or "", *tested.scripts)
        return ("suite", tested.name, tested.target, tested.leg, *scripts)
    return _identity_of_test(tested)


def _identity_of_test(result: RunResult) -> tuple[str, ...]:
    name, target, leg = (_said(result, option) for option in ("name", "target", "leg"))
    if name:
        return ("name", name, target, leg)
    return ("script", result.folder or "", result.name, target or server_of(_said(result, "base_url")), leg)


def _said(result: RunResult, option: str) -> str:
    return str(result.options.get(option) or "")


def server_of(url: str) -> str:
    """Host and port; what cannot be read is taken as it is."""
    try:
        return urlsplit(url).netloc
    except ValueError:
        return url
