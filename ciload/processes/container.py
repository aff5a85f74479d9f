"""CPU seconds of a container, as the kernel counts them for its control group."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")
ENGINES = ("docker", "podman", "nerdctl")
ENGINE_ANSWERS_S = 15.0
SHORTEST_ID = 12  # digits; what is shorter may be a name
NS_PER_S = 1e9
US_PER_S = 1e6


class NoContainerError(Exception):
    """There is no such container, or it cannot be seen from here; the text says which, and what to do."""


class ContainerCpu:
    """A container as a source of CPU time: exact, and with all of its processes, also those that have ended."""

    def __init__(self, file: Path, name: str) -> None:
        self.name = name
        self._file = file
        self._before_s = 0.0  # what was used before the container was started again
        self._last_s = 0.0

    def read(self) -> float | None:
        """CPU seconds so far; None when the container is gone."""
        now_s = _usage_s(self._file)
        if now_s is None:
            return None
        if now_s < self._last_s:
            self._before_s += self._last_s
        self._last_s = now_s
        return self._before_s + now_s


def find_container(name: str, proc: Path = PROC, cgroups: Path = CGROUPS) -> ContainerCpu:
    """The container with this name or ID.

    Args:
        name: as the engine knows it; without an engine, its ID, or the first 12 digits of that.
        proc: where the kernel tells of processes.
        cgroups: where control groups are mounted.

    Raises:
        NoContainerError: it cannot be found, or its control group cannot be seen.
    """
    engine = next((each for each in ENGINES if shutil.which(each)), None)
    identity, pids = _ask(engine, name) if engine else (name, [])
    if engine is None and not re.fullmatch(rf"[0-9a-f]{{{SHORTEST_ID},64}}", name):
        raise NoContainerError(
            f"the container {name!r} cannot be looked up: none of {', '.join(ENGINES)} is installed here; give its ID"
        )
    for pid in [*pids, *_pids_in(identity, proc)]:
        for file in _files(_text(proc / str(pid) / "cgroup"), identity, cgroups):
            if _usage_s(file) is not None:
                return ContainerCpu(file, f"the container {name}")
    raise NoContainerError(
        f"the control group of the container {name!r} cannot be seen from here: it runs on another machine (also in a "
        "virtual one, as with Docker Desktop), or ciload runs in a container of its own; run ciload on the machine "
        "that runs the container"
    )


def _ask(engine: str, name: str) -> tuple[str, list[int]]:
    """The ID of a container and the process it began with."""
    command = [engine, "inspect", "--type", "container", "--format", "{{.Id}} {{.State.Pid}}", "--", name]
    try:
        done = subprocess.run(  # noqa: S603  # no shell, and the name is an argument of its own
            command, capture_output=True, text=True, timeout=ENGINE_ANSWERS_S, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise NoContainerError(f"{engine} does not answer, so {name!r} cannot be looked up: {error}") from None
    if done.returncode != 0:
        why = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise NoContainerError(f"{engine} does not know the container {name!r}: {why}")
    identity, _, pid = done.stdout.strip().partition(" ")
    if not pid.isdigit() or pid == "0":
        raise NoContainerError(f"the container {name!r} does not run: start it before the load")
    return identity, [int(pid)]


def _pids_in(identity: str, proc: Path) -> Iterator[int]:
    """Processes whose control group is named after the container."""
    for folder in sorted(proc.glob("[0-9]*")):
        if identity in _text(folder / "cgroup"):
            yield int(folder.name)


def _files(memberships: str, identity: str, cgroups: Path) -> Iterator[Path]:
    """Where the usage may stand, given the control groups of one of the container's processes (cgroups(7))."""
    for line in memberships.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        parts = path.strip("/").split("/")
        # Its own group, not one within it; and never one without its name, which others share.
        depth = next((index for index, part in enumerate(parts, 1) if identity in part), 0)
        if not depth or ".." in parts:
            continue
        group = Path(*parts[:depth])
        if not controllers:
            yield cgroups / group / "cpu.stat"
            yield cgroups / "unified" / group / "cpu.stat"
        elif "cpuacct" in controllers.split(","):
            yield cgroups / controllers / group / "cpuacct.usage"
            yield cgroups / "cpuacct" / group / "cpuacct.usage"


def _usage_s(file: Path) -> float | None:
    text = _text(file)
    if file.name == "cpu.stat":
        found = re.search(r"^usage_usec (\d+)$", text, re.MULTILINE)
        return int(found[1]) / US_PER_S if found else None
    return int(text) / NS_PER_S if text.strip().isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
