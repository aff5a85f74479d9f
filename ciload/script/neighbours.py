"""How a script finds the modules that lie beside it, without anybody else finding them there by accident."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import FrameType, ModuleType

# What ciload itself imports, some of it late: a file of that name beside the script must not take its place.
OURS = frozenset({
    "anyio", "backports", "brotli", "ciload", "compression", "filelock", "greenlet", "hdrh", "hpack", "httpx", "idna",
    "junit_xml", "numpy", "opentelemetry", "orjson", "pydantic", "pydantic_core", "psutil", "python_socks", "rich",
    "scipy", "typer", "uvicorn", "uvloop", "yaml",
})  # fmt: skip


class NeighbourFinder:
    """Lets a script's own modules import from the script's folder and the working directory first.

    Libraries, ciload among them, find there only what is nowhere else: `unittest.py` beside a script is not the
    standard library's.
    """

    def __init__(self, folders: Sequence[str]) -> None:
        self.folders = list(folders)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's place, if one of the script's modules asks for it and it lies beside them."""
        if path is not None or name in OURS or name in sys.stdlib_module_names or not self._is_ours(_importer()):
            return None
        spec = PathFinder.find_spec(name, self.folders, target)
        # A folder without `__init__.py` is a package only where there is no other of that name.
        return spec if spec is not None and spec.loader is not None else None

    def _is_ours(self, importer: str) -> bool:
        return "site-packages" not in importer and any(Path(importer).is_relative_to(folder) for folder in self.folders)


def add_neighbours(folder: Path) -> None:
    """Let modules in `folder` and in the working directory be imported, in this order, by the script before others."""
    folders = list(dict.fromkeys((str(folder), str(Path.cwd()))))
    sys.meta_path[:] = [each for each in sys.meta_path if not isinstance(each, NeighbourFinder)]
    sys.meta_path.insert(0, NeighbourFinder(folders))
    sys.path += [each for each in folders if each not in sys.path]


def _importer() -> str:
    """The file whose code imports, "" if it has none."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return frame.f_code.co_filename if frame is not None else ""
