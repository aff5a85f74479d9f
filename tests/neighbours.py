"""A machine whose host gives its CPU to nobody else, as far as ciload is told.

A run that was told of other guests is no measure, and a gate that has no measure proves nothing about the gate.
"""

from __future__ import annotations

from pathlib import Path

SITE = """
from pathlib import Path
try:
    from ciload.engine import machine
except ImportError:  # some other Python's
    pass
else:
    machine.STAT = Path("/dev/null")
"""


def without_neighbours(folder: Path) -> str:
    """A PYTHONPATH with which every ciload is told so."""
    folder.mkdir(exist_ok=True, parents=True)
    (folder / "sitecustomize.py").write_text(SITE)
    return str(folder)
