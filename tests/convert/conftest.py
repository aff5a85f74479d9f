"""`ciload convert` as a user runs it, in a folder of its own."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from ciload.cli.convert import convert_command
from ciload.metrics.registry import Registry
from ciload.script.loader import load_script

BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Converted:
    """What the command printed, and the script that it wrote."""

    code: int
    said: str
    script: str

    def calls(self) -> list[str]:
        """The requests in the script, each on one line."""
        tree = ast.parse(self.script)
        found = [each.value for each in ast.walk(tree) if isinstance(each, ast.Await)]
        return [text for each in found if (text := ast.unparse(each)).startswith("http.")]


class Converter:
    """Converts texts and commands, in this process; a run is another one."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.capture = capture

    def __call__(
        self, text: str | bytes, name: str = "recording.har", *, hosts: Sequence[str] = (), keep_static: bool = False,
        duration: str = "", variables: str = "",
    ) -> Converted:  # fmt: skip
        (self.folder / name).write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
        return self._convert([name], hosts, keep_static, duration, variables)

    def curl(self, *arguments: str) -> Converted:
        return self._convert(["curl", *arguments], (), False, "", "")

    def _convert(
        self, material: list[str], hosts: Sequence[str], keep_static: bool, duration: str, variables: str
    ) -> Converted:
        code = convert_command(
            material,
            "load.py",
            force=True,
            hosts=hosts,
            keep_static=keep_static,
            duration=duration,
            variables=variables,
        )
        printed = self.capture.readouterr()
        script = (self.folder / "load.py").read_text(encoding="utf-8") if code == 0 else ""
        return Converted(code, printed.out + printed.err, script)

    def load(self) -> None:
        """As a run would."""
        found = load_script(self.folder / "load.py", Registry())
        assert found.complaint_about("default") is None

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("CILOAD_")}
        return subprocess.run(
            [BIN / "ciload", "run", "load.py", *arguments], cwd=self.folder, env=clean | environment,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip


@pytest.fixture
def convert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Converter:
    monkeypatch.chdir(tmp_path)
    return Converter(tmp_path, capsys)
