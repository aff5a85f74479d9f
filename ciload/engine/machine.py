"""What the machine kept from us: time that a container's CPU limit, or the host of a virtual machine, took away."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

CGROUP_V2 = Path("/sys/fs/cgroup/cpu.stat")
CGROUP_V1 = Path("/sys/fs/cgroup/cpu/cpu.stat")
CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
STAT = Path("/proc/stat")


@dataclass(frozen=True, slots=True)
class Withheld:
    """Seconds since boot or since the container's start; 0 where the system does not tell."""

    throttled_s: float = 0.0  # our cgroup had used up its quota
    stolen_s: float = 0.0  # of all cores, by the hypervisor for others
    cores: int = 1

    def since(self, earlier: Withheld) -> Withheld:
        return Withheld(self.throttled_s - earlier.throttled_s, self.stolen_s - earlier.stolen_s, self.cores)


def withheld() -> Withheld:
    """How it is now. Linux only; elsewhere nothing is known and nothing is claimed."""
    v2, v1 = _fields(_text(CGROUP_V2)), _fields(_text(CGROUP_V1))
    throttled_s = v2.get("throttled_usec", 0) / 1e6 or v1.get("throttled_time", 0) / 1e9
    return Withheld(throttled_s, _stolen_s(_text(STAT)), os.cpu_count() or 1)


def usable_cores() -> int:
    """Cores that this process may run on, with a container's quota rounded up. At least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period = _text(CPU_MAX).strip().partition(" ")
    if quota.isdigit() and period.isdigit() and int(period):
        cores = min(cores, -(-int(quota) // int(period)))
    return max(1, cores)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _fields(text: str) -> dict[str, int]:
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _stolen_s(text: str) -> float:
    """The eighth number of the first line of /proc/stat, in ticks (proc(5))."""
    first = text.partition("\n")[0].split()
    if len(first) < 9 or first[0] != "cpu" or not first[8].isdigit():
        return 0.0
    return int(first[8]) / os.sysconf("SC_CLK_TCK")
