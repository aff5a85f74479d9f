"""What was found, in one line for people and one document for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from ciload.doctor.checks import Check
from ciload.doctor.selftest import LEAST_S, OF_HISTORY, RUNS, SLOWER, SelfTest
from ciload.result.comparison import MANY_TIMES, relative

SHOWN_FINE = 0.10  # below, a change has a decimal


def sentence(found: SelfTest | None) -> str:
    """What this machine can find, in a line; None: nobody looked."""
    if found is None:
        return "no self-test: what this runner finds is not known"
    if found.too_short:
        return f"{found.seconds} s are too short to say what this runner finds: {LEAST_S} s are needed"
    if found.false_alarms:
        return (
            f"on this runner, {found.seconds} s side by side told two equal servers apart "
            f"({', '.join(found.false_alarms)}): do not rely on it"
        )
    if found.unjudged:
        return f"on this runner, {found.seconds} s side by side cannot be judged: {found.unjudged}"
    history = (
        f"history {_change(found.history_finds)}" if found.history_finds is not None else "what history finds is open"
    )
    if not found.slower_found:
        return (
            f"on this runner, {found.seconds} s side by side did not find a server that is {_change(SLOWER)}: take "
            f"more time (--duration), or a quieter runner; {history}"
        )
    return f"on this runner, {found.seconds} s side by side find {_finds(found)}, {history}"


def _finds(found: SelfTest) -> str:
    times = [_change(found.side_by_side_finds) if found.side_by_side_finds is not None else ""]
    times += [f"{_change(each)} of CPU per request" for name, each in found.finds.items() if name == "CPU per request"]
    first, *rest = filter(None, times) if any(times) else [f"a change of {_change(SLOWER)}"]
    return first + (f" ({rest[0]})" if rest else "")


def selftest_checks(found: SelfTest) -> Iterator[Check]:
    """The self-test as checks like any other."""
    advice = "an equal server is told apart once in 100 times: look again, and if it stays so, what else runs here?"
    if found.too_short:
        yield Check("self-test", False, f"{found.seconds} s are too short to say", f"--seconds {LEAST_S} or more")
        return
    if found.unjudged and not found.false_alarms:
        yield Check("A/A", False, f"could not be judged: {found.unjudged}", "a quieter runner, or more time")
    else:
        alarms = ", ".join(found.false_alarms)
        yield Check("A/A", not alarms, f"false alarm: {alarms}" if alarms else "no false alarm", advice)
    slower = f"found by {', '.join(found.slower_found)}" if found.slower_found else "not found"
    yield Check(_change(SLOWER), bool(found.slower_found), slower, "more time, or a runner that is quieter")
    yield Check(
        "history", found.history_finds is not None,
        f"{_change(found.history_finds)} with {OF_HISTORY} runs, if other jobs' runs differ no more than these "
        f"{found.history_runs} do" if found.history_finds is not None
        else f"not known: {found.history_runs} of {RUNS} runs were a good measure",
        "side by side does not need it",
    )  # fmt: skip
    for why in found.disturbed[:3]:
        yield Check("disturbed", False, why, "such runs are no measure for others")


def document(checks: Sequence[Check], found: SelfTest | None, exit_code: int) -> dict[str, Any]:
    """The same for programs. Changes are relative: 0.1 is 10% more."""
    return {
        "sentence": sentence(found),
        "exit_code": exit_code,
        "checks": [asdict(each) for each in checks],
        "selftest": None if found is None else asdict(found),
    }


def _change(value: float) -> str:
    if value >= MANY_TIMES - 1:
        return f"{relative(value)} as much"
    return f"{value:+.1%}" if abs(value) < SHOWN_FINE else f"{value:+.0%}"
