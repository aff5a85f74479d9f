"""What `ciload doctor` says of machines, good ones and others."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ciload.doctor import checks
from ciload.doctor.checks import Check, clock, cores, ephemeral_ports, granted, open_files, quota
from ciload.engine.machine import Withheld


@pytest.mark.parametrize(
    ("check", "good", "words"),
    [
        (cores(4, 4, None), True, "4 of 4 cores"),
        (cores(1, 8, 0.5), False, "1 of 8 cores, limited to 0.5 by the container"),
        (open_files(1_024), True, "960 virtual users, or 480 side by side"),
        (open_files(256), False, "at most 256"),
        (open_files(None), True, "no limit"),
        (granted(0.99, Withheld(cores=2), 1.0), True, "99% of a core"),
        (granted(0.99, Withheld(stolen_s=0.2, cores=2), 1.0), False, "10.0% stolen"),
        (granted(0.99, Withheld(throttled_s=0.1, cores=2), 1.0), False, "10.0% throttled"),
        (granted(0.70, Withheld(cores=2), 1.0), False, "70% of a core"),
        (clock(0.0001, 1.0), True, "resolution"),
        (clock(-1.5, 1.0), False, "it went -1500.0 ms wrong in 1 s"),
    ],
)
def test_each_fact_is_a_sentence_and_a_mark(check: Check, good: bool, words: str) -> None:
    """What is not as it should be has advice."""
    assert (check.good, words in check.text) == (good, True), check
    assert good or check.advice


def test_a_clock_before_its_own_installation_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """No run can be older than the program that makes it."""
    monkeypatch.setattr(time, "time", lambda: 1_000_000_000.0)

    assert "before ciload was installed" in clock(0.0, 1.0).text


@pytest.mark.parametrize(
    ("text", "limit"), [("max 100000\n", None), ("150000 100000\n", 1.5), ("", None), ("nonsense", None)]
)
def test_a_container_limit(text: str, limit: float | None) -> None:
    """Cores may be parts of one."""
    assert quota(text) == limit


def test_ports(tmp_path: Path) -> None:
    """The range says how many connections a second there can be; a system without one is not asked."""
    file = tmp_path / "range"
    assert ephemeral_ports(file) is None
    file.write_text("32768\t60999\n")
    found = ephemeral_ports(file)
    assert found is not None
    assert (found.good, "28,232" in found.text, "470 requests a second" in found.text) == (True, True, True)
    file.write_text("60000 60999\n")
    few = ephemeral_ports(file)
    assert few is not None
    assert not few.good


def test_looking_does_not_take_long() -> None:
    """A busy part of a second says what a process gets, and an idle one how late timers are."""
    began = time.perf_counter()
    names = [each.name for each in checks.busy_second(0.05)] + [checks.event_loop(0.05).name]

    assert names == ["CPU time", "clock", "event loop"]
    assert time.perf_counter() - began < 5
