"""A converted recording is run against a service whose ids, tokens and forms are new each time."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.convert.conftest import BIN, Converter
from tests.convert.recordings import KEY, PASSWORD, SECRETS, shop


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    """Its URL."""
    command = [sys.executable, str(Path(__file__).with_name("shop_server.py")), PASSWORD, KEY]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.terminate()


def without_pauses(folder: Path, script: str) -> None:
    script = re.sub(r"await sleep\(.*\)", "await sleep(0.01)", script)
    (folder / "load.py").write_text(script, encoding="utf-8")


def test_a_recorded_journey_can_be_made_again(convert: Converter, service: str) -> None:
    """Every reply is what was recorded, by users at the same time, with nothing but two secrets set."""
    made = convert(shop())
    assert made.code == 0, made.said
    without_pauses(convert.folder, made.script)

    done = convert.run("-u", "3", "-i", "9", "--base-url", service, PASSWORD=PASSWORD, API_KEY=KEY)

    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((convert.folder / "ciload-results/result.json").read_text(encoding="utf-8"))
    assert {(each["passes"], each["fails"]) for each in result["checks"]} == {(9, 0)}
    assert {each["name"] for each in result["endpoints"]} == {
        "/login", "/account", "/api/token", "/api/orders", "/api/orders/{order_id}", "/api/refs/{order_ref}",
    }  # fmt: skip


def test_a_wrong_secret_fails_the_run(convert: Converter, service: str) -> None:
    """The checks of a converted script can fail, and what follows from a failed step is not sent."""
    without_pauses(convert.folder, convert(shop()).script)
    done = convert.run("-u", "1", "-i", "1", "--base-url", service, PASSWORD="wrong", API_KEY=KEY)
    assert done.returncode == 99
    assert "script error" not in done.stdout.lower()


def test_what_a_browser_recorded_besides_is_left_out_and_named(convert: Converter) -> None:
    """Static files, other sites, preflights, websockets, aborted and failed requests are no part of the journey."""
    made = convert(shop())
    assert len(made.calls()) == 6
    for said in ("2 static files", "google-analytics.com (1)", "1 CORS preflight", "1 websocket", "without an answer",
                 "answered 401 in the recording: GET /api/me", "1 data: URL", "PASSWORD", "API_KEY"):  # fmt: skip
        assert said in made.said, said
    assert "sec-fetch" not in made.script
    assert "user-agent" not in made.script.lower()
    assert not any(secret in made.script + made.said for secret in SECRETS)


def test_the_script_reads_like_one_that_was_written(convert: Converter) -> None:
    """Groups, pauses, names for ids, and values that are taken from replies."""
    script = convert(shop()).script
    for line in (
        'async with group("submit login"):',
        'csrf_token = field(reply, "csrf_token")',
        'data={"user": "ada", "password": PASSWORD, "csrf_token": csrf_token},',
        'access_token = reply.json()["data"]["accessToken"]',
        'order_id = reply.json()["id"]',
        'name="/api/orders/{order_id}",',
        'params={"expand": "items", "tag": ["a", "b"]},',
        "await sleep(5)",
    ):
        assert line in script, f"{line}\n{script}"


@pytest.mark.parametrize("width", ["88", "120"])
def test_the_script_is_formatted(convert: Converter, width: str) -> None:
    """A formatter leaves it alone, and a linter has nothing to say."""
    convert(shop())
    ruff = BIN / "ruff"
    command = [str(ruff), "format", "--isolated", "--diff", "--line-length", width, "load.py"]
    done = subprocess.run(command, cwd=convert.folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    config = Path(__file__).parents[2] / "pyproject.toml"
    done = subprocess.run(
        [str(ruff), "check", "--config", str(config), "load.py"],
        cwd=convert.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_it_is_a_command_of_ciload(tmp_path: Path) -> None:
    """The script goes to a file that is not there yet, or to standard output; all behind `curl` is curl's."""

    def ciload(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(BIN / "ciload"), "convert", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )

    (tmp_path / "x.har").write_text(shop(), encoding="utf-8")
    assert ciload("x.har", "-o", "x.py").returncode == 0
    again = ciload("x.har", "-o", "x.py")
    assert (again.returncode, "there already: x.py; nothing was written" in again.stderr) == (2, True)
    assert ciload("x.har", "-o", "x.py", "--force").returncode == 0
    printed = ciload("-o", "-", "curl", "-o", "/dev/null", "--compressed", "http://h.example/a")
    assert printed.stdout.startswith('"""A request to h.example, made by `ciload convert curl …`.')
    assert "1 request." in printed.stderr
    assert not (tmp_path / "load.py").exists()
    for wrong in (["x.har", "-o", "x.txt"], ["x.har", "y.har"], ["nowhere.har"], ["x.har", "--host", "other.example"]):
        done = ciload(*wrong)
        assert (done.returncode, done.stderr.startswith("ciload: error: ")) == (2, True), done
