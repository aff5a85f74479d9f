"""What the GitHub Action decides: inputs to options, where baselines are kept and ciload runs, what fails the step.

    probe      leaves with 0 if this Python will do
    plan       decides everything that the steps of action.yml need to know, and says so in GITHUB_OUTPUT
    run        starts ciload: in a container, or in a virtual environment
    merge      adds what others have saved in the meantime to what is to be saved
    container  starts ciload right here, for docker/action.yml

The first four run with the runner's own Python, before there is a ciload. So this takes nothing but the standard
library, from Python 3.8 on. Inputs arrive as JSON or as INPUT_* variables and leave as CILOAD_* variables, never as
shell text.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

OLDEST_PYTHON = (3, 11)
RESULT, SUITE = "result.json", "suite.json"
USAGE, NOT_READY, INTERRUPTED = 2, 98, 105
CANCELLED = (INTERRUPTED, 128 + signal.SIGINT, 128 + signal.SIGTERM)
OPTIONS = (
    "script", "config", "vus", "duration", "iterations", "rate", "stages", "base_url", "compare_url", "wait_for",
    "wait_timeout", "thresholds", "on_missing_baseline", "on_inconclusive", "tolerance", "false_alarm", "confirm",
    "accept", "once", "fail_fast", "comment", "status", "name", "target", "target_process", "compare_process",
)  # fmt: skip
PROCESSES = ("target_process", "compare_process")
# What ciload needs to be beside: the runner's processes, or libraries of the script's.
OUTSIDE = (*PROCESSES, "requirements")
# Events that only people with write access can cause, so that what they measured may become the level for others.
TRUSTED_EVENTS = ("push", "schedule", "workflow_dispatch")
FAIL_ON = ("thresholds", "regression", "missing-baseline", "inconclusive", "errors")
KINDS = {96: "regression", 99: "thresholds"}
# What a container needs to know of the job. No ACTIONS_*: these hold tokens.
PASSED_ON = re.compile(r"CILOAD_\w+|GITHUB_(?!TOKEN)\w+|RUNNER_\w+|CI|NO_COLOR|FORCE_COLOR|(?i:https?_proxy|no_proxy)")
ACTION_PATH = re.compile(r"[\\/]_actions[\\/]([^\\/]+[\\/][^\\/]+)[\\/](.+)$")
LOCAL = ("localhost", "127.0.0.1", "::1")

Environment = Mapping[str, str]


class ActionError(Exception):
    """Something that the author of the workflow has to mend."""

    def __init__(self, text: str, code: int = USAGE) -> None:
        super().__init__(text)
        self.code = code


# --- what was asked for


def read_inputs(environment: Environment) -> dict[str, str]:
    """The inputs that are set, by their names with underscores."""
    if "INPUTS" in environment:
        given = {key: str(value) for key, value in json.loads(environment["INPUTS"]).items()}
    else:  # a container action; the runner keeps hyphens in these names
        given = {key[6:]: value for key, value in environment.items() if key.startswith("INPUT_")}
    return {key.replace("-", "_").lower(): value.strip() for key, value in given.items() if value.strip()}


def options(inputs: Mapping[str, str], environment: Environment) -> dict[str, str]:
    """The variables that tell ciload what to do."""
    found = {f"CILOAD_{name.upper()}": inputs[name] for name in OPTIONS if name in inputs}
    if not (found.get("CILOAD_SCRIPT") or environment.get("CILOAD_SCRIPT")):
        raise ActionError("the input `script` is missing: the path of the scenario script, or a line for each")
    found["CILOAD_OUT_DIR"] = results(inputs, environment)
    if leg(environment) and not environment.get("CILOAD_LEG"):
        found["CILOAD_LEG"] = leg(environment)
    if "compare_url" in inputs and switch(inputs, "until_clear", "true"):
        found["CILOAD_UNTIL_CLEAR"] = "true"
    for kind, option in (("missing-baseline", "missing_baseline"), ("inconclusive", "inconclusive")):
        if kind in (fail_on(inputs) or ()):
            found[f"CILOAD_ON_{option.upper()}"] = "fail"
    return found


def results(inputs: Mapping[str, str], environment: Environment) -> str:
    return inputs.get("results") or environment.get("CILOAD_OUT_DIR") or "ciload-results"


def script_variables(inputs: Mapping[str, str], environment: Environment) -> dict[str, str]:
    """The input `env`: KEY=VALUE lines, and KEY alone for what the step's environment holds already."""
    found = {}
    for number, line in enumerate(map(str.strip, inputs.get("env", "").splitlines()), 1):
        key, given, value = line.partition("=")
        if not line or line.startswith("#"):
            continue
        if not re.fullmatch(r"[A-Za-z_]\w*", key):
            # Not quoted: it may be part of a secret.
            raise ActionError(f"line {number} of the input `env` is neither KEY=VALUE nor KEY")
        if given or key in environment:
            found[key] = value if given else environment[key]
    return found


def fail_on(inputs: Mapping[str, str]) -> list[str] | None:
    """The kinds of failure that fail the step; None for all that ciload fails on."""
    if "fail_on" not in inputs:
        return None
    kinds = [kind for kind in re.split(r"[\s,]+", inputs["fail_on"]) if kind]
    wrong = [kind for kind in kinds if kind not in (*FAIL_ON, "nothing")]
    if wrong:
        raise ActionError(f"the input `fail-on` takes {', '.join(FAIL_ON)} or nothing, not {', '.join(wrong)}")
    return kinds


# --- baselines and artifacts


def identity(inputs: Mapping[str, str], environment: Environment) -> str:
    """Names this test among others of the repository, for people (a slug) and without doubt (a hash).

    It is its name, else its script in its folder at its target; and a leg of the matrix, if there is one. Without the
    hash `api` would find what `api-v2` stored, since keys of caches are compared by their beginnings.
    """
    name = inputs.get("name") or environment.get("CILOAD_NAME")
    name = name or inputs.get("script") or environment["CILOAD_SCRIPT"]
    target = inputs.get("target") or environment.get("CILOAD_TARGET", "")
    facts = ["name", name, target]
    if not (inputs.get("name") or environment.get("CILOAD_NAME")):
        folder = os.path.normpath(inputs.get("working_directory", "."))
        server = urlsplit(inputs.get("base_url") or environment.get("CILOAD_BASE_URL", "")).netloc.rpartition("@")[2]
        facts = ["script", folder, name, target or server]
    key = json.dumps([*facts, environment.get("MATRIX", "")])
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60]
    return f"{slug}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"


def leg(environment: Environment) -> str:
    """The leg of the matrix as GitHub writes it behind the name of the job: `ubuntu-latest, 3.12`."""
    try:
        matrix = json.loads(environment.get("MATRIX") or "null")
    except ValueError:
        return ""
    values = matrix.values() if isinstance(matrix, dict) else ()
    return ", ".join(each if isinstance(each, str) else json.dumps(each) for each in values)[:200]


def may_save(inputs: Mapping[str, str], environment: Environment) -> bool:
    """Whether this run may become part of what others are compared with: never that of a pull request."""
    wish = inputs.get("save_baseline", "auto")
    if wish not in ("auto", "always", "never"):
        raise ActionError(f"the input `save-baseline` takes auto, always or never, not {wish!r}")
    event = environment.get("GITHUB_EVENT_NAME")
    if wish == "never" or event not in TRUSTED_EVENTS:
        return False
    return wish == "always" or event == "schedule" or environment.get("GITHUB_REF") == default_branch(environment)


def default_branch(environment: Environment) -> str | None:
    try:
        event = json.loads(Path(environment["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
        return f"refs/heads/{event['repository']['default_branch']}"
    except (KeyError, OSError, TypeError, ValueError):
        return None


def baseline(inputs: Mapping[str, str], environment: Environment) -> tuple[str, dict[str, str]]:
    """Where the baseline is kept (cache, artifact, elsewhere or off), and the options that follow."""
    kept = inputs.get("baseline", "cache")
    if kept in ("off", "false"):  # what YAML makes of it
        return "off", {}
    here = identity(inputs, environment)
    file = cached(here) if kept in ("cache", "artifact") else kept
    saves = may_save(inputs, environment)
    if kept == "artifact":
        # Who saves compares with what was saved before, which is therefore fetched in any case.
        chosen = {"CILOAD_BASELINE": artifact(here), **({"CILOAD_SAVE_BASELINE": file} if saves else {})}
    elif saves and not re.match(r"https?:|artifact:", file):
        chosen = {"CILOAD_SAVE_BASELINE": file}
    else:
        chosen = {"CILOAD_BASELINE": file}
    if "baseline_from" in inputs:
        places = {"cache": cached, "artifact": artifact}
        chosen["CILOAD_BASELINE_FROM"] = places.get(kept, str)(inputs["baseline_from"])
    return (kept if kept in ("cache", "artifact") else "elsewhere"), chosen


def cached(test: str) -> str:
    """The file in which the runs of a test are kept in the cache."""
    return f".ciload/{test}.json"


def artifact(test: str) -> str:
    """The artifact in which they are kept."""
    return f"artifact:ciload-baseline-{test}"


def key_prefix(test: str) -> str:
    """How the keys of its caches begin."""
    return f"ciload-v2-{test}-"


# --- where ciload runs


def mode(inputs: Mapping[str, str], environment: Environment) -> str:
    """docker where the runner's Docker sees the runner's network and files, else venv."""
    wish = inputs.get("mode", "auto")
    if wish not in ("auto", "docker", "venv"):
        raise ActionError(f"the input `mode` takes auto, docker or venv, not {wish!r}")
    outside = next((each for each in OUTSIDE if each in inputs or environment.get(f"CILOAD_{each.upper()}")), "")
    if wish == "docker" and outside:
        why = "nothing can be installed in the image" if outside == "requirements" else "it sees no other processes"
        raise ActionError(f"the input `{outside.replace('_', '-')}` needs `mode: venv`: in a container, {why}")
    if wish != "auto":
        return wish
    # In a job with `container:` the workspace's path and localhost are those of that container, and Docker's are not.
    suits = environment.get("RUNNER_OS", "Linux") == "Linux" and not environment.get("CONTAINER")
    suits = suits and not outside
    return "docker" if suits and docker_works() else "venv"


def docker_works() -> bool:
    command = ["docker", "info", "--format", "{{json .SecurityOptions}}"]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=30)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return False
    # Rootless: its host network is not the runner's, and its users are others.
    return done.returncode == 0 and b"rootless" not in done.stdout


def image(inputs: Mapping[str, str], environment: Environment) -> str:
    """The image to pull; "" if it is to be built from the action's own checkout."""
    if "image" in inputs:
        return "" if inputs["image"] == "build" else inputs["image"]
    checkout = environment.get("GITHUB_ACTION_PATH", "")
    pinned = Path(checkout, "docker", "image.txt")
    if pinned.is_file():  # written by the release, which knows the digest
        return pinned.read_text(encoding="utf-8").strip()
    # The folder is preferred: within another composite action, the context names that one.
    place = ACTION_PATH.search(checkout)
    repository, ref = environment.get("ACTION_REPOSITORY"), environment.get("ACTION_REF")
    if place:
        repository, ref = place.group(1).replace("\\", "/"), place.group(2)
    return f"ghcr.io/{repository.lower()}:{ref}" if repository and ref else ""


def docker_command(inputs: Mapping[str, str], environment: Environment, passed: Mapping[str, str]) -> list[str]:
    """`docker run …` up to ciload's command, after its image was pulled or built.

    Values stay in the environment, only names are arguments.
    """
    name = image(inputs, environment)
    if name:
        if prepare(f"Pull {name}", ["docker", "pull", name]) != 0:
            raise ActionError(f"{name} cannot be pulled. Use a released version, or set `image: build` or `mode: venv`")
    else:
        name = "ciload-action"
        if prepare("Build the image", ["docker", "build", "--tag", name, environment["GITHUB_ACTION_PATH"]]) != 0:
            raise ActionError("the image cannot be built; `mode: venv` does without")
    workspace, folder = environment["GITHUB_WORKSPACE"], str(Path.cwd())
    command = ["docker", "run", "--rm", "--network", "host", "--user", f"{os.getuid()}:{os.getgid()}"]
    command += ["--volume", f"{workspace}:{workspace}", "--workdir", folder]
    for variable in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_EVENT_PATH"):
        path = environment.get(variable)
        if path and Path(path).is_file():
            command += ["--volume", f"{path}:{path}" + ":ro" * (variable == "GITHUB_EVENT_PATH")]
    names = sorted({*passed, *filter(PASSED_ON.fullmatch, environment)})
    return [*command, *(word for each in names for word in ("--env", each)), name]


def venv_command(inputs: Mapping[str, str], environment: Environment) -> list[str]:
    """The installed `ciload`, from the action's own checkout, with what the script requires."""
    if sys.version_info < OLDEST_PYTHON:
        raise ActionError("ciload needs Python 3.11: set `python-version`")
    folder = Path(environment["RUNNER_TEMP"], "ciload-venv")
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    ciload = str(programs / "ciload")
    install = [str(programs / "python"), "-m", "pip", "install", "--disable-pip-version-check"]
    commands = []
    if not shutil.which(ciload):  # else an earlier step has installed it
        commands += [[sys.executable, "-m", "venv", str(folder)], [*install, environment["GITHUB_ACTION_PATH"]]]
    if "requirements" in inputs:
        commands.append([*install, *(word for each in inputs["requirements"].split() for word in ("-r", each))])
    for command in commands:
        if prepare("Install ciload", command, {**environment, "PIP_CACHE_DIR": str(pip_cache(environment))}) != 0:
            raise ActionError(f"ciload could not be installed: {' '.join(command)} failed")
    return [ciload]


def requirements(inputs: Mapping[str, str]) -> list[str]:
    """Files that say what the script requires, from the working directory."""
    files = inputs.get("requirements", "").split()
    missing = [each for each in files if not Path(inputs.get("working_directory", "."), each).is_file()]
    if missing:
        raise ActionError(f"the input `requirements` names {missing[0]}, which is not there")
    return files


def requirements_key(inputs: Mapping[str, str], environment: Environment) -> str:
    """The cache of what pip has downloaded for them; "" if nothing is required."""
    files = [Path(inputs.get("working_directory", "."), each) for each in requirements(inputs)]
    where = "-".join(environment.get(name, "") for name in ("RUNNER_OS", "RUNNER_ARCH"))
    text = b"\0".join(each.read_bytes() for each in files)
    return f"ciload-pip-{where}-{hashlib.sha256(text).hexdigest()[:16]}" if files else ""


def uploads(inputs: Mapping[str, str], environment: Environment) -> bool:
    """Whether reports become an artifact. Servers other than GitHub's own do not know how (artifacts of version 4)."""
    wish = inputs.get("upload", "auto")
    if wish not in ("auto", "on", "off", "true", "false"):
        raise ActionError(f"the input `upload` takes auto, on or off, not {wish!r}")
    host = urlsplit(environment.get("GITHUB_SERVER_URL", "https://github.com")).hostname or ""
    theirs = host == "github.com" or host.endswith(".ghe.com")
    if not theirs and inputs.get("baseline") == "artifact":
        raise ActionError(f"`baseline: artifact` works on github.com alone, and this is {host}: use `cache`")
    return wish in ("on", "true") or (wish == "auto" and theirs)


def flags(inputs: Mapping[str, str]) -> list[str]:
    """Further flags for the command line, as a shell would read them."""
    try:
        return shlex.split(inputs.get("flags", ""), comments=True)
    except ValueError as error:
        raise ActionError(f"the input `flags` cannot be read: {error}") from None


def prepare(title: str, command: list[str], environment: Environment = os.environ) -> int:
    """Run what has to come before ciload; its output is folded away in the log."""
    sys.stdout.write(f"::group::{title}\n")
    sys.stdout.flush()
    try:
        return subprocess.call(command, env=dict(environment))  # noqa: S603
    finally:
        sys.stdout.write("::endgroup::\n")
        sys.stdout.flush()


# --- the steps


def probe(environment: Environment) -> int:
    """0 if this Python will do; where there is none at all, the shell says no."""
    try:
        return int(sys.version_info < OLDEST_PYTHON and mode(read_inputs(environment), environment) == "venv")
    except ActionError:  # `plan` tells
        return 0


def plan(environment: Environment) -> int:
    inputs = read_inputs(environment)
    options(inputs, environment)
    script_variables(inputs, environment)
    for name in ("doctor", "trends", "status"):
        switch(inputs, name, "false")
    flags(inputs)
    kept, chosen = baseline(inputs, environment)
    name, older = identity(inputs, environment), inputs.get("baseline_from", "") if kept == "cache" else ""
    if older and not re.fullmatch(r"[a-z0-9-]+", older):
        raise ActionError("the input `baseline-from` takes what the output `identity` of the other test says")
    file = chosen.get("CILOAD_SAVE_BASELINE") or chosen.get("CILOAD_BASELINE", "")
    job = re.sub(r"[^A-Za-z0-9]+", "-", environment.get("GITHUB_JOB", ""))
    run_id = f"{environment.get('GITHUB_RUN_ID', '')}-{environment.get('GITHUB_RUN_ATTEMPT', '')}"
    write_outputs(
        environment,
        {
            "mode": mode(inputs, environment),
            "identity": name,
            "keep": kept,
            "baseline": in_folder(inputs, file),
            "baseline-artifact": artifact(name).partition(":")[2],
            "prefix": key_prefix(name),
            "key": key_prefix(name) + run_id,
            "older": in_folder(inputs, cached(older)) if older else "",
            "older-prefix": key_prefix(older) if older else "",
            "results": in_folder(inputs, results(inputs, environment)),
            "artifact": f"ciload-{job}-{name}" if uploads(inputs, environment) else "",
            "requirements-key": requirements_key(inputs, environment),
            "pip-cache": str(pip_cache(environment)),
        },
    )
    return 0


def pip_cache(environment: Environment) -> Path:
    """What pip downloads for the script is kept there."""
    return Path(environment.get("RUNNER_TEMP", "."), "ciload-pip")


def in_folder(inputs: Mapping[str, str], path: str) -> str:
    """A path as steps that start in the workspace name it."""
    return os.path.normpath(os.path.join(inputs.get("working_directory", "."), path))  # noqa: PTH118


def run(environment: Environment, *, here: bool = False) -> int:
    inputs = read_inputs(environment)
    wanted = fail_on(inputs)
    chosen = baseline(inputs, environment)[1]
    if here:  # nobody carries a file from job to job
        chosen = {"CILOAD_BASELINE": inputs["baseline"]} if "baseline" in inputs else {}
    passed = {**script_variables(inputs, environment), **options(inputs, environment), **chosen}
    if "token" in inputs:
        passed["GITHUB_TOKEN"] = inputs["token"]
    enter(inputs)
    if here:
        explain_localhost({**environment, **passed})
        command = ["ciload"]
    elif (environment.get("MODE") or mode(inputs, environment)) == "docker":
        command = docker_command(inputs, environment, passed)
    else:
        command = venv_command(inputs, environment)
    folder = Path(passed["CILOAD_OUT_DIR"])
    remove_results(folder)
    kept = Path(chosen.get("CILOAD_SAVE_BASELINE") or os.devnull)
    before = digest(kept)
    if switch(inputs, "doctor", "false"):
        code = start([*command, "doctor"], {**environment, **passed})
        if code in CANCELLED:
            return INTERRUPTED
        if code:
            say("warning", f"ciload doctor left with {code}: its last line says how far to rely on this runner")
    code = start([*command, "run", *flags(inputs)], {**environment, **passed})
    if switch(inputs, "trends", "false") and code not in CANCELLED:
        write_trends(command, {**environment, **passed})
    verdict = step_code(code, outcomes(code, folder), wanted)
    saved = "true" if digest(kept) not in (None, before) else "false"
    if saved == "true":
        shutil.copy(kept, mine(kept))  # restoring the cache once more overwrites the file
    write_outputs(environment, {"exit-code": str(code), "saved": saved})
    if code != verdict:
        say("notice", f"ciload left with {code}, which is not among what `fail-on` names")
    return verdict


def remove_results(folder: Path) -> None:
    """Of an earlier run, which this one's would be taken for if it left none."""
    for document in (folder / RESULT, folder / SUITE):
        if document.is_file():
            document.unlink()


def enter(inputs: Mapping[str, str]) -> None:
    """Go to the working directory."""
    folder = inputs.get("working_directory", ".")
    try:
        os.chdir(folder)
    except OSError as error:
        raise ActionError(f"the input `working-directory` is {folder}: {error.strerror}") from None


def merge(environment: Environment) -> int:
    """Add what others have saved since this run began to what it is going to save, which takes the place of theirs."""
    inputs = read_inputs(environment)
    kept, chosen = baseline(inputs, environment)
    enter(inputs)
    file = Path(chosen["CILOAD_SAVE_BASELINE"])
    if kept == "cache" and digest(file) == digest(mine(file)):  # nobody has
        return 0
    passed = {"GITHUB_TOKEN": inputs["token"]} if "token" in inputs else {}
    in_docker = (environment.get("MODE") or mode(inputs, environment)) == "docker"
    command = docker_command(inputs, environment, passed) if in_docker else venv_command({}, environment)
    others = [str(mine(file))] if kept == "cache" else [chosen["CILOAD_BASELINE"]]
    if start([*command, "baseline", "merge", str(file), *others], {**environment, **passed}):
        shutil.copy(mine(file), file)
        say("warning", "what another run has saved meanwhile is not in the baseline that is saved: the log says why")
    elif digest(file) != digest(mine(file)):
        say("notice", "another run has saved its baseline meanwhile: its runs were added")
    return 0


def mine(file: Path) -> Path:
    """Where this run's own baseline is put aside."""
    return file.with_name(f"{file.name}.mine")


def write_trends(command: list[str], environment: Environment) -> None:
    """A page of the runs in the baseline, among the reports. Without one the step is as good as with it."""
    place = environment.get("CILOAD_SAVE_BASELINE") or environment.get("CILOAD_BASELINE", "")
    if not (Path(place).is_file() or re.match(r"https?:", place)):
        say("notice", "no page of trends: there is no baseline here that could be shown")
        return
    words = [place, "--output", str(Path(environment["CILOAD_OUT_DIR"], "trends"))]
    server, repository = environment.get("GITHUB_SERVER_URL"), environment.get("GITHUB_REPOSITORY")
    if server and repository:
        words += ["--repository", f"{server}/{repository}"]
    if start([*command, "trends", *words], environment):
        say("warning", "the page of trends could not be written; the log says why")


def switch(inputs: Mapping[str, str], name: str, default: str) -> bool:
    """An input that is true or false."""
    wish = inputs.get(name, default).lower()
    if wish not in ("true", "false"):
        raise ActionError(f"the input `{name.replace('_', '-')}` takes true or false, not {wish!r}")
    return wish == "true"


def start(command: list[str], environment: Environment) -> int:
    """Run it to its end; a cancelled job's signals are passed on, so that its reports are written."""
    secret = {key: value for key, value in environment.items() if key not in ("INPUTS", "INPUT_TOKEN")}
    with subprocess.Popen(command, env=secret) as process:  # noqa: S603
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda received, _: process.send_signal(received))
        code = process.wait()
    return code if code >= 0 else 128 - code


def outcomes(code: int, folder: Path) -> list[tuple[int, dict[str, Any] | None]]:
    """Exit code and result of the run, or of each test if it was a suite."""
    suite = read(folder / SUITE)
    if suite is None:
        return [(code, read(folder / RESULT))]
    failed = [each for each in suite["tests"] if each.get("exit_code")]
    found = [(each["exit_code"], read(folder / each["results"] / RESULT)) for each in failed]
    # What failed may also be the suite: a report that could not be written.
    return found if code in [each for each, _ in found] else [*found, (code, None)]


def step_code(code: int, found: list[tuple[int, dict[str, Any] | None]], wanted: list[str] | None) -> int:
    """The step's exit code: that of the first failure that was named, else 0."""
    if wanted is None or code == 0:
        return code
    failures = [each for one, result in found for each in kinds_of_failures(one, result)]
    return next((each for each, kind in failures if kind in wanted), 0)


def kinds_of_failures(code: int, result: dict[str, Any] | None) -> list[tuple[int, str]]:
    """All failures of a run, also those that its exit code is too narrow for."""
    failures = ((result or {}).get("verdict") or {}).get("failures") or []
    if not any(each.get("code") == code for each in failures):  # it ended before, or after, its result was written
        return [(code, "errors")]
    found = []
    for each in failures:
        kind = KINDS.get(each["code"], "errors")
        if each["code"] == 97 and isinstance(each.get("comparison"), int):
            missing = result is not None and result["comparisons"][each["comparison"]]["verdict"] == "no baseline"
            kind = "missing-baseline" if missing else "inconclusive"
        found.append((each["code"], kind))
    return found


def explain_localhost(environment: Environment) -> None:
    """In a container action, nothing of the job is at localhost: say so at once, and what to do."""
    for option in ("CILOAD_BASE_URL", "CILOAD_WAIT_FOR", "CILOAD_COMPARE_URL"):
        parts = urlsplit(environment.get(option, ""))
        if parts.hostname not in LOCAL:
            continue
        try:
            socket.create_connection(
                (parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)), 5
            ).close()
        except OSError:
            raise ActionError(
                f"nothing listens at {parts.scheme}://{parts.netloc.rpartition('@')[2]}: in a container action, "
                "localhost is the container and not the runner. Three ways out:\n"
                "1. the composite action in the root of this repository, which shares the runner's network;\n"
                "2. run the target as a service container of the job; its URL is its label and the port in that "
                "container, such as http://api:8080;\n"
                "3. bind the target to 0.0.0.0 and use the address of Docker's bridge, mostly http://172.17.0.1.",
                NOT_READY,
            ) from None


# --- small things


def digest(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def write_outputs(environment: Environment, outputs: Mapping[str, str]) -> None:
    if any("\n" in value or "\r" in value for value in outputs.values()):
        raise ActionError("a name or a path has a line break in it")
    if environment.get("GITHUB_OUTPUT"):
        with open(environment["GITHUB_OUTPUT"], "a", encoding="utf-8") as file:  # noqa: PTH123
            file.writelines(f"{key}={value}\n" for key, value in outputs.items())


def say(kind: str, text: str) -> None:
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    sys.stdout.write(f"::{kind} title=ciload::{escaped}\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    try:
        if arguments == ["probe"]:
            return probe(os.environ)
        if arguments == ["plan"]:
            return plan(os.environ)
        if arguments == ["merge"]:
            return merge(os.environ)
        return run(os.environ, here=arguments == ["container"])
    except ActionError as error:
        say("error", str(error))
        return error.code
    except KeyboardInterrupt:  # cancelled before there was a ciload
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
