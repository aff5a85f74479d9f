"""A small GitHub runner: does the steps of a composite action with real bash, and plays the actions that they use."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

import ciload
from tests.neighbours import without_neighbours

ROOT = Path(__file__).parents[2]
CILOAD = Path(sys.executable).parent / "ciload"
TIMEOUT_S = 60
TOKENS = re.compile(r"\s*(\|\||&&|==|!=|!|\(|\)|'(?:[^']|'')*'|[\w.*-]+)")
STATUS = re.compile(r"\b(?:always|cancelled|success|failure)\(\)")

# Records what it was asked, and runs the installed ciload with what a container would see: only the named variables.
DOCKER = """\
#!{python}
import json, os, sys
with open({calls!r}, "a") as file:
    print(json.dumps(sys.argv[1:]), file=file)
words = sys.argv[1:]
if words[0] == "info":
    print({security!r})
elif words[0] == "pull":
    sys.exit({pull})
elif words[0] == "run":
    names = [words[at + 1] for at, word in enumerate(words) if word == "--env"]
    at = words.index("--workdir")
    os.chdir(words[at + 1])
    arguments = words[words.index("--env", len(words) - 1 - words[::-1].index("--env")) + 3 :]
    names += ["PATH", "PYTHONPATH"]
    os.execve({ciload!r}, ["ciload", *arguments], {{name: os.environ[name] for name in names}})
"""
# What `pip install` finds in the action's checkout: a package that brings this environment's libraries, offline.
BACKEND = """\
import zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    files = {{
        "here.pth": {paths!r},
        "ciload-0.dist-info/METADATA": "Metadata-Version: 2.1\\nName: ciload\\nVersion: 0\\n",
        "ciload-0.dist-info/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        "ciload-0.dist-info/entry_points.txt": "[console_scripts]\\nciload = ciload.cli:main\\n",
    }}
    files["ciload-0.dist-info/RECORD"] = "".join(f"{{name}},,\\n" for name in files)
    with zipfile.ZipFile(f"{{folder}}/ciload-0-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return "ciload-0-py3-none-any.whl"
"""


class Expression:
    """The value of a GitHub expression, of the few operators and functions that our actions use."""

    def __init__(self, text: str, contexts: Mapping[str, Any], status: str) -> None:
        self.words = TOKENS.findall(text)
        self.contexts, self.status = contexts, status
        self.value = self.either()
        assert not self.words, f"cannot read all of {text!r}"

    def takes(self, *words: str) -> str:
        return self.words.pop(0) if self.words and self.words[0] in words else ""

    def either(self) -> Any:
        left = self.both()
        while self.takes("||"):
            right = self.both()
            left = left or right
        return left

    def both(self) -> Any:
        left = self.compared()
        while self.takes("&&"):
            right = self.compared()
            left = left and right
        return left

    def compared(self) -> Any:
        left = self.single()
        while operator := self.takes("==", "!="):
            left = (str(left or "") == str(self.single() or "")) is (operator == "==")
        return left

    def single(self) -> Any:
        if self.takes("!"):
            return not self.single()
        if self.takes("("):
            inner = self.either()
            assert self.takes(")")
            return inner
        word = self.words.pop(0)
        if word.startswith("'"):
            return word[1:-1].replace("''", "'")
        if self.takes("("):
            argument = None if self.words[0] == ")" else self.either()
            assert self.takes(")")
            functions: dict[str, Callable[[], Any]] = {
                "toJSON": lambda: json.dumps(argument),
                "always": lambda: True,
                "cancelled": lambda: self.status == "cancelled",
                "success": lambda: self.status == "success",
                "failure": lambda: self.status == "failure",
            }
            return functions[word]()
        value: Any = self.contexts
        for part in word.split("."):
            value = (value or {}).get(part)
        return value


@dataclass
class Job:
    """One use of the action that is over."""

    folder: Path  # of its artifacts
    status: str = "success"
    log: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    used: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    docker: list[list[str]] = field(default_factory=list)
    summary: Path = Path()

    def report(self, name: str) -> str:
        """A file of the artifact."""
        return (self.folder / self.outputs["artifact"] / name).read_text()

    @property
    def result(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.report("result.json"))
        return document

    def uses(self, action: str) -> list[dict[str, str]]:
        return [given for name, given in self.used if name == action]

    def docker_run(self) -> list[str]:
        return next(call for call in self.docker if call[0] == "run")


@dataclass
class Runner:
    """A repository on GitHub with its caches and artifacts, and machines to run jobs on."""

    folder: Path
    runs: int = 0

    @property
    def workspace(self) -> Path:
        return self.folder / "work" / "repository"

    def job(
        self,
        inputs: Mapping[str, str],
        *,
        event: str = "push",
        ref: str = "refs/heads/main",
        payload: Mapping[str, Any] | None = None,
        matrix: Mapping[str, str] | None = None,
        container: str = "",
        environment: Mapping[str, str] | None = None,
        docker: str | None = "[]",
        pull: int = 0,
        python: bool = True,
        local: bool = False,
        cancel_when: Callable[[], bool] | None = None,
        only: str | None = None,
    ) -> Job:
        """Use the action once on a new machine, with a new checkout of what is in the workspace."""
        self.runs += 1
        for name in (".ciload", "ciload-results"):
            shutil.rmtree(self.workspace / name, ignore_errors=True)
        machine = self.folder / f"machine-{self.runs}"
        calls = machine / "calls"
        (machine / "bin").mkdir(parents=True)
        (machine / "temp").mkdir()
        calls.touch()
        if python:
            (machine / "bin" / "python3").symlink_to(sys.executable)
        if docker is not None:
            text = DOCKER.format(
                python=sys.executable, calls=str(calls), security=docker, pull=pull, ciload=str(CILOAD)
            )
            (machine / "bin" / "docker").write_text(text)
            (machine / "bin" / "docker").chmod(0o755)
        event_file = machine / "event.json"
        event_file.write_text(json.dumps({"repository": {"default_branch": "main"}, **(payload or {})}))
        base = {
            "PATH": str(machine / "bin"), "HOME": str(machine), "LANG": "C.UTF-8", "PIP_NO_INDEX": "1",
            "CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(self.workspace), "GITHUB_JOB": "load",
            "GITHUB_REPOSITORY": "octo/api",
            "GITHUB_ACTION_PATH": str(self._checkout(local)), "GITHUB_EVENT_NAME": event, "GITHUB_REF": ref,
            "GITHUB_EVENT_PATH": str(event_file), "GITHUB_RUN_ID": str(1000 + self.runs), "GITHUB_RUN_ATTEMPT": "1",
            "RUNNER_OS": "Linux", "RUNNER_ARCH": "X64", "RUNNER_TEMP": str(machine / "temp"),
            "GITHUB_STEP_SUMMARY": str(machine / "summary"), "PYTHONPATH": without_neighbours(machine / "site"),
            **(environment or {}),
        }  # fmt: skip
        action = yaml.safe_load((ROOT / "action.yml").read_text())
        declared = {name: str(each.get("default") or "") for name, each in action["inputs"].items()}
        assert set(inputs) <= set(declared)
        contexts: dict[str, Any] = {
            "inputs": {**declared, "token": "the-secret-token", **inputs}, "steps": {}, "matrix": matrix,
            "job": {"container": {"id": container}},
            "github": {} if local else {"action_repository": "Octo/CiLoad", "action_ref": "v1"},
        }  # fmt: skip
        job = Job(self.folder / "artifacts" / str(self.runs), summary=machine / "summary")
        for step in action["runs"]["steps"]:
            condition = str(step.get("if", "success()")).removeprefix("${{").removesuffix("}}")
            if job.status != "success" and not STATUS.search(condition):
                continue
            if not Expression(condition, contexts, job.status).value:
                continue
            if "run" in step:
                environment = base | self._filled(step.get("env", {}), contexts, job.status)
                code, outputs = self._bash(step["run"], environment, machine, job, cancel_when)
                contexts["steps"][step.get("id", "")] = {"outputs": outputs}
                if code and job.status == "success":
                    job.status = "failure"
            else:
                name = step["uses"].partition("@")[0]
                given = self._filled(step["with"], contexts, job.status)
                job.used.append((name, given))
                self._play(name, given, ref, machine, job)
            if only is not None and step.get("id") == only:
                break
        job.docker = [json.loads(line) for line in calls.read_text().splitlines()]
        job.steps = contexts["steps"]
        job.outputs = {
            name: str(self._filled({"value": each["value"]}, contexts, job.status)["value"])
            for name, each in action["outputs"].items()
        }
        return job

    def _checkout(self, local: bool) -> Path:
        if local:
            return ROOT
        checkout = self.folder / "_actions" / "Octo" / "CiLoad" / "v1"
        if not checkout.exists():
            checkout.mkdir(parents=True)
            for part in ("ciload", "action"):
                (checkout / part).symlink_to(ROOT / part)
            (checkout / "backend.py").write_text(
                BACKEND.format(paths=f"{sysconfig.get_path('purelib')}\n{Path(ciload.__file__).parents[1]}\n")
            )
            (checkout / "pyproject.toml").write_text(
                '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
            )
        return checkout

    @staticmethod
    def _filled(given: Mapping[str, str], contexts: Mapping[str, Any], status: str) -> dict[str, str]:
        def value(found: re.Match[str]) -> str:
            result = Expression(found[1], contexts, status).value
            return str(result).lower() if isinstance(result, bool) else str("" if result is None else result)

        return {key: re.sub(r"\$\{\{(.*?)\}\}", value, str(text)) for key, text in given.items()}

    def _bash(
        self,
        script: str,
        environment: Mapping[str, str],
        machine: Path,
        job: Job,
        cancel_when: Callable[[], bool] | None,
    ) -> tuple[int, dict[str, str]]:
        assert "${{" not in script, "an expression in a script is an injection"
        file, outputs = machine / "step.sh", machine / f"output-{time.monotonic_ns()}"
        file.write_text(script)
        outputs.touch()
        process = subprocess.Popen(
            [shutil.which("bash") or "bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(file)],
            cwd=self.workspace,
            env={**environment, "GITHUB_OUTPUT": str(outputs)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        ends = time.monotonic() + TIMEOUT_S
        while cancel_when and process.poll() is None and time.monotonic() < ends:
            if cancel_when():
                job.status = "cancelled"
                process.send_signal(signal.SIGINT)  # to this process alone, as the runner does
                break
            time.sleep(0.02)
        try:
            log, _ = process.communicate(timeout=TIMEOUT_S)
        finally:
            process.kill()
        job.log += log
        return process.returncode, self._read_outputs(outputs.read_text())

    @staticmethod
    def _read_outputs(text: str) -> dict[str, str]:
        found, lines = {}, iter(text.splitlines())
        for line in lines:
            if heredoc := re.fullmatch(r"([\w-]+)<<(.+)", line):
                value = []
                for each in lines:
                    if each == heredoc[2]:
                        break
                    value.append(each)
                found[heredoc[1]] = "\n".join(value)
            else:
                key, _, found_value = line.partition("=")
                found[key] = found_value
        return found

    def _play(self, name: str, given: Mapping[str, str], ref: str, machine: Path, job: Job) -> None:
        """What GitHub's own actions do, as far as ours relies on it."""
        caches = self.folder / "caches"
        if name == "actions/setup-python":
            (machine / "bin" / "python3").symlink_to(sys.executable)
        elif name == "actions/upload-artifact":
            source, target = self.workspace / given["path"], job.folder / given["name"]
            shutil.rmtree(target, ignore_errors=True)
            if source.is_dir():
                shutil.copytree(source, target)
            elif source.is_file():
                target.mkdir(parents=True)
                shutil.copy(source, target)
        elif name == "actions/cache":
            job.used[-1][1]["kept"] = str(machine / "temp")  # of what is downloaded, nothing is played
        elif name == "actions/cache/save":
            entry = caches / ref.replace("/", "_") / given["key"]
            entry.mkdir(parents=True)
            (entry / "path").write_text(given["path"])
            shutil.copy(self.workspace / given["path"], entry / "file")
        elif name == "actions/cache/restore":
            for scope in (ref, "refs/heads/main"):
                entries = sorted(
                    (caches / scope.replace("/", "_")).glob(f"{given['restore-keys']}*"),
                    key=lambda entry: entry.stat().st_mtime_ns,
                )
                entries = [each for each in entries if (each / "path").read_text() == given["path"]]
                if entries:
                    target = self.workspace / given["path"]
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(entries[-1] / "file", target)
                    return
        else:
            raise AssertionError(f"the action uses {name}, which nobody plays here")

    def write(self, name: str, text: str) -> None:
        self.workspace.mkdir(parents=True, exist_ok=True)
        (self.workspace / name).parent.mkdir(exist_ok=True)
        (self.workspace / name).write_text(text)


def copy_of(runner: Runner, folder: Path) -> Runner:
    """The same repository with its caches, on machines of its own."""
    for name in ("work", "caches"):
        shutil.copytree(runner.folder / name, folder / name)
    return Runner(folder, runs=100)


def usable_python() -> bool:
    """Whether this Python can make virtual environments; Debian's alone cannot."""
    code = subprocess.run([sys.executable, "-c", "import ensurepip"], capture_output=True, check=False).returncode
    return code == 0 and os.name == "posix"
