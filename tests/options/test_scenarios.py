"""Scenarios as people write them: k6's fields in both spellings, from every place, and what is said about mistakes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ciload.errors import OptionsError
from ciload.metrics.metric import BUILTIN
from ciload.metrics.registry import Registry
from ciload.options.plan import Plan, make_plan
from ciload.options.sources import Source, from_environment, from_file, from_flags, from_script
from ciload.script.loader import load_script

COMMON: dict[str, Any] = {
    "exec": "default",
    "weights": None,
    "start_time": 0.0,
    "graceful_stop": 30.0,
    "env": {},
    "tags": {},
}
ARRIVALS = {"time_unit": 1.0, "pre_allocated_vus": None, "max_vus": None}
# Executor → what must be said, and what it is with nothing else said.
DEFAULTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "constant-vus": ({"duration": "5s"}, {"vus": 1, "duration": 5.0}),
    "ramping-vus": (
        {"stages": [{"duration": "5s", "target": 3}]},
        {"start_vus": 1, "graceful_ramp_down": 30.0, "stages": ({"duration": 5.0, "target": 3},)},
    ),
    "shared-iterations": ({}, {"vus": 1, "iterations": 1, "max_duration": 600.0}),
    "per-vu-iterations": ({}, {"vus": 1, "iterations": 1, "max_duration": 600.0}),
    "constant-arrival-rate": ({"rate": 7, "duration": "5s"}, {**ARRIVALS, "rate": 7.0, "duration": 5.0}),
    "ramping-arrival-rate": (
        {"stages": [{"duration": "5s", "target": 3}]},
        {**ARRIVALS, "start_rate": 0.0, "stages": ({"duration": 5.0, "target": 3},)},
    ),
}
COMMON_IN_K6 = {"exec": "browse", "startTime": "1m30s", "gracefulStop": "0s", "env": {"A": "b"}, "tags": {"c": "d"}}
COMMON_OURS: dict[str, Any] = {
    "exec": "browse",
    "weights": None,
    "start_time": 90.0,
    "graceful_stop": 0.0,
    "env": {"A": "b"},
    "tags": {"c": "d"},
}
STAGES_IN_K6 = [{"duration": "500ms", "target": 3}, {"duration": "1m", "target": 0}]
STAGES_OURS = ({"duration": 0.5, "target": 3}, {"duration": 60.0, "target": 0})
ARRIVALS_IN_K6 = {"timeUnit": "1m", "preAllocatedVUs": 5, "maxVUs": 9}
ARRIVALS_OURS = {"time_unit": 60.0, "pre_allocated_vus": 5, "max_vus": 9}
# Executor → all of its fields as k6 spells them, and what is understood.
FULL: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "constant-vus": ({"vus": 4, "duration": "1h"}, {"vus": 4, "duration": 3600.0}),
    "ramping-vus": (
        {"startVUs": 2, "gracefulRampDown": "3s", "stages": STAGES_IN_K6},
        {"start_vus": 2, "graceful_ramp_down": 3.0, "stages": STAGES_OURS},
    ),
    "shared-iterations": (
        {"vus": 2, "iterations": 9, "maxDuration": "3m"},
        {"vus": 2, "iterations": 9, "max_duration": 180.0},
    ),
    "per-vu-iterations": (
        {"vus": 2, "iterations": 9, "maxDuration": "3m"},
        {"vus": 2, "iterations": 9, "max_duration": 180.0},
    ),
    "constant-arrival-rate": (
        {"rate": 30, "duration": "2m", **ARRIVALS_IN_K6},
        {"rate": 30.0, "duration": 120.0, **ARRIVALS_OURS},
    ),
    "ramping-arrival-rate": (
        {"startRate": 10, "stages": STAGES_IN_K6, **ARRIVALS_IN_K6},
        {"start_rate": 10.0, "stages": STAGES_OURS, **ARRIVALS_OURS},
    ),
}
SNAKE = {
    "startTime": "start_time", "gracefulStop": "graceful_stop", "startVUs": "start_vus",
    "gracefulRampDown": "graceful_ramp_down", "maxDuration": "max_duration", "timeUnit": "time_unit",
    "preAllocatedVUs": "pre_allocated_vus", "maxVUs": "max_vus", "startRate": "start_rate",
}  # fmt: skip


def plan_from(*sources: Source) -> Plan:
    return make_plan(sources, BUILTIN, lambda _: None)


def in_file(folder: Path, text: str) -> Source:
    path = folder / "ciload.yaml"
    path.write_text(text, encoding="utf-8")
    return from_file(path)


def sources_of(place: str, options: Mapping[str, Any], folder: Path) -> Source:
    if place == "yaml":
        return in_file(folder, json.dumps(options))  # JSON is YAML
    if place == "script":
        return from_script(options, Path("s.py"), {})
    return from_environment({"CILOAD_SCENARIOS": json.dumps(options["scenarios"])})


def only(executor: str, **fields: Any) -> Source:
    return from_script({"scenarios": {"main": {"executor": executor, **fields}}}, Path("s.py"), {})


def complaint(*sources: Source) -> str:
    with pytest.raises(OptionsError) as caught:
        plan_from(*sources)
    return str(caught.value)


# --- fields


@pytest.mark.parametrize("executor", DEFAULTS)
def test_fields_that_nobody_set(executor: str) -> None:
    """They are k6's defaults, and a scenario has no fields but these."""
    needed, expected = DEFAULTS[executor]
    scenario = plan_from(only(executor, **needed)).scenarios["main"]
    assert scenario.model_dump() == {"executor": executor, **COMMON, **expected}


@pytest.mark.parametrize("place", ["yaml", "script", "environment"])
@pytest.mark.parametrize("spelling", ["k6", "snake", "kebab"])
@pytest.mark.parametrize("executor", FULL)
def test_every_field_in_every_spelling_and_place(executor: str, spelling: str, place: str, tmp_path: Path) -> None:
    """Scenarios can be copied from k6's documentation, or written as ours."""
    given, expected = FULL[executor]
    fields = {"executor": executor, **COMMON_IN_K6, **given}
    if spelling != "k6":
        joint = "_" if spelling == "snake" else "-"
        fields = {SNAKE.get(key, key).replace("_", joint): value for key, value in fields.items()}
    plan = plan_from(sources_of(place, {"scenarios": {"main": fields}}, tmp_path))
    assert plan.scenarios["main"].model_dump() == {"executor": executor, **COMMON_OURS, **expected}


def test_the_runs_graceful_stop_is_every_scenarios() -> None:
    """Unless one has its own."""
    scenarios = {
        "a": {"executor": "constant-vus", "duration": "5s"},
        "b": {"executor": "constant-vus", "duration": "5s", "gracefulStop": "1s"},
    }
    plan = plan_from(from_flags({"graceful_stop": "7s"}), from_script({"scenarios": scenarios}, Path("s.py"), {}))
    assert {name: each.graceful_stop for name, each in plan.scenarios.items()} == {"a": 7, "b": 1}


@pytest.mark.parametrize(
    ("rate", "count", "unit_s"),
    [("50/s", 50, 1), ("3000/m", 3000, 60), ("1/500ms", 1, 0.5), ("7/2h", 7, 7200), ("0.5", 0.5, 1), (" 5 / s ", 5, 1)],
)
def test_rates(rate: str, count: float, unit_s: float) -> None:
    """As text in a scenario and as `--rate`, with the unit in it."""
    scenario: Any = plan_from(only("constant-arrival-rate", rate=rate, duration="5s")).scenarios["main"]
    shortcut: Any = plan_from(from_flags({"rate": rate, "duration": "5s"})).scenarios["default"]
    assert (scenario.rate, scenario.time_unit) == (shortcut.rate, shortcut.time_unit) == (count, unit_s)


@pytest.mark.parametrize("rate", ["fast/s", "5/", "5/0s", "0/s", "-1/s", "5/s/s", "2000000/s", "nan/s", "5/year"])
def test_what_is_no_rate(rate: str) -> None:
    """The message shows how one is written."""
    for source in (
        from_flags({"rate": rate, "duration": "5s"}),
        only("constant-arrival-rate", rate=rate, duration="5s"),
    ):
        assert "is not a rate" in complaint(source)


def test_a_rate_has_one_unit() -> None:
    """`3000/m` with a time_unit of 1s would be one of two very different loads."""
    text = complaint(only("constant-arrival-rate", rate="3000/m", timeUnit="1s", duration="5s"))
    assert "rate '3000/m' says per how long, and so does time_unit" in text


@pytest.mark.parametrize(
    "stages",
    [
        "30s:20,1m:0",
        " 30s:20 , 1m:0, ",
        ["30s:20", "1m:0"],
        [{"duration": "30s", "target": 20}, {"Duration": 60, "Target": "0"}],
        ["30s:20", {"duration": "1m", "target": 0}],
    ],
)
def test_stages(stages: object) -> None:
    """As short text, as a list of it, or as k6 writes them."""
    for source in (from_script({"stages": stages}, Path("s.py"), {}), only("ramping-vus", stages=stages)):
        [scenario] = plan_from(source).scenarios.values()
        assert scenario.model_dump()["stages"] == (
            {"duration": 30.0, "target": 20},
            {"duration": 60.0, "target": 0},
        )


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ("20", "is not a stage: write DURATION:TARGET"),
        ("soon:20", "'soon' is not a duration"),
        ("30s:-1", "greater than or equal to 0"),
        ("30s:many", "valid integer"),
        ("500ms:3", "must last at least 1s"),
        ("10s:0", "no stage has a target above 0"),
        ([], "must last at least 1s"),
        (
            [{"duration": "3s", "target": 1, "traget": 2}],
            "unknown field 'traget' in scenarios.main.stages.0; did you mean 'target'?",
        ),
    ],
)
def test_what_are_no_stages(stages: object, said: str) -> None:
    """Each mistake says what is wrong with it."""
    assert said.lower() in complaint(only("ramping-vus", stages=stages, start_vus=0)).lower()


@pytest.mark.parametrize(
    "tags", ["team=web,region=eu", "team:web, region:eu", ["team=web", "region=eu"], {"team": "web", "region": "eu"}]
)
def test_tags(tags: object) -> None:
    """As a mapping, or as the pairs that flags and variables can hold; for the run and for a scenario."""
    expected = {"team": "web", "region": "eu"}
    assert plan_from(from_script({"tags": tags}, Path("s.py"), {})).options.tags == expected
    assert plan_from(only("constant-vus", duration="5s", tags=tags)).scenarios["main"].tags == expected


def test_values_of_tags_and_env_become_text() -> None:
    """YAML's numbers and booleans are welcome; a value may have `=` and `:` in it."""
    scenario = plan_from(only("per-vu-iterations", tags={"n": 1, "on": True}, env=["URL=http://a:1/?b=c"])).scenarios[
        "main"
    ]
    assert (scenario.tags, scenario.env) == ({"n": "1", "on": "true"}, {"URL": "http://a:1/?b=c"})


@pytest.mark.parametrize("tags", ["team", "=web", ["team"], {"team": ["web"]}])
def test_what_are_no_tags(tags: object) -> None:
    """A tag needs a name and a plain value."""
    text = complaint(from_script({"tags": tags}, Path("s.py"), {}))
    assert "not a pair" in text or "tags.team" in text


# --- how many virtual users an arrival rate has


@pytest.mark.parametrize(
    ("fields", "most", "prepared"),
    [
        ({"rate": 3}, 30, 0),
        ({"rate": "6/m"}, 1, 0),
        ({"rate": 5000}, 10_000, 0),
        ({"rate": 3, "max_vus": 7}, 7, 0),
        ({"rate": 3, "pre_allocated_vus": 5}, 5, 5),
        ({"rate": 3, "pre_allocated_vus": 5, "max_vus": 7}, 7, 5),
        ({"rate": 3, "pre_allocated_vus": 0, "max_vus": 7}, 7, 0),
    ],
)
def test_virtual_users_of_an_arrival_rate(fields: dict[str, Any], most: int, prepared: int) -> None:
    """max_vus, else what is pre-allocated, else enough for iterations of 10 s."""
    scenario = plan_from(only("constant-arrival-rate", duration="5s", **fields)).scenarios["main"]
    assert (scenario.most_vus, scenario.prepared_vus) == (most, prepared)


def test_the_whole_plan_knows_its_bounds() -> None:
    """How long, how many users at once, how many iterations: what progress and the workers go by."""
    scenarios = {
        "a": {"executor": "constant-vus", "vus": 3, "duration": "10s", "graceful_stop": "5s"},
        "b": {"executor": "per-vu-iterations", "vus": 2, "iterations": 4, "max_duration": "5s", "start_time": "12s",
              "graceful_stop": "0s"},
        "c": {"executor": "ramping-vus", "stages": "1s:9", "start_time": "20s", "graceful_stop": "1s"},
    }  # fmt: skip
    plan = plan_from(from_script({"scenarios": scenarios}, Path("s.py"), {}))
    assert (plan.length_s, plan.ends_s, plan.most_vus, plan.iterations_in_all) == (21, 22, 9, None)
    assert [plan.vus_before(name) for name in scenarios] == [0, 3, 5]


# --- mistakes


def test_an_unknown_executor_has_its_place_and_a_guess(tmp_path: Path) -> None:
    """File and line, what was written, and what was probably meant."""
    text = complaint(in_file(tmp_path, "scenarios:\n  main:\n    executor: constant-vu\n    duration: 5s\n"))
    assert f"{tmp_path}/ciload.yaml:" in text
    assert "scenarios.main.executor: unknown 'constant-vu'; did you mean 'constant-vus'?" in text


def test_an_executor_that_is_like_none_lists_them_all() -> None:
    """So does one that is missing."""
    for fields in ({"executor": "xyz"}, {"duration": "5s"}):
        text = complaint(from_script({"scenarios": {"main": fields}}, Path("s.py"), {}))
        assert all(executor in text for executor in FULL)


def test_an_unknown_field_has_its_line_and_a_guess(tmp_path: Path) -> None:
    """Only fields of this executor are proposed."""
    lines = "scenarios:\n  main:\n    executor: constant-vus\n    duration: 5s\n    vsu: 3\n    gracefulStpo: 1s\n"
    text = complaint(in_file(tmp_path, lines))
    assert f"{tmp_path}/ciload.yaml:5: unknown field 'vsu' in scenarios.main; did you mean 'vus'?" in text
    assert f"{tmp_path}/ciload.yaml:6: unknown field" in text
    assert "did you mean 'graceful_stop'?" in text


def test_a_field_of_another_executor_is_unknown() -> None:
    """A rate for virtual users would do nothing."""
    assert "unknown field 'rate' in scenarios.main" in complaint(only("constant-vus", duration="5s", rate=3))


def test_a_wrong_value_deep_inside_has_its_line(tmp_path: Path) -> None:
    """In YAML and in the script's options alike, also when it is spelled as in k6."""
    lines = "scenarios:\n  main:\n    executor: ramping-vus\n    stages:\n      - duration: 5s\n        target: -3\n"
    assert f"{tmp_path}/ciload.yaml:6: scenarios.main.stages.0.target" in complaint(in_file(tmp_path, lines))
    script = tmp_path / "script.py"
    script.write_text(
        'options = {\n  "scenarios": {\n    "main": {\n      "executor": "constant-vus",\n      "duration": "5s",\n'
        '      "startTime": "soon",\n    },\n  },\n}\n\nasync def default(): ...\n'
    )
    loaded = load_script(script, Registry())
    text = complaint(from_script(loaded.options, script, loaded.lines))
    assert f"{script}:6: scenarios.main.start_time: 'soon' is not a duration" in text


def test_a_wrong_value_in_the_environment_names_the_variable() -> None:
    """A pipeline has no lines."""
    text = complaint(
        from_environment({"CILOAD_SCENARIOS": '{"main": {"executor": "constant-vus", "duration": "soon"}}'})
    )
    assert "CILOAD_SCENARIOS: scenarios.main.duration: 'soon' is not a duration" in text


def test_a_variable_that_is_no_yaml_is_a_mistake() -> None:
    """And names itself."""
    assert "CILOAD_SCENARIOS: not YAML" in complaint(from_environment({"CILOAD_SCENARIOS": "{a: "}))


def test_all_mistakes_in_scenarios_come_at_once() -> None:
    """One round of mending is enough."""
    scenarios = {
        "a": {"executor": "constant-vus", "vus": 0, "duration": "5s"},
        "b": {"executor": "constant-vu"},
        "c": {"executor": "constant-arrival-rate", "duration": "0.5s", "rate": 1},
    }
    text = complaint(from_script({"scenarios": scenarios}, Path("s.py"), {}))
    assert "scenarios.a.vus" in text
    assert "scenarios.b.executor" in text
    assert "scenarios.c.duration" in text


@pytest.mark.parametrize("executor", ["constant-vus", "constant-arrival-rate", "ramping-vus", "ramping-arrival-rate"])
def test_a_field_that_is_needed_is_missed(executor: str) -> None:
    """By its name."""
    text = complaint(only(executor))
    assert "scenarios.main.stages" in text if "ramping" in executor else "scenarios.main.duration" in text


@pytest.mark.parametrize(
    ("executor", "fields", "said"),
    [
        ("shared-iterations", {"vus": 5, "iterations": 3}, "3 iterations cannot keep 5 virtual users busy"),
        ("constant-arrival-rate", {"rate": 3, "duration": "5s", "pre_allocated_vus": 5, "max_vus": 3}, "is less than"),
        ("constant-arrival-rate", {"rate": 3, "duration": "5s", "pre_allocated_vus": 0}, "needs max_vus"),
        ("constant-arrival-rate", {"rate": 0, "duration": "5s"}, "greater than 0"),
        ("constant-arrival-rate", {"rate": 3, "duration": "5s", "time_unit": 0}, "greater than 0"),
        ("ramping-arrival-rate", {"stages": "5s:0"}, "no stage has a target above 0"),
        ("constant-vus", {"vus": 2, "duration": "999ms"}, "greater than or equal to 1"),
        ("constant-vus", {"vus": 1.5, "duration": "5s"}, "valid integer"),
    ],
)
def test_numbers_that_do_not_fit(executor: str, fields: dict[str, Any], said: str) -> None:
    """They are refused, never clamped."""
    assert said in complaint(only(executor, **fields))


@pytest.mark.parametrize("name", ["", "with space", "a.b", "ä", "x" * 101])
def test_names_that_scenarios_cannot_have(name: str) -> None:
    """k6's rule: letters, digits, _ and -."""
    scenarios = {name: {"executor": "constant-vus", "duration": "5s"}}
    assert "scenarios" in complaint(from_script({"scenarios": scenarios}, Path("s.py"), {}))


def test_no_scenarios_at_all_is_a_mistake() -> None:
    """An empty mapping would run nothing and pass."""
    assert "scenarios" in complaint(from_script({"scenarios": {}}, Path("s.py"), {}))


# --- contradictions


@pytest.mark.parametrize(
    "flags",
    [
        {"iterations": "5", "stages": "5s:1"},
        {"duration": "5s", "stages": "5s:1"},
        {"iterations": "5", "rate": "5/s"},
        {"rate": "5/s", "stages": "5s:1"},
        {"iterations": "5", "rate": "5/s", "duration": "5s"},
    ],
)
def test_shortcuts_that_contradict_each_other(flags: dict[str, str]) -> None:
    """Both are named."""
    text = complaint(from_flags(flags))
    assert "contradict each other" in text
    assert all(key in text for key in flags)


@pytest.mark.parametrize("key", ["duration", "iterations", "stages", "rate"])
def test_a_shortcut_beside_scenarios_contradicts_them(key: str) -> None:
    """In one place nobody can say which was meant."""
    values = {"duration": "5s", "iterations": 3, "stages": "5s:1", "rate": "1/s"}
    scenarios = {"main": {"executor": "constant-vus", "duration": "5s"}}
    text = complaint(from_script({"scenarios": scenarios, key: values[key]}, Path("s.py"), {}))
    assert f"{key} and scenarios contradict each other" in text


def test_a_rate_needs_a_duration() -> None:
    """It would never end."""
    assert "--rate: a rate needs a duration" in complaint(from_flags({"rate": "5/s"}))


def test_vus_do_not_apply_to_scenarios() -> None:
    """`--vus 50` that does nothing would be worse than a complaint."""
    text = complaint(from_flags({"vus": "50"}), only("constant-vus", duration="5s"))
    assert "--vus: vus does not apply to scenarios" in text


@pytest.mark.parametrize(
    ("flags", "executor", "most"),
    [
        ({"rate": "5/s", "duration": "5s"}, "constant-arrival-rate", 50),
        ({"rate": "5/s", "duration": "5s", "vus": "9"}, "constant-arrival-rate", 9),
        ({"stages": "5s:3", "vus": "9"}, "ramping-vus", 9),
        ({"stages": ["5s:3", "1s:0"]}, "ramping-vus", 3),
    ],
)
def test_shortcuts_of_shapes(flags: dict[str, Any], executor: str, most: int) -> None:
    """vus is where a ramp begins, and the most that an arrival rate may use."""
    scenario = plan_from(from_flags(flags)).scenarios["default"]
    assert (scenario.executor, scenario.most_vus) == (executor, most)


def test_whoever_replaces_scenarios_is_told_so(tmp_path: Path) -> None:
    """A flag for a quick try-out is fine, but does not go by unnoticed."""
    file = in_file(tmp_path, "vus: 3\nscenarios:\n  main:\n    executor: constant-vus\n    duration: 5s\n")
    plan = plan_from(from_flags({"duration": "7s"}), file)
    [warning] = plan.warnings
    assert "--duration" in warning
    assert "replaces" in warning
    assert f"scenarios ({tmp_path}/ciload.yaml:2)" in warning
    assert (plan.scenarios["default"].length_s, plan.scenarios["default"].most_vus) == (7, 3)


def test_nothing_replaced_is_nothing_to_warn_of() -> None:
    """Neither scenarios alone, nor with options that are not about the load."""
    assert plan_from(from_flags({"graceful_stop": "1s"}), only("constant-vus", duration="5s")).warnings == ()


def test_a_warmup_must_leave_something(tmp_path: Path) -> None:
    """A run that measures nothing is refused before it begins."""
    text = complaint(from_flags({"warmup": "5s", "duration": "5s"}))
    assert "--warmup: a warm-up of 5 s leaves nothing to measure of a load of 5 s" in text


# --- functions


SCRIPT = """
async def default(): ...
async def browse(vu, data): ...
async def greedy(page): ...
def generator():
    yield
"""


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("brows", "no `brows` function; did you mean 'browse'?"),
        ("xyz", "no `xyz` function; add: async def xyz(): ..."),
        ("generator", "`generator` is a generator; write it without yield"),
        ("greedy", "`greedy` asks for page; a function may take `vu` and `data`"),
    ],
)
def test_a_function_that_cannot_be_run(tmp_path: Path, function: str, said: str) -> None:
    """The scenario's line, what is wrong, and how to mend it."""
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    file = in_file(tmp_path, f"scenarios:\n  a:\n    executor: per-vu-iterations\n    exec: {function}\n")
    with pytest.raises(OptionsError) as caught:
        make_plan([file], BUILTIN, load_script(path, Registry()).complaint_about)
    text = str(caught.value)
    assert f"{tmp_path}/ciload.yaml:4: scenarios.a.exec: " in text
    assert said in text


def test_default_is_needed_only_by_whom_it_is_run(tmp_path: Path) -> None:
    """A script of scenarios with functions of their own needs no default()."""
    path = tmp_path / "script.py"
    path.write_text("async def browse(): ...\n")
    script = load_script(path, Registry())
    make_plan([only("per-vu-iterations", exec="browse")], BUILTIN, script.complaint_about)
    with pytest.raises(OptionsError, match="no `default` function"):
        make_plan([from_flags({})], BUILTIN, script.complaint_about)
