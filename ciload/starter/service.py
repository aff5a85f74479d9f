"""How the service in a repository starts, as far as its files tell: a guess, which a pipeline says that it is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ciload.errors import UsageError
from ciload.files import read_file
from ciload.starter.plain import parse

MOST_BYTES = 1 << 20
COMPOSE = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
PYTHON_FILES = ("main.py", "app.py", "server.py", "api.py", "asgi.py", "__init__.py")
PYTHON_FOLDERS = ("", "app", "api", "backend", "server", "src", "src/app", "src/api")
APPLICATION = re.compile(
    r"^(\w+)(?:[ \t]*:[^=\n]+)?[ \t]*=[ \t]*(?:\w+\.)?(FastAPI|Starlette|Flask)\(", re.MULTILINE | re.ASCII
)
EXPOSED = re.compile(r"^EXPOSE[ \t]+(\d+)", re.MULTILINE | re.IGNORECASE)
LISTENS = re.compile(r"(?:--port|--bind|-p|-b)[ \t=\",']+(?:[\w.]+:)?(\d+)")
PORT = "{port}"
LOG = '"$RUNNER_TEMP/service.log"'
VENV = '"$RUNNER_TEMP/service"'


@dataclass(frozen=True, slots=True)
class Service:
    """`start` are lines for a shell, in which `{port}` stands for the port; `in_docker`: docker is all it takes."""

    known_by: str
    start: tuple[str, ...]
    logs: str
    port: int | None  # that it has unless told otherwise
    stop: str = ""
    is_told_port: bool = True
    in_docker: bool = False
    wait_path: str = ""  # a path that it answers

    def lines(self, port: int) -> list[str]:
        """What starts it at this port."""
        return [each.replace(PORT, str(port)) for each in self.start]


def find_service(folder: Path) -> Service | None:
    """What is in the folder that can be started; the way that needs the fewest guesses first."""
    docker = _dockerfile(folder)
    if docker is not None and docker.port is None:
        docker, later = None, docker
    else:
        later = None
    return _compose(folder) or docker or _python(folder) or _django(folder) or _node(folder) or later


def _compose(folder: Path) -> Service | None:
    name = next((each for each in COMPOSE if (folder / each).is_file()), None)
    if name is None:
        return None
    return Service(
        name, ("docker compose up --detach",), "docker compose logs --tail 200", _published(folder / name),
        "docker compose down", is_told_port=False, in_docker=True,
    )  # fmt: skip


def _published(path: Path) -> int | None:
    """The first port of this machine that a service of the file has."""
    try:
        root = parse(_text(path).encode(), path.name, path.name)
    except UsageError:
        return None
    services = root.get("services") if isinstance(root, Mapping) else None
    for service in services.values() if isinstance(services, Mapping) else ():
        ports = service.get("ports") if isinstance(service, Mapping) else None
        for each in ports if isinstance(ports, list) else ():
            said = each.get("published") if isinstance(each, Mapping) else str(each).rpartition(":")[0]
            found = re.search(r"(?:^|:)(\d{1,5})$", str(said), re.ASCII)
            if found:
                return int(found[1])
    return None


def _dockerfile(folder: Path) -> Service | None:
    if not (folder / "Dockerfile").is_file():
        return None
    text = _text(folder / "Dockerfile")
    found = EXPOSED.search(text) or LISTENS.search(text)
    port = int(found[1]) if found and int(found[1]) < 65_536 else None
    inner = port or PORT
    run = f"docker run --detach --name service --publish {PORT}:{inner} --env PORT={inner} service"
    return Service(
        "Dockerfile", ("docker build --tag service .", run), "docker logs --tail 200 service", port,
        "docker rm --force service", in_docker=True,
    )  # fmt: skip


def _python(folder: Path) -> Service | None:
    for path, within in _python_files(folder):
        found = APPLICATION.search(_text(folder / within / path))
        if not found:
            continue
        module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        name, kind = found[1], found[2]
        where = f" --app-dir {within}" if within else ""
        if kind == "Flask":
            run = f'{VENV[:-1]}/bin/flask" --app {"src/" * bool(within)}{path.removesuffix(".py")} run --port {PORT}'
            return _in_python(folder, f"{within}{'/' * bool(within)}{path}, a Flask application", run, ("flask",), 5000)
        run = f'{VENV[:-1]}/bin/uvicorn" {module}:{name} --port {PORT}{where}'
        shown = f"{within}{'/' * bool(within)}{path}, a {kind} application"
        wait = "/openapi.json" if kind == "FastAPI" and "openapi_url" not in _text(folder / within / path) else ""
        return _in_python(folder, shown, run, (kind.lower(), "uvicorn"), 8000, wait)
    return None


def _python_files(folder: Path) -> Iterator[tuple[str, str]]:
    """Files that may make an application, below the folder that their modules are imported from."""
    for parent in PYTHON_FOLDERS:
        for name in PYTHON_FILES:
            path = f"{parent}/{name}".lstrip("/")
            if path != "__init__.py" and (folder / path).is_file():
                within = "src" if path.startswith("src/") else ""
                yield path.removeprefix("src/") if within else path, within


def _django(folder: Path) -> Service | None:
    if not (folder / "manage.py").is_file() or "django" not in _text(folder / "manage.py").lower():
        return None
    python = f'{VENV[:-1]}/bin/python" manage.py'
    return _in_python(folder, "manage.py, of Django", f"{python} runserver --noreload {PORT}", ("django",), 8000,
                      before=f"{python} migrate --noinput")  # fmt: skip


def _in_python(
    folder: Path, known_by: str, run: str, needs: tuple[str, ...], port: int, wait_path: str = "", before: str = ""
) -> Service:
    pip = f'{VENV[:-1]}/bin/pip" install --quiet'
    if (folder / "requirements.txt").is_file():
        install = f"{pip} --requirement requirements.txt" + (" uvicorn" if "uvicorn" in needs else "")
    elif (folder / "pyproject.toml").is_file():
        install = f"{pip} ." + (" uvicorn" if "uvicorn" in needs else "")
    else:
        install = f"{pip} {' '.join(needs)}"
    lines = (f"python3 -m venv {VENV}", install, before, f"{run} > {LOG} 2>&1 &")
    return Service(known_by, tuple(filter(None, lines)), f"cat {LOG}", port, wait_path=wait_path)


def _node(folder: Path) -> Service | None:
    try:
        root: Any = json.loads(_text(folder / "package.json") or "{}")
    except (ValueError, RecursionError):
        return None
    scripts = root.get("scripts") if isinstance(root, dict) else None
    if not isinstance(scripts, dict) or "start" not in scripts:
        return None
    locked = (folder / "package-lock.json").is_file()
    lines = ["npm ci" if locked else "npm install", *["npm run build"] * ("build" in scripts)]
    lines.append(f"PORT={PORT} npm start > {LOG} 2>&1 &")
    return Service("package.json, which has a start script", tuple(lines), f"cat {LOG}", 3000)


def _text(path: Path) -> str:
    """What is in the file; nothing when it cannot be read."""
    try:
        return read_file(path, MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
