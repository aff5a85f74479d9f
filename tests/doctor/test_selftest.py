"""What a self-test's runs mean, in numbers, in one line and as an exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ciload.doctor import selftest
from ciload.doctor.report import document, selftest_checks, sentence
from ciload.doctor.selftest import SelfTest, Served, judged, serving
from ciload.doctor.server import steps_for
from ciload.result.comparison import Comparison, GatedMetric, GateVerdict
from ciload.result.document import Generator, RunResult
from tests.gate.runs import fingerprint
from tests.reports.results import distribution, gated, metrics, result

OK, REGRESSION = GateVerdict.UNSUSPICIOUS, GateVerdict.REGRESSION


def compared(verdict: GateVerdict, change: float = 0.01) -> Comparison:
    of: dict[str, Any] = {"endpoint": "", "method": "", "change": change}
    found: list[GatedMetric] = [
        gated(verdict, metric="p50", detectable=0.061, **of), gated(OK, metric="p95", detectable=0.2, **of),
        gated(verdict, metric="CPU per request", detectable=0.034, **of),
        gated(OK, endpoint="/", metric="p50", detectable=0.5),
    ]  # fmt: skip
    return Comparison(
        gate="side by side", against="http://old", verdict=verdict, false_alarm=0.01, tolerance=0, metrics=found
    )


def run(number: int, p50_ms: float, **generator: Any) -> RunResult:
    facts = metrics()
    trend = distribution().model_copy(update={"med": p50_ms})
    facts["http_req_duration"] = facts["http_req_duration"].model_copy(update={"trend": trend})
    made = result(run_id=f"run-{number}", metrics=facts, fingerprint=fingerprint())
    return made.model_copy(update={"generator": Generator(**(made.generator.model_dump() | generator))})


RUNS = [run(number, 10.0 + 0.3 * (number % 3)) for number in range(6)]


def test_a_machine_that_can_be_relied_on() -> None:
    """No alarm for equals, the slower one found: what the runner finds is one line."""
    found = judged(20, compared(OK), compared(REGRESSION, 0.1), RUNS)

    assert (found.false_alarms, found.slower_found, found.history_runs) == ([], ["p50", "CPU per request"], 6)
    assert found.usable
    line = sentence(found)
    assert line.startswith("on this runner, 20 s side by side find +6.1% (+3.4% of CPU per request), history +")
    assert all(each.good for each in selftest_checks(found))


def test_a_false_alarm_is_no_footnote() -> None:
    """Who tells equals apart is not to be relied on."""
    found = judged(20, compared(REGRESSION, 0.4), compared(REGRESSION, 0.5), RUNS)

    assert not found.usable
    assert "told two equal servers apart (p50 +40%, CPU per request +40%): do not rely on it" in sentence(found)


def test_a_change_that_was_missed() -> None:
    """More time is the remedy."""
    found = judged(20, compared(OK), compared(OK, 0.1), RUNS)

    assert not found.usable
    assert "did not find a server that is +10%: take more time" in sentence(found)


def test_a_machine_on_which_nothing_is_judged() -> None:
    """That no alarm was raised is no good sign where none could be."""
    nothing = compared(OK).model_copy(update={"verdict": GateVerdict.INCONCLUSIVE, "reason": "the loop was late"})
    found = judged(20, nothing, compared(REGRESSION, 0.1), RUNS)

    assert not found.usable
    assert sentence(found) == "on this runner, 20 s side by side cannot be judged: the loop was late"
    assert [each.text for each in selftest_checks(found) if not each.good] == ["could not be judged: the loop was late"]


def test_disturbed_runs_are_no_history() -> None:
    """What the host took away is said, instead of a number that means nothing."""
    found = judged(
        20, compared(OK), compared(REGRESSION, 0.1), [run(each, 10.0, stolen_share=0.03) for each in range(6)]
    )

    assert (found.history_runs, found.history_finds) == (0, None)
    assert sentence(found).endswith("what history finds is open")
    texts = [each.text for each in selftest_checks(found)]
    assert "not known: 0 of 6 runs were a good measure" in texts
    assert "the host gave 3% of the machine's CPU to others" in texts


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (None, "no self-test: what this runner finds is not known"),
        (
            SelfTest(20, slower_found=["p50"], finds={"CPU per request": 0.056}, history_finds=12.53),
            "on this runner, 20 s side by side find +5.6% of CPU per request, history 14 times as much",
        ),
        (SelfTest(3, too_short=True), "3 s are too short to say what this runner finds: 12 s are needed"),
    ],
)
def test_what_was_not_looked_at_is_not_claimed(found: SelfTest | None, words: str) -> None:
    """A short look says that it was one."""
    assert sentence(found) == words
    assert document([], found, 0)["sentence"] == words


def test_the_server_answers_and_ends_with_us() -> None:
    """It does the work it was told, for as long as somebody holds on to it."""
    import urllib.request

    import psutil

    with serving(steps_for(0.001)) as server:
        before = sum(psutil.Process(server.pid).cpu_times()[:2])
        for _ in range(40):
            with urllib.request.urlopen(server.url) as reply:
                assert reply.read() == b"ok"
        used_s = sum(psutil.Process(server.pid).cpu_times()[:2]) - before
    assert used_s > 0.02
    assert not psutil.pid_exists(server.pid)


def test_what_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equals, then the slower one, for the time that was asked for; then six runs of a quarter of it."""
    made: list[tuple[str, int]] = []
    served: list[int] = []

    @contextmanager
    def serve(steps: int) -> Iterator[Served]:
        served.append(steps)
        yield Served(f"http://{len(served)}", len(served))

    def run_one(_: object, seconds: int, target: Served, *more: str) -> RunResult:
        old = f" and {more[more.index('--compare-url') + 1]}" if "--compare-url" in more else ""
        made.append((f"{target.url}{old}", seconds))
        slower = target.url == "http://3"
        one = RUNS[len(made) % len(RUNS)].model_copy(update={"run_id": f"run-{len(made)}"})
        return one.model_copy(update={"comparisons": [compared(REGRESSION if slower else OK)]})

    monkeypatch.setattr(selftest, "serving", serve)
    monkeypatch.setattr(selftest, "_run", run_one)
    said: list[str] = []
    found = selftest.run_selftest(20, said.append)

    assert served[0] == served[1]
    assert served[2] == pytest.approx(1.1 * served[0], abs=1)
    assert made == [("http://2 and http://1", 20), ("http://3 and http://1", 20), *[("http://1", 5)] * 6]
    assert (found.usable, found.history_runs, len(said)) == (True, 6, 3)
