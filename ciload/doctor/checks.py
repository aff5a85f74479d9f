"""What can be known of a machine in two seconds: each check is a sentence, and whether it is as it should be."""

from __future__ import annotations

import asyncio
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ciload.ci.identity import fingerprint
from ciload.doctor.server import work
from ciload.engine.machine import CPU_MAX, Withheld, usable_cores, withheld
from ciload.gate.stored_run import MOST_LAG_MS, MOST_STOLEN, MOST_THROTTLED
from ciload.metrics.sinks import TrendSink
from ciload.script.event_loop import EventLoop
from ciload.version import __version__

PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")
RESERVED_FILES = 64  # that Python, reports and event loop have open
FEW_FILES = 512
FEW_PORTS = 10_000
PORT_RESTS_S = 60  # of a connection that was closed here (TIME_WAIT)
LOOK_S = 1.0
NAP_S = 0.005
COARSE_S = 1e-5  # a clock that ticks more seldom is no clock for latencies
MOST_CLOCK_DRIFT = 0.002  # four times as fast as NTP corrects a clock
READINGS = 20
LEAST_GRANTED = 0.95  # of a core that was asked for


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `advice` says what follows when it is not `good`."""

    name: str
    good: bool
    text: str
    advice: str = ""


def check_machine() -> Iterator[Check]:
    """Everything, one after the other; takes two seconds, in one of which a core is busy."""
    machine = fingerprint()
    yield Check("versions", True, f"ciload {__version__}, Python {platform.python_version()}, {machine.os}")
    yield cores(usable_cores(), machine.cores, quota())
    yield Check("CPU", bool(machine.cpu), machine.cpu or "its model is not known", MODEL_ADVICE)
    if sys.platform != "win32":
        yield open_files(_open_files())
    if (ports := ephemeral_ports()) is not None:
        yield ports
    yield from busy_second()
    yield event_loop()


MODEL_ADVICE = "runs on other models cannot be told apart, and are compared as if they were alike"


def cores(usable: int, all_cores: int, limit: float | None) -> Check:
    """
    Args:
        usable: that this process may run on.
        all_cores: that the machine has.
        limit: of the container, in cores; None without one.
    """
    text = f"{usable} of {all_cores} cores" + (f", limited to {limit:g} by the container" if limit is not None else "")
    return Check(
        "cores", usable > 1, text, "generator and target share one core: give the target a machine of its own, or 2"
    )


def quota(text: str | None = None) -> float | None:
    """The container's limit in cores; None where there is none."""
    if text is None:
        text = CPU_MAX.read_text(encoding="ascii") if CPU_MAX.is_file() else ""
    most, _, period = text.strip().partition(" ")
    return int(most) / int(period) if most.isdigit() and period.isdigit() and int(period) else None


def _open_files() -> int | None:
    import resource  # there is none on Windows

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def open_files(limit: int | None) -> Check:
    """
    Args:
        limit: of this process; None without one.
    """
    if limit is None:
        return Check("open files", True, "no limit")
    free = max(0, limit - RESERVED_FILES)
    text = f"at most {limit:,}: {free:,} connections, so {free:,} virtual users, or {free // 2:,} side by side"
    return Check("open files", limit >= FEW_FILES, text, "raise it for more: ulimit -n 65536")


def ephemeral_ports(file: Path = PORTS) -> Check | None:
    """How many connections to one address there can be; None where the system does not tell."""
    try:
        first, last = map(int, file.read_text(encoding="ascii").split())
    except (OSError, ValueError):
        return None
    ports = max(0, last - first + 1)
    text = f"{ports:,}: to a target that closes its connections, {ports // PORT_RESTS_S:,} requests a second"
    return Check("ports", ports >= FEW_PORTS, text, f"more: sysctl net.ipv4.ip_local_port_range; now {first} {last}")


def busy_second(seconds: float = LOOK_S) -> Iterator[Check]:
    """What a process that wants a core gets of it, and whether the clocks agree meanwhile."""
    before, ahead_s, used_s, began = withheld(), _wall_ahead_s(), time.process_time(), time.perf_counter()
    while time.perf_counter() - began < seconds:
        work(1_000)
    took_s = time.perf_counter() - began
    yield granted((time.process_time() - used_s) / took_s, withheld().since(before), took_s)
    yield clock(_wall_ahead_s() - ahead_s, took_s)


def _wall_ahead_s() -> float:
    """Seconds from the monotonic clock to the wall clock: of some tries, the one that was interrupted the least."""
    tries = [(time.perf_counter(), time.time(), time.perf_counter()) for _ in range(READINGS)]
    began, wall, ended = min(tries, key=lambda each: each[2] - each[0])
    return wall - (began + ended) / 2


def granted(share: float, kept: Withheld, took_s: float) -> Check:
    """
    Args:
        share: of a core that a busy process got.
        kept: what the machine kept from it meanwhile.
        took_s: how long that was.
    """
    stolen, throttled = kept.stolen_s / took_s / kept.cores, kept.throttled_s / took_s
    text = f"a busy process got {share:.0%} of a core; {stolen:.1%} stolen by the host, {throttled:.1%} throttled"
    good = share >= LEAST_GRANTED and stolen <= MOST_STOLEN and throttled <= MOST_THROTTLED
    return Check("CPU time", good, text, "others use this machine: small changes are found side by side only")


def clock(drift_s: float, took_s: float) -> Check:
    """
    Args:
        drift_s: how much more the wall clock went on than the monotonic one.
        took_s: in how long.
    """
    resolution_s = time.get_clock_info("perf_counter").resolution
    text = f"resolution {resolution_s * 1e9:,.0f} ns; it is {time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC"
    installed_at = Path(__file__).stat().st_mtime
    if time.time() < installed_at:
        return Check("clock", False, f"{text}, which is before ciload was installed", CLOCK_ADVICE)
    if abs(drift_s) > MOST_CLOCK_DRIFT * took_s:
        return Check("clock", False, f"{text}; it went {1e3 * drift_s:+.1f} ms wrong in {took_s:.0f} s", CLOCK_ADVICE)
    return Check("clock", resolution_s <= COARSE_S, text, "latencies are rounded to that")


CLOCK_ADVICE = "set it (NTP): runs in a baseline are ordered by their time"


def event_loop(seconds: float = LOOK_S) -> Check:
    """How late timers are in an event loop that has nothing else to do."""

    async def look() -> tuple[str, float]:
        late, ends_at = TrendSink(), time.perf_counter() + seconds
        while (now := time.perf_counter()) < ends_at:
            await asyncio.sleep(NAP_S)
            late.add(max(0.0, time.perf_counter() - now - NAP_S) * 1e3)
        return type(asyncio.get_running_loop()).__module__.partition(".")[0], late.percentiles([99])[0]

    name, late_ms = EventLoop().run(look)
    advice = f"runs whose event loop is more than {MOST_LAG_MS:g} ms late are no measure for others"
    return Check("event loop", late_ms <= MOST_LAG_MS / 2, f"{name}, idle {late_ms:.1f} ms late at p99", advice)
