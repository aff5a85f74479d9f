"""How a service starts: told from the files of its repository, as far as they tell."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from ciload.starter.pipelines import PipelineGate, github, jenkins
from ciload.starter.service import Service, find_service

FASTAPI = "from fastapi import FastAPI\napp = FastAPI(title='x')\n"
START = json.dumps({"scripts": {"start": "node .", "build": "tsc"}})


def found(folder: Path, **texts: str) -> Service | None:
    """What is told by files of these names, in which __ stands for a slash and _ for a dot."""
    for name, text in texts.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return find_service(folder)


@pytest.mark.parametrize(
    ("files", "last_line"),
    [
        ({"main_py": FASTAPI}, 'uvicorn" main:app --port 81 >'),
        ({"app__main_py": FASTAPI.replace("app =", "api: FastAPI =")}, 'uvicorn" app.main:api --port 81 >'),
        ({"src__app__main_py": FASTAPI}, 'uvicorn" app.main:app --port 81 --app-dir src >'),
        ({"main_py": "import fastapi\nweb = fastapi.FastAPI(\n)"}, 'uvicorn" main:web --port 81 >'),
        ({"app_py": "app = Flask(__name__)"}, 'flask" --app app run --port 81 >'),
        ({"manage_py": "os.environ['DJANGO_SETTINGS_MODULE']"}, 'python" manage.py runserver --noreload 81 >'),
        ({"package_json": START}, "PORT=81 npm start >"),
        ({"Dockerfile": "FROM x\nEXPOSE 8080\n", "main_py": FASTAPI}, "--publish 81:8080 --env PORT=8080 service"),
        ({"Dockerfile": "FROM x\n"}, "--publish 81:81 --env PORT=81 service"),
        ({"Dockerfile": 'CMD ["uvicorn", "a:b", "--port", "9000"]\n'}, "--publish 81:9000 --env PORT=9000 service"),
        ({"Dockerfile": "FROM x\n", "main_py": FASTAPI}, 'uvicorn" main:app --port 81 >'),
        ({"compose_yaml": "services: {}", "Dockerfile": "EXPOSE 1"}, "docker compose up --detach"),
    ],
)
def test_services_are_known(tmp_path: Path, files: dict[str, str], last_line: str) -> None:
    """The surest way first; the port is that of the target."""
    service = found(tmp_path, **files)
    assert service is not None
    assert last_line in service.lines(81)[-1]


@pytest.mark.parametrize(
    "files",
    [
        {}, {"main_py": "print('FastAPI(')"}, {"main_py": "x = FastAPI"}, {"package_json": "{"}, {"package_json": "[]"},
        {"package_json": "[" * 9000}, {"package_json": '{"scripts": {"test": "x"}}'}, {"manage_py": "print()"},
    ],
)  # fmt: skip
def test_what_tells_nothing(tmp_path: Path, files: dict[str, str]) -> None:
    """Is no guess."""
    assert found(tmp_path, **files) is None


@pytest.mark.parametrize(
    ("ports", "port"),
    [
        ("['8080:80']", 8080), ("['127.0.0.1:8081:80']", 8081), ("[{published: 8082, target: 80}]", 8082),
        ("['80']", None),
        ("[8083:80]", 8083), ("x", None), ("['$(id):80']", None), ("[{published: '1\\n- run: id'}]", None),
    ],
)  # fmt: skip
def test_published_ports(tmp_path: Path, ports: str, port: int | None) -> None:
    """The first of this machine's; nothing else gets through."""
    service = found(tmp_path, compose_yaml=f"services:\n  db: {{}}\n  api: {{ports: {ports}}}\n")
    assert service is not None
    assert service.port == port


@pytest.mark.parametrize(
    ("files", "install"),
    [
        ({"requirements_txt": ""}, "--requirement requirements.txt uvicorn"),
        ({"pyproject_toml": ""}, "--quiet . uvicorn"),
        ({}, "--quiet fastapi uvicorn"),
    ],
)  # fmt: skip
def test_what_a_service_needs_is_installed(tmp_path: Path, files: dict[str, str], install: str) -> None:
    """As the repository says."""
    service = found(tmp_path, main_py=FASTAPI, **files)
    assert service is not None
    assert install in service.lines(1)[1]


def test_the_pipeline_starts_the_service(tmp_path: Path) -> None:
    """In a step of its own that says it is a guess; if no page is known, it waits for the port; its log is shown."""
    service = found(tmp_path, main_py=FASTAPI)
    text = github(PipelineGate("load.py", "http://localhost:8123", True, service=service))
    steps = yaml.safe_load(text)["jobs"]["load"]["steps"]
    assert "# Guessed from main.py, a FastAPI application" in text
    assert [each.get("name") for each in steps] == [None, "Start the service", None, "What the service said"]
    assert re.search(r"uvicorn\" main:app --port 8123 .*&\ntimeout .*/localhost/8123", steps[1]["run"])
    with_page = github(PipelineGate("load.py", "http://localhost:8123", True, "http://localhost:8123/up", (), service))
    assert "timeout" not in yaml.safe_load(with_page)["jobs"]["load"]["steps"][1]["run"]


def test_jenkins_starts_what_docker_starts(tmp_path: Path) -> None:
    """Its agent has docker, and nothing else for sure."""
    in_docker = found(tmp_path, Dockerfile="EXPOSE 80")
    text = jenkins(PipelineGate("load.py", "http://localhost:8123", True, service=in_docker))
    assert "sh 'docker run --detach --name service --publish 8123:80 " in text
    assert "sh 'docker rm --force service'" in text
