"""The flags of `run` and `inspect`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from ciload.cli import app
from ciload.cli.flags import FLAGS, NOT_OPTIONS, Asked, with_flags
from ciload.options.model import Options
from ciload.options.plan import Plan, make_plan
from ciload.options.scenarios import ConstantArrivalRate, RampingVUs
from ciload.options.sources import from_flags


def asked(*arguments: str, **environment: str) -> Asked:
    """What a command gets to know of a command line."""
    heard: list[Asked] = []

    def hear(said: Asked) -> None:
        heard.append(said)

    one = typer.Typer()
    one.command()(with_flags(hear))
    outcome = CliRunner().invoke(one, list(arguments), env=environment)
    assert outcome.exit_code == 0, outcome.output
    return heard[0]


def plan_of(*arguments: str) -> Plan:
    return make_plan([from_flags(asked("load.py", *arguments).options)], {}, lambda _: None)


def parameters(command: str) -> list[tuple[str, list[str], object, object]]:
    group: Any = typer.main.get_command(app)
    return [
        (each.name, each.opts, each.metavar, getattr(each, "help", None)) for each in group.commands[command].params
    ]


def test_run_and_inspect_take_the_same_flags() -> None:
    """What can be run can be looked at first, with the same command line."""
    assert parameters("run") == parameters("inspect")
    assert len(parameters("run")) == len(FLAGS) + 1


def test_every_flag_is_an_option() -> None:
    """A flag sets an option of the same name, except those that say what to read."""
    assert {each.name for each in FLAGS} - NOT_OPTIONS <= set(Options.model_fields)


def test_only_structured_options_have_no_flag() -> None:
    """A new option gets a flag, unless it is no line of text."""
    assert set(Options.model_fields) - {each.name for each in FLAGS} == {"scenarios", "thresholds", "weights"}


def test_a_flag_is_named_in_complaints_as_it_is_typed() -> None:
    """The place of a mistake is what the user wrote."""
    source = from_flags({})
    for flag in FLAGS:
        if flag.name not in NOT_OPTIONS:
            assert source.where((flag.name,)) in flag.declarations


def test_stages_and_tags_are_lists() -> None:
    """`-s` and `--tag` may be repeated and keep their order."""
    said = asked("load.py", "-s", "30s:20", "--stage", "1m:0", "--tag", "a=1", "--tag", "b=x=y").options
    assert (said["stages"], said["tags"]) == (["30s:20", "1m:0"], ["a=1", "b=x=y"])


def test_what_is_not_said_is_no_option() -> None:
    """Flags that were not given leave other places their say."""
    assert from_flags(asked("load.py").options).values == {}


def test_script_config_and_env_are_no_options() -> None:
    """They come to the command on their own."""
    said = asked("load.py", "--config", "c.yaml", "-e", "A=1", "-e", "B=2")
    assert (said.scripts, said.config, said.env) == (("load.py",), Path("c.yaml"), ("A=1", "B=2"))
    assert not NOT_OPTIONS & said.options.keys()


def test_script_and_config_may_stand_in_the_environment() -> None:
    """CILOAD_SCRIPT and CILOAD_CONFIG; an empty one is unset, as CI inputs need it."""
    assert asked(CILOAD_SCRIPT="a.py", CILOAD_CONFIG="b.yaml").config == Path("b.yaml")
    assert asked(CILOAD_SCRIPT="a.py", CILOAD_CONFIG="").config is None


def test_stages_make_a_ramp() -> None:
    """`-s 30s:20 -s 1m:0` are k6's stages."""
    scenario = plan_of("-s", "30s:20", "-s", "1m:0").scenarios["default"]
    assert isinstance(scenario, RampingVUs)
    assert [(each.duration, each.target) for each in scenario.stages] == [(30, 20), (60, 0)]


def test_a_rate_makes_an_open_model() -> None:
    """`--rate 50/s --duration 10s --vus 7` starts 50 iterations a second with at most 7 virtual users."""
    scenario = plan_of("--rate", "3000/m", "-d", "10s", "-u", "7").scenarios["default"]
    assert isinstance(scenario, ConstantArrivalRate)
    assert (scenario.peak_per_s, scenario.duration, scenario.most_vus) == (50, 10, 7)


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        (["--warmup", "5s"], "warmup", 5),
        (["--min-iteration-duration", "2s"], "min_iteration_duration", 2),
        (["--workers", "4"], "workers", 4),
        (["--workers", "auto"], "workers", "auto"),
        (["--tag", "team=web", "--tag", "stage=dev"], "tags", {"team": "web", "stage": "dev"}),
    ],
)
def test_a_flag_reaches_the_plan(arguments: list[str], name: str, value: object) -> None:
    """Text from the command line becomes the option's value."""
    assert getattr(plan_of("-d", "30s", *arguments).options, name) == value


def test_the_version_costs_no_imports() -> None:
    """`ciload --version` loads typer, and nothing that checks or draws."""
    code = "import sys, ciload.cli; print(*{'pydantic', 'rich', 'numpy', 'anyio'} & sys.modules.keys())"
    clean = {key: value for key, value in os.environ.items() if not key.startswith("COVERAGE")}
    done = subprocess.run([sys.executable, "-c", code], env=clean, capture_output=True, text=True, timeout=30)
    assert (done.stdout.strip(), done.stderr) == ("", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["localhost:8000"], "to request one page, write its whole URL: ciload run http://"),
        (["http:/me:s3cretzqx@h/"], "to request one page, write its whole URL"),
        (["http://me:s3cretzqx@/"], "no host"),
        (["https://h:99999/?token=s3cretzqx"], "invalid URL"),
        (["http://me:s3cretzqx@h/", "--base-url", "http://x"], "there are two targets"),
    ],
)
def test_an_address_that_is_no_page_is_told_what_one_is(arguments: list[str], message: str) -> None:
    """It is no file's name either, and nothing of it is shown that may be secret."""
    outcome = CliRunner().invoke(app, ["run", *arguments], env={"COLUMNS": "200", "TERM": "dumb"})
    assert outcome.exit_code == 2
    assert message in outcome.output
    assert "s3cretzqx" not in outcome.output


def test_a_second_argument_is_not_quoted() -> None:
    """`-e` was forgotten before a variable with a secret in it."""
    outcome = CliRunner().invoke(app, ["run", "load.py", "TOKEN=s3cretzqx"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert outcome.exit_code == 2
    assert "variables are -e KEY=VALUE each" in outcome.output
    assert "s3cretzqx" not in outcome.output
