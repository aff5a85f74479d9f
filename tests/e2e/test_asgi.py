"""`ciload.asgi(app)`: a run at an application of the script's own, from its start-up to its shutdown."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import Ciload

APP = """
import sys
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException

import ciload
from ciload import check, http


@asynccontextmanager
async def lifespan(app):
    print("app starts", flush=True)
    app.state.users = {1: "ada"}
    yield
    print("app ends", flush=True)


app = FastAPI(lifespan=lifespan)


@app.get("/users/{number}")
async def user(number: int):
    if number not in app.state.users:
        raise HTTPException(404)
    return {"name": app.state.users[number]}


ciload.asgi(app)
options = {"vus": 2, "iterations": 20, "thresholds": {"checks": ["rate==1"]}}


async def setup():
    check(await http.get("/users/1"), {"is there for setup": lambda r: r.status_code == 200})


async def default(vu):
    reply = await http.get("/users/1")
    check(reply, {"its name": lambda r: r.json() == {"name": "ada"}})
    check(await http.get("/users/2", name="nobody"), {"not found": lambda r: r.status_code == 404})


async def teardown():
    print("teardown", (await http.get("/users/1")).status_code, flush=True)
"""


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_target_is_in_the_script(ciload: Ciload, workers: str) -> None:
    """Relative URLs reach it, its lifespan is that of the run, and the reports say what its times are worth."""
    finished = ciload.run(APP, "--workers", workers)
    assert finished.code == 0, finished.stdout + finished.stderr
    said = [each for each in finished.stdout.splitlines() if each.startswith(("app", "teardown"))]
    assert said == ["app starts", "teardown 200", "app ends"]
    assert {each["name"] for each in finished.result["endpoints"]} == {"/users/1", "nobody"}
    assert finished.result["options"]["target"] == "in-process"
    warning = "the target ran in ciload's own process"
    assert any(warning in each for each in finished.result["verdict"]["warnings"])
    assert warning in finished.summary
    assert warning in finished.stdout


def test_another_target_can_be_said(ciload: Ciload, server: str) -> None:
    """With a base URL the application is not started, and nobody is warned of it."""
    finished = ciload.run(APP, "--base-url", server)
    assert "app starts" not in finished.stdout
    assert "in ciload's own process" not in finished.all_text()
    assert finished.result["options"]["base_url"] == server


@pytest.mark.parametrize(
    ("startup", "said"),
    [
        ("raise LookupError('no database')", "the application of asgi() did not start: LookupError: no database"),
        ("import asyncio; await asyncio.sleep(600)", "the application of asgi() did not start within 1 s"),
    ],
)
def test_an_application_that_does_not_start(ciload: Ciload, startup: str, said: str) -> None:
    """It is an error of the script, before the load, with reports."""
    finished = ciload.run(APP.replace('print("app starts", flush=True)', startup), "--setup-timeout", "1s")
    assert finished.code == 107
    assert said in finished.stderr
    assert said in " ".join(finished.reasons)


def test_uvicorn_is_asked_for(ciload: Ciload, tmp_path: Path) -> None:
    """Whoever has not installed it is told how."""
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "uvicorn.py").write_text("raise ImportError('not installed')")
    finished = ciload.run(APP, PYTHONPATH=str(tmp_path / "without"))
    assert finished.code == 107
    assert "pip install 'ciload[asgi]'" in finished.stderr


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("ciload.asgi('app:app')", "asgi() takes an ASGI application, not str"),
        ("ciload.asgi(app)\nciload.asgi(app)", "asgi() was called before"),
        ("", "asgi() belongs at the top level of a script"),
    ],
)
def test_mistakes(ciload: Ciload, call: str, said: str) -> None:
    """What it takes, how often, and where."""
    top_level = APP.partition("ciload.asgi(app)")[0] + call
    finished = ciload.run(f"{top_level}\nasync def default():\n    ciload.asgi(app)\n", "--iterations", "1")
    assert finished.code == 107
    assert said in finished.all_text()
