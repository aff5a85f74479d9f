"""The first minutes: a URL, a FastAPI service, and a script that fails when the service does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.e2e.conftest import CILOAD, Ciload, Finished

SECRET = "s3cr3tzqx"
SERVICE = """
from typing import Annotated

from fastapi import Depends, FastAPI, Form, HTTPException, UploadFile
from fastapi.security import HTTPBearer
from pydantic import BaseModel, Field

app = FastAPI(title="Shop", root_path="/v1")
broken = False


class Item(BaseModel):
    name: str = Field(min_length=3)
    price: float = Field(gt=0)


@app.get("/items/{item_id}", tags=["items"])
def get_item(item_id: int, size: Annotated[int, Field(ge=10)]) -> Item:
    if broken:
        raise HTTPException(500)
    return Item(name="pen", price=1)


@app.post("/items", status_code=201, tags=["items"])
def make_item(item: Item) -> Item:
    return item


@app.post("/upload", tags=["files"])
async def upload(file: UploadFile, others: list[UploadFile], title: Annotated[str, Form()]) -> list[str]:
    if (await file.read(), await others[0].read(), title) != (b"example", b"example", "example"):
        raise HTTPException(400)
    return [file.filename, others[0].filename]


@app.delete("/items/{item_id}", status_code=204)
def drop(item_id: int) -> None:
    pass


@app.get("/me")
def me(credentials: Annotated[object, Depends(HTTPBearer())]) -> str:
    return credentials.credentials


@app.get("/break", include_in_schema=False)
def break_it() -> None:
    global broken
    broken = True
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The service of the documentation's example, at some port."""
    pytest.importorskip("fastapi")
    folder = tmp_path_factory.mktemp("service")
    (folder / "main.py").write_text(SERVICE, encoding="utf-8")
    command = [sys.executable, "-m", "uvicorn", "main:app", "--port", "0"]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            line = next(each for each in process.stderr if "running on" in each)
            yield line.split("running on ")[1].split()[0]
        finally:
            process.terminate()
            process.communicate(timeout=20)


def run(folder: Path, *arguments: str, **environment: str) -> Finished:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("CILOAD_")}
    done = subprocess.run(
        [CILOAD, *arguments],
        cwd=folder,
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    files = {path.name: path.read_text(encoding="utf-8") for path in (folder / "ciload-results").glob("*")}
    return Finished(done.returncode, done.stdout, done.stderr, files)


def test_from_a_fastapi_service_to_a_test_that_can_fail(tmp_path: Path, service: str) -> None:
    """`ciload init URL` writes a script that passes as it is, uploads included, and fails when the service breaks."""
    made = run(tmp_path, "init", service, API_TOKEN="token")
    assert made.code == 0, made.stderr
    assert f"The document at {service}/openapi.json describes Shop." in made.stdout
    assert "5 requests, 3 of which change data." in made.stdout
    assert "GET /items/{item_id}" in made.stdout
    assert "All answer as the script expects." in made.stdout
    assert "Not in the script" not in made.stdout

    load = ["run", "load.py", "-u", "2", "-i", "2", "-e", "WRITES=1", "-e", "DELETES=1"]
    passed = run(tmp_path, *load, API_TOKEN="token")
    assert passed.code == 0, passed.stdout
    assert {(each["passes"], each["fails"]) for each in passed.result["checks"]} == {(2, 0)}
    assert len(passed.result["checks"]) == 5

    urlopen(f"{service}/break", timeout=10).close()
    failed = run(tmp_path, *load, API_TOKEN="token")
    assert failed.code == 99
    assert failed.reasons == ["threshold failed: http_req_failed rate<0.01", "threshold failed: checks rate>0.99"]

    again = run(tmp_path, "init", service, "--force")
    assert "2 of 2 do not answer as the script expects:" in again.stdout
    assert "set API_TOKEN in the environment" in again.stdout
    assert "the service has failed" in again.stdout


def test_a_url_is_run_as_it_is(ciload: Ciload, server: str) -> None:
    """One request, from several processes, judged; reports name the page, and nothing that may be secret."""
    url = server.replace("//", f"//me:{SECRET}@") + f"/users?token={SECRET}"
    done = run(ciload.folder, "run", url, "-u", "2", "-i", "6", "--workers", "2", CILOAD_BASE_URL="http://127.0.0.1:1")
    assert done.code == 0, done.stdout + done.stderr
    assert done.result["name"] == server.removeprefix("http://") + "/users"
    assert [(each["name"], each["requests"]) for each in done.result["endpoints"]] == [("/users", 6)]
    assert f"to keep this test as a script: ciload init '{server}/users?…'" in done.stderr
    assert SECRET not in done.all_text()


def test_a_url_that_fails(ciload: Ciload, server: str) -> None:
    """Its thresholds do not hold, and neither does a page that is not there."""
    failed = run(ciload.folder, "run", f"{server}/status/500", "-i", "2")
    assert failed.code == 99
    assert "threshold failed: http_req_failed rate<0.01" in failed.reasons
    assert run(ciload.folder, "run", "http://127.0.0.1:1/").code == 99


def test_a_trial_changes_nothing(ciload: Ciload, server: str) -> None:
    """It leaves no reports beside the script, and takes no options."""
    done = run(ciload.folder, "init", f"{server}/users", CILOAD_ITERATIONS="5", CILOAD_OUT_DIR=".")
    assert "200" in done.stdout
    assert "All answer as the script expects." in done.stdout
    assert [each.name for each in ciload.folder.iterdir()] == ["load.py"]
