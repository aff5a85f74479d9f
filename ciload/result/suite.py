"""Several tests that were run one after the other as one suite: what each of them came to."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ciload.result.comparison import DocumentPart
from ciload.result.document import CI, Git, RunResult, json_of

SUITE_FILE = "suite.json"


class SuiteTest(DocumentPart):
    """One script of the suite. The process of a test may end without a result: then there is a reason at least."""

    script: str = Field(description="its path, or the URL of a page without its query")
    results: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,100}$")] = Field(
        description="the folder with its reports, beside this file"
    )
    exit_code: int | None = Field(default=None, description="null: it was not run")
    found: str = Field(default="", description="the headline")
    reason: str = Field(default="", description="why it failed, where its result does not say so, or was not run")
    result: RunResult | None = Field(default=None, exclude=True, description="in a file of its own")

    @property
    def failed(self) -> bool:
        return bool(self.exit_code)


class Suite(DocumentPart):
    """What several tests came to."""

    schema_: Annotated[Literal["ciload/suite/1"], Field(alias="schema")] = "ciload/suite/1"
    name: str = Field(default="", description="as --name says")
    scripts: list[str] = Field(description="as they were asked for: paths, patterns, URLs")
    target: str = ""
    leg: str = ""
    folder: str | None = Field(default=None, description="where it was started, from the top of the repository")
    git: Git
    ci: CI
    exit_code: int = Field(description="105 if a signal ended it, else that of the first test that failed")
    tests: list[SuiteTest]

    @property
    def results(self) -> list[RunResult]:
        return [each.result for each in self.tests if each.result is not None]

    def to_json(self) -> str:
        """The file."""
        return json_of(self)


Tested = RunResult | Suite  # what was run, and is told to a CI


def results_of(tested: Tested) -> list[RunResult]:
    """The results of one test, or of all that have one."""
    return tested.results if isinstance(tested, Suite) else [tested]


def has_passed(tested: Tested) -> bool:
    return tested.exit_code == 0 if isinstance(tested, Suite) else tested.verdict.passed
