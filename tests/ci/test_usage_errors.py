"""A command that cannot begin is told on GitHub like any other failure: annotation, summary, outputs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.ci.model import RunnerModel

RUN = [sys.executable, "-m", "ciload"]


def told(folder: Path, *arguments: str) -> tuple[RunnerModel, str, str]:
    """What a runner makes of the command, which leaves with 2; the step's summary and outputs."""
    summary, outputs = folder / "summary", folder / "outputs"
    summary.touch()
    outputs.touch()
    environment = {
        "GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary), "GITHUB_OUTPUT": str(outputs),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }  # fmt: skip
    done = subprocess.run(
        [*RUN, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2, done.stderr
    model = RunnerModel()
    model.read(*done.stdout.splitlines())
    return model, summary.read_text(encoding="utf-8"), outputs.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "nothere.py"], "nothere.py: no such script"),
        (["run", "load.py", "--vsu", "3"], "No such option: --vsu"),
        (["run", "load", "%0A::set-env name=X::y"], "script 1 of 2 is no file"),
        (["run", "load.py", "-e", "TOKEN"], "write -e KEY=VALUE"),
    ],
)
def test_wrong_usage_of_run_is_told_everywhere(arguments: list[str], said: str, tmp_path: Path) -> None:
    model, summary, outputs = told(tmp_path, *arguments)
    errors = [text for name, _, text in model.commands if name == "error"]
    assert len(errors) == 1
    assert said in errors[0]
    assert [name for name, *_ in model.commands if name in ("set-env", "set-output")] == []
    assert "ciload did not start" in summary
    assert "exit-code" in outputs
    assert "failed" in outputs


@pytest.mark.parametrize("arguments", [["compare"], ["accept", "gone.json", "--reason", "x"], ["nonsense"]])
def test_other_commands_leave_the_steps_outputs_alone(arguments: list[str], tmp_path: Path) -> None:
    model, summary, outputs = told(tmp_path, *arguments)
    assert [name for name, *_ in model.commands] == ["error"]
    assert summary == outputs == ""
