"""The guide's story, told by ciload against the real Django API on both databases, in short runs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Ciload, Finished
from tests.e2e.databases import postgresql

GUIDE = Path(__file__).parents[2] / "examples" / "guide"
REST_S = 2.0  # the modest box saves up CPU time between runs


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment that puts the API on a database: SQLite, unless the test asks for another one."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield {"GUIDE_SQLITE": str(tmp_path / "guide.sqlite3")}
    else:
        with postgresql() as url:
            yield {"DATABASE_URL": url}


@pytest.fixture
def api(database: dict[str, str]) -> Iterator[str]:
    """The URL of the guide's API as a modest box."""
    environment = {key: value for key, value in os.environ.items() if key != "DATABASE_URL"} | database
    command = [sys.executable, str(GUIDE / "serve.py"), "--modest", "--port", "0"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None
        try:
            lines = (line.strip() for line in server.stdout)
            yield next(line.removeprefix("listening on ") for line in lines if line.startswith("listening on "))
        finally:
            server.terminate()
            server.communicate(timeout=20)


def succeeded(run: Finished) -> float:
    """The share of checks that held."""
    return float(run.result["metrics"]["checks"]["rate"])


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_the_story_of_the_guide(ciload: Ciload, api: str) -> None:
    """Thirty users drown it, pauses help, longer pauses suffice; of the two thresholds one holds and one does not."""

    def step(script: str, *arguments: str) -> Finished:
        time.sleep(REST_S)
        return ciload.run((GUIDE / script).read_text(encoding="utf-8"), "--base-url", api, *arguments)

    drowned = step("01_get_users.py", "-u", "30", "-d", "5s")
    better = step("02_get_users_sleep.py", "-u", "20", "-d", "5s")
    good = step("02_get_users_sleep.py", "-u", "20", "-d", "5s", "-e", "PAUSE=1")
    writing = step("03_create_organizations.py", "-u", "20", "-d", "5s")
    both = step("04_both.py", "-d", "5s")

    assert succeeded(drowned) < 0.4 < succeeded(better) < 0.95
    assert [succeeded(run) for run in (good, writing, both)] == [1.0, 1.0, 1.0]
    assert [run.code for run in (drowned, better, good, writing, both)] == [0, 0, 0, 0, 99]
    reading_p95, writing_p95 = (run.result["metrics"]["http_req_duration"]["trend"]["p95"] for run in (good, writing))
    assert reading_p95 < writing_p95
    outcomes = {each["metric"]: each["outcome"] for each in both.result["thresholds"]}
    assert outcomes == {"List Users": "pass", "Create Organization": "fail"}


def test_it_works_without_a_database_server(ciload: Ciload, api: str) -> None:
    """With SQLite, as at a desk."""
    texts = [
        (GUIDE / name).read_text(encoding="utf-8") for name in ("02_get_users_sleep.py", "03_create_organizations.py")
    ]
    runs = [ciload.run(text, "--base-url", api, "-d", "2s") for text in texts]
    assert [(run.code, succeeded(run)) for run in runs] == [(0, 1.0), (0, 1.0)]


def test_a_missing_token_is_refused(ciload: Ciload, api: str) -> None:
    """The API of the guide does ask for a token."""
    run = ciload.run((GUIDE / "01_get_users.py").read_text(encoding="utf-8"), "--base-url", api, "-e", "API_TOKEN=no")
    assert run.result["endpoints"][0]["statuses"] == {"401": 1}
