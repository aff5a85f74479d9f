"""The pipelines of GitLab and Jenkins that we hand out, step by step, also when a step fails."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ciload.starter.pipelines import PipelineGate, jenkins
from ciload.starter.pipelines import gitlab as write_gitlab
from tests.ci.forge import SHA, TOKEN, GitLab
from tests.ci.recipes import Build, Jenkins, environment_of_tests, gitlab_job
from tests.ci.runner import ROOT
from tests.ci.test_packages import Registry
from tests.e2e.conftest import Handler, serving

SCRIPT = """
import pathlib
from ciload import http
options = {"vus": 6, "iterations": 48}
async def default():
    await http.get(pathlib.Path("where").read_text(), name="page")
"""
GIT = ("git", "-c", "user.name=t", "-c", "user.email=t@t.test")
EXAMPLES = ROOT / "examples" / "ci"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(Handler) as url:
        yield url


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A checkout with a script; what it requests decides how fast the service is."""
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "load.py").write_text(SCRIPT)
    (folder / "where").write_text("/slow/5")
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "first"]):
        subprocess.run([*GIT, *command], cwd=folder, check=True)
    return folder


def example(name: str, target: str, url: str) -> str:
    """One of the recipes, with a server of the test's as the service."""
    recipe = (EXAMPLES / name).read_text()
    assert target in recipe
    return recipe.replace(target, url)


def failures(junit: Path | None) -> int:
    assert junit is not None
    root = ElementTree.parse(junit).getroot()
    return int(root.get("failures", "0")) + int(root.get("errors", "0"))


# --- GitLab


class Project:
    """Runs the job `load` of a recipe in pipelines of branches and merge requests."""

    def __init__(self, recipe: str, workspace: Path, scratch: Path, forge: GitLab) -> None:
        self.recipe, self.workspace, self.scratch, self.forge = recipe, workspace, scratch, forge
        self.pipelines = 0

    def run(self, source: str = "push", **more: str) -> Build | None:
        self.pipelines += 1
        environment = environment_of_tests() | {
            "GITLAB_CI": "true", "CI_API_V4_URL": self.forge.url, "CI_PROJECT_ID": "5", "CI_JOB_NAME": "load",
            "CI_JOB_TOKEN": "job-token", "CI_PIPELINE_SOURCE": source, "CI_DEFAULT_BRANCH": "main",
            "CI_PIPELINE_ID": str(self.pipelines), "CI_COMMIT_SHA": SHA,
        }  # fmt: skip
        request = {"CI_MERGE_REQUEST_IID": "3", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main"}
        branch = {"CI_COMMIT_BRANCH": "main", "CI_COMMIT_REF_NAME": "main"}
        environment |= branch if source == "push" else {**request, "CILOAD_GITLAB_TOKEN": TOKEN}
        scratch = self.scratch / str(self.pipelines)
        scratch.mkdir(parents=True)
        return gitlab_job(self.recipe, "load", self.workspace, scratch, environment | more)

    def done(self, source: str = "push", **more: str) -> Build:
        build = self.run(source, **more)
        assert build is not None
        return build


def test_gitlab_from_the_first_pipeline_to_an_accepted_change(
    workspace: Path, tmp_path: Path, gitlab: GitLab, url: str
) -> None:
    """A red pipeline leaves its reports and its place in the history; a line in a commit's message makes main green."""
    registry = Registry(gitlab, "load")
    project = Project(example("gitlab-ci.yml", "http://api:8080", url), workspace, tmp_path / "pipelines", gitlab)
    assert project.run("push", CI_COMMIT_BRANCH="topic") is None
    while len([run for run in registry.stored if not run.tainted]) < 3:
        first = project.done()
        assert first.status == "success", first.log
    assert failures(first.reports["junit"]) == 0
    assert first.reports["metrics"] is not None
    assert first.reports["load_performance"] is not None

    request = project.done("merge_request_event")
    assert request.status == "success", request.log
    assert len(gitlab.notes) == 1
    before = len(registry.stored)

    (workspace / "where").write_text("/slow/60")
    slower = project.done("merge_request_event")
    assert slower.status == "failed", slower.log
    assert failures(slower.reports["junit"]) > 0
    assert len(gitlab.notes) == 1
    assert "slower" in gitlab.notes[0]["body"]
    assert len(registry.stored) == before  # merge requests add nothing

    red = project.done()
    assert red.status == "failed"
    assert len(registry.stored) == before + 1
    accepted = project.done(CI_COMMIT_MESSAGE="Merge\n\nciload-accept: reads more\n")
    assert accepted.status == "success", accepted.log
    assert b"reads more" in registry.files[-1]
    assert project.done("merge_request_event").status == "success"


def test_gitlab_keeps_the_reports_of_a_job_that_could_not_begin(
    workspace: Path, tmp_path: Path, gitlab: GitLab
) -> None:
    """The service never answers."""
    recipe = example("gitlab-ci.yml", "http://api:8080", "http://127.0.0.1:1")
    Registry(gitlab, "load")
    build = Project(recipe, workspace, tmp_path / "pipelines", gitlab).done(CILOAD_WAIT_TIMEOUT="1s")
    assert build.status == "failed"
    assert failures(build.reports["junit"]) == 1
    assert "never ready" in (build.kept / "ciload-results" / "summary.md").read_text()


# --- Jenkins


@pytest.fixture
def project(url: str, workspace: Path, tmp_path: Path) -> Jenkins:
    return Jenkins(example("Jenkinsfile", "http://localhost:8080", url), workspace, tmp_path / "builds")


def stored(build: Build) -> list[dict[str, object]]:
    runs: list[dict[str, object]] = json.loads((build.kept / "ciload-baseline.json").read_text())["runs"]
    return runs


def test_jenkins_from_the_first_build_to_a_slower_pull_request(project: Jenkins) -> None:
    """Main keeps its runs, also of red builds; a pull request is compared with them and adds none."""
    main = project.build("main")
    while len([run for run in stored(main) if not run["tainted"]]) < 3:
        main = project.build("main")
        assert main.status == "success", main.log
    assert main.calls[0] == "compose up --detach"
    assert main.calls[-1] == "compose down"
    assert failures(main.reports["junit"]) == 0
    assert main.reports["performance"] is not None

    (project.workspace / "where").write_text("/slow/60")
    slower = project.build("PR-7", CHANGE_ID="7")
    assert slower.status == "failed", slower.log
    assert failures(slower.reports["junit"]) > 0
    red = project.build("main")
    assert (red.status, len(stored(red))) == ("failed", len(stored(main)) + 1)
    message = ["commit", "--quiet", "--allow-empty", "-m", "Reads more", "-m", "ciload-accept: reads more"]
    subprocess.run([*GIT, *message], cwd=project.workspace, check=True)
    accepted = project.build("main")
    assert accepted.status == "success", accepted.log
    assert project.build("PR-8", CHANGE_ID="8").status == "success"


def test_jenkins_ends_what_it_has_begun_when_a_step_fails(project: Jenkins) -> None:
    """The service does not come up: no load, no report, and nothing that hides why."""
    project.compose_fails = True
    build = project.build("main")
    assert build.status == "failed"
    assert [call.split()[0:2] for call in build.calls] == [["compose", "up"], ["compose", "down"]]
    assert build.reports == {"junit": None, "performance": None}


# --- what `ciload init` writes


def test_pipelines_of_init_run(workspace: Path, tmp_path: Path, gitlab: GitLab, url: str) -> None:
    """The same steps, for a service of one's own."""
    gate = PipelineGate("load.py", "http://api:8080", True, "http://api:8080/health")
    registry = Registry(gitlab, "load")
    recipe = write_gitlab(gate).replace("http://api:8080", url)
    build = Project(recipe, workspace, tmp_path / "pipelines", gitlab).done()
    assert (build.status, len(registry.stored)) == ("success", 1), build.log
    recipe = jenkins(gate).replace("http://api:8080", url)
    build = Jenkins(recipe, workspace, tmp_path / "builds").build("main")
    assert (build.status, len(stored(build)), build.calls[-1]) == ("success", 1, "compose down"), build.log
