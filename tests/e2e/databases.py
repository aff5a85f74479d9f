"""A PostgreSQL server of the tests' own: a fresh cluster in a temporary folder, on a socket only it has."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

USER = "guide"


@contextmanager
def postgresql() -> Iterator[str]:
    """DATABASE_URL of a running server; it is gone afterwards."""
    # Under /tmp, because a socket's path may be 107 bytes at most.
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    as_user = unprivileged(folder)
    data = folder / "data"
    try:
        control("initdb", "-D", str(data), "-U", USER, "-A", "trust", "--no-sync", **as_user)
        options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
        control("pg_ctl", "-D", str(data), "-o", options, "-l", str(folder / "log"), "-w", "start", **as_user)
        try:
            control("createdb", "-h", str(folder), "-U", USER, "guide", **as_user)
            yield f"postgres://{USER}@/guide?host={quote(str(folder), safe='')}"
        finally:
            control("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop", **as_user)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def unprivileged(folder: Path) -> dict[str, Any]:
    """PostgreSQL refuses to run as root: then it runs as `postgres`, which its package creates."""
    if os.getuid() != 0:
        return {}
    account = pwd.getpwnam("postgres")
    os.chown(folder, account.pw_uid, account.pw_gid)
    folder.chmod(0o755)
    return {"user": account.pw_uid, "group": account.pw_gid}


def control(program: str, *arguments: str, **as_user: Any) -> None:
    subprocess.run(
        [find(program), *arguments],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        cwd="/",
        timeout=60,
        **as_user,
    )


def find(program: str) -> str:
    """Debian keeps PostgreSQL's server programs out of PATH."""
    candidates = [shutil.which(program), *sorted(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{program}")))]
    found = [each for each in candidates if each]
    assert found, f"{program} not found: apt-get install postgresql"
    return found[-1]
