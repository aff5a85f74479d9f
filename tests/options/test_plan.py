"""What the user said, from five places, becomes one plan or a list of all mistakes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ciload.errors import Complaint, OptionsError, UsageError
from ciload.metrics.metric import BUILTIN, Kind, Metric
from ciload.options.elsewhere import INSTEAD
from ciload.options.model import Options
from ciload.options.plan import Plan, make_plan
from ciload.options.scenarios import ConstantVUs, snake_case
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


@pytest.mark.parametrize("text", ["- a\n- b\n", "just text", "~: 2"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    """The message says what was expected."""
    assert "expected options" in complaints_of(file=yaml_file(tmp_path, text))


def test_broken_yaml_names_its_line(tmp_path: Path) -> None:
    """The place in the file is part of the message."""
    assert f"{tmp_path}/ciload.yaml:2: not YAML" in complaints_of(file=yaml_file(tmp_path, "vus: 3\nbatch: : 1\n"))


def test_a_missing_configuration_is_a_usage_error(tmp_path: Path) -> None:
    """A file that was asked for must be there."""
    with pytest.raises(UsageError, match=r"nowhere\.yaml"):
        from_file(tmp_path / "nowhere.yaml")


def test_mistakes_that_hinder_reading_come_with_all_others(tmp_path: Path) -> None:
    """An empty flag, a variable and a file that are no YAML, contradictions, a function that is missing: one list."""
    with pytest.raises(OptionsError) as caught:
        make_plan(
            [
                from_flags({"baseline": " ", "name": "", "compare_url": "http://old"}),
                from_environment({"CILOAD_THRESHOLDS": "{a: ", "CILOAD_VUSS": "1"}),
                from_script({"rate": 5}, Path("s.py"), {("rate",): 3}),
                yaml_file(tmp_path, "a: [\n"),
            ],
            METRICS,
            lambda name: Complaint("s.py", f"no `{name}` function"),
        )
    places = [each.where for each in caught.value.complaints]
    assert sorted(places) == sorted(
        ["--baseline", "--name", "CILOAD_THRESHOLDS", f"{tmp_path}/ciload.yaml:2", "CILOAD_VUSS", "s.py:3",
         "--compare-url", "s.py"]
    )  # fmt: skip


@pytest.mark.parametrize(
    "places",
    [
        {"flags": {"duration": "2s"}, "script": {"duration": "30s", "vus": 3}},
        {"flags": {"iterations": "2"}, "environment": {"CILOAD_ITERATIONS": "9"}},
        {"environment": {"CILOAD_STAGES": "1s:2"}, "script": {"stages": "9s:9"}},
        {"flags": {"duration": "2s", "rate": "5/s"}, "script": {"duration": "30s", "rate": "9/s"}},
    ],
)
def test_a_stronger_place_over_the_same_option_is_no_news(places: dict[str, Any]) -> None:
    """`-d 2s` over the script's own duration is what flags are for: no warning in every report."""
    assert plan_of(**places).warnings == ()


def test_what_else_a_flag_replaces_is_told() -> None:
    """The script's rate is lost with its duration: that is another load than it describes."""
    [warning] = plan_of({"duration": "2s"}, script={"duration": "30s", "rate": "9/s"}).warnings
    assert warning == "--duration decides the load and replaces rate (s.py)"


# --- YAML


@pytest.mark.parametrize(
    "word", ["no", "on", "1.10", "010", "0x1f", "10:30", "2024-01-01", "1e3", "1_000", ".5", "=", "Yes"]
)
def test_yaml_text_is_what_is_written(tmp_path: Path, word: str) -> None:
    """A country `no` and a version 1.10 stay what they are, in each option that is text and in names."""
    text = f"name: {word}\ntarget: {word}\ntags: {{a: {word}, {word}: b}}\n"
    text += f"scenarios:\n  main: {{executor: constant-vus, duration: 5s, exec: {word}, env: {{A: {word}}}}}\n"
    plan = plan_of(file=yaml_file(tmp_path, text))
    assert (plan.options.name, plan.options.target, plan.options.tags) == (word, word, {"a": word, word: "b"})
    assert (plan.scenarios["main"].exec, plan.scenarios["main"].env) == (word, {"A": word})


def test_structured_variables_are_text_too() -> None:
    """What holds for the file holds for CILOAD_SCENARIOS and CILOAD_THRESHOLDS."""
    scenarios = '{on: {executor: constant-vus, duration: 5, vus: 2, env: {COUNTRY: no}, tags: {"v": 1.10}}}'
    limits = "{http_reqs: [{threshold: count>1, abortOnFail: yes}]}"
    plan = plan_of(environment={"CILOAD_SCENARIOS": scenarios, "CILOAD_THRESHOLDS": limits})
    [(name, scenario)] = plan.scenarios.items()
    assert (name, scenario.env, scenario.tags) == ("on", {"COUNTRY": "no"}, {"v": "1.10"})
    assert (scenario.length_s, scenario.most_vus, plan.thresholds[0].abort_on_fail) == (5, 2, True)


def test_numbers_and_switches_in_yaml_are_numbers_and_switches(tmp_path: Path) -> None:
    """The option's type reads its text; a null is unset."""
    text = "vus: 3\niterations: 010\nquiet: yes\ntolerance: 0.2\nmax_body_kept: 2MiB\nduration: ~\n"
    options = plan_of(file=yaml_file(tmp_path, text)).options
    assert (options.vus, options.iterations, options.quiet, options.tolerance) == (3, 10, True, {"": 0.2})
    assert (int(options.max_body_kept), options.duration) == (2 << 20, None)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("20%", {"": 0.2}),
        (0.2, {"": 0.2}),
        ("5%, GET /search=20%", {"": 0.05, "GET /search": 0.2}),
        (["GET /a?x=1 p95=20%"], {"": 0.1, "GET /a?x=1 p95": 0.2}),
        ({"GET /search": "20%", "tokens": 0.5}, {"": 0.1, "GET /search": 0.2, "tokens": 0.5}),
    ],
)
def test_a_tolerance_may_be_of_one_metric(said: object, expected: dict[str, float]) -> None:
    """As a share for everything, by name, or both; in every place that options come from."""
    assert plan_of(script={"tolerance": said}).options.tolerance == expected


@pytest.mark.parametrize("said", ["fast", {"GET /search": "2000%"}, {"GET /search": "-1%"}, "GET /search="])
def test_a_tolerance_that_is_none_is_refused(said: object) -> None:
    """Whichever it is about."""
    assert "tolerance" in complaints_of(script={"tolerance": said})


def test_what_the_summary_shows_of_trends() -> None:
    """k6's names in k6's spelling or ours; what is none of them is told."""
    options = plan_of(script={"summaryTrendStats": ["avg", "p(99.9)"], "summaryTimeUnit": "us"}).options
    assert (options.summary_trend_stats, options.summary_time_unit) == (("avg", "p(99.9)"), "us")
    for wrong in ("mean", "p(101)", ""):
        assert "summary_trend_stats" in complaints_of(script={"summary_trend_stats": [wrong]})


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("jsonl", "jsonl needs a target"),
        ("json=a", "did you mean jsonl="),
        ("otlp=localhost:4318", "otlp needs a URL"),
        ("statsd=localhost", "statsd needs HOST:PORT"),
        ("jsonl=a,csv=./a", "'a' is the file of two outputs"),
    ],
)
def test_an_output_that_is_none_is_refused(said: str, message: str) -> None:
    """With what was probably meant, before the load."""
    assert message in complaints_of(script={"output": said})


def test_several_outputs_in_every_place() -> None:
    """A list, or text with commas."""
    expected = [("csv", "a.csv"), ("statsd", "localhost:8125")]
    assert list(plan_of(script={"output": ["csv=a.csv", "statsd=localhost:8125"]}).options.output) == expected
    assert list(plan_of(environment={"CILOAD_OUTPUT": "csv=a.csv,statsd=localhost:8125"}).options.output) == expected


def test_metrics_to_judge_are_known_ones() -> None:
    """Those that are judged anyway, say nothing of the target, or are not there at all are mistakes."""
    assert plan_of(script={"gate_metrics": ["iteration_duration"]}).options.gate_metrics == ("iteration_duration",)
    found = complaints_of(script={"gate_metrics": ["iteration_durations", "http_req_duration", "vus"]})
    assert "did you mean 'iteration_duration'?" in found
    assert "'http_req_duration' is judged anyway" in found
    assert "'vus' says nothing of the target" in found


@pytest.mark.parametrize("value", ["10:30", "0x10", "2024-01-01", "no"])
def test_a_number_that_only_yaml_would_read_is_refused(tmp_path: Path, value: str) -> None:
    """`10:30` is no 630 virtual users."""
    assert "vus: input should be a valid integer" in complaints_of(file=yaml_file(tmp_path, f"vus: {value}\n"))


def test_a_key_that_is_said_twice_is_refused(tmp_path: Path) -> None:
    """The first one would be lost silently."""
    text = "thresholds:\n  http_reqs: count>1\n  http_reqs: count>2\n"
    assert f"{tmp_path}/ciload.yaml:3: 'http_reqs' is said twice" in complaints_of(file=yaml_file(tmp_path, text))


@pytest.mark.parametrize("text", ["a: &b [*b]\n", "[" * 5_000, "a: !!timestamp 2024-99-99\n", "a: !!int x\n"])
def test_strange_yaml_is_a_mistake_and_no_crash(tmp_path: Path, text: str) -> None:
    """A file that contains itself, is nested without end, or lies about its types."""
    assert "not YAML" in complaints_of(file=yaml_file(tmp_path, text))


def test_aliases_cannot_fill_the_memory(tmp_path: Path) -> None:
    """Ten lines that stand for ten billion values are refused."""
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    text += "".join(f"a{n}: &a{n} [{', '.join(10 * [f'*a{n - 1}'])}]\n" for n in range(1, 10))
    assert "more than 100,000 values" in complaints_of(file=yaml_file(tmp_path, text))


# --- what complaints must not show


SECRET = "s3cretzqx"
URL_LIKE = [f"https://user:12/{SECRET}@host", f"https://{SECRET}/en@host", f"https://me:{SECRET}?x@host",
            f"https://{SECRET}#@host", f"http://me:{SECRET}@:x", f"me:{SECRET}@host", f"http://h:{SECRET}"]  # fmt: skip


@pytest.mark.parametrize(
    "env",
    [
        [f"TOKEN {SECRET}"],
        f"TOKEN {SECRET}",
        [SECRET],
        {"TOKEN": [SECRET]},
        {"TOKEN": {"a": SECRET}},
        [{"T": SECRET}],
        5,
    ],
)
def test_values_of_variables_are_never_quoted(env: object) -> None:
    """A scenario's `env` that is written wrongly is told by its name and entry."""
    said = complaints_of(script={"scenarios": {"main": {"executor": "constant-vus", "duration": "5s", "env": env}}})
    assert "scenarios.main.env" in said
    assert SECRET not in said


@pytest.mark.parametrize(
    "scenarios", [[f"TOKEN={SECRET}"], {"main": [{"env": {"TOKEN": SECRET}}]}, {"m": {"env": SECRET}}]
)
def test_a_misplaced_scenario_is_not_quoted(scenarios: object) -> None:
    """What stands in the wrong place may be what stands in an `env`."""
    assert SECRET not in complaints_of(script={"scenarios": scenarios})


@pytest.mark.parametrize("key", ["base_url", "compare_url", "wait_for"])
@pytest.mark.parametrize("url", URL_LIKE)
def test_a_url_with_a_misread_password_is_refused_unseen(url: str, key: str) -> None:
    """A / or ? in a password makes another host of it; it is refused, and not shown."""
    said = complaints_of(flags={"base_url": "http://new", key: url})
    assert f"{key}: not a URL like http://localhost:8000" in said
    assert SECRET not in said


@pytest.mark.parametrize("url", [each for each in URL_LIKE if each.startswith("http")])
def test_a_baseline_at_such_a_url_is_refused_too(url: str) -> None:
    """It may also be a file or an artifact, which are taken as they are."""
    assert SECRET not in complaints_of(flags={"baseline": url})
    for place in ("runs@2/b.json", "artifact:load", "https://me:p%2Fw@host/b.json?token=x"):
        assert plan_of({"baseline": place}).options.baseline == place


@pytest.mark.parametrize(
    "url", ["http://h", "https://me:pass%2Fword@h:8443/api/", "http://h/users/%40me", "http://[::1]:80"]
)
def test_a_url_that_is_written_well_is_taken(url: str) -> None:
    """Passwords are fine when what delimits them is escaped."""
    assert plan_of({"base_url": url}).options.base_url == url


@pytest.mark.parametrize("url", ["http://h/?a=b", "http://h/api#x"])
def test_a_base_url_has_no_query(url: str) -> None:
    """Paths are put behind it; the query would be lost silently."""
    assert "can have no query" in complaints_of(flags={"base_url": url})


@pytest.mark.parametrize(
    "text",
    [f"a: *{SECRET}", f"a: !{SECRET} x", f"a: !!int {SECRET}", f"a: &{SECRET} 1\nb: &{SECRET} 2", f"a: '{SECRET}",
     f"%{SECRET} x", f"a: !e!{SECRET} x", f"a: [1\nb: {SECRET}", f"a: {SECRET}: b", f'a: "\\{SECRET}"'],
)  # fmt: skip
def test_broken_yaml_is_not_quoted(tmp_path: Path, text: str) -> None:
    """A password that YAML takes for an alias or a tag does not get into a message."""
    assert SECRET not in complaints_of(file=yaml_file(tmp_path, text))
    assert SECRET not in complaints_of(environment={"CILOAD_SCENARIOS": text})


def test_the_name_of_a_secret_that_is_its_value_is_not_quoted() -> None:
    """`--secret "$TOKEN"` instead of `--secret TOKEN`."""
    said = complaints_of(flags={"secrets": ["OK", f"{SECRET}-x"]})
    assert said == "--secret: secrets: entry 2 is no name of an environment variable"


def test_secrets_of_all_places_are_secret(tmp_path: Path) -> None:
    """A flag that names one more does not let out what the script or the file names."""
    file = yaml_file(tmp_path, "secrets: [D]\n")
    plan = plan_of({"secrets": ["A"]}, {"CILOAD_SECRETS": "B"}, {"secrets": ["C", "A"]}, file)
    assert plan.options.secrets == ("A", "B", "C", "A", "D")


@pytest.mark.parametrize("secrets", [5, [5], {"A": SECRET}, [[SECRET]], None, [""]])
def test_secrets_are_names(secrets: object) -> None:
    """Whatever else stands there is told, and not shown."""
    said = complaints_of(script={"secrets": secrets})
    assert "secrets: entry 1 is no name" in said
    assert SECRET not in said


# --- words of other tools


@pytest.mark.parametrize("places", [{"flags": {"duration": "30000"}}, {"script": {"duration": 30000}},
                                    {"environment": {"CILOAD_DURATION": "30000"}}])  # fmt: skip
def test_milliseconds_are_refused_with_the_right_word(places: dict[str, Any]) -> None:
    """k6's 30000 would be a load of 8 hours."""
    assert "30000 has no unit: for milliseconds, as in k6, write 30s; for seconds 30000s" in complaints_of(**places)


@pytest.mark.parametrize(
    "option",
    ["graceful_stop", "warmup", "min_iteration_duration", "setup_timeout", "teardown_timeout", "wait_timeout"],
)
def test_milliseconds_are_refused_in_every_duration(option: str) -> None:
    """Not only in that of the load."""
    assert f"{option}: 1000 has no unit" in complaints_of(script={"duration": "1h", option: 1000})


@pytest.mark.parametrize(
    "scenario",
    [
        {"executor": "constant-vus", "duration": 60000},
        {"executor": "ramping-vus", "stages": [{"duration": 60000, "target": 5}]},
        {"executor": "ramping-vus", "stages": "60000:5"},
        {"executor": "shared-iterations", "maxDuration": 60000},
        {"executor": "constant-arrival-rate", "rate": 5, "duration": "1m", "timeUnit": 60000},
        {"executor": "constant-vus", "duration": "1m", "startTime": 60000},
        {"executor": "constant-vus", "duration": "1m", "gracefulStop": 60000},
    ],
)
def test_milliseconds_are_refused_in_scenarios(scenario: dict[str, Any]) -> None:
    """k6's scenarios can be copied; their bare numbers cannot."""
    assert "60000 has no unit" in complaints_of(script={"scenarios": {"main": scenario}})


def test_long_durations_with_a_unit_stay_what_they_are() -> None:
    """An hour is an hour, also when it reaches a worker as a plan."""
    plan = plan_of({"duration": "1h", "graceful_stop": "999"})
    assert (plan.length_s, plan.ends_s) == (3600, 4599)
    assert Plan.model_validate_json(plan.model_dump_json()) == plan


@pytest.mark.parametrize(
    ("key", "instead"),
    [("host", "`base_url`"), ("blacklistIPs", "`block_ips`"), ("noCookiesReset", "`keep_cookies`"),
     ("no_vu_connection_reuse", "`no_connection_reuse`"), ("rps", "rate: 50/s"), ("users", "`vus`"),
     ("summaryExport", "handle_summary")],
)  # fmt: skip
def test_options_of_other_tools_are_known_by_name(key: str, instead: str) -> None:
    """No "did you mean 'stages'?" for k6's `host`: ciload says that it has none, and what does the same."""
    said = complaints_of(script={key: 1})
    assert "ciload has no option" in said
    assert instead in said
    assert "did you mean" not in said


def test_no_option_is_said_to_be_missing() -> None:
    """What ciload has is not among what it has not."""
    assert not INSTEAD.keys() & Options.model_fields.keys()


@pytest.mark.parametrize(
    ("spelled", "option"),
    [("insecureSkipTLSVerify", "insecure_skip_tls_verify"), ("startVUs", "start_vus"), ("baseURL", "base_url"),
     ("preAllocatedVUs", "pre_allocated_vus"), ("noVUConnectionReuse", "no_vu_connection_reuse"),
     ("out-dir", "out_dir"), ("vus", "vus")],
)  # fmt: skip
def test_names_in_camel_case(spelled: str, option: str) -> None:
    """Abbreviations in capitals are one word."""
    assert snake_case(spelled) == option


def test_an_unlikely_guess_is_not_made() -> None:
    """A word that resembles nothing gets the list of what there is."""
    assert "did you mean" not in complaints_of(script={"colour": 1})


def test_variables_that_hold_secrets_are_no_options() -> None:
    """CILOAD_SECRET_* are values to mask, two tokens sign in at the CI."""
    environment = {
        "CILOAD_SECRET_DB": "x",
        "CILOAD_GITHUB_TOKEN": "x",
        "CILOAD_GITLAB_TOKEN": "x",
        "CILOAD_SECRETS": "A, B",
    }
    assert plan_of(environment=environment).options.secrets == ("A", "B")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"target_process": "nginx"}, "target_process: not a process: write its PID, `port`"),
        ({"target_process": "0"}, "target_process: not a process"),
        ({"target_process": "port"}, "target_process: there is no URL that has a port; say --base-url too"),
        ({"compare_process": "7", "base_url": "http://new"}, "there is no old target; say --compare-url too"),
    ],
)
def test_a_process_is_named_in_one_of_three_ways(said: dict[str, str], words: str) -> None:
    """Everything else is told before anything is looked for."""
    assert words.removeprefix("target_process: ") in complaints_of(flags=said)


def test_the_process_of_a_script_with_full_urls_has_an_id() -> None:
    """Only the script knows its target, so no URL is asked for; numbers in YAML do as well."""
    assert plan_of({}, script={"target_process": 4711}).options.target_process == "4711"
    assert plan_of({"target_process": "container:shop-1"}).options.target_process == "container:shop-1"


def test_once_is_one_iteration_of_each_scenario_and_no_judgement_by_times() -> None:
    """Whatever load, thresholds and gates there are; what belongs to the script stays."""
    several = {
        "browse": {"executor": "constant-vus", "vus": 9, "duration": "1m", "exec": "browse", "env": {"A": "b"}},
        "buy": {"executor": "constant-arrival-rate", "rate": 50, "duration": "1m", "startTime": "30s"},
    }
    script = {"scenarios": several, "thresholds": {"http_req_duration": "p(95)<1"}}
    gate = {"baseline": "b.json", "save_baseline": "b.json", "base_url": "http://a", "compare_url": "http://b"}
    plan = plan_of(flags={"once": True, "warmup": "10s", "workers": "2", **gate}, script=script)
    assert plan.iterations_in_all == 2
    assert plan.thresholds == ()
    assert [(name, each.exec, each.env) for name, each in plan.scenarios.items()] == [
        ("browse", "browse", {"A": "b"}), ("buy", "default", {}),
    ]  # fmt: skip
    options = plan.options
    assert (options.warmup, options.workers, options.baseline, options.compare_url) == (0, 1, "", "")
    assert options.base_url == "http://a"


SEVERAL = {
    "browse": {"executor": "constant-vus", "vus": 9, "duration": "1m", "exec": "browse"},
    "buy": {"executor": "constant-arrival-rate", "rate": 50, "duration": "1m", "startTime": "30s"},
}


def test_one_of_several_scenarios() -> None:
    """The others do not run, and thresholds on them alone are not judged, which is told."""
    thresholds = {
        "http_req_duration": "p(95)<1",
        "http_req_duration{scenario:buy}": "p(95)<2",
        "http_reqs{scenario:b*}": "count>1",
    }
    script = {"scenarios": SEVERAL, "thresholds": thresholds}
    plan = plan_of({"scenario": ["browse"]}, script=script)
    assert list(plan.scenarios) == ["browse"]
    assert [each.key for each in plan.thresholds] == ["http_req_duration", "http_reqs{scenario:b*}"]
    [warning] = plan.warnings
    assert warning.endswith("thresholds on http_req_duration{scenario:buy}")
    both = plan_of({}, {"CILOAD_SCENARIO": "buy, browse"}, script=script)
    assert (list(both.scenarios), len(both.thresholds), both.warnings) == (["browse", "buy"], 3, ())


def test_a_scenario_that_there_is_not() -> None:
    """It is a mistake that names what was meant, or all that there are."""
    script = {"scenarios": SEVERAL}
    said = complaints_of(flags={"scenario": ["brwse"]}, script=script)
    assert "--scenario: no scenario 'brwse'; did you mean 'browse'?" in said
    assert "no scenario 'x'; there is browse, buy" in complaints_of(flags={"scenario": ["buy", "x"]}, script=script)
    replaced = complaints_of(flags={"scenario": ["buy"], "duration": "5s"}, script=script)
    assert "no scenario 'buy'; the load is said by other options" in replaced


@pytest.mark.parametrize(
    ("said", "kept"), [("2xx,404", "2xx,404"), (404, "404"), ([200, "4xx"], "200,4xx"), ("200-204", "200-204")]
)
def test_expected_statuses_are_written_as_one_likes(said: object, kept: str) -> None:
    """Text, a number or a list; the result says them in one way."""
    assert plan_of(script={"expected": said}).options.expected == kept


def test_what_is_no_status_is_a_mistake() -> None:
    """With the place and what to write."""
    assert "--expected: expected: 'ok' is no status: write 404" in complaints_of(flags={"expected": "ok"})
    assert "s.py: expected: expected statuses: write 404" in complaints_of(script={"expected": {"min": 1}})


@pytest.mark.parametrize(
    ("said", "how"),
    [("headers", "headers"), ("full", "full"), (True, "headers"), ("1", "headers"), (False, "off"), ("off", "off")],
)
def test_http_debug_is_a_switch_with_more_to_it(said: object, how: str) -> None:
    """Alone, it shows headers."""
    assert plan_of(script={"http_debug": said}).options.http_debug == how


def test_http_debug_is_of_one_process() -> None:
    """What is shown is bounded and in order, so the load is not spread; that is told."""
    plan = plan_of({"http_debug": "full", "workers": "4"})
    assert plan.options.workers == 1
    assert "http_debug" in plan.warnings[0]


@pytest.mark.parametrize(
    ("said", "mode"),
    [("off", "off"), ("auto", "auto"), ("only", "only"), (True, "auto"), (False, "off"), ("on", "auto")],
)
def test_http2_is_a_mode_or_a_switch(said: object, mode: str) -> None:
    """In a script it may be True or False."""
    assert plan_of(script={"http2": said}).options.http2 == mode


def test_http2_has_no_other_modes() -> None:
    """A version, for example, is none."""
    assert "http2" in complaints_of(script={"http2": "1.1"})
