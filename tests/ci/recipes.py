"""What GitLab's runner and Jenkins make of a pipeline: its steps with a real shell, and what is kept afterwards.

Both refuse what they do not know: a step that is left out here would be a step that nobody has tried.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.ci.runner import CILOAD, ROOT
from tests.neighbours import without_neighbours

TIMEOUT_S = 60
ENTRYPOINT = f"{sys.executable} {ROOT / 'docker' / 'entrypoint.py'}"

# Runs what would run in the container, with what that sees: only the named variables, the mounted folder, no git.
DOCKER = """\
#!{python}
import json, os, sys
words = sys.argv[1:]
with open({calls!r}, "a") as file:
    print(" ".join(words), file=file)
if words[0] == "compose":
    sys.exit({compose} if words[1] == "up" else 0)
assert words[0] == "run", words
names, folder, rest = [], "", words[1:]
while rest[0].startswith("-"):
    flag = rest.pop(0)
    if flag == "--rm":
        continue
    value = rest.pop(0)
    if flag == "--env":
        names.append(value)
    elif flag == "--volume":
        folder, _, place = value.partition(":")
        assert place == "/load"
    else:
        assert flag in ("--network", "--user"), flag
image, *arguments = rest
assert image.startswith("ghcr.io/OWNER/ciload:"), image
os.chdir(folder)
given = {{name: os.environ[name] for name in names if name in os.environ}}
os.execve({python!r}, [{python!r}, {entrypoint!r}, *arguments], {{**given, "PATH": {path!r}, "PYTHONPATH": {site!r}}})
"""


@dataclass
class Build:
    """A job or a build that is over."""

    status: str = "success"
    log: str = ""
    calls: list[str] = field(default_factory=list)  # of docker
    kept: Path = Path()  # its artifacts
    reports: dict[str, Path | None] = field(default_factory=dict)

    def shell(self, text: str, shell: list[str], folder: Path, environment: Mapping[str, str], scratch: Path) -> bool:
        """Whether it succeeded."""
        file = scratch / "script.sh"
        file.write_text(text)
        done = subprocess.run(
            [*shell, str(file)], cwd=folder, env=dict(environment), text=True, timeout=TIMEOUT_S, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.log += done.stdout
        self.status = "failed" if done.returncode else self.status
        return done.returncode == 0


def _programs(folder: Path, *names: str) -> Path:
    """A folder for PATH: the system's programs that a recipe needs, and ciload."""
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).symlink_to(shutil.which(name) or "/bin/false")
    return folder


# --- GitLab


def gitlab_job(recipe: str, name: str, folder: Path, scratch: Path, environment: Mapping[str, str]) -> Build | None:
    """One job of a `.gitlab-ci.yml` in an image that has ciload; None if its rules leave it out."""
    pipeline = yaml.safe_load(recipe)
    job = pipeline[name]
    unknown = set(job) - {"stage", "image", "services", "variables", "rules", "script", "after_script", "artifacts"}
    assert not unknown, unknown
    rule = next((each for each in job["rules"] if _holds(each["if"], environment)), None)
    if rule is None:
        return None
    given = {**job.get("variables", {}), **rule.get("variables", {})}
    variables = {key: _expanded(str(value), environment) for key, value in given.items()}
    build = Build(kept=scratch / "artifacts")
    path = _programs(scratch / "bin", "sh", "bash", "env", "cat")
    (path / "ciload").symlink_to(CILOAD)
    seen = {**environment, **variables, "PATH": str(path), "CI": "true"}
    seen["PYTHONPATH"] = without_neighbours(scratch / "site")
    shell = [*ENTRYPOINT.split(), "bash", "-eo", "pipefail"]
    succeeded = build.shell("\n".join(job["script"]), shell, folder, seen, scratch)
    build.shell("\n".join(job.get("after_script", ["true"])), ["bash"], folder, seen, scratch)
    artifacts = job["artifacts"]
    if artifacts.get("when", "on_success") in ("always", "on_success" if succeeded else "on_failure"):
        for each in artifacts["paths"]:
            if (folder / each).exists():
                shutil.copytree(folder / each, build.kept / each)
        for kind, each in artifacts["reports"].items():
            build.reports[kind] = build.kept / each if (build.kept / each).is_file() else None
    return build


def _holds(condition: str, environment: Mapping[str, str]) -> bool:
    found = re.fullmatch(r'\$(\w+) == (?:"([^"]*)"|\$(\w+))', condition)
    assert found, condition
    return environment.get(found[1]) == (environment.get(found[3]) if found[3] else found[2])


def _expanded(text: str, environment: Mapping[str, str]) -> str:
    return re.sub(r"\$(\w+)", lambda match: environment.get(match[1], ""), text)


# --- Jenkins

STEP = re.compile(
    r"""dir\('(?P<clear>[^']+)'\)\s*\{\s*deleteDir\(\)\s*\}
    |sh\s+'''(?P<script>.*?)'''
    |sh\s+'(?P<line>[^']*)'
    |copyArtifacts\(\s*projectName:\s*"(?P<project>[^"]*)",\s*selector:\s*lastCompleted\(\),\s*
        filter:\s*'(?P<filter>[^']*)',\s*optional:\s*true\s*\)
    |archiveArtifacts\s+artifacts:\s*'(?P<archive>[^']*)',\s*allowEmptyArchive:\s*true
    |junit\s+testResults:\s*'(?P<junit>[^']*)',\s*allowEmptyResults:\s*true
    |perfReport\s+sourceDataFiles:\s*'(?P<performance>[^']*)',\s*filterRegex:\s*''""",
    re.VERBOSE | re.DOTALL,
)
MAIN = "${env.JOB_NAME.substring(0, env.JOB_NAME.lastIndexOf('/'))}/main"


@dataclass
class Jenkins:
    """A multibranch project of Jenkins: its agent has Docker and git; the last build of main is at hand."""

    recipe: str
    workspace: Path
    scratch: Path
    builds: int = 0
    compose_fails: bool = False

    def build(self, branch: str, **variables: str) -> Build:
        self.builds += 1
        scratch = self.scratch / str(self.builds)
        path = _programs(scratch / "bin", "sh", "git", "id", "env", "cat", "timeout", "sleep", "curl")
        build, calls = Build(kept=scratch / "archive"), scratch / "calls"
        text = DOCKER.format(
            python=sys.executable, calls=str(calls), compose=int(self.compose_fails),
            entrypoint=str(ROOT / "docker" / "entrypoint.py"), path=str(CILOAD.parent),
            site=without_neighbours(scratch / "site"),
        )  # fmt: skip
        (path / "docker").write_text(text)
        (path / "docker").chmod(0o755)
        calls.touch()
        source = re.sub(r"^\s*//.*\n", "", self.recipe, flags=re.MULTILINE)
        environment = {
            "PATH": str(path), "HOME": str(scratch), "WORKSPACE": str(self.workspace), "BRANCH_NAME": branch,
            "JENKINS_URL": "http://jenkins.test/", "BUILD_NUMBER": str(self.builds), "JOB_NAME": f"shop/{branch}",
            "BUILD_URL": f"http://jenkins.test/job/shop/{self.builds}/", **variables,
        }  # fmt: skip
        environment |= _environment(_block(source, "environment"), environment)
        succeeded = True
        for step in _steps(_block(_block(source, "stages"), "steps")):
            succeeded = succeeded and self._do(step, build, environment, scratch)
        build.status = "success" if succeeded else "failed"
        post = _block(source, "post")
        for condition in ("always", "cleanup"):
            for step in _steps(_block(post, condition)):
                self._do(step, build, environment, scratch)
        build.calls = calls.read_text().splitlines()
        return build

    def _do(self, step: Mapping[str, str], build: Build, environment: Mapping[str, str], scratch: Path) -> bool:
        if "clear" in step:
            shutil.rmtree(self.workspace / step["clear"], ignore_errors=True)
        elif "script" in step or "line" in step:
            text = step.get("script", step.get("line", "")).replace("\\\n", "")  # as Groovy reads it
            return build.shell(text, ["sh", "-xe"], self.workspace, environment, scratch)
        elif "filter" in step:
            assert step["project"] == MAIN
            for number in range(self.builds - 1, 0, -1):
                kept = self.scratch / str(number) / "archive" / step["filter"]
                if kept.is_file() and (self.scratch / str(number) / "main").exists():
                    shutil.copy(kept, self.workspace / step["filter"])
                    break
        elif "archive" in step:
            for pattern in step["archive"].split(", "):
                for each in self.workspace.glob(pattern.replace("**", "**/*")):
                    if each.is_file():
                        target = build.kept / each.relative_to(self.workspace)
                        target.parent.mkdir(parents=True, exist_ok=True)
                        shutil.copy(each, target)
            if environment["BRANCH_NAME"] == "main":
                (scratch / "main").touch()
        else:
            kind = "junit" if "junit" in step else "performance"
            build.reports[kind] = next(iter(self.workspace.glob(step[kind])), None)
        return True


def _block(source: str, name: str) -> str:
    """What stands between the braces behind the name; "" if there is no such block."""
    found = re.search(rf"\b{name}\s*\{{", source)
    if found is None:
        return ""
    depth, at = 1, found.end()
    while depth:
        depth += {"{": 1, "}": -1}.get(source[at], 0)
        at += 1
    return source[found.end() : at - 1]


def _environment(block: str, known: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for line in filter(None, map(str.strip, block.splitlines())):
        name, _, value = line.partition(" = ")
        choice = re.fullmatch(r'"\$\{env\.(\w+) == \'(\w+)\' \? \'([\w-]+)\' : \'([\w-]+)\'\}"', value)
        secret = re.fullmatch(r"credentials\('([\w-]+)'\)", value)
        if choice:
            found[name] = choice[3] if known.get(choice[1]) == choice[2] else choice[4]
        elif secret:
            found[name] = f"secret of {secret[1]}"
        else:
            assert re.fullmatch(r"'[^']*'", value), line
            found[name] = value[1:-1]
    return found


def _steps(block: str) -> list[dict[str, Any]]:
    rest = STEP.sub("", block).strip()
    assert not rest, f"steps that nobody has tried: {rest}"
    return [
        {key: value for key, value in each.groupdict().items() if value is not None} for each in STEP.finditer(block)
    ]


def environment_of_tests() -> dict[str, str]:
    """What every process needs, and no more."""
    return {"HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8"}
