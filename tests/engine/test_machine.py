"""What the system tells about time that was taken from us, and about cores."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ciload.engine import machine
from ciload.engine.machine import Withheld, usable_cores, withheld

V2 = "usage_usec 5000000\nuser_usec 1\nsystem_usec 2\nnr_periods 40\nnr_throttled 4\nthrottled_usec 2500000\n"
V1 = "nr_periods 40\nnr_throttled 4\nthrottled_time 1500000000\n"
STAT = "cpu  100 0 200 3000 5 0 7 450 0 0\ncpu0 50 0 100 1500 2 0 3 225 0 0\nintr 1 2 3\n"
TICKS = os.sysconf("SC_CLK_TCK")


@pytest.fixture(autouse=True)
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system that tells nothing, until a test writes files."""
    for name in ("CGROUP_V2", "CGROUP_V1", "STAT", "CPU_MAX"):
        monkeypatch.setattr(machine, name, tmp_path / name)
    return tmp_path


def test_where_nothing_is_told_nothing_is_claimed() -> None:
    """As on macOS, or where /sys is not mounted."""
    assert withheld() == Withheld(0.0, 0.0, os.cpu_count() or 1)


def test_throttling_by_cgroup_v2(system: Path) -> None:
    """Microseconds."""
    (system / "CGROUP_V2").write_text(V2)
    assert withheld().throttled_s == 2.5


def test_throttling_by_cgroup_v1(system: Path) -> None:
    """Nanoseconds, in another file."""
    (system / "CGROUP_V1").write_text(V1)
    assert withheld().throttled_s == 1.5


def test_stolen_time(system: Path) -> None:
    """The eighth number of the line of all cores, in ticks."""
    (system / "STAT").write_text(STAT)
    assert withheld().stolen_s == 450 / TICKS


@pytest.mark.parametrize("text", ["", "cpu 1 2 3\n", "cpu a b c d e f g h\n", "intr 1 2 3 4 5 6 7 8 9\n", "\xff\xfe"])
def test_files_of_another_shape_tell_nothing(system: Path, text: str) -> None:
    """An old or strange kernel is no reason to fail a run."""
    for name in ("CGROUP_V2", "CGROUP_V1", "STAT", "CPU_MAX"):
        (system / name).write_text(text, encoding="latin-1")
    assert withheld() == Withheld(0.0, 0.0, os.cpu_count() or 1)
    assert usable_cores() >= 1


def test_what_counts_is_the_time_of_the_load() -> None:
    """The counters run since boot."""
    assert Withheld(5.0, 9.0, 4).since(Withheld(3.5, 9.0, 4)) == Withheld(1.5, 0.0, 4)


@pytest.mark.parametrize(
    ("cores", "quota", "usable"),
    [
        (8, "max 100000", 8),
        (8, "200000 100000", 2),
        (8, "150000 100000", 2),
        (8, "20000 100000", 1),
        (2, "800000 100000", 2),
        (8, "", 8),
        (8, "100000 0", 8),
    ],
)
def test_usable_cores(system: Path, monkeypatch: pytest.MonkeyPatch, cores: int, quota: str, usable: int) -> None:
    """Those that we may run on, and no more than a container's quota, rounded up."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    (system / "CPU_MAX").write_text(quota + "\n")
    assert usable_cores() == usable


def test_usable_cores_without_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    """macOS has none."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores() == 1
