"""The container's first process, run outside of one: what it starts, signals, exit codes, owners of files."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from types import ModuleType

import pytest

from tests.ci.runner import CILOAD, ROOT

ENTRYPOINT = ROOT / "docker" / "entrypoint.py"
root_only = pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give files away")
SOMEBODY = 12345


@pytest.fixture(scope="module")
def entrypoint() -> ModuleType:
    spec = importlib.util.spec_from_file_location("entrypoint", ENTRYPOINT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    path = f"{CILOAD.parent}:{os.environ['PATH']}"
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(ENTRYPOINT), *arguments],
        cwd=folder,
        env={"PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def code_of(process: subprocess.Popen[str]) -> int:
    process.communicate(timeout=30)
    return process.returncode


class TestWhatIsStarted:
    @pytest.mark.parametrize(
        ("arguments", "script", "expected"),
        [
            (["run", "load.py", "-u", "2"], "", ["ciload", "run", "load.py", "-u", "2"]),
            (["ciload", "run", "load.py"], "", ["ciload", "run", "load.py"]),
            (["--version"], "", ["ciload", "--version"]),
            (["rnu"], "", ["ciload", "rnu"]),
            (["sh", "-c", "echo hello"], "", ["sh", "-c", "echo hello"]),
            (["/bin/sh"], "", ["/bin/sh"]),
            ([], "", ["ciload", "--help"]),
            ([], "load.py", ["ciload", "run"]),
        ],
    )
    def test_command(
        self,
        entrypoint: ModuleType,
        monkeypatch: pytest.MonkeyPatch,
        arguments: list[str],
        script: str,
        expected: list[str],
    ) -> None:
        """Arguments are ciload's, unless they begin with a program; without any, the environment may say enough."""
        monkeypatch.setenv("CILOAD_SCRIPT", script)

        assert entrypoint.command(arguments) == expected

    def test_version(self, tmp_path: Path) -> None:
        """It runs the installed ciload."""
        output, _ = start(tmp_path, "--version").communicate(timeout=30)

        assert output.startswith("ciload ")


class TestExitCodes:
    @pytest.mark.parametrize(("script", "code"), [("exit 99", 99), ("kill -KILL $$", 137), ("exit 0", 0)])
    def test_program(self, tmp_path: Path, script: str, code: int) -> None:
        """The exit code is the program's, and that of a killed one is a shell's."""
        assert code_of(start(tmp_path, "sh", "-c", script)) == code

    def test_pipes_end_quietly(self, tmp_path: Path) -> None:
        """A program whose reader goes away is ended by SIGPIPE, as it would be anywhere else."""
        process = start(tmp_path, "sh", "-c", "yes | head -1; echo done")
        output, _ = process.communicate(timeout=30)

        assert output.split() == ["y", "done"]


class TestSignals:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
    def test_are_passed_on(self, tmp_path: Path, number: signal.Signals) -> None:
        """The program decides what a signal means, and has the time to act on it."""
        script = (
            f"trap 'sleep 0.1; exit 5' {number.name.removeprefix('SIG')}; touch ready; while :; do sleep 0.02; done"
        )
        process = start(tmp_path, "sh", "-c", script)
        while not (tmp_path / "ready").exists():
            time.sleep(0.01)
        process.send_signal(number)

        assert code_of(process) == 5


class TestTerminal:
    def test_control_c_arrives_once(self, tmp_path: Path) -> None:
        """At a terminal the program reads what is typed, and Ctrl-C is one signal: a second one means leave at once."""
        ours, its = os.openpty()
        script = (
            "trap 'echo INT >> signals' INT; read line; echo $line > read; sleep 0.5; sleep 0.5; cat signals; exit 5"
        )
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(ENTRYPOINT), "sh", "-c", script],
            cwd=tmp_path,
            stdin=its,
            stdout=its,
            stderr=its,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.write(ours, b"hello\n")
        while not (tmp_path / "read").exists():
            time.sleep(0.01)
        os.write(ours, b"\x03")
        code = process.wait(timeout=30)
        os.close(ours)
        os.close(its)

        assert code == 5
        assert (tmp_path / "read").read_text() == "hello\n"
        assert (tmp_path / "signals").read_text() == "INT\n"


@root_only
class TestOwner:
    def files_of(self, folder: Path, script: str) -> dict[str, int]:
        os.chown(folder, SOMEBODY, SOMEBODY)
        code_of(start(folder, "sh", "-c", script))
        return {path.name: path.lstat().st_uid for path in folder.rglob("*")}

    def test_new_files_belong_to_the_folders_owner(self, tmp_path: Path) -> None:
        """What root left behind goes to the owner of the workspace, also after a failure; links are not followed."""
        outside = tmp_path.parent / "outside"
        outside.touch()
        found = self.files_of(tmp_path, f"mkdir -p a/b && touch a/b/new && ln -s {outside} link && exit 99")

        assert found == {"a": SOMEBODY, "b": SOMEBODY, "new": SOMEBODY, "link": SOMEBODY}
        assert outside.stat().st_uid == 0

    def test_other_files_keep_theirs(self, tmp_path: Path) -> None:
        """What was there before, or belongs to a third user, is none of our business."""
        (tmp_path / "before").touch()
        time.sleep(1.2)
        found = self.files_of(tmp_path, "touch third && chown 54321 third")

        assert found == {"before": 0, "third": 54321}

    def test_also_after_a_signal(self, tmp_path: Path) -> None:
        """A cancelled job's reports are the caller's, too."""
        os.chown(tmp_path, SOMEBODY, SOMEBODY)
        process = start(
            tmp_path, "sh", "-c", "trap 'touch report; exit 105' TERM; touch ready; while :; do sleep 0.02; done"
        )
        while not (tmp_path / "ready").exists():
            time.sleep(0.01)
        process.terminate()

        assert code_of(process) == 105
        assert (tmp_path / "report").stat().st_uid == SOMEBODY

    def test_a_folder_of_roots_is_left_alone(self, tmp_path: Path) -> None:
        """Nobody else is there to give files to."""
        code_of(start(tmp_path, "touch", "new"))

        assert (tmp_path / "new").stat().st_uid == 0
