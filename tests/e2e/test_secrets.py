"""Secrets and tokens: in no report, on no stream, nor in the environment of a script that did not ask for them."""

from __future__ import annotations

import json

import pytest

from tests.e2e.conftest import Ciload

LEAKY = """
import os, sys
from ciload import check, http, group, Counter
options = {"vus": 2, "iterations": 4, "secrets": ["FROM_SCRIPT"]}
options["thresholds"] = {"http_reqs{team:hunter2zqx}": "count>1"}
named = Counter("counter hunter2zqx")
async def default(vu):
    secret = os.environ["API_KEY"]
    vu.tags["team"] = secret
    reply = await http.get(f"/users/{secret}?x={secret}")
    check(reply, {f"is {secret}": False})
    named.add(1)
    async with group(f"in {secret}"):
        raise RuntimeError("no access with " + secret + " and " + os.environ["FROM_SCRIPT"])
def handle_summary(result):
    secret = os.environ["API_KEY"]
    assert secret not in str(result)
    return {"stdout": f"summary {secret}\\n", "stderr": f"also {secret}\\n"}
"""


@pytest.mark.parametrize("how", ["flag", "variable", "prefix"])
def test_a_secret_is_in_no_output(ciload: Ciload, server: str, how: str) -> None:
    """In paths, names, tags, exceptions, metrics and summaries of the script's own: *** stands where it stood."""
    arguments = ["--base-url", server, "--comment", "-e", "FROM_SCRIPT=deepdeepzqx"]
    environment = {"API_KEY": "hunter2zqx", "GITHUB_ACTIONS": "true"}
    if how == "flag":
        arguments += ["--secret", "API_KEY"]
    elif how == "variable":
        environment["CILOAD_SECRETS"] = "API_KEY"
    else:
        environment["CILOAD_SECRET_KEY"] = "hunter2zqx"
    for each in ("summary.md", "output.txt"):
        (ciload.folder / each).touch()
    environment |= {
        "GITHUB_STEP_SUMMARY": str(ciload.folder / "summary.md"),
        "GITHUB_OUTPUT": str(ciload.folder / "output.txt"),
    }
    run = ciload.run(LEAKY, *arguments, **environment)
    assert run.code == 107
    masks = [line for line in run.stderr.splitlines() if line.startswith("::add-mask::")]
    written = [
        run.stdout,
        "\n".join(line for line in run.stderr.splitlines() if line not in masks),
        *run.files.values(),
    ]
    written += [(ciload.folder / each).read_text() for each in ("summary.md", "output.txt")]
    assert [text for text in written if "hunter2" in text or "deepdeep" in text] == []
    assert "::add-mask::hunter2zqx" in masks
    result = json.loads(run.files["result.json"])
    assert {each["name"] for each in result["endpoints"]} == {"/users/***"}
    assert "RuntimeError: no access with *** and ***" in [each["message"] for each in result["errors"]]
    assert "counter ***" in result["metrics"]
    assert "summary ***" in run.stdout


@pytest.mark.parametrize("script", ["raise RuntimeError('no access with hunter2zqx')", "options = {'hunter2zqx': 1}"])
def test_a_run_that_cannot_begin_tells_no_secret(ciload: Ciload, script: str) -> None:
    """Errors at the top level and in options are masked too, in reports and on stderr."""
    run = ciload.run(script + "\nasync def default(): pass\n", "--secret", "API_KEY", API_KEY="hunter2zqx")
    assert run.code in (104, 107)
    assert "***" in run.reasons[0]
    assert "hunter2zqx" not in run.all_text()


def test_a_secret_that_is_set_nowhere_is_refused_unseen(ciload: Ciload) -> None:
    """`--secret "$KEY"` would mask nothing; the value does not get into the message."""
    run = ciload.run("async def default(): pass\n", "--secret", "hunter2zqx")
    assert run.code == 104
    assert "--secret: secrets: entry 1 is no variable that is set" in run.stderr
    assert "hunter2zqx" not in run.all_text()


def test_a_secret_may_be_empty(ciload: Ciload) -> None:
    """For pull requests from forks, CI sets secrets to nothing."""
    assert ciload.run("async def default(): pass\n", "--secret", "KEY", KEY="").code != 104


@pytest.mark.parametrize("pair", ["TOKEN:hunter2zqx", "TOKEN hunter2zqx", "hunter2zqx", "=hunter2zqx"])
def test_a_wrong_pair_is_not_quoted(ciload: Ciload, pair: str) -> None:
    """What was meant for -e KEY=VALUE may be secret as a whole."""
    run = ciload.run("async def default(): pass\n", "-e", "A=1", "-e", pair)
    assert (run.code, "-e, number 2 of 2: write -e KEY=VALUE" in run.stderr) == (2, True)
    assert "hunter2zqx" not in run.all_text()


SHOWS_ENVIRONMENT = """
import os, subprocess, sys
NAMES = ("GITHUB_TOKEN", "CILOAD_GITHUB_TOKEN", "CILOAD_GITLAB_TOKEN", "CI_JOB_TOKEN", "CI_REPOSITORY_URL")
def seen():
    child = subprocess.run([sys.executable, "-c", "import os; print(dict(os.environ))"], capture_output=True, text=True)
    return [name for name in NAMES if name in os.environ or name in child.stdout]
top = seen()
async def setup():
    return seen()
async def default(vu, data):
    found = {*top, *data, *seen(), *(name for name in NAMES if name in vu.env)}
    if found:
        raise RuntimeError(f"found {found}")
def handle_summary(result):
    return {"stdout": f"summary {seen()}"}
"""
TOKENS = {
    "GITHUB_TOKEN": "ghs_1234zqx", "CILOAD_GITHUB_TOKEN": "ghp_1234zqx", "CILOAD_GITLAB_TOKEN": "glpat-1234zqx",
    "CI_JOB_TOKEN": "glcbt-1234zqx", "CI_REPOSITORY_URL": "https://gitlab-ci-token:glcbt-1234zqx@h/x.git",
}  # fmt: skip


@pytest.mark.parametrize("workers", [1, 2])
def test_a_script_never_sees_our_tokens(ciload: Ciload, workers: int) -> None:
    """Neither at its top level, in setup, in virtual users, in worker processes, in children, nor in its summary."""
    run = ciload.run(
        SHOWS_ENVIRONMENT,
        "-u",
        "2",
        "-i",
        "4",
        "--workers",
        str(workers),
        CILOAD_THRESHOLDS="script_errors: count<1",
        **TOKENS,
    )
    result = json.loads(run.files["result.json"])
    assert [each["message"] for each in result["errors"]] == []
    assert result["load"]["iterations"] == 4
    assert "summary []" in run.stdout


def test_a_script_gets_the_token_that_it_is_given(ciload: Ciload) -> None:
    """`-e GITHUB_TOKEN=...` says that the script is meant to have it."""
    script = "import os\nassert os.environ['GITHUB_TOKEN'] == 'mine'\nasync def default(): pass\n"
    assert ciload.run(script, "-e", "GITHUB_TOKEN=mine", **TOKENS).code != 107


@pytest.mark.parametrize("name", ["setup", "vu_start", "default"])
def test_no_target_ends_the_run_at_once(ciload: Ciload, name: str) -> None:
    """Without a base URL, the first relative request says so; not each of a thousand."""
    ask = "\n    try: await http.get('/users')\n    except Exception: pass\n"
    script = f"from ciload import http\nasync def {name}():{ask}"
    script += "async def default(): pass\n" if name != "default" else ""
    run = ciload.run(script, "-u", "5", "-i", "1000")
    assert run.code == 104, run.stderr
    assert run.reasons == ["'/users' is relative, and there is no target: say --base-url, or set the option base_url"]
    assert json.loads(run.files["result.json"])["load"]["iterations"] == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_a_base_url_with_a_path_is_kept(ciload: Ciload, server: str, workers: int) -> None:
    """Requests go below it, and are named by what the script says, at both targets of a comparison."""
    script = "from ciload import http\nasync def default():\n    assert (await http.get('/slow/0')).json()\n"
    run = ciload.run(
        script, "-i", "4", "--workers", str(workers), "--base-url", f"{server}/v2/", "--compare-url", f"{server}/v1"
    )
    result = json.loads(run.files["result.json"])
    assert [each["name"] for each in result["endpoints"]] == ["/slow/0"]
    assert [each["name"] for each in result["old_arm"]["endpoints"]] == ["/slow/0"]
    assert result["errors"] == []
