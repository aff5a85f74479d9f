"""A result document from a file that anybody may have written: a cache, an artifact, another workflow's run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ciload.errors import BaselineError, UsageError
from ciload.files import read_file, reason_of
from ciload.result.document import RunResult
from ciload.result.suite import SUITE_FILE, Suite, SuiteTest, Tested
from ciload.result.thresholds import OPERATORS
from ciload.text import one_line

MOST_BYTES = 64 << 20
MOST_VALUES = 2_000_000
MOST_MISTAKES = 10_000  # each would become an object of its own
LARGEST_COUNT = 1 << 63
LONGEST_COMPLAINT = 300
MOST_SUITE_BYTES = 10 << 20
RESULT_FILE = "result.json"


def read_result(path: Path) -> RunResult:
    """The result in a file, in which every number is finite and every count possible.

    Raises:
        UsageError: there is no such file.
        BaselineError: there is one, and it is no result that this ciload can read.
    """
    shown = one_line(str(path))
    try:
        data = read_file(path, MOST_BYTES)
    except FileNotFoundError:
        raise UsageError(f"{shown}: there is no such file") from None
    except OSError as error:
        raise BaselineError(f"{shown}: {reason_of(error)}") from None
    if sum(data.count(sign) for sign in (b",", b"[", b"{")) > MOST_VALUES:
        raise BaselineError(f"{shown}: holds more values than a result can")
    try:
        result = RunResult.model_validate_json(data, strict=True)
    except ValidationError as error:
        raise BaselineError(f"{shown}: is no result of this ciload: {first_mistake(error)}") from None
    for complaint in _impossible(result):
        raise BaselineError(f"{shown}: {complaint}")
    return result


def read_tested(folder: Path) -> Tested:
    """What was run and left its results in the folder: a test, or a suite with the results of its tests.

    Raises:
        UsageError: nothing was.
        BaselineError: it cannot be read.
    """
    file = folder / SUITE_FILE
    try:
        suite = Suite.model_validate_json(read_file(file, MOST_SUITE_BYTES), strict=True)
    except FileNotFoundError:
        return read_result(folder / RESULT_FILE)
    except OSError as error:
        raise BaselineError(f"{one_line(str(file))}: {reason_of(error)}") from None
    except ValidationError as error:
        raise BaselineError(f"{one_line(str(file))}: is no suite of this ciload: {first_mistake(error)}") from None
    return suite.model_copy(update={"tests": [_with_result(each, folder) for each in suite.tests]})


def _with_result(test: SuiteTest, folder: Path) -> SuiteTest:
    path = folder / test.results / RESULT_FILE  # the folder's name has no separators, as the model sees to
    return test.model_copy(update={"result": read_result(path)}) if path.exists() else test


def first_mistake(error: ValidationError) -> str:
    """The first of the mistakes, with its place, in a line."""
    if error.error_count() > MOST_MISTAKES:
        return f"{error.error_count():,} mistakes"
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"]))
    return one_line(f"{where}: " * bool(where) + first["msg"].removeprefix("Value error, "), LONGEST_COMPLAINT)


def _impossible(result: RunResult) -> Iterator[str]:
    """What types let pass, and arithmetic would not."""
    if not _all_finite(result.model_dump()):
        yield "has numbers that are infinite, or none, or beyond any count"
    for row in result.blocks.rows if result.blocks else ():
        numbers = chain(row.requests, row.failed, row.checks_passed, row.checks_failed, row.p50, row.p95, row.cpu_s)
        if any(value is not None and value < 0 for value in numbers):
            yield "has blocks with negative numbers"
        if any(failed > requests for failed, requests in zip(row.failed, row.requests, strict=False)):
            yield "has blocks with more failures than requests"
    if any(each.operator not in OPERATORS for each in result.thresholds):
        yield "has thresholds with operators that there are not"
    if any(after < before for before, after in pairwise([0.0, *(each.at_s for each in result.timeline)])):
        yield "has a timeline that runs backwards"


def _all_finite(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_all_finite, value.values()))
    if isinstance(value, list):
        return all(map(_all_finite, value))
    if isinstance(value, float):
        return math.isfinite(value)
    return not isinstance(value, int) or abs(value) <= LARGEST_COUNT
