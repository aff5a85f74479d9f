"""`ciload init`: a first script, and pipelines that gate with it; `starter/` knows what stands in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

from ciload.cli.command import exit_code_of, show
from ciload.errors import ExitCode, UsageError
from ciload.secrets import without_secrets
from ciload.starter import pipelines
from ciload.starter.document import read_document
from ciload.starter.operations import LOCAL, READS, ApiDescription, origin, read_api
from ciload.starter.source import api_script, page_script, variables
from ciload.text import SAFE_PATH, SAFE_QUERY, one_line

SOMEWHERE = "http://localhost:8000"
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(slots=True)
class Start:
    """A script, and what is known of its target."""

    script: str
    base_url: str  # that the script has
    server: str  # for pipelines
    wait_for: str = ""
    variables: Sequence[str] = ()
    notes: list[str] = field(default_factory=list)


def init_command(target: str, output: str, wanted: Sequence[str], *, force: bool) -> int:
    """Write the script and the pipelines `wanted`, and print what to do next."""

    def act() -> int:
        start, files = write_start(target, output, wanted, force=force)
        show(_describe(start, files, output))
        return ExitCode.PASSED

    return exit_code_of(act)


def write_start(target: str, output: str, wanted: Sequence[str], *, force: bool) -> tuple[Start, dict[Path, str]]:
    """Write the script and the pipelines `wanted`; answers what is known of the target, and the files.

    Raises:
        UsageError: there is nothing to make them from, or one of the files is there already; none was written.
    """
    script = Path(output)
    if script.suffix != ".py":
        raise UsageError(f"--output {one_line(output)}: a script's name ends in .py")
    if not target:
        start = Start(page_script("/", "", "ciload init", script.name), "", SOMEWHERE, f"{SOMEWHERE}/")
    elif SCHEME.match(target):
        start = _from_url(target, script.name)
    else:
        start = _from_api(read_api(read_document(target)), Path(target).name, script.name)
    files = {script: start.script}
    if wanted:
        files |= _pipelines(start, output, wanted)
    _write(files, force=force)
    return start, files


def _from_url(url: str, file: str) -> Start:
    shown = one_line(without_secrets(url))
    base_url = origin(url)
    if not base_url:
        raise UsageError(f"{shown}: is no URL that can be loaded, which is like http://localhost:8000/health")
    parts = urlsplit(url.strip())
    if parts.username is not None:
        raise UsageError(
            f"{shown}: leave user and password out, they would stand in the script; pass them when it runs, "
            "with CILOAD_BASE_URL, or read them from the environment in the script"
        )
    path = "/" + quote(parts.path, safe=SAFE_PATH).lstrip("/")
    if parts.query:
        path += "?" + quote(parts.query, safe=SAFE_QUERY)
    start = Start(page_script(path, base_url, f"ciload init {shown}", file), base_url, base_url, base_url + path)
    if parts.path.endswith((".yaml", ".yml", "openapi.json", "swagger.json")):
        start.notes.append("To make requests from an OpenAPI document, save it and name the file.")
    return start


def _from_api(api: ApiDescription, document: str, file: str) -> Start:
    if not api.operations:
        raise UsageError("the document describes no requests: `paths` is empty, or has no methods")
    base_url = api.server if api.is_local else ""
    server = base_url or SOMEWHERE
    wait_for = server + api.open_page if api.open_page else ""
    start = Start(api_script(api, f"ciload init {document}", file), base_url, server, wait_for, variables(api))
    kept = [each for each in api.operations if each.method not in READS]
    start.notes.append(f"{len(api.operations)} requests, {len(kept)} of which change data.")
    if kept:
        start.notes.append("These are only sent with -e WRITES=1 (POST, PUT, PATCH) and -e DELETES=1.")
    if len(kept) == len(api.operations):
        start.notes.append("Nothing else is described: without these flags there is no request, and the run fails.")
    if api.left_out:
        start.notes.append(f"{api.left_out} more are left out; a script for each part of the API is easier to read.")
    if start.variables:
        start.notes.append(f"Credentials are read from {', '.join(start.variables)}.")
    if api.server and not base_url:
        start.notes.append(f"The document names {api.server}, which is not loaded unless you say so with --base-url.")
    return start


def _pipelines(start: Start, output: str, wanted: Sequence[str]) -> dict[Path, str]:
    _see_that_this_is_the_root()
    is_local = urlsplit(start.server).hostname in LOCAL
    wait_for = start.wait_for if pipelines.HARMLESS_URL.fullmatch(start.wait_for) else ""
    gate = pipelines.PipelineGate(output.removeprefix("./"), start.server, is_local, wait_for, start.variables)
    files = {}
    if "github" in wanted:
        files[Path(".github/workflows/load.yml")] = pipelines.github(gate)
    if "gitlab" in wanted:
        path = _free(Path(".gitlab-ci.yml"), Path(".gitlab-ci.load.yml"))
        files[path] = pipelines.gitlab(gate)
        if path.name == ".gitlab-ci.load.yml":
            start.notes.append("Add to .gitlab-ci.yml:  include: [{local: .gitlab-ci.load.yml}]")
    if "jenkins" in wanted:
        path = _free(Path("Jenkinsfile"), Path("Jenkinsfile.load"))
        files[path] = pipelines.jenkins(gate)
        if path.name == "Jenkinsfile.load":
            start.notes.append("Make a multibranch pipeline whose script path is Jenkinsfile.load.")
    start.notes.append(f"Put the owner of your copy of ciload in place of OWNER in {', '.join(map(str, files))}.")
    if is_local:
        start.notes.append("See there how your service is started.")
    return files


def _see_that_this_is_the_root() -> None:
    here = Path.cwd()
    root = next((each for each in (here, *here.parents) if (each / ".git").exists()), here)
    if root != here:
        raise UsageError(f"CI reads its files at the root of the repository: run this in {one_line(str(root))}")


def _free(usual: Path, other: Path) -> Path:
    """The usual place, unless somebody else's pipeline is there."""
    try:
        ours = pipelines.MADE_BY.lstrip("# ") in usual.read_text(encoding="utf-8", errors="replace")[:100]
    except FileNotFoundError:
        return usual
    except OSError:
        return other
    return usual if ours else other


def _write(files: dict[Path, str], *, force: bool) -> None:
    there = [path for path in files if path.exists() or path.is_symlink()]
    if there and not force:
        names = ", ".join(one_line(str(path)) for path in there)
        raise UsageError(f"there already: {names}; nothing was written. --force overwrites, --output is another script")
    for path, text in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # "x": what appeared meanwhile is not overwritten either.
            with path.open("w" if force else "x", encoding="utf-8", newline="\n") as file:
                file.write(text)
        except (OSError, ValueError) as error:
            raise UsageError(f"{one_line(str(path))}: cannot be written: {error}") from None


def _describe(start: Start, files: dict[Path, str], output: str) -> str:
    script = shlex.quote(one_line(output))
    where = "" if start.base_url else f" --base-url {SOMEWHERE}"
    lines = [f"wrote {one_line(str(path))}" for path in files]
    lines += ["", *start.notes] if start.notes else []
    return "\n".join([*lines, "", "Next:", f"  ciload inspect {script}{where}", f"  ciload run {script}{where}", ""])
