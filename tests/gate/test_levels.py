"""Levels: which runs are compared with, and how alarms become a new level."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ciload.errors import UsageError
from ciload.gate.alarms import Terms, compare_with_history
from ciload.gate.document import WINDOW, Acceptance, Baseline, StoredRun
from ciload.gate.levels import (
    ANCHOR,
    MOST_KEPT,
    accept,
    kinds,
    latest_level,
    levels,
    merge,
    prune,
    recent_alarms,
)  # fmt: skip
from ciload.result.comparison import GateVerdict
from tests.gate.runs import START, endpoint, fingerprint, stored_run, stored_runs

LATER = START + timedelta(days=9)
KIND = fingerprint()


def ids(runs: list[StoredRun]) -> list[str]:
    return [run.run_id for run in runs]


def history(states: str) -> Baseline:
    """A run for each letter: (a)ccepted, (w)orse, (b)etter, (t)ainted alarm, (n)othing said."""
    runs = []
    for n, state in enumerate(states):
        alarm = {"w": "worse", "b": "better", "t": "worse"}.get(state, "")
        tainted = ["noise"] if state == "t" else []
        at = START + timedelta(hours=n)
        runs.append(stored_run(run_id=f"{n}{state}", at=at, accepted=state == "a", alarm=alarm, tainted=tainted))
    return Baseline(runs=runs)


def test_levels_hold_accepted_runs_of_the_kind() -> None:
    """Alarms that go on, tainted runs and runs of another kind are not compared with; order is that of time."""
    other = stored_run(run_id="other", fingerprint=fingerprint(target="else"))
    baseline = history("aataw")
    baseline = Baseline(runs=[other, *reversed(baseline.runs)])
    assert [ids(level.runs) for level in levels(baseline, KIND)] == [["0a", "1a", "3a"]]
    assert levels(Baseline(), KIND) == []


def test_only_the_newest_runs_are_used() -> None:
    """Of more accepted runs than the window, the newest count."""
    runs = stored_runs([10.0] * (WINDOW + 5))
    assert ids(levels(Baseline(runs=runs), KIND)[0].runs) == ids(runs)[5:]


def test_an_acceptance_starts_a_level() -> None:
    """The first of the accepted runs begins a new level, to which later ones belong."""
    baseline, taken, _ = accept(history("aawwt"), by="ann", reason="new index", at=LATER)
    later = stored_run(run_id="z", at=LATER)
    baseline = merge(baseline, Baseline(runs=[later]))
    assert ids(taken) == ["2w", "3w"]
    assert [ids(level.runs) for level in levels(baseline, KIND)] == [["0a", "1a"], ["2w", "3w", "z"]]
    assert baseline.acceptances == [Acceptance(at=LATER, by="ann", reason="new index", run_ids=["2w", "3w"])]


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ("aww", ["1w", "2w"]),
        ("awtw", ["1w", "3w"]),
        ("awnw", ["1w", "3w"]),
        ("wwa", []),
        ("wawb", ["3b"]),
        ("awbw", ["3w"]),
        ("t", []),
        ("", []),
    ],
)
def test_recent_alarms(states: str, expected: list[str]) -> None:
    """Alarms since the last accepted run count while they point in one direction; tainted runs are passed over."""
    assert ids(recent_alarms(history(states), KIND)) == expected


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ("awa", ["0a", "1w", "2a"]),
        ("awwa", ["0a", "1w", "2w", "3a"]),
        ("awwwa", ["0a", "4a"]),
        ("aba", ["0a", "1b", "2a"]),
        ("awbwa", ["0a", "1w", "2b", "3w", "4a"]),
        ("awtwtwa", ["0a", "6a"]),
        ("aw", ["0a"]),
        ("awna", ["0a", "1w", "3a"]),
        ("wwwwa", ["4a"]),
    ],
)
def test_alarms_that_ended_count_again(states: str, expected: list[str]) -> None:
    """One or two in a row were chance once a run is at the old level; three were none, and wait for somebody."""
    assert [ids(level.runs) for level in levels(history(states), KIND)] == [expected]


@pytest.mark.parametrize(
    ("states", "expected", "open_alarms"),
    [
        ("aabbb", [["0a", "1a"], ["2b", "3b", "4b"]], []),
        ("aabbbb", [["0a", "1a"], ["2b", "3b", "4b"]], ["5b"]),
        ("abbbab", [["0a"], ["1b", "2b", "3b", "4a"]], ["5b"]),
        ("abbbbbb", [["0a"], ["1b", "2b", "3b"], ["4b", "5b", "6b"]], []),
        ("abbwbb", [["0a"]], ["4b", "5b"]),
        ("awwww", [["0a"]], ["1w", "2w", "3w", "4w"]),
    ],
)
def test_three_better_runs_are_the_level(states: str, expected: list[list[str]], open_alarms: list[str]) -> None:
    """The level moves by itself to what is better, never to what is worse."""
    found = levels(history(states), KIND)
    assert [ids(level.runs) for level in found] == expected
    assert [level.by_itself for level in found] == [False] + [True] * (len(found) - 1)
    assert ids(recent_alarms(history(states), KIND)) == open_alarms


@given(st.text("awbtn", max_size=14), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=60)
def test_levels_do_not_depend_on_the_order_of_merges(states: str, chance: random.Random) -> None:
    """Which runs count follows from what is stored, however the files came together."""
    runs = list(history(states).runs)
    shuffled = chance.sample(runs, len(runs))
    merged = Baseline()
    for run in shuffled:
        merged = merge(Baseline(runs=[run]), merged)
    assert levels(merged, KIND) == levels(Baseline(runs=runs), KIND)


def measured(p50s: list[float], alarms: str) -> Baseline:
    """Runs with these medians; a letter for each says what became of it, as in `history`."""
    runs = stored_runs(p50s)
    words = {"w": "worse", "b": "better"}
    states = [{"accepted": each == "a", "alarm": words.get(each, "")} for each in alarms]
    return Baseline(runs=[run.model_copy(update=state) for run, state in zip(runs, states, strict=True)])


OLD_LEVEL = [10.0, 10.1, 9.9, 10.05, 9.95, 10.0, 10.1, 9.9]


def test_accepting_for_one_test_leaves_the_alarms_of_others_alone() -> None:
    """Several tests may share a file, and somebody speaks of one of them."""
    mine = history("aaaww")
    theirs = mine.model_copy(
        update={
            "runs": [
                run.model_copy(
                    update={"run_id": f"{run.run_id}-b", "fingerprint": KIND.model_copy(update={"scenario": "name:b"})}
                )
                for run in mine.runs
            ]
        }
    )
    both = Baseline(runs=[*mine.runs, *theirs.runs])
    taken = accept(both, by="ann", reason="new index", at=LATER, scenario="name:b")
    assert {run.fingerprint.scenario for run in taken.runs} == {"name:b"}
    assert recent_alarms(taken.baseline, KIND) == recent_alarms(both, KIND) != []


def test_accepting_leaves_out_what_was_a_false_alarm() -> None:
    """An alarm just before the level moved, far from the runs after it, is not part of the new level."""
    baseline = measured([*OLD_LEVEL, 13.5, 11.9, 12.0, 12.1, 12.0], "a" * 8 + "w" * 5)
    accepted = accept(baseline, by="ann", reason="moved", at=LATER)

    assert ids(accepted.runs) == ["run-10", "run-11", "run-12", "run-13"]
    ((left_out, why),) = accepted.left_out
    assert (left_out.run_id, why) == ("run-9", "it is far from the other runs of the new level")


def test_accepting_begins_where_the_level_moved() -> None:
    """Runs at the new level that raised no alarm yet are part of it, and a false alarm long before is not."""
    baseline = measured([*OLD_LEVEL[:4], 12.0, *OLD_LEVEL[4:], 11.0, 11.05, 11.1, 11.0], "aaaaw" + "a" * 4 + "aaww")
    accepted = accept(baseline, by="ann", reason="moved", at=LATER)

    assert ids(accepted.runs) == ["run-10", "run-11", "run-12", "run-13"]
    assert [(run.run_id, why) for run, why in accepted.left_out] == [("run-5", "the level moved after it")]
    assert [len(level.runs) for level in levels(accepted.baseline, KIND)] == [9, 4]


def test_accepting_takes_the_latest_alarm_in_any_case() -> None:
    """A smaller move before it, which raised no alarm, is not what is accepted."""
    earlier = [1.08 * each for each in OLD_LEVEL]
    baseline = measured([*OLD_LEVEL, *earlier, 14.0], "a" * 16 + "w")
    accepted = accept(baseline, by="ann", reason="moved", at=LATER)

    assert ids(accepted.runs) == ["run-17"]


@given(st.lists(st.tuples(st.sampled_from("awbt"), st.floats(1, 100)), max_size=12))
@settings(deadline=None, max_examples=60)
def test_whatever_is_accepted_includes_the_latest_alarm(states: list[tuple[str, float]]) -> None:
    """Of any history, the latest alarm is part of the new level, and none is left to be accepted."""
    runs = [run.model_copy(update={"endpoints": [endpoint(p50=p50)]}) for run, (_, p50) in zip(
        history("".join(state for state, _ in states)).runs, states, strict=True
    )]  # fmt: skip
    baseline = Baseline(runs=runs)
    alarms = recent_alarms(baseline, KIND)
    if not alarms:
        return
    accepted = accept(baseline, by="ann", reason="moved", at=LATER)
    assert alarms[-1].run_id in ids(accepted.runs)
    assert recent_alarms(accepted.baseline, KIND) == []
    assert levels(accepted.baseline, KIND)[-1].runs[-1].run_id == accepted.runs[-1].run_id


def test_after_accepting_a_return_is_seen() -> None:
    """The spread of the new level is that of its runs, so that a change in either direction stands out."""
    baseline = measured([*OLD_LEVEL, 13.5, 11.9, 12.0, 12.1, 12.0], "a" * 8 + "w" * 5)
    after = accept(baseline, by="ann", reason="moved", at=LATER).baseline
    worse = stored_run(run_id="x", at=LATER, p50=16.0, p95=32.0)
    better = stored_run(run_id="x", at=LATER, p50=9.6, p95=19.2)

    assert compare_with_history(worse, [], after, "b.json", Terms()).verdict is GateVerdict.REGRESSION
    assert compare_with_history(better, [], after, "b.json", Terms()).verdict is GateVerdict.IMPROVED


def test_the_first_runs_of_a_level_are_kept() -> None:
    """Slow drift is measured from them, however many have come since."""
    runs = stored_runs([10.0] * (WINDOW + 25))
    left = prune(Baseline(runs=runs))
    assert ids(left.runs) == ids(runs[:ANCHOR] + runs[-WINDOW:])
    assert prune(left) == left
    assert ids(latest_level(left, KIND)[:ANCHOR]) == ids(runs[:ANCHOR])


def test_every_kind_gets_its_own_acceptance() -> None:
    """Alarms of two kinds are accepted at once, with an acceptance each."""
    two = [
        stored_run(run_id=name, fingerprint=fingerprint(target=name), accepted=False, alarm="worse") for name in "xy"
    ]
    baseline, taken, _ = accept(Baseline(runs=two), by="ann", reason="moved", at=LATER)
    assert ids(taken) == ["x", "y"]
    assert [each.run_ids for each in baseline.acceptances] == [["x"], ["y"]]


def test_accepting_from_a_run_on() -> None:
    """A named run and later ones of its kind and direction are accepted; tainted ones never."""
    baseline, taken, _ = accept(history("awbtw"), by="ann", reason="moved", at=LATER, run_id="1w")
    assert ids(taken) == ["1w", "4w"]
    assert not next(run for run in baseline.runs if run.run_id == "3t").accepted


@pytest.mark.parametrize(
    ("run_id", "message"),
    [
        (None, "nothing to accept"),
        ("2w", "a later run, 3a, was at the old level"),
        ("0a", "accepted already"),
        ("1t", "tainted"),
        ("zz", "no runs"),
        ("", "4 runs"),
    ],
)
def test_nothing_to_accept(run_id: str | None, message: str) -> None:
    """Whoever accepts nothing is told why."""
    with pytest.raises(UsageError, match=message):
        accept(history("atwa"), by="ann", reason="moved", at=LATER, run_id=run_id)


one_run = st.builds(
    lambda n, hour, accepted, kind: stored_run(
        run_id=f"r{n}", at=START + timedelta(hours=hour), accepted=accepted, fingerprint=fingerprint(target=kind)
    ),
    st.integers(0, 9), st.integers(0, 3), st.booleans(), st.sampled_from("xy"),
)  # fmt: skip
one_acceptance = st.builds(
    lambda n, by: Acceptance(at=START, by=by, reason="moved", run_ids=[f"r{n}"]),
    st.integers(0, 9),
    st.sampled_from("ab"),
)
some = st.builds(
    lambda runs, acceptances: Baseline(runs=runs, acceptances=acceptances),
    st.lists(one_run, max_size=6, unique_by=lambda run: run.run_id),
    st.lists(one_acceptance, max_size=3),
)


@given(some, some, some)
@settings(deadline=None, max_examples=60)
def test_merging_in_any_order(a: Baseline, b: Baseline, c: Baseline) -> None:
    """Merging is idempotent and commutative; of runs also associative, so that it does not matter who saves first."""
    ab = merge(a, b)
    assert ab == merge(b, a) == merge(ab, ab) == merge(ab, a)
    assert merge(ab, c).runs == merge(a, merge(b, c)).runs
    assert {run.run_id for run in ab.runs} == {run.run_id for run in (*a.runs, *b.runs)}


def test_an_old_copy_takes_no_acceptance_back() -> None:
    """Merging a copy from before an acceptance keeps the accepted version."""
    before = history("aw")
    after, _, _ = accept(before, by="ann", reason="moved", at=LATER)
    assert merge(before, after) == merge(after, before) == after


def test_pruning_keeps_the_newest_of_each_kind() -> None:
    """Accepted runs and others are counted apart, and so are kinds."""
    other = stored_run(run_id="other", fingerprint=fingerprint(target="else"))
    baseline = history("awaawwn")
    left = prune(baseline.model_copy(update={"runs": [other, *baseline.runs]}), keep=2)
    assert sorted(ids(left.runs)) == ["2a", "3a", "5w", "6n", "other"]
    assert merge(left, left) == left


def test_an_acceptance_waits_for_its_runs() -> None:
    """Its runs may be in a file that is merged later, so the order of merges does not matter."""
    before = history("aw")
    accepted, taken, _ = accept(before, by="ann", reason="moved", at=LATER)
    alone = accepted.model_copy(update={"runs": before.runs[:1]})
    other = Baseline(runs=[stored_run(run_id="x", at=START)])
    rest = Baseline(runs=taken)
    assert merge(merge(alone, other), rest) == merge(alone, merge(other, rest))
    assert merge(merge(alone, other), rest).acceptances == accepted.acceptances


def test_an_acceptance_whose_runs_are_gone_goes() -> None:
    """Pruning away a level takes its acceptance along."""
    baseline, _, _ = accept(history("aw"), by="ann", reason="moved", at=LATER)
    newer = [stored_run(run_id=f"n{n}", at=LATER + timedelta(hours=n + 1)) for n in range(3)]
    full = baseline.model_copy(update={"runs": [*baseline.runs, *newer]})
    assert prune(full, keep=4).acceptances == baseline.acceptances
    assert prune(full, keep=3).acceptances == []


def test_the_oldest_kinds_go_first() -> None:
    """A file never grows beyond a few hundred runs: kinds that are no longer run make way."""
    runs = [
        stored_run(run_id=f"{k}-{n}", at=START + timedelta(days=k, hours=n), fingerprint=fingerprint(target=str(k)))
        for k in range(20)
        for n in range(WINDOW)
    ]
    left = prune(Baseline(runs=runs))
    assert len(left.runs) <= MOST_KEPT
    assert [kind.target for kind in kinds(left)] == [str(k) for k in range(10, 20)]
