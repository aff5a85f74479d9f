"""The container image, built and run: as root, as anybody, with nothing to write to but the results.

Opt-in (CILOAD_TEST_IMAGE=1), since a build takes minutes. Docker does it, on another base if CILOAD_TEST_BASE names
one; or, for root, buildah without any daemon, on a base that debootstrap makes.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
import yaml

from tests.ci.runner import ROOT
from tests.e2e.conftest import Handler, serving

pytestmark = pytest.mark.skipif(not os.environ.get("CILOAD_TEST_IMAGE"), reason="set CILOAD_TEST_IMAGE=1 to build")

TAG = "ciload-test"
BASE = "localhost/ciload-test-base"
OTHER_BASE = os.environ.get("CILOAD_TEST_BASE")
MOST_BYTES = 450 << 20
BUILD_TIMEOUT_S = 1200
TIMEOUT_S = 60
SOMEBODY = 12345
SCRIPT = """
from ciload import http

options = {"vus": 4, "iterations": 40}

async def default():
    await http.get("/")
"""


Env = Mapping[str, str]
NONE: Env = {}


class Image(Protocol):
    def start(self, folder: Path, *words: str, user: str = "", read_only: bool = False, env: Env = NONE) -> Any:
        """A container with the folder as its workspace, on the network of this machine."""

    def size(self) -> int:
        """Bytes, unpacked."""


def call(*command: str, timeout: float = BUILD_TIMEOUT_S) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout.strip()


def note(text: str) -> None:
    """A number that is nice to know; `pytest -s` shows it."""
    sys.stdout.write(f"\n{text}\n")


def popen(command: list[str], **more: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)


@dataclass(frozen=True)
class InDocker:
    def start(self, folder: Path, *words: str, user: str = "", read_only: bool = False, env: Env = NONE) -> Any:
        command = ["docker", "run", "--rm", "--network", "host", "--volume", f"{folder}:/load"]
        command += ["--user", user] if user else []
        command += ["--read-only"] if read_only else []
        command += [word for key, value in env.items() for word in ("--env", f"{key}={value}")]
        return popen([*command, TAG, *words])

    def size(self) -> int:
        return int(call("docker", "image", "inspect", "--format", "{{.Size}}", TAG))


@dataclass(frozen=True)
class Unpacked:
    """The image's files, run in namespaces of their own: there, too, the entrypoint is process 1."""

    root: Path
    config: dict[str, Any]

    def start(self, folder: Path, *words: str, user: str = "", read_only: bool = False, env: Env = NONE) -> Any:
        uid, _, gid = (user or "0:0").partition(":")
        root = shlex.quote(str(self.root))
        steps = [
            f"mount --rbind {root} {root}",
            f"mount --bind {shlex.quote(str(folder))} {root}/load",
            f"mount --rbind /dev {root}/dev",
            f"mount -t proc proc {root}/proc",
            *([f"mount -o remount,bind,ro {root}"] if read_only else []),
            f'exec chroot --userspec={uid}:{gid or 0} --groups= {root} "$@"',
        ]
        inside = [*self.config["Entrypoint"], *words]
        command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", "\n".join(steps), "sh"]
        # By env: a chroot is given no working directory, and a shell on the way drops names with hyphens.
        variables = [*self.config["Env"], "HOME=/", *(f"{key}={value}" for key, value in env.items())]
        return popen([*command, "/usr/bin/env", f"--chdir={self.config['WorkingDir']}", *variables, *inside])

    def size(self) -> int:
        return int(call("du", "--summarize", "--bytes", str(self.root)).split()[0])


def docker_is_there() -> bool:
    found = shutil.which("docker")
    return bool(found) and subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    started = time.monotonic()
    if docker_is_there():
        base = [f"--build-arg=PYTHON_IMAGE={OTHER_BASE}"] if OTHER_BASE else []
        call("docker", "build", "--network", "host", *base, "--tag", TAG, str(ROOT))
        yield InDocker()
    elif os.geteuid() == 0 and shutil.which("buildah") and shutil.which("debootstrap"):
        os.environ.setdefault("STORAGE_DRIVER", "vfs")
        if subprocess.run(["buildah", "inspect", "--type", "image", BASE], capture_output=True, check=False).returncode:
            make_base(tmp_path_factory.mktemp("base"))
        trusted = [word for path in ("/etc/ssl/certs", "/etc/pip.conf") for word in ("--volume", f"{path}:{path}:ro")]
        call(
            "buildah", "build", "--isolation", "chroot", "--pull=never", "--network", "host", *trusted,
            "--build-arg", f"PYTHON_IMAGE={BASE}", "--tag", TAG, str(ROOT),
        )  # fmt: skip
        note(f"built in {time.monotonic() - started:.0f} s")
        config = json.loads(call("buildah", "inspect", "--type", "image", TAG))["OCIv1"]["config"]
        container = call("buildah", "from", "--pull-never", TAG)
        try:
            yield Unpacked(Path(call("buildah", "mount", container)), config)
        finally:
            call("buildah", "rm", container)
    else:
        pytest.skip("needs Docker, or buildah and debootstrap for root")


def make_base(folder: Path) -> None:
    """Something like python:3.13-slim, from packages."""
    call("debootstrap", "--variant=minbase", "--include=python3,python3-venv,ca-certificates", "trixie", str(folder))
    shutil.rmtree(folder / "var/cache/apt", ignore_errors=True)
    container = call("buildah", "from", "scratch")
    call("buildah", "add", "--quiet", container, str(folder), "/")
    call("buildah", "config", "--env", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", container)
    call("buildah", "config", "--env", "LANG=C.UTF-8", container)
    call("buildah", "commit", "--quiet", "--rm", container, BASE)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A folder of somebody who is not root."""
    tmp_path.chmod(0o755)
    (tmp_path / "load.py").write_text(SCRIPT)
    if os.geteuid() == 0:
        os.chown(tmp_path, SOMEBODY, SOMEBODY)
    return tmp_path


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(Handler) as url:
        yield url


def finish(process: Any) -> tuple[int, str]:
    output, _ = process.communicate(timeout=TIMEOUT_S)
    return process.returncode, output


def owners(folder: Path) -> set[int]:
    return {path.lstat().st_uid for path in (folder / "ciload-results").rglob("*")}


def owner(folder: Path) -> str:
    found = folder.stat()
    return f"{found.st_uid}:{found.st_gid}"


def test_size(image: Image) -> None:
    """It is small enough to be pulled in every job."""
    note(f"{image.size() / 2**20:.0f} MiB")

    assert image.size() < MOST_BYTES


def test_version(image: Image, workspace: Path) -> None:
    """`ciload --version` answers quickly, since bytecode is part of the image."""
    finish(image.start(workspace, "--version"))
    started = time.monotonic()
    code, output = finish(image.start(workspace, "--version"))
    note(f"{time.monotonic() - started:.2f} s for --version")

    assert code == 0, output
    assert output.startswith("ciload ")


def test_no_arguments(image: Image, workspace: Path) -> None:
    """Without arguments and without CILOAD_SCRIPT there is help."""
    assert "Usage:" in finish(image.start(workspace))[1]


def test_other_programs(image: Image, workspace: Path) -> None:
    """GitLab and Jenkins start shells."""
    assert finish(image.start(workspace, "sh", "-c", "pwd; exit 7")) == (7, "/load\n")


def test_nothing_to_build_with(image: Image, workspace: Path) -> None:
    """Compilers and pip stayed in the first stage."""
    looks = "command -v cc gcc make; python3 -c 'import pip'"
    code, output = finish(image.start(workspace, "sh", "-c", looks))

    assert code == 1
    assert "No module named 'pip'" in output


def test_runs_as_the_caller(image: Image, workspace: Path, url: str) -> None:
    """With --user the files are the user's, and no entry in /etc/passwd is needed."""
    code, output = finish(image.start(workspace, "run", "load.py", "--base-url", url, user=owner(workspace)))

    assert code == 0, output
    assert owners(workspace) == {workspace.stat().st_uid}


def test_roots_files_go_to_the_workspaces_owner(image: Image, workspace: Path, url: str) -> None:
    """Without --user, a failed run's files belong to whom the workspace belongs to."""
    env = {"CILOAD_SCRIPT": "load.py", "CILOAD_BASE_URL": url, "CILOAD_THRESHOLDS": "http_req_duration: p(95)<0.0001"}
    code, output = finish(image.start(workspace, env=env))

    assert code == 99, output
    assert owners(workspace) == {workspace.stat().st_uid}


def test_environment_alone_with_a_read_only_root(image: Image, workspace: Path, url: str) -> None:
    """Nothing is written but the results, so the rest may be read-only."""
    env = {"CILOAD_SCRIPT": "load.py", "CILOAD_BASE_URL": url, "CILOAD_SAVE_BASELINE": "baseline.json"}
    code, output = finish(image.start(workspace, user=owner(workspace), read_only=True, env=env))

    assert code == 0, output
    assert {path.name for path in workspace.iterdir()} >= {"load.py", "ciload-results", "baseline.json"}
    assert not list(workspace.rglob("__pycache__"))


def test_workers_with_a_read_only_root(image: Image, workspace: Path, url: str) -> None:
    """Several processes need no more than one."""
    words = ("run", "load.py", "--base-url", url, "--workers", "2")
    code, output = finish(image.start(workspace, *words, user=owner(workspace), read_only=True))

    assert code == 0, output


@pytest.mark.parametrize(("words", "expected"), [(("run", "missing.py"), 2), (("run", "load.py", "-u", "no"), 104)])
def test_exit_codes(image: Image, workspace: Path, words: tuple[str, ...], expected: int) -> None:
    """The container's exit code is ciload's."""
    assert finish(image.start(workspace, *words))[0] == expected


def test_stops_on_sigterm(image: Image, workspace: Path) -> None:
    """`docker stop` ends a run with its reports written, and they are the caller's."""
    (workspace / "load.py").write_text(
        "from pathlib import Path\nfrom ciload import sleep\n"
        "async def default():\n    Path('started').touch()\n    await sleep(30)\n"
    )
    process = image.start(workspace, "run", "load.py", "-d", "30s")
    while not (workspace / "started").exists():
        assert process.poll() is None
        time.sleep(0.05)
    signal_first_process(process)
    code, output = finish(process)

    assert code == 105, output
    assert (workspace / "ciload-results" / "result.json").exists()
    assert owners(workspace) == {workspace.stat().st_uid}


def signal_first_process(process: Any) -> None:
    """Docker's client passes it on; where we made the namespaces, the first process is unshare's child."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[0]) if process.args[0] == "unshare" else process.pid, signal.SIGTERM)


def test_first_process_reaps(image: Image, workspace: Path) -> None:
    """Processes whose parents are gone leave no zombies behind."""
    orphan = "(sh -c 'echo $$ > pid; sleep 0.2' &) ; sleep 0.8; test ! -e /proc/$(cat pid)"

    assert finish(image.start(workspace, "sh", "-c", orphan)) == (0, "")


def test_container_action(image: Image, workspace: Path, url: str) -> None:
    """What docker/action.yml starts takes its inputs from the runner's variables, hyphens and all."""
    arguments = yaml.safe_load((ROOT / "docker" / "action.yml").read_text())["runs"]["args"]
    env = {"INPUT_SCRIPT": "load.py", "INPUT_BASE-URL": url, "INPUT_THRESHOLDS": "http_req_duration: p(95)<0.0001"}
    code, output = finish(image.start(workspace, *arguments, env=env))
    passed, said = finish(image.start(workspace, *arguments, env=env | {"INPUT_FAIL-ON": "errors"}))

    assert code == 99, output
    assert passed == 0, said
    assert owners(workspace) == {workspace.stat().st_uid}


def test_container_action_at_localhost(image: Image, workspace: Path) -> None:
    """A target that is not there is explained."""
    env = {"INPUT_SCRIPT": "load.py", "INPUT_BASE-URL": "http://localhost:1"}
    code, output = finish(image.start(workspace, "python3", "/opt/ciload/action_steps.py", "container", env=env))

    assert code == 98
    assert "::error title=ciload::nothing listens at http://localhost:1" in output


def test_more_libraries(image: Image, workspace: Path) -> None:
    """pip can be brought back, for images that are made from this one."""
    assert (
        finish(image.start(workspace, "sh", "-c", "python3 -m ensurepip >/dev/null && python3 -m pip --version"))[0]
        == 0
    )
