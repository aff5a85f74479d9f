"""What happens to virtual users before and after their iterations, and to the run when that goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio

from ciload.engine.control import Control
from ciload.errors import ExitCode
from ciload.http.cookies import CookieJar
from ciload.http.session import current_session
from ciload.http.target import parse_target
from ciload.script.api import abort, check, fail_test, sleep
from ciload.script.metrics import Counter
from ciload.script.vu import VU
from tests.engine.conftest import Diary, VirtualRun

Runner = Callable[..., VirtualRun]


def codes(run: VirtualRun) -> list[ExitCode]:
    return [stop.code for stop in run.outcome.stops]


def errors(run: VirtualRun) -> list[str]:
    return [message for _, message in run.outcome.snapshot.errors.entries]


# --- vu_start and vu_stop


def test_every_virtual_user_has_a_beginning_and_an_end(run_virtually: Runner) -> None:
    """vu_start() once before its first iteration, vu_stop() once after its last; what it sets on `vu` stays."""
    events: list[tuple[str, int, int]] = []

    async def vu_start(vu: VU, data: list[int]) -> None:
        vu.token = vu.id * data[0]  # scripts set what they like
        events.append(("start", vu.id, 0))

    async def default(vu: VU) -> None:
        await sleep(1)
        events.append(("iteration", vu.id, vu.token))

    async def vu_stop(vu: VU, data: list[int]) -> None:
        events.append(("stop", vu.id, vu.token))

    async def setup() -> list[int]:
        return [100]

    functions = {"setup": setup, "vu_start": vu_start, "vu_stop": vu_stop}
    run = run_virtually(default, functions=functions, vus=2, duration="2s")
    for vu in (1, 2):
        own = [(what, token) for what, number, token in events if number == vu]
        assert own == [("start", 0), ("iteration", 100 * vu), ("iteration", 100 * vu), ("stop", 100 * vu)]
    assert run.outcome.stops == []


def test_the_load_begins_when_all_virtual_users_are_ready(run_virtually: Runner, diary: Diary) -> None:
    """A slow log-in is not part of the load, and all users start together."""

    async def vu_start(vu: VU) -> None:
        await sleep(vu.id)

    run = run_virtually(diary.taking(1), functions={"vu_start": vu_start}, vus=3, duration="2s")
    assert diary.times == pytest.approx([3, 3, 3, 4, 4, 4])
    assert run.outcome.load_s == pytest.approx(2, abs=0.1)
    assert len(run.outcome.timeline) == 2


def test_cookies_of_vu_start_stay_and_those_of_iterations_do_not(run_virtually: Runner) -> None:
    """Logged in once, logged in for good; an iteration's own cookies are gone in the next one."""
    target = parse_target("http://target.test/")
    seen: list[str] = []

    def jar() -> CookieJar:
        return current_session().jar

    async def vu_start() -> None:
        jar().store(["login=yes; Path=/"], target)

    async def default() -> None:
        seen.append(jar().header_for(target))
        jar().store(["basket=1; Path=/", "login=; Max-Age=0; Path=/"], target)
        await sleep(1)

    run_virtually(default, functions={"vu_start": vu_start}, vus=1, duration="3s")
    assert seen == ["login=yes"] * 3


def test_cookies_do_not_outlast_an_iteration(run_virtually: Runner) -> None:
    """Without vu_start(), every iteration begins with an empty jar, as in k6."""
    target = parse_target("http://target.test/")
    seen: list[str] = []

    async def default() -> None:
        seen.append(current_session().jar.header_for(target))
        current_session().jar.store(["basket=1; Path=/"], target)
        await sleep(1)

    run_virtually(default, vus=1, duration="2s")
    assert seen == ["", ""]


def test_what_hooks_measure_is_kept_apart(run_virtually: Runner) -> None:
    """It is no part of metrics and thresholds, but can be told, by the hook it came from."""
    logins = Counter("logins")

    async def hook() -> None:
        logins.add(1)
        check(1, {"ready": False})

    async def default() -> None:
        check(1, {"ok": True})
        await sleep(1)

    run = run_virtually(default, functions={"vu_start": hook, "vu_stop": hook}, vus=2, duration="3s")
    assert "logins" not in run.outcome.snapshot.series
    assert {dict(tags)["check"] for tags in run.outcome.snapshot.series["checks"]} == {"ok"}
    aside = {
        dict(tags)["group"]: getattr(sink, "total", 0) for tags, sink in run.outcome.aside.series["logins"].items()
    }
    assert aside == {"::vu_start": 2, "::vu_stop": 2}


def test_a_vu_start_that_raises_leaves_its_user_out(run_virtually: Runner, diary: Diary) -> None:
    """It is a script error with the hook's group; the others do their work."""

    async def vu_start(vu: VU) -> None:
        if vu.id == 2:
            raise RuntimeError("no account")

    run = run_virtually(diary.taking(1), functions={"vu_start": vu_start}, vus=3, duration="2s")
    assert {start.vu for start in diary.starts} == {1, 3}
    assert errors(run) == ["RuntimeError: no account"]
    assert getattr(run.outcome.snapshot.select("script_errors", {"group": "::vu_start"}), "total", 0) == 1
    assert run.outcome.stops == []


def test_iterations_of_a_user_that_could_not_start_are_dropped_or_taken_over(
    run_virtually: Runner, diary: Diary
) -> None:
    """From the shared pot others take them; those that were its own nobody does, and they are counted."""

    async def vu_start(vu: VU) -> None:
        if vu.id == 1:
            raise RuntimeError("no account")

    shared = run_virtually(diary.taking(1), functions={"vu_start": vu_start}, vus=2, iterations=10)
    assert (shared.total("iterations"), shared.total("dropped_iterations")) == (10, 0)
    own = {"only": {"executor": "per-vu-iterations", "vus": 2, "iterations": 5}}
    run = run_virtually(diary.taking(1), functions={"vu_start": vu_start}, scenarios=own)
    assert (run.total("iterations"), run.total("dropped_iterations")) == (5, 5)


def test_a_vu_start_that_takes_too_long_ends_the_run(run_virtually: Runner, diary: Diary) -> None:
    """Exit code 100 and no load; who had started is stopped, and teardown() runs."""
    calls: list[str] = []

    async def vu_start(vu: VU) -> None:
        await sleep("1h" if vu.id == 2 else 0)

    async def vu_stop(vu: VU) -> None:
        calls.append(f"vu_stop {vu.id}")

    async def teardown() -> None:
        calls.append("teardown")

    functions = {"vu_start": vu_start, "vu_stop": vu_stop, "teardown": teardown}
    run = run_virtually(diary.taking(1), functions=functions, vus=2, duration="5s", setup_timeout="10s")
    assert codes(run) == [ExitCode.SETUP_TIMEOUT]
    assert "vu_start() did not finish within 10 s; --setup-timeout" in run.outcome.stops[0].reason
    assert (diary.starts, run.outcome.timeline) == ([], [])
    assert calls == ["vu_stop 1", "teardown"]


def test_an_abort_in_vu_start_ends_the_run_before_the_load(run_virtually: Runner, diary: Diary) -> None:
    """Exit code 108 at once, though others are still starting."""

    async def vu_start(vu: VU) -> None:
        if vu.id == 1:
            abort("no accounts left")
        await sleep("1h")

    run = run_virtually(diary.taking(1), functions={"vu_start": vu_start}, vus=3, duration="5s", setup_timeout="2h")
    assert codes(run) == [ExitCode.ABORTED]
    assert diary.starts == []


def test_vu_stop_is_called_after_an_abort(run_virtually: Runner) -> None:
    """Whatever ends the load, what vu_start() made can be unmade; then comes teardown()."""
    calls: list[str] = []

    async def default(vu: VU) -> None:
        await sleep(1)
        if vu.id == 1:
            abort()
        await sleep("1h")

    async def vu_stop(vu: VU) -> None:
        await sleep(1)
        calls.append(f"vu_stop {vu.id}")

    async def teardown() -> None:
        calls.append("teardown")

    run = run_virtually(default, functions={"vu_stop": vu_stop, "teardown": teardown}, vus=2, duration="1h")
    assert codes(run) == [ExitCode.ABORTED]
    assert (sorted(calls[:2]), calls[2:]) == (["vu_stop 1", "vu_stop 2"], ["teardown"])
    assert run.outcome.load_s == pytest.approx(1, abs=0.1)


def test_vu_stop_is_called_after_an_interruption(run_virtually: Runner) -> None:
    """A signal ends iterations, not what cleans up after them."""
    control, calls = Control(), []

    async def default(vu: VU) -> None:
        await sleep(1)
        control.request(ExitCode.INTERRUPTED, "interrupted by SIGTERM")
        await sleep("1h")

    async def vu_stop(vu: VU) -> None:
        await sleep(1)
        calls.append(vu.id)

    run = run_virtually(default, functions={"vu_stop": vu_stop}, control=control, vus=2, duration="1h")
    assert codes(run) == [ExitCode.INTERRUPTED]
    assert (sorted(calls), run.outcome.interrupted) == ([1, 2], 2)


def test_a_vu_stop_that_takes_too_long_is_told(run_virtually: Runner) -> None:
    """Exit code 101; the results stand, the other users' vu_stop() has run, and so does teardown()."""
    calls: list[object] = []

    async def default() -> None:
        await sleep(1)

    async def vu_stop(vu: VU) -> None:
        await sleep("1h" if vu.id == 1 else 1)
        calls.append(vu.id)

    async def teardown() -> None:
        calls.append("teardown")

    functions = {"vu_stop": vu_stop, "teardown": teardown}
    run = run_virtually(default, functions=functions, vus=2, duration="3s", teardown_timeout="10s")
    assert codes(run) == [ExitCode.TEARDOWN_TIMEOUT]
    assert "vu_stop() did not finish within 10 s; --teardown-timeout" in run.outcome.stops[0].reason
    assert (run.total("iterations"), calls) == (6, [2, "teardown"])


def test_a_vu_stop_that_raises_is_a_script_error(run_virtually: Runner) -> None:
    """The others are stopped all the same."""
    calls: list[int] = []

    async def default() -> None:
        await sleep(1)

    async def vu_stop(vu: VU) -> None:
        if vu.id == 1:
            raise RuntimeError("still in use")
        await sleep(1)
        calls.append(vu.id)

    run = run_virtually(default, functions={"vu_stop": vu_stop}, vus=2, duration="2s")
    assert (errors(run), calls) == (["RuntimeError: still in use"], [2])
    assert run.total("script_errors") == 1


def test_users_hired_during_the_load_are_stopped_too(run_virtually: Runner) -> None:
    """Everyone who has started, and nobody else."""
    started, stopped = set(), set()

    async def vu_start(vu: VU) -> None:
        started.add(vu.id)

    async def default() -> None:
        await sleep(3)

    async def vu_stop(vu: VU) -> None:
        stopped.add(vu.id)

    scenarios = {"only": {"executor": "constant-arrival-rate", "rate": 2, "duration": "5s", "max_vus": 20}}
    run_virtually(default, functions={"vu_start": vu_start, "vu_stop": vu_stop}, scenarios=scenarios)
    assert started == stopped
    assert len(started) >= 6


def test_hooks_get_copies_of_the_setup_data(run_virtually: Runner) -> None:
    """vu_start(), iterations and vu_stop() of a user share one copy; nobody else sees what they do to it."""
    seen: dict[int, list[str]] = {}
    left: list[Any] = []

    async def setup() -> dict[str, list[str]]:
        return {"log": []}

    async def vu_start(data: dict[str, list[str]]) -> None:
        data["log"].append("start")

    async def default(data: dict[str, list[str]]) -> None:
        data["log"].append("iteration")
        await sleep(1)

    async def vu_stop(vu: VU, data: dict[str, list[str]]) -> None:
        seen[vu.id] = data["log"]

    async def teardown(data: dict[str, list[str]]) -> None:
        left.append(data)

    functions = {"setup": setup, "vu_start": vu_start, "vu_stop": vu_stop, "teardown": teardown}
    run_virtually(default, functions=functions, vus=2, duration="2s")
    assert seen == {1: ["start", "iteration", "iteration"], 2: ["start", "iteration", "iteration"]}
    assert left == [{"log": []}]


def test_tags_set_in_vu_start_are_on_all_samples(run_virtually: Runner) -> None:
    """A user's own tags last until it changes them."""

    async def vu_start(vu: VU) -> None:
        vu.tags["plan"] = "gold"

    async def default(vu: VU) -> None:
        check(1, {"ok": True})
        await sleep(1)
        if vu.iteration == 1:
            del vu.tags["plan"]

    run = run_virtually(default, functions={"vu_start": vu_start}, vus=1, duration="3s")
    plans = {
        dict(tags).get("plan"): getattr(sink, "total", 0)
        for tags, sink in run.outcome.snapshot.series["checks"].items()
    }
    assert plans == {"gold": 2, None: 1}


# --- min_iteration_duration


def test_short_iterations_wait_for_the_next_one(run_virtually: Runner, diary: Diary) -> None:
    """An iteration every 2 s; the rest is not in iteration_duration."""
    run = run_virtually(diary.taking(0.5), vus=1, duration="6s", min_iteration_duration="2s")
    assert diary.times == pytest.approx([0, 2, 4])
    durations = run.outcome.snapshot.trend("iteration_duration")
    assert [durations.smallest, durations.largest] == pytest.approx([500, 500])


def test_long_iterations_are_not_held_up(run_virtually: Runner, diary: Diary) -> None:
    """min_iteration_duration is no pause."""
    run_virtually(diary.taking(3), vus=1, duration="9s", min_iteration_duration="2s")
    assert diary.times == pytest.approx([0, 3, 6])


def test_a_rest_that_is_cut_is_no_interrupted_iteration(run_virtually: Runner, diary: Diary) -> None:
    """The iteration before it has ended and counts; nothing was lost."""
    run = run_virtually(diary.taking(0.5), vus=2, duration="5s", min_iteration_duration="1h", graceful_stop="1s")
    assert (run.total("iterations"), run.outcome.interrupted) == (2, 0)
    assert run.outcome.load_s == pytest.approx(6, abs=0.1)


def test_iterations_that_raise_are_paced_as_well(run_virtually: Runner) -> None:
    """A broken script must not spin."""
    times: list[float] = []

    async def broken() -> None:
        times.append(trio.current_time())
        raise RuntimeError("at once")

    run_virtually(broken, vus=1, duration="3s", min_iteration_duration="1s")
    assert times == pytest.approx([0, 1, 2])


# --- warm-up


def test_iterations_begun_in_the_warmup_are_not_measured(run_virtually: Runner, diary: Diary) -> None:
    """Even if they end after it: their samples stay out, and so does the time from the length of the load."""
    hits = Counter("hits")

    async def default(vu: VU) -> None:
        await sleep(3)
        hits.add(1)

    run = run_virtually(default, vus=1, duration="12s", warmup="5s")
    # Iterations begin at 0, 3, 6, 9; the one at 3 ends after the warm-up, and still belongs to it.
    assert (run.total("iterations"), run.total("hits")) == (2, 2)
    assert getattr(run.outcome.warmup.select("iterations"), "total", 0) == 2
    assert run.outcome.load_s == pytest.approx(7, abs=0.1)


def test_the_timeline_begins_when_the_warmup_is_over(run_virtually: Runner) -> None:
    """Its first row is the first second that is measured."""

    async def default() -> None:
        await sleep(0.5)

    run = run_virtually(default, vus=2, duration="10s", warmup="4s")
    assert [round(point.at_s) for point in run.outcome.timeline] == [1, 2, 3, 4, 5, 6]
    assert run.outcome.timeline[0].iterations in (2, 4)  # the second ones end when the row does
    assert run.total("iterations") == 24


def test_thresholds_do_not_see_the_warmup(run_virtually: Runner) -> None:
    """A cold cache does not end the run; what comes after it does."""

    async def default() -> None:
        check(1, {"warm": trio.current_time() > 4.5 and trio.current_time() < 8.5})
        await sleep(0.5)

    limits = {"checks": [{"threshold": "rate==1", "abort_on_fail": True}]}
    run = run_virtually(default, vus=1, duration="20s", warmup="5s", thresholds=limits)
    assert codes(run) == [ExitCode.THRESHOLDS_FAILED]
    assert run.outcome.load_s == pytest.approx(4, abs=0.6)


def test_fail_test_in_the_warmup_counts(run_virtually: Runner) -> None:
    """Wrong data are wrong at any time."""

    async def default() -> None:
        if trio.current_time() < 1:
            fail_test("wrong data")
        await sleep(1)

    run = run_virtually(default, vus=1, duration="6s", warmup="3s")
    assert list(run.outcome.snapshot.marked_failed) == ["wrong data"]


def test_script_errors_in_the_warmup_are_told_but_not_counted(run_virtually: Runner) -> None:
    """They fail nothing, and nobody has to wonder why iterations are missing."""

    async def default() -> None:
        await sleep(1)
        if trio.current_time() < 2.5:
            raise RuntimeError("cold")

    run = run_virtually(default, vus=1, duration="6s", warmup="3s")
    assert run.total("script_errors") == 0
    assert getattr(run.outcome.warmup.select("script_errors"), "total", 0) == 2
    assert errors(run) == ["RuntimeError: cold"]
    assert run.outcome.timeline[-1].script_errors == 0


def test_drops_in_the_warmup_are_not_counted(run_virtually: Runner) -> None:
    """The users that a cold target keeps busy do not spoil dropped_iterations."""

    async def default() -> None:
        await sleep(2 if trio.current_time() < 3 else 0.01)

    scenarios = {"only": {"executor": "constant-arrival-rate", "rate": 10, "duration": "10s", "max_vus": 2}}
    run = run_virtually(default, scenarios=scenarios, warmup="5s")
    assert (run.total("iterations"), run.total("dropped_iterations")) == (50, 0)
    assert getattr(run.outcome.warmup.select("dropped_iterations"), "total", 0) > 10


def test_a_stop_in_the_warmup_leaves_nothing_measured(run_virtually: Runner) -> None:
    """No timeline and no time of load, not a negative one."""

    async def default() -> None:
        await sleep(2)
        abort("broken")

    run = run_virtually(default, vus=1, duration="20s", warmup="10s")
    assert codes(run) == [ExitCode.ABORTED]
    assert (run.outcome.load_s, run.outcome.timeline) == (0, [])


def test_a_scenario_that_begins_after_the_warmup_is_measured_whole(run_virtually: Runner) -> None:
    """The warm-up is the run's: of a scenario with a later start_time it takes nothing."""

    async def default() -> None:
        await sleep(1)

    scenarios = {
        "warm": {"executor": "constant-vus", "duration": "5s"},
        "main": {"executor": "constant-vus", "duration": "5s", "start_time": "5s"},
    }
    run = run_virtually(default, scenarios=scenarios, warmup="5s")
    assert run.total("iterations") == 5
    assert run.outcome.load_s == pytest.approx(5, abs=0.1)


# --- thresholds while the run goes on


def test_abort_on_fail_ends_the_run_at_the_next_second(run_virtually: Runner) -> None:
    """Exit code 99, with the threshold in the reason; teardown() runs, iterations under way do not hold it up."""
    calls: list[str] = []

    async def default() -> None:
        await sleep(0.1)
        check(1, {"ok": trio.current_time() < 3.5})

    async def teardown() -> None:
        calls.append("teardown")

    limits = {"checks": [{"threshold": "rate>0.99", "abort_on_fail": True}]}
    run = run_virtually(default, functions={"teardown": teardown}, vus=1, duration="1h", thresholds=limits)
    assert codes(run) == [ExitCode.THRESHOLDS_FAILED]
    assert run.outcome.stops[0].reason == "threshold failed: checks rate>0.99, which ended the run"
    assert run.outcome.load_s == pytest.approx(4, abs=0.2)
    assert calls == ["teardown"]


def test_a_threshold_without_abort_on_fail_does_not_end_the_run(run_virtually: Runner) -> None:
    """It is judged at the end."""

    async def default() -> None:
        await sleep(1)
        check(1, {"ok": False})

    run = run_virtually(default, vus=1, duration="5s", thresholds={"checks": "rate>0.99"})
    assert (run.outcome.stops, run.total("iterations")) == ([], 5)


def test_delay_abort_eval_holds_it_back(run_virtually: Runner) -> None:
    """A run may begin badly; what counts is how it looks after the delay."""

    async def default() -> None:
        await sleep(0.1)
        check(1, {"ok": False})

    limits = {"checks": [{"threshold": "rate>0.99", "abortOnFail": True, "delayAbortEval": "10s"}]}
    run = run_virtually(default, vus=1, duration="1h", thresholds=limits)
    assert run.outcome.load_s == pytest.approx(11, abs=1.1)
    assert codes(run) == [ExitCode.THRESHOLDS_FAILED]


def test_a_metric_without_samples_does_not_abort(run_virtually: Runner) -> None:
    """No data may yet become data; at the end of the run it is a failure, not before."""

    async def default() -> None:
        await sleep(1)

    limits = {"checks": [{"threshold": "rate>0.99", "abort_on_fail": True}]}
    run = run_virtually(default, vus=1, duration="5s", thresholds=limits)
    assert (run.outcome.stops, run.total("iterations")) == ([], 5)


def test_a_window_forgets_what_lies_before_it(run_virtually: Runner) -> None:
    """Bad seconds after many good ones abort when the window is full of them, not when the mean gives in."""

    async def default() -> None:
        await sleep(0.1)
        check(1, {"ok": trio.current_time() < 100})

    limits = {"checks": [{"threshold": "rate>0.5 over 5s", "abort_on_fail": True}]}
    run = run_virtually(default, vus=1, duration="1h", thresholds=limits)
    assert codes(run) == [ExitCode.THRESHOLDS_FAILED]
    assert run.outcome.load_s == pytest.approx(103, abs=1.1)


def test_the_worst_window_decides(run_virtually: Runner) -> None:
    """A bad half minute in the middle of a good run is found at its end."""

    async def default() -> None:
        await sleep(0.1)
        check(1, {"ok": not 20 <= trio.current_time() < 30})

    run = run_virtually(default, vus=1, duration="60s", thresholds={"checks": "rate>0.5 over 5s"})
    [worst] = run.outcome.windows.values()
    assert worst == pytest.approx(0, abs=0.05)
    assert run.outcome.stops == []


def test_a_failing_script_in_teardown_after_an_abort_is_told_too(run_virtually: Runner) -> None:
    """The first reason stays first; the second is not lost."""

    async def default() -> None:
        await sleep(1)
        abort("enough")

    async def teardown() -> None:
        raise RuntimeError("cannot clean up")

    run = run_virtually(default, functions={"teardown": teardown}, vus=1, duration="10s")
    assert codes(run) == [ExitCode.ABORTED, ExitCode.SCRIPT_ERROR]
    assert errors(run) == ["RuntimeError: cannot clean up"]
