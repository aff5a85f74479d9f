"""Standard streams that are closed, full, or that nobody reads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAD = "import os, sys\nfrom ciload.streams import secure_streams\nsecure_streams()\n"


def python(code: str, redirections: str) -> subprocess.CompletedProcess[str]:
    command = f'"{sys.executable}" -c "$CODE" {redirections}'
    environment = os.environ | {"CODE": HEAD + code, "PYTHONPATH": str(Path(__file__).parent.parent)}
    return subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_the_null_device(closed: str) -> None:
    """No file or socket that is opened later gets the number of a stream, and printing is no error."""
    code = (
        "opened = os.open('/', os.O_RDONLY)\nprint('a', flush=True)\nsys.stderr.write('b')\nsys.stdin.read()\n"
        "os._exit(10 + opened)"
    )
    assert python(code, f"< /dev/null {closed}").returncode > 12


def test_a_full_disk_is_said_once() -> None:
    """What is printed is lost, and everything else goes on."""
    done = python("for _ in range(9): print('x' * 5000)\nprint('y', flush=True)\nsys.exit(7)", "> /dev/full")
    assert done.returncode == 7
    assert done.stderr == "ciload: warning: standard output cannot be written: No space left on device\n"


def test_a_reader_that_leaves_is_no_error() -> None:
    """`| true` changes neither what is done nor how it ends."""
    code = "import time\ntime.sleep(0.1)\nfor _ in range(99): print('x' * 5000)\nsys.stderr.write('done')"
    done = python(f"{code}\nsys.exit(7)", '| true; exit "${PIPESTATUS[0]}"')
    assert (done.returncode, done.stderr) == (7, "done")


def test_what_is_printed_arrives() -> None:
    """In its order, whatever the terminal's encoding has no sign for."""
    done = python("print('a✓')\nprint('b')", "")
    assert done.stdout.encode("ascii", "replace").decode() == "a?\nb\n"
