"""What the user said, from five places, becomes one plan or a list of all mistakes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ciload.errors import OptionsError, UsageError
from ciload.metrics.metric import BUILTIN, Kind, Metric
from ciload.options.plan import Plan, make_plan
from ciload.options.scenarios import ConstantVUs
from ciload.options.sources import Source, from_environment, from_file, from_flags, from_script

METRICS = {**BUILTIN, "List Users": Metric("List Users", Kind.TREND, "ms")}


def plan_of(
    flags: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    script: Mapping[str, Any] | None = None,
    file: Source | None = None,
) -> Plan:
    in_script = from_script(script or {}, Path("s.py"), {})
    sources = [from_flags(flags or {}), from_environment(environment or {}), in_script]
    return make_plan([*sources, file] if file else sources, METRICS, lambda _: None)


def complaints_of(**places: Any) -> str:
    with pytest.raises(OptionsError) as caught:
        plan_of(**places)
    return str(caught.value)


def yaml_file(folder: Path, text: str) -> Source:
    path = folder / "ciload.yaml"
    path.write_text(text, encoding="utf-8")
    return from_file(path)


def test_flag_beats_environment_beats_script_beats_file(tmp_path: Path) -> None:
    """Each place decides only what no stronger place has decided."""
    file = yaml_file(tmp_path, "vus: 1\nbatch: 1\nbatch_per_host: 1\nbase_url: http://file\n")
    script = {"vus": 2, "batch": 2, "batch_per_host": 2}
    environment = {"CILOAD_VUS": "3", "CILOAD_BATCH": "3"}
    options = plan_of({"vus": "4"}, environment, script, file).options
    assert (options.vus, options.batch, options.batch_per_host, options.base_url) == (4, 3, 2, "http://file")


def test_whoever_sets_the_load_decides_all_of_it() -> None:
    """A duration on the command line replaces the script's iterations, not only its duration."""
    plan = plan_of({"duration": "5s"}, script={"iterations": 100, "vus": 7})
    assert plan.scenarios == {"default": ConstantVUs(vus=7, duration=5, graceful_stop=30)}


@pytest.mark.parametrize(
    ("flags", "executor", "vus", "iterations"),
    [
        ({}, "per-vu-iterations", 1, 1),
        ({"vus": "5"}, "shared-iterations", 5, 5),
        ({"iterations": "9", "vus": "3"}, "shared-iterations", 3, 9),
        ({"iterations": "9", "vus": "3", "duration": "2s"}, "shared-iterations", 3, 9),
        ({"duration": "2s"}, "constant-vus", 1, None),
    ],
)
def test_shortcuts_mean_what_they_mean_in_k6(
    flags: dict[str, str], executor: str, vus: int, iterations: int | None
) -> None:
    """Iterations are shared, a duration keeps virtual users busy, nothing at all runs once."""
    scenario = plan_of(flags).scenarios["default"]
    assert (scenario.executor, scenario.most_vus, scenario.iterations_in_all) == (executor, vus, iterations)


def test_all_mistakes_come_at_once_with_their_places(tmp_path: Path) -> None:
    """One round of mending is enough, whatever the mistakes are and wherever they stand."""
    file = yaml_file(tmp_path, "quiet: false\nbacth: 3\nthresholds:\n  http_req_duration:\n    - p(95)<fast\n")
    text = complaints_of(flags={"vus": "0"}, environment={"CILOAD_DURATION": "soon"}, file=file)
    assert "--vus: vus" in text
    assert "CILOAD_DURATION: duration" in text
    assert f"{tmp_path}/ciload.yaml:2: unknown option 'bacth'; did you mean 'batch'?" in text
    assert f"{tmp_path}/ciload.yaml:5: threshold on 'http_req_duration': 'fast'" in text


def test_k6_spelling_of_names_is_understood() -> None:
    """`batchPerHost` in a script and `batch-per-host` in YAML are the option batch_per_host."""
    assert plan_of(script={"batchPerHost": 2}).options.batch_per_host == 2
    assert plan_of(script={"batch-per-host": 3}).options.batch_per_host == 3


def test_an_unknown_variable_with_our_prefix_is_a_mistake() -> None:
    """A typo in a pipeline's environment must not be ignored silently."""
    assert "CILOAD_VSU: unknown option 'vsu'; did you mean 'vus'?" in complaints_of(environment={"CILOAD_VSU": "3"})


def test_an_empty_variable_is_unset() -> None:
    """CI inputs that nobody filled in arrive as empty variables."""
    assert plan_of(environment={"CILOAD_VUS": ""}).options.vus is None


def test_thresholds_come_from_the_environment_too() -> None:
    """`docker run -e` is enough to make a gate."""
    [threshold] = plan_of(environment={"CILOAD_THRESHOLDS": '{"List Users": "p(95)<500"}'}).thresholds
    assert (threshold.metric, threshold.limit, threshold.where) == ("List Users", 500, "CILOAD_THRESHOLDS")


def test_fewer_iterations_than_virtual_users_is_a_mistake() -> None:
    """As in k6: it is no clamp, someone has mixed something up."""
    assert "3 iterations cannot keep 5 virtual users busy" in complaints_of(flags={"iterations": "3", "vus": "5"})


@pytest.mark.parametrize("text", ["- a\n- b\n", "just text", "1: 2"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    """The message says what was expected."""
    with pytest.raises(OptionsError, match="expected options"):
        yaml_file(tmp_path, text)


def test_broken_yaml_names_its_line(tmp_path: Path) -> None:
    """The place in the file is part of the message."""
    with pytest.raises(OptionsError, match=r"ciload\.yaml:2: not YAML"):
        yaml_file(tmp_path, "vus: 3\nbatch: : 1\n")


def test_a_missing_configuration_is_a_usage_error(tmp_path: Path) -> None:
    """A file that was asked for must be there."""
    with pytest.raises(UsageError, match=r"nowhere\.yaml"):
        from_file(tmp_path / "nowhere.yaml")
