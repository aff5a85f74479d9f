"""Dockerfile, actions, workflows and recipes under the linters of their kind. What is not installed is skipped."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ci.runner import ROOT

RECIPES = ROOT / "examples" / "ci"
SCHEMAS = {
    "vendor.github-actions": [ROOT / "action.yml", ROOT / "docker" / "action.yml"],
    "vendor.github-workflows": [*(ROOT / ".github" / "workflows").glob("*.yml"), *RECIPES.glob("github-*.yml")],
    "vendor.gitlab-ci": [RECIPES / "gitlab-ci.yml"],
    "vendor.circle-ci": [RECIPES / "circleci.yml"],
    "vendor.azure-pipelines": [RECIPES / "azure-pipelines.yml"],
    "vendor.buildkite": [RECIPES / "buildkite.yml"],
}
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


def test_nobody_is_named_as_the_owner() -> None:
    """Images and actions are found by whoever runs them, not written down."""
    files = [ROOT / "action.yml", ROOT / "Dockerfile", *(ROOT / ".github").rglob("*.yml"), *RECIPES.iterdir()]
    named = re.compile(r"ghcr\.io/(?!\$|OWNER/)\S+|[\w-]+/ciload@")

    assert {hit for file in files for hit in named.findall(file.read_text())} <= {"OWNER/ciload@"}
