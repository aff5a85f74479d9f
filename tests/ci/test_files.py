"""Dockerfile, actions, workflows and recipes under the linters of their kind. What is not installed is skipped."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.ci.runner import ROOT

RECIPES = ROOT / "examples" / "ci"
SCHEMAS = {
    "vendor.github-actions": [ROOT / "action.yml", ROOT / "docker" / "action.yml"],
    "vendor.github-workflows": [*(ROOT / ".github" / "workflows").glob("*.yml"), *RECIPES.glob("github-*.yml")],
    "vendor.gitlab-ci": [*RECIPES.glob("gitlab-*.yml")],
    "vendor.circle-ci": [RECIPES / "circleci.yml"],
    "vendor.azure-pipelines": [RECIPES / "azure-pipelines.yml"],
    "vendor.buildkite": [RECIPES / "buildkite.yml"],
}
# Releases that run on node24, which takes a runner of 2.327.1, by digest. Raise them here and everywhere at once.
ACTIONS = {
    "actions/cache": ("v5.0.5", "27d5ce7f107fe9357f9df03efb73ab90386fccae"),
    "actions/checkout": ("v7.0.1", "3d3c42e5aac5ba805825da76410c181273ba90b1"),
    "actions/deploy-pages": ("v5.0.0", "cd2ce8fcbc39b97be8ca5fce6e763baed58fa128"),
    "actions/download-artifact": ("v8.0.1", "3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c"),
    "actions/setup-python": ("v7.0.0", "5fda3b95a4ea91299a34e894583c3862153e4b97"),
    "actions/upload-artifact": ("v7.0.0", "bbbca2ddaa5d8feaa63e36b76fdaad77386f024f"),
    "actions/upload-pages-artifact": ("v5.0.0", "fc324d3547104276b827a68afc52ff2a11cc49c9"),
    "docker/build-push-action": ("v7.2.0", "f9f3042f7e2789586610d6e8b85c8f03e5195baf"),
    "docker/login-action": ("v4.2.0", "650006c6eb7dba73a995cc03b0b2d7f5ca915bee"),
    "docker/setup-buildx-action": ("v4.1.0", "d7f5e7f509e45cec5c76c4d5afdd7de93d0b3df5"),
    "docker/setup-qemu-action": ("v4.0.0", "ce360397dd3f832beb865e1373c09c0e9f86d70a"),
}
NAMED = re.compile(r"\b((?:actions|docker)/[\w-]+)(?:/[\w-]+)*@([\w.-]+)(?: # (v[\d.]+))?")
NOT_OURS = (".venv", ".git", "dist", "node_modules")
OURS = re.compile(r"\bOWNER/ciload@v0$", re.MULTILINE)


def tool(name: str) -> str:
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if not found:
        pytest.skip(f"{name} is not installed")
    return found


def complaints(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize(("schema", "files"), SCHEMAS.items())
def test_schema(schema: str, files: list[Path]) -> None:
    """Each file is what the system that reads it expects."""
    command = [tool("check-jsonschema"), "--regex-variant", "python", "--builtin-schema", schema]

    assert files
    assert complaints(*command, *map(str, files)) == ""


def test_workflows_are_safe(tmp_path: Path) -> None:
    """zizmor finds no injection, no token too strong, no action without a digest."""
    zizmor = tool("zizmor")
    for name in ("action.yml", "docker/action.yml", ".github"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        (tmp_path / name).parent.mkdir(exist_ok=True)
        copy(ROOT / name, tmp_path / name)
    for recipe in RECIPES.glob("github-*.yml"):
        # Whoever copies it puts a digest there, which we cannot know.
        (tmp_path / ".github/workflows" / recipe.name).write_text(
            OURS.sub(f"o/c@{'0' * 40} # v0.1", recipe.read_text())
        )

    assert complaints(zizmor, "--offline", "--no-progress", "--no-config", str(tmp_path)) == ""


def test_dockerfile() -> None:
    """hadolint has nothing to say."""
    assert complaints(tool("hadolint"), str(ROOT / "Dockerfile")) == ""


def test_foreign_actions_are_pinned() -> None:
    """By digest, with the version beside it; only our own may be named by a placeholder."""
    files = [ROOT / "action.yml", *(ROOT / ".github").rglob("*.yml"), *RECIPES.glob("github-*.yml")]
    used = [line for file in files for line in file.read_text().splitlines() if re.search(r"\buses: [^.]", line)]

    assert len(used) > 5
    pinned = re.compile(r"uses: (?:[\w./-]+@[0-9a-f]{40} # v[\d.]+|OWNER/ciload@v0)$")
    assert [line for line in used if not pinned.search(line)] == []


def test_no_action_is_older_than_the_list() -> None:
    """Wherever one is named, in what we run, what users copy and what `ciload init` writes."""
    named = [
        (f"{file.relative_to(ROOT)}: {found[0]}", *found.groups(""))
        for file in ROOT.rglob("*")
        if (file.suffix in (".yml", ".yaml", ".md", ".py") or file.name.startswith("Jenkinsfile"))
        and not set(NOT_OURS) & set(file.relative_to(ROOT).parts)
        for found in NAMED.finditer(file.read_text(encoding="utf-8"))
    ]

    assert len(named) > 20
    assert [where for where, action, at, version in named if not is_new(action, at, version)] == []


def is_new(action: str, at: str, version: str) -> bool:
    newest, digest = ACTIONS.get(action, ("", ""))
    return (at, version) == (digest, newest) if version else at == newest.partition(".")[0]


@pytest.mark.parametrize("recipe", sorted(RECIPES.iterdir()), ids=lambda recipe: recipe.name)
def test_what_is_started_is_stopped(recipe: Path) -> None:
    """Also after a failure: services of a self-hosted machine would be in the way of its next job."""
    text = recipe.read_text()
    # In words of whoever runs the file: at any rate, whatever happened before.
    always = re.compile(
        r"if: always\(\)\n\s+run: (?:\|\n\s+code=0\n\s+)?docker compose .*down"
        r"|cleanup {\s+sh 'docker compose down'|command: docker compose down\s+when: always"
        r"|script: docker compose down\s+condition: always\(\)|trap 'docker compose down"
    )

    assert ("docker compose" in text and " up " in text) == bool(always.search(text))


@pytest.mark.parametrize(
    ("failing", "code"), [("compose up", 7), ("run", 96), ("compose down", 0), ("annotate", 0), ("", 0)]
)
def test_buildkite_keeps_the_first_error(tmp_path: Path, failing: str, code: int) -> None:
    """The verdict is the load test's, whatever its report and the clean-up make of it."""
    command = yaml.safe_load((RECIPES / "buildkite.yml").read_text())["steps"][0]["command"].replace("$$", "$")
    (tmp_path / "ciload-results").mkdir()
    (tmp_path / "ciload-results" / "summary.md").touch()
    fake = f"""#!/bin/sh
echo "$*" >> {tmp_path}/calls
case "$*" in "$FAILING"*) test -z "$FAILING" || exit "$CODE"; esac
"""
    for name in ("docker", "buildkite-agent"):
        (tmp_path / name).write_text(fake)
        (tmp_path / name).chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path), "BUILDKITE_BRANCH": "main",
        "FAILING": failing, "CODE": str(code or 1),
    }  # fmt: skip
    done = subprocess.run(["bash", "-e", "-c", command], cwd=tmp_path, env=environment, check=False)

    assert done.returncode == code
    assert (tmp_path / "calls").read_text().splitlines()[-1] == "compose down"


def test_nobody_is_named_as_the_owner() -> None:
    """Images and actions are found by whoever runs them, not written down."""
    files = [ROOT / "action.yml", ROOT / "Dockerfile", *(ROOT / ".github").rglob("*.yml"), *RECIPES.iterdir()]
    named = re.compile(r"ghcr\.io/(?!\$|OWNER/)\S+|[\w-]+/ciload@")

    assert {hit for file in files for hit in named.findall(file.read_text())} <= {"OWNER/ciload@"}
