"""action.yml, step by step, as a runner does it: with real bash, a recorded Docker, and played caches and artifacts."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import yaml

from action import steps as action
from ciload.result.comparison import GateVerdict
from tests.ci.runner import ROOT, Job, Runner, copy_of, usable_python
from tests.e2e.conftest import Handler, serving

SCRIPT = """
import json, os, pathlib
from ciload import http

pathlib.Path("seen.json").write_text(json.dumps(dict(os.environ)))

async def default():
    await http.get(os.environ.get("WHERE", "/"), name="page")
"""
PACKAGE = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
PACKAGE_BACKEND = """
import zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(f"{folder}/helper-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("of_the_script.py", "")
        wheel.writestr("helper-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: helper\\nVersion: 1\\n")
        wheel.writestr("helper-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("helper-1.dist-info/RECORD", "")
    return "helper-1-py3-none-any.whl"
"""
SLOW_SCRIPT = """
import pathlib
from ciload import http, sleep

async def default():
    pathlib.Path("started").touch()
    await sleep(30)
"""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(Handler) as url:
        yield url


def asked(url: str, **more: str) -> dict[str, str]:
    given = {"script": "load.py", "base-url": url, "vus": "6", "iterations": "48", "env": "WHERE=/slow/5"}
    return given | {key.replace("_", "-"): value for key, value in more.items()}


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory, url: str) -> tuple[Runner, list[Job]]:
    """A repository whose default branch has been tested three times, on a machine that was not too busy for it."""
    runner = Runner(tmp_path_factory.mktemp("history"))
    runner.write("load.py", SCRIPT)
    jobs = [runner.job(asked(url))]
    while len(jobs) < 9 and sum(not run["tainted"] for run in job_runs(runner, jobs[-1])) < 3:
        jobs.append(runner.job(asked(url)))
    return runner, jobs


@pytest.fixture
def after_history(history: tuple[Runner, list[Job]], tmp_path: Path) -> Runner:
    return copy_of(history[0], tmp_path)


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """A repository that was never tested."""
    runner = Runner(tmp_path)
    runner.write("load.py", SCRIPT)
    return runner


def measured(run: Callable[[], Job]) -> Job:
    """A job that was a measure: on a machine whose host is busy, not every one is."""
    for _ in range(3):
        job = run()
        if not any("no good measure" in each["reason"] for each in job.result["comparisons"]):
            break
    return job


def gate(job: Job) -> dict[str, Any]:
    comparison: dict[str, Any] = job.result["comparisons"][0]
    return comparison


class Empty(BaseHTTPRequestHandler):
    """GitHub's API of a repository without artifacts."""

    def do_GET(self) -> None:
        body = b'{"artifacts": []}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Forbidding(Handler):
    """GitHub's API, as a pull request from a fork sees it."""

    def do_GET(self) -> None:  # noqa: N802
        self.path = "/status/403"
        super().do_GET()

    do_POST = do_PATCH = do_GET  # noqa: N815


PULL_REQUEST = {"event": "pull_request", "ref": "refs/pull/7/merge"}


class TestBaseline:
    def test_first_run_has_none_and_says_so(self, history: tuple[Runner, list[Job]]) -> None:
        """Without a baseline the step passes, the result says that nothing was compared, and the run is kept."""
        first, *_ = history[1]

        assert first.status == "success", first.log
        assert gate(first)["verdict"] == GateVerdict.MISSING
        assert first.outputs["exit-code"] == "0"
        assert len(first.uses("actions/cache/save")) == 1

    def test_runs_of_the_default_branch_add_up(self, history: tuple[Runner, list[Job]]) -> None:
        """Each run of the default branch finds those before it, though no two of them have the same key."""
        runner, jobs = history
        saved = [job.uses("actions/cache/save")[0] for job in jobs]

        assert len({each["key"] for each in saved}) == len(jobs)
        assert len(json.loads((runner.workspace / saved[-1]["path"]).read_text())["runs"]) == len(jobs)

    def test_pull_request_within_tolerance_passes(self, after_history: Runner, url: str) -> None:
        """A pull request is compared with the default branch and leaves no baseline of its own behind."""
        job = after_history.job(asked(url, tolerance="900%"), **PULL_REQUEST)  # type: ignore[arg-type]

        assert job.status == "success", job.log
        assert gate(job)["verdict"] in ("ok", "inconclusive", "improved")
        assert job.uses("actions/cache/save") == []

    def test_pull_request_from_a_fork(self, after_history: Runner, url: str) -> None:
        """Its token may not comment, which changes nothing: it is compared, judged and reported like any other."""
        with serving(Forbidding) as api:
            given = asked(url, tolerance="900%", comment="true")
            event = {"pull_request": {"number": 7, "head": {"repo": {"fork": True}}}}
            job = after_history.job(given, payload=event, environment={"GITHUB_API_URL": api}, **PULL_REQUEST)  # type: ignore[arg-type]

        assert job.status == "success", job.log
        assert gate(job)["verdict"] != GateVerdict.MISSING
        assert job.uses("actions/cache/save") == []
        assert job.outputs["verdict"] == "passed"

    def test_pull_request_that_is_slower_fails(self, after_history: Runner, url: str) -> None:
        """A regression fails the step with 96, and its reports are uploaded all the same."""
        job = measured(lambda: after_history.job(asked(url, env="WHERE=/slow/100"), **PULL_REQUEST))  # type: ignore[arg-type]

        assert job.status == "failure", job.log
        assert job.outputs["exit-code"] == "96"
        assert gate(job)["verdict"] == "regression"
        assert "<testsuite" in job.report("junit.xml")

    def test_regression_on_the_default_branch_is_kept_as_one(self, after_history: Runner, url: str) -> None:
        """The step fails, and the baseline remembers the alarm."""
        job = measured(lambda: after_history.job(asked(url, env="WHERE=/slow/100")))

        assert (job.status, job.outputs["exit-code"]) == ("failure", "96")
        assert len(job.uses("actions/cache/save")) == 1

    def test_names_do_not_find_each_others_runs(self, runner: Runner, url: str) -> None:
        """A matrix of two names, one the beginning of the other, has two baselines and two artifacts."""
        api, other = [runner.job(asked(url, name=name), matrix={"name": name}) for name in ("api", "api-v2")]
        again = runner.job(asked(url, name="api"), matrix={"name": "api"}, only="plan")

        assert gate(other)["verdict"] == GateVerdict.MISSING
        begins = api.uses("actions/cache/restore")[0]["restore-keys"]
        assert not other.uses("actions/cache/save")[0]["key"].startswith(begins)
        assert api.outputs["artifact"] != other.outputs["artifact"]
        assert again.steps["plan"]["outputs"]["baseline"] == api.uses("actions/cache/save")[0]["path"]

    def test_tests_of_one_job_keep_out_of_each_others_way(self, runner: Runner, url: str) -> None:
        """Two folders, two targets or two legs are two tests: no artifact, cache or comment of one is the other's."""
        (runner.workspace / "shop").mkdir()
        runner.write("shop/load.py", SCRIPT)
        uses: list[tuple[dict[str, str], dict[str, str] | None]] = [
            (asked(url), None), (asked(url, working_directory="shop"), None),
            (asked(url.replace("127.0.0.1", "localhost")), None), (asked(url, target="staging"), None),
            (asked(url), {"python": "3.12"}), (asked(url), {"python": "3.13"}), (asked(url, name="shop"), None),
        ]  # fmt: skip
        jobs = [runner.job(given, matrix=matrix, only="plan") for given, matrix in uses]

        for output in ("artifact", "baseline", "identity"):
            assert len({job.outputs[output] for job in jobs}) == len(jobs)
        named = [runner.job(asked(where, name="shop"), only="plan") for where in (url, "http://preview-7.example")]
        assert len({job.outputs["identity"] for job in named}) == 1

    def test_two_pushes_at_once_lose_nothing(self, history: tuple[Runner, list[Job]], tmp_path: Path, url: str) -> None:
        """Whoever saves last adds what the other has saved since both began."""
        (tmp_path / "other").mkdir()
        (tmp_path / "this").mkdir()
        other, this = copy_of(history[0], tmp_path / "other"), copy_of(history[0], tmp_path / "this")
        this.runs += 100
        [saved] = other.job(asked(url)).uses("actions/cache/save")
        entry = other.folder / "caches" / "refs_heads_main" / saved["key"]
        meanwhile = (
            f"import shutil\nasync def teardown(data):\n    shutil.copytree({str(entry)!r}, {str(this.folder)!r}"
        )
        this.write(
            "load.py", f"{SCRIPT}\n{meanwhile} + '/caches/refs_heads_main/{saved['key']}', dirs_exist_ok=True)\n"
        )
        job = this.job(asked(url))

        assert job.status == "success", job.log
        assert "another run has saved its baseline meanwhile: its runs were added" in job.log
        before = len(history[1])
        assert len(job_runs(this, job)) == before + 2
        again = this.job(asked(url))
        assert "meanwhile" not in again.log
        assert len(job_runs(this, again)) == before + 3

    def test_a_renamed_test_takes_its_runs_along(self, after_history: Runner, url: str) -> None:
        """Once: what it has then is its own."""
        before = after_history.job(asked(url), only="plan").outputs["identity"]
        renamed = {"matrix": {"python": "3.14"}}
        first = after_history.job(asked(url, baseline_from=before), **renamed)  # type: ignore[arg-type]
        second = after_history.job(asked(url, baseline_from=before), **renamed)  # type: ignore[arg-type]

        assert first.status == "success", first.log
        assert gate(first)["against"] == f".ciload/{before}.json"
        assert gate(first)["verdict"] != GateVerdict.MISSING
        assert gate(second)["against"] == f".ciload/{first.outputs['identity']}.json"
        assert len(job_runs(after_history, second)) >= 5
        wrong = after_history.job(asked(url, baseline_from="../x"), **renamed)  # type: ignore[arg-type]
        assert "the input `baseline-from` takes what the output `identity`" in wrong.log

    def test_in_an_artifact(self, runner: Runner, url: str) -> None:
        """The default branch asks for the newest artifact of the name that it gives its own."""
        with serving(Empty) as api:
            job = runner.job(asked(url, baseline="artifact"), environment={"GITHUB_API_URL": api})
        reports, kept = job.uses("actions/upload-artifact")

        assert job.status == "success", job.log
        assert gate(job)["against"] == f"artifact:{kept['name']}"
        assert (kept["path"], kept["include-hidden-files"]) == (job.outputs["baseline"], "True")
        assert (job.folder / kept["name"]).is_dir()
        assert reports["name"] != kept["name"]

    def test_missing_baseline_can_fail(self, runner: Runner, url: str) -> None:
        """`fail-on: missing-baseline` makes ciload fail on it, too."""
        job = runner.job(asked(url, fail_on="missing-baseline"), **PULL_REQUEST)  # type: ignore[arg-type]

        assert (job.status, job.outputs["exit-code"]) == ("failure", "97")

    def test_off(self, runner: Runner, url: str) -> None:
        """Without a gate nothing is restored, compared or saved."""
        job = runner.job(asked(url, baseline="off"))

        assert job.result["comparisons"] == []
        assert [name for name, _ in job.used] == ["actions/upload-artifact"]

    @pytest.mark.parametrize(
        ("event", "ref", "wish", "saves"),
        [
            ("push", "refs/heads/main", "auto", True),
            ("push", "refs/heads/feature", "auto", False),
            ("push", "refs/heads/feature", "always", True),
            ("push", "refs/tags/main", "auto", False),
            ("schedule", "refs/heads/main", "auto", True),
            ("workflow_dispatch", "refs/heads/main", "auto", True),
            ("push", "refs/heads/main", "never", False),
            ("pull_request", "refs/pull/7/merge", "always", False),
            ("pull_request_target", "refs/heads/main", "always", False),
            ("workflow_run", "refs/heads/main", "always", False),
            ("merge_group", "refs/heads/gh-readonly-queue/main/pr-7", "always", False),
        ],
    )
    def test_who_may_save(self, tmp_path: Path, event: str, ref: str, wish: str, saves: bool) -> None:
        """Only what people with write access merged becomes the level for others; nothing of a pull request does."""
        file = tmp_path / "event.json"
        file.write_text('{"repository": {"default_branch": "main"}}')
        environment = {"GITHUB_EVENT_NAME": event, "GITHUB_REF": ref, "GITHUB_EVENT_PATH": str(file)}

        assert action.may_save({"save_baseline": wish}, environment) is saves


class TestAccepting:
    def test_main_accepts_and_an_innocent_pull_request_passes(self, after_history: Runner, url: str) -> None:
        """The new level is that of main and of every pull request from then on; one that is slower still is found."""
        slower = asked(url, env="WHERE=/slow/25")
        refused = measured(lambda: after_history.job(slower))
        assert refused.outputs["gate"] == "regression"
        accepted = measured(lambda: after_history.job({**slower, "accept": "reads twice as much"}))
        assert accepted.status == "success", accepted.log

        innocent = measured(lambda: after_history.job(slower, event="pull_request", ref="refs/pull/7/merge"))
        assert innocent.status == "success", innocent.log
        assert innocent.outputs["gate"] in ("no baseline", "nothing suspicious", "ok")
        saved = (after_history.workspace / innocent.outputs["baseline"]).read_text()
        assert "reads twice as much" in saved
        worse = asked(url, env="WHERE=/slow/60")
        guilty = measured(lambda: after_history.job(worse, event="pull_request", ref="refs/pull/8/merge"))
        assert (guilty.status, guilty.outputs["gate"]) == ("failure", "regression")

    def test_a_job_that_is_run_again_loses_nothing(self, after_history: Runner, url: str) -> None:
        """Its second attempt saves under a key of its own, and its reports take the place of the first's."""
        again = {"GITHUB_RUN_ID": "77"}
        first = after_history.job(asked(url), environment={**again, "GITHUB_RUN_ATTEMPT": "1"})
        before = len(job_runs(after_history, first))
        second = after_history.job(asked(url), environment={**again, "GITHUB_RUN_ATTEMPT": "2"})
        assert first.outputs["artifact"] == second.outputs["artifact"]
        assert second.uses("actions/upload-artifact")[0]["overwrite"].lower() == "true"
        keys = [job.uses("actions/cache/save")[0]["key"] for job in (first, second)]
        assert keys[0] != keys[1]
        assert len(job_runs(after_history, second)) == before + 1


class TestSeveralScripts:
    def test_each_is_a_test_and_the_step_has_one_verdict(self, runner: Runner, url: str) -> None:
        """Patterns and lines; one summary, one artifact, one cache for the runs of all."""
        runner.write("loads/a.py", SCRIPT)
        runner.write("loads/b.py", SCRIPT.replace("async def", "# another\nasync def", 1))
        runner.write("last.py", "async def default():\n    raise KeyError(1)\n")
        several = asked(url, script="loads/*.py\nlast.py", iterations="6")
        job = runner.job(several)
        assert job.status == "failure"
        assert (job.outputs["verdict"], job.outputs["exit-code"], job.outputs["p95"]) == ("failed", "107", "")
        assert job.outputs["junit"] == "ciload-results/junit.xml"
        assert job.outputs["suite"] == "ciload-results/suite.json"
        assert job.report("loads-a/result.json")
        assert re.findall(r"^::error.*title=last.*KeyError", job.log, re.MULTILINE)
        summary = job.summary.read_text()
        assert summary.count("\n## ") + summary.startswith("## ") == 1
        assert len(job.uses("actions/cache/save")) == 1
        assert len({json.dumps(each["fingerprint"]) for each in job_runs(runner, job)}) == 3

        lenient = runner.job({**several, "fail-on": "thresholds regression", "fail-fast": "true"})
        assert lenient.status == "success", lenient.log
        fast = runner.job({**several, "script": "last.py\nloads/*.py", "fail-fast": "true", "once": "true"})
        assert [each["exit_code"] for each in json.loads(fast.report("suite.json"))["tests"]] == [107, None, None]


class TestInputs:
    def test_special_characters_arrive_unharmed(self, runner: Runner, url: str) -> None:
        """Whatever a shell or a runner would make of a value, script and options get it as it was written."""
        nasty = """$(touch pwned) `touch pwned` "double" 'single' \\ ; & | > pwned %0A ${HOME} * é"""
        thresholds = "http_req_duration: ['p(95)<60000']\n# $(touch pwned)\nhttp_req_failed: \"rate<0.5\"\n"
        script = "load $(touch pwned) & 'it'.py"
        runner.write(script, SCRIPT)
        given = asked(
            url, script=script, name=nasty, thresholds=thresholds, baseline="off", env=f"NASTY={nasty}\nGIVEN"
        )
        job = runner.job(given, environment={"GIVEN": "two\nlines"})
        seen = json.loads((runner.workspace / "seen.json").read_text())

        assert job.status == "success", job.log
        assert (seen["NASTY"], seen["GIVEN"]) == (nasty, "two\nlines")
        assert [each["metric"] for each in job.result["thresholds"]] == ["http_req_duration", "http_req_failed"]
        assert job.result["fingerprint"]["scenario"] == f"name:{nasty}"
        assert not list(runner.folder.rglob("pwned"))

    def test_values_are_no_arguments(self, history: tuple[Runner, list[Job]], url: str) -> None:
        """`docker run` is told names of variables alone, so no process list shows a secret."""
        command = " ".join(history[1][0].docker_run())

        assert "--env CILOAD_BASE_URL" in command
        assert url not in command
        assert "the-secret-token" not in command

    def test_the_token_of_the_job_stays_with_ciload(self, history: tuple[Runner, list[Job]]) -> None:
        """The inputs as a whole, which hold the token, are not passed on."""
        seen = json.loads((history[0].workspace / "seen.json").read_text())

        assert "INPUTS" not in seen

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"script": ""}, "the input `script` is missing"),
            ({"fail-on": "treshold"}, "the input `fail-on` takes thresholds"),
            ({"mode": "podman"}, "the input `mode` takes auto"),
            ({"save-baseline": "yes"}, "the input `save-baseline` takes auto"),
            ({"env": "A=b\nA B=c"}, "line 2 of the input `env` is neither"),
            ({"compare-url": "http://old", "until-clear": "1"}, "the input `until-clear` takes true or false"),
            ({"doctor": "quick"}, "the input `doctor` takes true or false"),
            ({"trends": "yes"}, "the input `trends` takes true or false"),
            ({"status": "maybe"}, "the input `status` takes true or false"),
            ({"upload": "never"}, "the input `upload` takes auto, on or off"),
            ({"flags": "--tag 'x"}, "the input `flags` cannot be read: No closing quotation"),
            ({"requirements": "gone.txt"}, "the input `requirements` names gone.txt, which is not there"),
            ({"mode": "docker", "requirements": "load.py"}, "the input `requirements` needs `mode: venv`"),
            ({"working-directory": "gone"}, "the input `working-directory` is gone: No such file or directory"),
            ({"mode": "docker", "target-process": "port"}, "the input `target-process` needs `mode: venv`"),
        ],
    )
    def test_mistakes_are_told_before_anything_starts(
        self, runner: Runner, wrong: Mapping[str, str], said: str
    ) -> None:
        """An input that makes no sense fails the first step with an annotation, and no load is made."""
        job = runner.job({"script": "load.py", **wrong})

        assert job.status == "failure"
        assert f"::error title=ciload::{said}" in job.log
        assert [call for call in job.docker if call[0] == "run"] == []

    @pytest.mark.parametrize(
        ("more", "expected"),
        [
            ({"compare_url": "http://old"}, "true"),
            ({"compare_url": "http://old", "until_clear": "true"}, "true"),
            ({"compare_url": "http://old", "until_clear": "false"}, None),
            ({}, None),
        ],
    )
    def test_side_by_side_stops_when_it_is_clear(self, more: dict[str, str], expected: str | None) -> None:
        """Unless somebody wants the whole load; a run with one target has nothing that could become clear."""
        assert action.options({"script": "load.py", **more}, {}).get("CILOAD_UNTIL_CLEAR") == expected

    def test_working_directory(self, runner: Runner, url: str) -> None:
        """Script, reports and baseline are there, and the steps around know it."""
        (runner.workspace / "service").mkdir()
        runner.write("service/load.py", SCRIPT)
        job = runner.job(asked(url, working_directory="service"))

        assert job.status == "success", job.log
        assert gate(job)["verdict"] == GateVerdict.MISSING
        assert job.outputs["junit"] == "service/ciload-results/junit.xml"
        assert job.uses("actions/cache/save")[0]["path"].startswith("service/.ciload/")

    def test_flags_reach_the_command_line(self, runner: Runner, url: str) -> None:
        """Read as a shell would, and with nothing of a shell: the image gets them as arguments."""
        job = runner.job(asked(url, baseline="off", flags="--tag 'team=a b' --leg \"$(id)\" # why"))

        assert job.result["options"]["tags"] == {"team": "a b"}
        assert job.result["options"]["leg"] == "$(id)"

    def test_comment_and_status_say_when(self, runner: Runner, url: str) -> None:
        """The words of `comment` are ciload's own."""
        job = runner.job(asked(url, baseline="off", comment="on-change", status="true"))

        assert job.status == "success", job.log
        assert (job.result["options"]["comment"], job.result["options"]["status"]) == ("on-change", True)

    def test_the_leg_of_a_matrix_is_named(self, runner: Runner, url: str) -> None:
        """As GitHub writes it behind the name of the job."""
        job = runner.job(asked(url, baseline="off"), matrix={"os": "ubuntu-latest", "python": "3.12"})

        assert "## ✅ load (ubuntu-latest, 3.12) passed" in job.report("summary.md")

    @pytest.mark.parametrize(
        ("server", "wish", "uploaded"),
        [
            ("https://github.com", "auto", True),
            ("https://octo.ghe.com", "auto", True),
            ("https://github.octo.example", "auto", False),
            ("https://codeberg.org", "auto", False),
            ("https://codeberg.org", "on", True),
            ("https://github.com", "off", False),
        ],
    )
    def test_reports_are_uploaded_where_that_works(
        self, server: str, wish: str, uploaded: bool, runner: Runner
    ) -> None:
        """GitHub Enterprise Server, Gitea and Forgejo do not take artifacts of this version."""
        job = runner.job({"script": "load.py", "upload": wish}, environment={"GITHUB_SERVER_URL": server}, only="plan")

        assert bool(job.outputs["artifact"]) == uploaded
        if server.endswith("codeberg.org"):
            wrong = {"script": "load.py", "baseline": "artifact", "upload": wish}
            said = runner.job(wrong, environment={"GITHUB_SERVER_URL": server}, only="plan").log
            assert "`baseline: artifact` works on github.com alone, and this is codeberg.org" in said

    @pytest.mark.skipif(not usable_python(), reason="this Python cannot make virtual environments")
    def test_what_the_script_requires_is_installed(self, runner: Runner, url: str) -> None:
        """Beside ciload, in a virtual environment, with what pip downloads kept in a cache for the same files."""
        (runner.workspace / "helper").mkdir(exist_ok=True)
        runner.write("helper/pyproject.toml", PACKAGE)
        runner.write("helper/backend.py", PACKAGE_BACKEND)
        runner.write("requirements.txt", "./helper\n")
        runner.write("load.py", f"import of_the_script\n{SCRIPT}")
        job = runner.job(asked(url, baseline="off", requirements="requirements.txt"))

        assert job.status == "success", job.log
        [cache] = job.uses("actions/cache")
        assert cache["key"].startswith("ciload-pip-Linux-X64-")
        assert [call for call in job.docker if call[0] == "run"] == []

    def test_options_in_the_jobs_environment_count(self, runner: Runner, url: str) -> None:
        """CILOAD_* variables of job or step set what no input sets."""
        job = runner.job(
            asked(url, iterations="", baseline="off"), environment={"CILOAD_ITERATIONS": "7", "CILOAD_OUT_DIR": "out"}
        )

        assert job.result["options"]["iterations"] == 7
        assert job.outputs["results"] == "out"


class TestFailOn:
    def test_what_is_not_named_passes(self, runner: Runner, url: str) -> None:
        """A failed threshold does not fail a step that only minds errors; the exit code is still told."""
        limits = "http_req_duration: p(95)<0.001"
        job = runner.job(asked(url, thresholds=limits, fail_on="errors", baseline="off"))

        assert job.status == "success", job.log
        assert job.outputs["exit-code"] == "99"
        assert "::notice title=ciload::ciload left with 99" in job.log

    def test_failures_hidden_by_an_earlier_one_count(self) -> None:
        """A regression behind a failed threshold still fails a step that minds regressions."""
        failures = [{"code": 99}, {"code": 96, "comparison": 0}]
        result = {"verdict": {"failures": failures}, "comparisons": [{"verdict": "regression"}]}

        assert action.step_code(99, [(99, result)], ["regression"]) == 96
        assert action.step_code(99, [(99, result)], ["errors"]) == 0
        assert action.step_code(99, [(99, result)], None) == 99

    def test_missing_and_inconclusive_are_told_apart(self) -> None:
        """Both are exit code 97."""
        result = {
            "verdict": {"failures": [{"code": 97, "comparison": 1}]},
            "comparisons": [{"verdict": GateVerdict.MISSING}, {"verdict": GateVerdict.INCONCLUSIVE}],
        }

        assert action.step_code(97, [(97, result)], ["inconclusive"]) == 97
        assert action.step_code(97, [(97, result)], ["missing-baseline"]) == 0
        result["verdict"] = {"failures": [{"code": 97, "comparison": 0}]}
        assert action.step_code(97, [(97, result)], ["missing-baseline"]) == 97

    @pytest.mark.parametrize("result", [None, {}, {"verdict": None}, {"verdict": {"failures": []}}])
    def test_without_a_result_it_was_an_error(self, result: dict[str, Any] | None) -> None:
        """A crash before the result was written is nothing that a threshold could explain."""
        assert action.step_code(1, [(1, result)], ["errors"]) == 1
        assert action.step_code(1, [(1, result)], ["thresholds"]) == 0


class TestDocker:
    def test_container_shares_the_runners_network_user_and_workspace(self, history: tuple[Runner, list[Job]]) -> None:
        """localhost is the runner's, files belong to its user, and paths are the same inside and outside."""
        runner, (job, *_) = history
        command = " ".join(job.docker_run())

        assert "--network host --user " in command
        assert f"--volume {runner.workspace}:{runner.workspace} --workdir {runner.workspace}" in command
        assert command.endswith(" ghcr.io/octo/ciload:v1 run")
        assert re.search(r" --volume (\S+/output-\d+):\1 ", command)
        assert re.search(r" --volume (\S+/event.json):\1:ro ", command)

    def test_image_that_cannot_be_pulled_is_an_error(self, runner: Runner, url: str) -> None:
        """Nothing else is run in its place, and the message says what to do."""
        job = runner.job(asked(url), pull=1)

        assert job.status == "failure"
        assert "::error title=ciload::ghcr.io/octo/ciload:v1 cannot be pulled" in job.log

    def test_own_checkout_is_built(self, runner: Runner, url: str) -> None:
        """`uses: ./` has no released image, so it builds one from the checkout."""
        job = runner.job(asked(url, baseline="off"), local=True)

        assert job.status == "success", job.log
        assert next(call for call in job.docker if call[0] == "build")[-1] == str(ROOT)
        assert [call for call in job.docker if call[0] == "pull"] == []

    @pytest.mark.parametrize(
        ("repository", "ref", "path", "expected"),
        [
            ("Octo/CiLoad", "v1", "/home/runner/jobs/_actions/Octo/CiLoad/v1", "ghcr.io/octo/ciload:v1"),
            ("other/outer", "v9", "/home/runner/jobs/_actions/Octo/CiLoad/v1", "ghcr.io/octo/ciload:v1"),
            ("Octo/CiLoad", "v1", "/elsewhere", "ghcr.io/octo/ciload:v1"),
            ("", "", "/home/runner/jobs/repository", ""),
        ],
    )
    def test_image_of_the_version_in_use(self, repository: str, ref: str, path: str, expected: str) -> None:
        """The image belongs to the action's repository and ref, also inside another composite action."""
        given = {"ACTION_REPOSITORY": repository, "ACTION_REF": ref, "GITHUB_ACTION_PATH": path}

        assert action.image({}, given) == expected

    def test_released_action_is_pinned(self, tmp_path: Path) -> None:
        """A release says which digest belongs to it."""
        (tmp_path / "docker").mkdir()
        (tmp_path / "docker" / "image.txt").write_text("ghcr.io/octo/ciload@sha256:abc\n")

        assert action.image({}, {"GITHUB_ACTION_PATH": str(tmp_path)}) == "ghcr.io/octo/ciload@sha256:abc"


class TestMode:
    @pytest.mark.parametrize(
        ("machine", "expected"),
        [
            ({}, "docker"),
            ({"docker": None}, "venv"),
            ({"docker": '["name=seccomp","name=rootless"]'}, "venv"),
            ({"container": "f00d"}, "venv"),
            ({"environment": {"RUNNER_OS": "macOS"}}, "venv"),
            ({"environment": {"CILOAD_TARGET_PROCESS": "port"}}, "venv"),
        ],
    )
    def test_docker_is_used_where_it_shares_the_runners_world(
        self, runner: Runner, machine: dict[str, Any], expected: str
    ) -> None:
        """Without Docker, with a rootless one, in a container job and on macOS it is a virtual environment."""
        job = runner.job({"script": "load.py"}, only="plan", **machine)

        assert job.steps["plan"]["outputs"]["mode"] == expected

    @pytest.mark.skipif(not usable_python(), reason="this Python cannot make virtual environments")
    def test_virtual_environment(self, runner: Runner, url: str) -> None:
        """Where there is no Docker, ciload is installed from the action's own checkout and does the same."""
        job = runner.job(asked(url), docker=None)

        assert job.status == "success", job.log
        assert job.outputs["exit-code"] == "0"
        assert len(job.uses("actions/cache/save")) == 1

    def test_a_process_is_looked_for_where_it_can_be_seen(self, runner: Runner) -> None:
        """CPU time per request takes a ciload beside the target, in no container of its own."""
        job = runner.job({"script": "load.py", "target-process": "port", "compare-process": "7"}, only="plan")
        inputs = {"script": "load.py", "target_process": "port", "compare_process": "7"}
        given = action.options(inputs, {})

        assert job.steps["plan"]["outputs"]["mode"] == "venv"
        assert (given["CILOAD_TARGET_PROCESS"], given["CILOAD_COMPARE_PROCESS"]) == ("port", "7")

    def test_machine_without_python_gets_one(self, runner: Runner, url: str) -> None:
        """Only then, or when a version was asked for, is a Python set up."""
        job = runner.job(asked(url, baseline="off"), python=False)

        assert job.status == "success", job.log
        assert job.uses("actions/setup-python") == [{"python-version": "3.13"}]

    def test_cancelled_job_keeps_its_reports(self, runner: Runner, url: str) -> None:
        """The signal of a cancelled job reaches ciload, whose reports are uploaded; no baseline comes of it."""
        runner.write("load.py", SLOW_SCRIPT)
        started = runner.workspace / "started"
        job = runner.job(asked(url, vus="1", iterations="1"), cancel_when=started.exists)

        assert job.status == "cancelled"
        assert job.outputs["exit-code"] == "105"
        assert job.result["verdict"]["exit_code"] == 105
        assert job.uses("actions/cache/save") == []


class TestDoctor:
    @pytest.mark.parametrize(
        ("wish", "left_with", "calls", "code", "warns"),
        [
            ("true", 0, ["doctor", "run"], 0, False),
            ("true", 97, ["doctor", "run"], 0, True),
            ("true", 143, ["doctor"], 105, False),
            ("false", 0, ["run"], 0, False),
        ],
    )
    def test_looks_at_the_runner_before_the_load(
        self, wish: str, left_with: int, calls: list[str], code: int, warns: bool, monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path, capsys: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        """What it finds is told and fails nothing; a job that is cancelled meanwhile makes no load."""
        seen: list[str] = []

        def start(command: list[str], _: object) -> int:
            seen.append(command[-1])
            return left_with if command[-1] == "doctor" else 0

        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(action, "start", start)

        assert action.run({"INPUT_SCRIPT": "load.py", "INPUT_DOCTOR": wish}, here=True) == code
        assert seen == calls
        assert ("::warning title=ciload::ciload doctor left with 97" in capsys.readouterr().out) == warns


class TestTrends:
    def test_a_page_is_among_the_reports(self, after_history: Runner, url: str) -> None:
        """It shows the runs of the baseline, this one included, whether the step passes or not."""
        job = after_history.job(asked(url, trends="true", thresholds="http_req_duration: p(95)<0.001"))
        page = job.report("trends/index.html")

        assert (job.status, job.outputs["exit-code"]) == ("failure", "99")
        assert f"trends/index.html: {len(job_runs(after_history, job))} runs, 1 kind of runs" in job.log
        assert all(f'"id":"{run["run_id"][:11]}' in page for run in job_runs(after_history, job))

    def test_without_a_baseline_there_is_none(self, runner: Runner, url: str) -> None:
        """That is said, and fails nothing."""
        job = runner.job(asked(url, trends="true", baseline="off"))

        assert job.status == "success", job.log
        assert "::notice title=ciload::no page of trends: there is no baseline" in job.log
        assert not (job.folder / job.outputs["artifact"] / "trends").exists()


def job_runs(runner: Runner, job: Job) -> list[dict[str, Any]]:
    """What a job has saved."""
    runs: list[dict[str, Any]] = json.loads((runner.workspace / job.outputs["baseline"]).read_text())["runs"]
    return runs


class TestContainerAction:
    @pytest.mark.parametrize("target", ["http://localhost:1", "http://user:secret@127.0.0.1:1/api"])
    def test_localhost_is_explained(self, target: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
                                    capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
        """A container action that cannot reach localhost says why, and the three ways out, before any load."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("INPUT_SCRIPT", "load.py")
        monkeypatch.setenv("INPUT_BASE-URL", target)

        assert action.main(["container"]) == 98
        said = capsys.readouterr().out
        assert all(f"%0A{number}. " in said for number in (1, 2, 3))
        assert "secret" not in said

    @pytest.mark.parametrize("given", [{}, {"INPUT_BASELINE": "old.json"}])
    def test_baseline_is_a_file_or_none(
        self, given: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """No cache is at hand there, so only a baseline that was named is used, and none is saved."""
        seen: dict[str, str] = {}
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(action, "start", lambda _, environment: seen.update(environment) or 0)
        action.run({"INPUT_SCRIPT": "load.py", "GITHUB_EVENT_NAME": "schedule", **given}, here=True)

        assert seen.get("CILOAD_BASELINE") == given.get("INPUT_BASELINE")
        assert "CILOAD_SAVE_BASELINE" not in seen

    def test_inputs_of_a_container_action(self) -> None:
        """The runner hands them over as variables that keep their hyphens."""
        given = {"INPUT_BASE-URL": "http://x", "INPUT_FAIL-ON": "", "INPUT_SCRIPT": " load.py "}

        assert action.read_inputs(given) == {"base_url": "http://x", "script": "load.py"}


class TestFiles:
    def test_runs_on_old_pythons(self) -> None:
        """What the runner's own Python executes is written in the language of 3.8 and imports its library alone."""
        tree = ast.parse((ROOT / "action/steps.py").read_text(), feature_version=(3, 8))
        imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}

        assert not [name for name in imported if name and name.startswith("ciload")]

    def test_every_input_is_used(self) -> None:
        """An input that nothing reads would be a promise without a deed."""
        source = (ROOT / "action/steps.py").read_text()
        text = (ROOT / "action.yml").read_text()
        inputs = yaml.safe_load(text)["inputs"]

        assert [
            name for name in inputs if f'"{name.replace("-", "_")}"' not in source and f"inputs.{name} " not in text
        ] == []

    def test_the_container_action_has_no_inputs_of_its_own(self) -> None:
        """What works in one action works in the other, as far as it can."""
        ours, theirs = (yaml.safe_load((ROOT / name).read_text()) for name in ("action.yml", "docker/action.yml"))

        assert set(theirs["inputs"]) < set(ours["inputs"])
        assert set(theirs["outputs"]) < set(ours["outputs"])

    def test_inputs_and_outputs_are_documented(self) -> None:
        """docs/container.md knows each of them."""
        documented = (ROOT / "docs/container.md").read_text()
        action_file = yaml.safe_load((ROOT / "action.yml").read_text())

        assert [
            name for name in [*action_file["inputs"], *action_file["outputs"]] if f"`{name}`" not in documented
        ] == []
