"""Before the load: load the script, make the plan, open the gates, claim the folder, wait for the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from ciload.ci.identity import identify_user
from ciload.ci.places import CiPlaces
from ciload.engine.control import Control
from ciload.errors import CiloadError, Complaint, OptionsError, UsageError
from ciload.gate.gates import Gates, GateSettings
from ciload.http.network import Network
from ciload.metrics.blocks import Arm
from ciload.metrics.cpu_series import CpuSource
from ciload.metrics.registry import Registry
from ciload.options.model import URL_OPTIONS, Options
from ciload.options.plan import Plan, make_plan, origins
from ciload.options.sources import Source, from_environment, from_file, from_flags, from_script
from ciload.outputs.output import OutputFailedError
from ciload.outputs.outputs import Outputs, open_outputs
from ciload.result.comparison import Accepted
from ciload.runner import unchecked
from ciload.runner.app import serve_app
from ciload.runner.identity import Identity, identify, identify_quickly
from ciload.runner.interface import Interface
from ciload.runner.masking import secrets_in_plan
from ciload.runner.network import checked_network
from ciload.runner.ready import wait_until_ready
from ciload.runner.report_files import claim_folder, remove_reports
from ciload.runner.signals import InterruptedRunError
from ciload.runner.unchecked import ForCI
from ciload.script.loader import Script, load_script
from ciload.script.page import Page
from ciload.secrets import Masker, without_secrets
from ciload.text import one_line


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What somebody asks for.

    `environment` is that of the options and the CI; a script sees `os.environ`. `mask` knows what is secret of them,
    and learns of the secrets that the plan names. Of a test `in_suite`, the suite tells the CI; `taken` has what its
    other tests are named, and which script each is.
    """

    script: Path | Page
    flags: Mapping[str, Any]
    environment: Mapping[str, str]
    config: Path | None = None
    mask: Masker = field(default_factory=Masker)
    in_suite: bool = False
    taken: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PreparedRun:
    """All that a load needs, and what is known of the run before it."""

    request: RunRequest
    identity: Identity
    script: Script
    plan: Plan
    registry: Registry
    gates: Gates
    folder: Path
    cpu_sources: Mapping[Arm, CpuSource]
    outputs: Outputs


OF_TEST = ("name", "target", "leg", "base_url")  # options that say which test this is


class PreparationFailedError(Exception):
    """There will be no load. `error` is for the user; the rest is for the reports that say so.

    `known` has the options that say which test this is, as far as they are known.
    """

    def __init__(
        self, error: CiloadError, identity: Identity, out_dir: str, known: Mapping[str, str], to_ci: ForCI
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.identity = identity
        self.out_dir = out_dir
        self.known = known
        self.to_ci = to_ci


def prepare(request: RunRequest, control: Control, interface: Interface, stack: ExitStack) -> PreparedRun:
    """Everything that can go wrong before the load does so here; what has to end with the run goes to `stack`.

    Raises:
        UsageError: nothing can be reported, since there is no script, or no place for reports.
        PreparationFailedError: anything else.
    """
    registry = Registry()
    sources = [from_flags(request.flags), from_environment(request.environment)]
    # Before anything can go wrong: whatever happens, no earlier run's green report is left for CI to pick up.
    remove_reports(unchecked.out_dir(sources))
    identity = identify_quickly(request.script, request.environment)
    try:
        identity = identify(request.script, request.environment)
        script, plan = load(request, sources, registry, control)
        _see_that_it_is_another_test(plan.options.name, request, origins(sources))
        network = checked_network(plan.options, sources)
        plan = serve_app(script, plan, stack)
        interface.planned(plan)
        _tell_of_proxies(network, interface)
        folder = claim_folder(plan.options.out_dir)
        gates = Gates.open(gate_settings(plan.options), CiPlaces(request.environment))
        if accepted := _acceptance(plan.options, request.environment, interface):
            gates = gates.accept(accepted)
        _wait(plan.options, interface)
        cpu_sources = find_cpu_sources(plan.options, sources)
        outputs = _open_outputs(plan.options, identity, request)
        stack.callback(outputs.close)
    except UsageError:
        raise
    except KeyboardInterrupt:
        assert control.stop is not None
        error: CiloadError = InterruptedRunError(control.stop.reason)
    except CiloadError as found:
        error = found
    else:
        return PreparedRun(request, identity, script, plan, registry, gates, folder, cpu_sources, outputs)
    known = {option: said for option in OF_TEST if (said := unchecked.text(sources, option))}
    known |= {option: without_secrets(known[option]) for option in URL_OPTIONS if option in known}
    out_dir, to_ci = unchecked.out_dir(sources), unchecked.for_ci(sources)
    raise PreparationFailedError(error, identity, out_dir, known, to_ci) from error


def load(request: RunRequest, sources: list[Source], registry: Registry, control: Control) -> tuple[Script, Plan]:
    """Run the script's top level and make the plan; `sources`, flags and environment, gets what else there is."""
    file_source = from_file(request.config)
    try:
        script = load_script(request.script, registry)
    finally:
        if control.stop is not None:  # a signal's KeyboardInterrupt, whatever the script has made of it
            raise InterruptedRunError(control.stop.reason)
    script_source = from_script(script.options, script.source, script.lines)
    # What nobody has written gives way to what somebody has.
    sources += [file_source, script_source] if script.page else [script_source, file_source]
    plan = make_plan(sources, registry.metrics, script.complaint_about)
    request.mask.add(secrets_in_plan(plan, request.environment, sources))
    return script, plan


def _open_outputs(options: Options, identity: Identity, request: RunRequest) -> Outputs:
    about = {
        "service.name": "ciload",
        "ciload.test": options.name or str(request.script),
        "ciload.run_id": identity.run_id,
        "vcs.ref.head.name": identity.git.branch or "",
        "vcs.ref.head.revision": identity.git.commit or "",
    }
    targets = options.output
    if request.in_suite:
        targets = tuple(each.of_test(Path(options.out_dir).name) for each in targets)
    try:
        return open_outputs(targets, about, request.mask)
    except OutputFailedError as error:
        raise UsageError(f"--output {error}") from None


def _see_that_it_is_another_test(name: str, request: RunRequest, said_at: Mapping[str, str]) -> None:
    """Two tests of one name would be compared with each other."""
    if name and name in request.taken:
        message = f"name: {one_line(name)!r} is what {one_line(request.taken[name])} is called; give each its own"
        raise OptionsError([Complaint(said_at.get("name", ""), message)])


def gate_settings(options: Options) -> GateSettings:
    return GateSettings(
        baseline=options.baseline,
        baseline_from=options.baseline_from,
        save_baseline=options.save_baseline,
        compare_url=options.compare_url,
        until_clear=options.until_clear,
        confirm=options.confirm,
        false_alarm=options.false_alarm,
        tolerance=options.tolerance,
    )


def _acceptance(options: Options, environment: Mapping[str, str], interface: Interface) -> Accepted | None:
    """Who says that the level has moved; only asked for where a gate could say that it has."""
    if options.accept:
        return Accepted(by=identify_user(environment) or "somebody", reason=options.accept, where="--accept")
    if not (options.baseline or options.save_baseline or options.compare_url):
        return None
    from ciload.ci.acceptance import find_acceptance  # late: most runs have no gate

    search = find_acceptance(environment, Path.cwd())
    if search.refused:
        interface.say(search.refused, "warning")
    return search.accepted


def _wait(options: Options, interface: Interface) -> None:
    if options.wait_for:
        interface.say(f"waiting for {without_secrets(options.wait_for)} …")
        anyio.run(wait_until_ready, options)


def _tell_of_proxies(network: Network, interface: Interface) -> None:
    """What a proxy adds to every time that is measured; variables may name one that nobody has thought of."""
    proxies = network.proxies
    shown = {each.shown for each in (proxies.http, proxies.https) if each is not None}
    if shown and not proxies.asked_for:
        where = "HTTP_PROXY, HTTPS_PROXY or ALL_PROXY; --proxy none goes without"
        interface.say(f"requests to other machines go through {' and '.join(sorted(shown))} ({where})")


def find_cpu_sources(options: Options, sources: Sequence[Source]) -> dict[Arm, CpuSource]:
    """The processes whose CPU time is to be measured; the targets are up by now.

    Raises:
        OptionsError: one of them cannot be found, or not be looked at.
    """
    if not (options.target_process or options.compare_process):
        return {}
    from ciload.processes.find import NotFoundError, find_source  # late: psutil is needed only here

    wanted: tuple[tuple[Arm, str, str], ...] = (
        ("new", "target_process", options.base_url), ("old", "compare_process", options.compare_url)
    )  # fmt: skip
    found: dict[Arm, CpuSource] = {}
    complaints, said_at = [], origins(sources)
    for arm, option, url in wanted:
        if process := getattr(options, option):
            try:
                found[arm] = find_source(process, url)
            except NotFoundError as error:
                complaints.append(Complaint(said_at[option], str(error)))
    if complaints:
        raise OptionsError(complaints)
    return found
