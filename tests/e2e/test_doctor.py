"""`ciload doctor` as people and programs call it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from tests.e2e.conftest import CILOAD, Ciload


def test_a_quick_look(tmp_path: Path) -> None:
    """Every line has a mark; the last one says that nothing was tested, also in the job summary."""
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    github = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
    done = subprocess.run(
        [CILOAD, "doctor", "--quick"], capture_output=True, text=True, check=False, env={**os.environ, **github}
    )

    assert done.returncode == 0, done.stderr
    lines = [line.strip() for line in done.stdout.splitlines() if line.startswith("  ")]
    marked, last = lines[:-1], lines[-1]
    assert all(line[:2] in ("✓ ", "! ") for line in marked)
    names = ("versions", "cores", "CPU", "open files", "CPU time", "clock", "event loop")
    assert all(any(line[2:].startswith(name) for line in marked) for name in names)
    assert last == "no self-test: what this runner finds is not known"
    assert summary.read_text() == f"before\n🩺 {last}\n\n"


def test_a_self_test_that_is_too_short_says_so(ciload: Ciload) -> None:
    """Real servers are loaded, in a folder that goes away; two seconds are no evidence, for or against."""
    done = ciload.command("doctor", "--seconds", "2", "--json")

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["sentence"] == "2 s are too short to say what this runner finds: 12 s are needed"
    assert (found["exit_code"], found["selftest"]["too_short"], found["selftest"]["finds"]) == (0, True, {})
    assert "two equal servers side by side, 2 s" in done.stderr
    assert list(ciload.folder.iterdir()) == []
