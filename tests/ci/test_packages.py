"""Baselines in GitLab's package registry: there whatever became of the pipeline, and complete however many write."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ciload.ci.places import CiPlaces
from ciload.cli import app
from ciload.errors import BaselineError
from ciload.gate.document import StoredRun
from ciload.gate.gates import Gates, GateSettings
from ciload.gate.store import parse_baseline
from tests.ci.forge import TOKEN, GitLab, Reply, Request
from tests.reports.results import result

PATH = "/projects/5/packages/generic/shop/1/ciload-baseline.json"
PLACE = "package:shop"


class Registry:
    """The newest file is the one that is handed out, as GitLab does it."""

    def __init__(self, gitlab: GitLab, name: str = "shop") -> None:
        self.files: list[bytes] = []
        self.tokens: list[str | None] = []
        self.meanwhile: list[bytes] = []  # what others write just after us
        answer = gitlab.answer

        def with_packages(request: Request) -> Reply:
            if request.path != PATH.replace("shop", name):
                return answer(request)
            self.tokens.append(request.headers.get("job-token") or request.headers.get("private-token"))
            if request.method == "PUT":
                self.files += [request.body, *self.meanwhile[:1]]
                self.meanwhile = self.meanwhile[1:]
                return Reply(201, {"message": "201 Created"})
            return Reply(200, self.files[-1]) if self.files else Reply(404, {"message": "404 Not Found"})

        gitlab.answer = with_packages  # type: ignore[method-assign]

    @property
    def runs(self) -> list[str]:
        return [run.run_id for run in self.stored]

    @property
    def stored(self) -> list[StoredRun]:
        return parse_baseline(self.files[-1], "x").runs if self.files else []


@pytest.fixture
def registry(gitlab: GitLab) -> Registry:
    return Registry(gitlab)


@pytest.fixture
def branch(pipeline: dict[str, str]) -> dict[str, str]:
    """A job of the default branch, with the job's own token alone."""
    return {key: value for key, value in pipeline.items() if "MERGE" not in key and key != "CILOAD_GITLAB_TOKEN"}


def gates(environment: dict[str, str], **settings: Any) -> Gates:
    return Gates.open(GateSettings(**settings), CiPlaces(environment))


def keep(environment: dict[str, str], run_id: str) -> str:
    return gates(environment, save_baseline=PLACE).keep(result(run_id=run_id))


def test_runs_add_up_with_the_jobs_own_token(branch: dict[str, str], registry: Registry) -> None:
    for number in range(3):
        assert keep(branch, f"run-{number}").startswith(f"saved in {PLACE}")
    assert registry.runs == ["run-0", "run-1", "run-2"]
    assert set(registry.tokens) == {"job-token"}
    opened = gates(branch | {"CI_MERGE_REQUEST_PROJECT_ID": "5"}, baseline=PLACE)
    assert opened.history is not None
    assert len(opened.history.runs) == 3


def test_nothing_there_is_no_baseline_and_no_error(branch: dict[str, str], registry: Registry) -> None:
    assert gates(branch, baseline=PLACE).history is None


def test_whoever_is_written_over_writes_again(branch: dict[str, str], registry: Registry) -> None:
    keep(branch, "first")
    before = registry.files[-1]
    keep(branch, "other")
    others = registry.files[-1]
    registry.files, registry.meanwhile = [before], [others]
    keep(branch, "ours")
    assert sorted(registry.runs) == ["first", "other", "ours"]


def test_who_never_gets_through_says_so(branch: dict[str, str], registry: Registry) -> None:
    keep(branch, "first")
    registry.meanwhile = [registry.files[-1]] * 9
    with pytest.raises(BaselineError, match=r"package:shop: other jobs wrote over it 4 times; this run is not in it"):
        keep(branch, "ours")


@pytest.mark.parametrize(("status", "said"), [(403, "the package registry must be on"), (500, "status 500")])
def test_a_registry_that_refuses_is_an_error(status: int, said: str, branch: dict[str, str], gitlab: GitLab) -> None:
    gitlab.always[f"GET {re.escape(PATH)}"] = Reply(status, {"message": "no"})
    with pytest.raises(BaselineError, match=said):
        gates(branch, baseline=PLACE)


@pytest.mark.parametrize("place", ["package:", "package:../x", "package:a/b", "package:a b"])
def test_names_that_would_lead_elsewhere_are_none(place: str, branch: dict[str, str], registry: Registry) -> None:
    with pytest.raises(BaselineError, match="a package's name has letters"):
        gates(branch, baseline=place)


def test_packages_are_gitlabs_and_artifacts_are_uploaded_by_pipelines(branch: dict[str, str]) -> None:
    with pytest.raises(BaselineError, match="packages are those of GitLab CI"):
        gates({"GITHUB_ACTIONS": "true", "GITHUB_TOKEN": TOKEN}, baseline=PLACE)
    with pytest.raises(BaselineError, match="an artifact is uploaded by the pipeline"):
        gates(branch, save_baseline="artifact:load")


@pytest.mark.parametrize("command", [["compare", "new.json", "--baseline"], ["calibrate"], ["baseline", "show"]])
def test_commands_read_what_the_registry_has(
    registry: Registry, branch: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    """As a run does; and a place where nothing is yet is no crash."""
    monkeypatch.chdir(tmp_path)
    for name, value in branch.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "new.json").write_text(result().to_json())
    empty = CliRunner().invoke(app, [*command, PLACE])
    assert "Traceback" not in empty.output
    assert gates(branch, save_baseline=PLACE).keep(result(run_id="a"))
    done = CliRunner().invoke(app, [*command, PLACE])
    assert done.exit_code == 0, done.output
    assert registry.tokens.count("job-token") >= 3
