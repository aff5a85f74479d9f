"""`ciload inspect`: what it prints, what it never prints, and how it ends."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

import pytest

from ciload.cli.load_chart import BLOCKS, COLUMNS, ROWS, axis_s, sketches
from ciload.options.plan import Plan, make_plan
from ciload.options.sources import from_flags

TIME = re.compile(r"\d+s|\d+m(\d+s)?")
CILOAD = str(Path(sys.executable).parent / "ciload")

SIX = """
options = {
    "base_url": "http://bob:hunter2@shop.test/api", "wait_for": "http://shop.test/up?token=abcd",
    "thresholds": {
        "checks": "rate>0.9",
        "http_reqs": [{"threshold": "count>1", "abortOnFail": True}],
    },
    "scenarios": {
        "flat": {"executor": "constant-vus", "vus": 5, "duration": "20s", "exec": "other", "gracefulStop": "3s"},
        "ramp": {"executor": "ramping-vus", "startVUs": 0, "stages": "10s:8,10s:0", "tags": {"team": "web"}},
        "pot": {"executor": "shared-iterations", "vus": 2, "iterations": 9, "env": {"TOKEN": "s3cret"}},
        "each": {"executor": "per-vu-iterations", "vus": 2, "iterations": 9, "maxDuration": "10s"},
        "rate": {"executor": "constant-arrival-rate", "rate": "90/m", "duration": "10s", "startTime": "10s"},
        "rates": {"executor": "ramping-arrival-rate", "stages": "10s:50", "preAllocatedVUs": 3, "maxVUs": 7},
    },
}
async def default(): pass
async def other(): pass
async def setup(): pass
"""


def inspect(folder: Path, script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    (folder / "load.py").write_text(script, encoding="utf-8")
    clean = {key: value for key, value in os.environ.items() if not key.startswith("CILOAD_")}
    return subprocess.run(
        [CILOAD, "inspect", "load.py", *arguments],
        cwd=folder, env=clean | environment, capture_output=True, encoding="utf-8", timeout=60, check=False,
    )  # fmt: skip


def printed(folder: Path, script: str, *arguments: str, **environment: str) -> str:
    done = inspect(folder, script, *arguments, **environment)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def section(text: str, title: str) -> list[str]:
    """The lines below a heading, with single spaces."""
    after = text[text.index(f"\n  {title}") + 1 :].splitlines()[1:]
    inside = takewhile(lambda line: not line.strip() or line.startswith("    "), after)
    return [" ".join(line.split()) for line in inside if line.strip()]


def plan_of(**scenarios: dict[str, object]) -> Plan:
    return make_plan([from_flags({"scenarios": scenarios})], {}, lambda _: None)


def heights(lines: list[str]) -> list[int]:
    """How many eighths of a row each column of a chart is high."""
    rows = [line.partition("┤" if "┤" in line else "│")[2].ljust(COLUMNS) for line in lines[:ROWS]]
    return [sum(BLOCKS.index(row[column]) for row in rows) for column in range(COLUMNS)]


@pytest.fixture(scope="module")
def six(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What is printed about a script with a scenario of each executor."""
    return printed(tmp_path_factory.mktemp("six"), SIX)


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("flat", ["executor constant-vus", "exec other()", "start 0s", "duration 20s", "VUs 5", "graceful stop 3s"]),
        ("ramp", ["executor ramping-vus", "VUs from 0, then 10s:8, 10s:0", "graceful stop 30s", "tags team=web"]),
        ("pot", ["executor shared-iterations", "duration at most 10m", "VUs 2", "iterations 9, shared by all"]),
        ("each", ["executor per-vu-iterations", "duration at most 10s", "iterations 9 each, 18 in all"]),
        ("rate", ["executor constant-arrival-rate", "start 10s", "rate 90/m", "iterations 15"]),
        (
            "rates",
            [
                "executor ramping-arrival-rate", "rate from 0/s, then 10s:50", "iterations 250",
                "VUs at most 7, 3 of them made before the load",
            ],
        ),
    ],
)  # fmt: skip
def test_each_executor_is_described(six: str, name: str, facts: list[str]) -> None:
    """What it runs, from when, how long, with how many, and how it ends."""
    lines = section(six, f"SCENARIO {name}\n")
    assert [fact for fact in facts if fact not in lines] == []


def test_each_scenario_has_its_own_chart(six: str) -> None:
    """The y axis says what it counts; all share the time axis, which does not grow with what may end at once."""
    tops = [line.partition("┤")[0].strip() for line in six.splitlines() if "┤" in line]
    assert tops == ["5 VUs", "8 VUs", "2 VUs", "2 VUs", "1.5 iterations/s", "50 iterations/s"]
    assert {line.index("└") for line in six.splitlines() if "└" in line} == {4 + len("1.5 iterations/s ")}
    assert "until the iterations are done, at most 10m, which is beyond this chart" in six
    assert "until the iterations are done, at most 10s\n" in six


def test_secrets_are_not_shown(six: str) -> None:
    """A URL without its user, password and query; of a scenario's environment only the names."""
    assert "env TOKEN (values not shown)" in section(six, "SCENARIO pot\n")
    assert "base_url http://shop.test/api load.py:3" in section(six, "OPTIONS")
    assert "wait_for http://shop.test/up load.py:3" in section(six, "OPTIONS")
    assert [word for word in ("s3cret", "hunter2", "bob", "abcd") if word in six] == []


def test_thresholds_have_their_places(six: str) -> None:
    """Limit, consequence, file and line."""
    assert section(six, "THRESHOLDS")[:2] == [
        "checks rate>0.9 fails the run load.py:5",
        "http_reqs count>1 aborts the run load.py:6",
    ]


def test_the_sums_are_the_plans(six: str) -> None:
    """How long at most, with and without graceful stops, and how many at once."""
    lines = section(six, "IN ALL")
    assert lines[:4] == [
        "time at most 10m, 10m30s with graceful stops", "setup() at most 1m more", "VUs at most 39", "workers 1",
    ]  # fmt: skip


def test_every_option_says_where_it_comes_from(tmp_path: Path) -> None:
    """A flag, a variable, a line of the script and a line of the file; defaults are not listed."""
    (tmp_path / "ciload.yaml").write_text("\n\nbatch: 3\nmax_body_kept: 1MiB\n", encoding="utf-8")
    script = "options = {\n  'duration': '90s',\n  'warmup': '5s',\n}\nasync def default(): pass\n"
    flags = ("--tag", "a=1", "-u", "3", "--warmup", "7s", "--allow-script-errors")
    text = printed(tmp_path, script, *flags, CILOAD_WORKERS="auto")
    assert section(text, "OPTIONS") == [
        "vus 3 --vus",
        "duration 1m30s load.py:2",
        "warmup 7s --warmup",
        "workers auto CILOAD_WORKERS",
        "tags a=1 --tag",
        "max_body_kept 1MiB ciload.yaml:4",
        "batch 3 ciload.yaml:3",
        "allow_script_errors true --allow-script-errors",
    ]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--rate", "50/s", "-d", "10s"], "rate 50/s --rate"),
        (["--rate", "1/500ms", "-d", "10s"], "rate 1/500ms --rate"),
        (["-s", "30s:20", "-s", "0:7", "-s", "1m:0"], "stages 30s:20, 0s:7, 1m:0 --stage"),
        (["-s", "1s:1"] * 12, f"stages {', '.join(['1s:1'] * 10)} … and 2 more --stage"),
    ],
)
def test_values_are_shown_as_they_are_written(tmp_path: Path, arguments: list[str], line: str) -> None:
    """Rates and stages can be copied from here to the command line."""
    assert line in section(printed(tmp_path, "async def default(): pass", *arguments), "OPTIONS")


def test_warnings_of_the_plan_are_shown(tmp_path: Path) -> None:
    """Scenarios that a flag replaces do not vanish in silence."""
    text = printed(tmp_path, SIX, "-d", "5s")
    [warning] = [line for line in text.splitlines() if "⚠" in line]
    assert "--duration" in warning
    assert "load.py:8" in warning
    assert "SCENARIO default" in text


def test_without_options_everything_is_default(tmp_path: Path) -> None:
    """The shortest script is one iteration."""
    text = printed(tmp_path, "async def default(): pass")
    assert "OPTIONS  all have their defaults" in text
    assert "THRESHOLDS" not in text
    assert "iterations 1 each, 1 in all" in section(text, "SCENARIO default\n")


@pytest.mark.parametrize(
    ("script", "arguments", "code", "message"),
    [
        ("async def default(): pass", ["--vuss", "3"], 2, "No such option"),
        ("async def default(): pass", ["--config", "nowhere.yaml"], 2, "nowhere.yaml: cannot read"),
        ("async def default(): pass", ["-e", "novalue"], 2, "-e, number 1 of 1: write -e KEY=VALUE"),
        ("async def default(): pass", ["-s", "30s"], 104, "--stage: stages"),
        ("async def default(): pass", ["--rate", "5/s"], 104, "--rate: a rate needs a duration"),
        ("x = 1", ["-u", "0"], 104, "--vus: vus"),
        ("x = 1", [], 104, "no `default` function"),
        ("raise RuntimeError('no config')", [], 107, "RuntimeError: no config"),
    ],
)
def test_mistakes_end_as_they_do_in_a_run(
    tmp_path: Path, script: str, arguments: list[str], code: int, message: str
) -> None:
    """The same messages and exit codes, and nothing on stdout."""
    done = inspect(tmp_path, script, *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert "ciload/cli" not in done.stderr


def test_a_missing_script_is_a_usage_error(tmp_path: Path) -> None:
    """As is none at all; the message names this command."""
    assert inspect(tmp_path, "", "another.py").returncode == 2
    clean = {key: value for key, value in os.environ.items() if not key.startswith("CILOAD_")}
    done = subprocess.run([CILOAD, "inspect"], env=clean, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "ciload inspect SCRIPT" in done.stderr) == (2, True)


@pytest.mark.parametrize("script", ["async def default(): pass", "raise RuntimeError"])
def test_reports_are_left_alone(tmp_path: Path, script: str) -> None:
    """Those of an earlier run stay, and no folder is made."""
    kept = tmp_path / "kept" / "result.json"
    kept.parent.mkdir()
    kept.write_text("{}", encoding="utf-8")
    inspect(tmp_path, script, "--out-dir", "kept")
    inspect(tmp_path, script)
    assert kept.read_text(encoding="utf-8") == "{}"
    names = {each.name for each in tmp_path.iterdir()} - {"__pycache__"}
    assert (names, [each.name for each in kept.parent.iterdir()]) == ({"kept", "load.py"}, ["result.json"])


def test_env_is_for_the_script(tmp_path: Path) -> None:
    """`-e` reaches the script's top level, and sets no option."""
    script = "import os\noptions = {'vus': int(os.environ['N'])}\nasync def default(): pass\n"
    text = printed(tmp_path, script, "-e", "N=3", "-e", "CILOAD_VUS=9")
    assert "vus 3 load.py:2" in section(text, "OPTIONS")


# --- charts


def test_a_ramp_rises_and_falls() -> None:
    """Up over the first third, flat, and down over the last, to the whole height of the chart."""
    stages = "20s:40,20s:40,20s:0"
    [chart] = sketches(plan_of(ramp={"executor": "ramping-vus", "start_vus": 0, "stages": stages})).values()
    up, flat, down = (heights(chart)[begin : begin + 20] for begin in (0, 20, 40))
    assert up == sorted(up)
    assert len(set(up)) > 15
    assert set(flat) == {ROWS * 8}
    assert down == sorted(down, reverse=True)
    assert abs(sum(up) - sum(down)) <= ROWS * 8


def test_rates_are_drawn_as_they_are_planned() -> None:
    """Starts per second, whatever the time unit: a line up, then a jump down."""
    fields = {"executor": "ramping-arrival-rate", "timeUnit": "1m", "startRate": 0, "stages": "30s:600,0s:60,30s:60"}
    [chart] = sketches(plan_of(rates=fields)).values()
    assert chart[0].startswith("10 iterations/s ┤")
    up, low = heights(chart)[:30], heights(chart)[30:]
    assert up == sorted(up)
    assert up[-1] == ROWS * 8
    assert set(low) == {round(ROWS * 8 / 10)}


def test_a_scenario_stands_where_it_starts() -> None:
    """All charts have the same time axis, with the scenario's own start and end on it."""
    first = {"executor": "constant-vus", "vus": 1, "duration": "60s"}
    later = {"executor": "constant-vus", "vus": 1000, "duration": "15s", "start_time": "30s"}
    charts = sketches(plan_of(first=first, later=later))
    assert heights(charts["later"]) == [0] * 30 + [ROWS * 8] * 15 + [0] * 15
    assert charts["later"][-1].split() == ["0s", "30s", "45s", "1m"]
    assert charts["first"][-1].split() == ["0s", "1m"]
    assert {line.index("└") for chart in charts.values() for line in chart if "└" in line} == {len("1,000 VUs ")}


@pytest.mark.parametrize("spike", ["29500ms:0,0s:50,1s:50,0s:0,29500ms:0", "30s:0,1s:50,1s:0,28s:0"])
def test_a_spike_is_not_lost(spike: str) -> None:
    """A column shows the most that is planned in it, however short that lasts."""
    [chart] = sketches(plan_of(a={"executor": "ramping-vus", "start_vus": 0, "stages": f"1h:0,{spike},1h:0"})).values()
    assert chart[0].startswith("50 VUs ┤")
    assert max(heights(chart)) == ROWS * 8
    assert sum(map(bool, heights(chart))) <= 2


def test_a_little_load_shows() -> None:
    """One virtual user beside a thousand is not nothing."""
    [chart] = sketches(plan_of(a={"executor": "ramping-vus", "stages": "30s:1,0s:1000,30s:1000"})).values()
    assert set(heights(chart)) == {1, ROWS * 8}


@pytest.mark.parametrize(
    ("scenarios", "expected"),
    [
        ({"a": {"executor": "shared-iterations"}}, 600),
        ({"a": {"executor": "shared-iterations"}, "b": {"executor": "constant-vus", "duration": "30s"}}, 30),
        (
            {
                "a": {"executor": "shared-iterations", "start_time": "40s"},
                "b": {"executor": "constant-vus", "duration": "30s"},
            },
            640,
        ),
    ],
)
def test_the_axis_ends_with_the_clock(scenarios: dict[str, dict[str, object]], expected: float) -> None:
    """Iterations that may take ten minutes do not squeeze half a minute of load, unless they begin after it."""
    assert axis_s(plan_of(**scenarios)) == expected


@pytest.mark.parametrize("start", [0, 1, 50, 299, 599, 1000])
@pytest.mark.parametrize("length", [1, 2, 100, 1000])
def test_times_never_run_into_each_other(start: int, length: int) -> None:
    """Start and end are readable however close they are, and stay below the chart."""
    short: dict[str, object] = {"executor": "constant-vus", "duration": f"{length}s", "start_time": f"{start}s"}
    whole = {"executor": "constant-vus", "duration": 600}
    chart = sketches(plan_of(short=short, whole=whole))["short"]
    times = chart[-1].split()
    assert [time for time in times if not TIME.fullmatch(time)] == []
    assert len(times) >= 2
    assert len(chart[-1]) <= len(chart[-2])
