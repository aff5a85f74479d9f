"""Scripts as their authors' type checkers see them."""

from __future__ import annotations

from pathlib import Path

from mypy import api

GOOD = """
from ciload import VU, check, http

async def vu_start(vu: VU) -> None:
    reply = await http.post("/login", json={"user": "ann"}, headers={"A": "b"}, timeout="5s")
    vu.token = reply.json()["token"]
    vu.visited = 0

async def default(vu: VU) -> None:
    reply = await http.get("/", headers={"Authorization": vu.token}, params={"page": vu.iteration})
    vu.visited += 1
    status: int = reply.status_code
    check(reply, {"is fast": reply.timings.duration < 100, "is up": status == 200})
"""
BAD = """
from ciload import VU, http

async def default(vu: VU) -> None:
    reply = await http.get("/", jsn={})
    await http.post("/", {"a": 1})
    reply.status
    http.asyncRequest
    text: str = reply.status_code
    number: str = vu.id
"""


def checked(folder: Path, script: str) -> str:
    path = folder / "load.py"
    path.write_text(script)
    return api.run(["--strict", f"--cache-dir={Path.cwd() / '.mypy_cache'}", str(path)])[0]


def test_a_documented_script_is_well_typed(tmp_path: Path) -> None:
    """`vu.token = ...`, requests with their arguments and responses pass `mypy --strict`."""
    assert "Success" in checked(tmp_path, GOOD)


def test_mistakes_are_found_before_the_run(tmp_path: Path) -> None:
    """Arguments, attributes and types that do not exist are told with their lines."""
    told = checked(tmp_path, BAD)
    found = [int(line.split(":")[1]) for line in told.splitlines() if ": error:" in line]
    assert sorted(set(found)) == [5, 6, 7, 8, 9, 10], told
    assert 'Unexpected keyword argument "jsn" for "get"' in told
