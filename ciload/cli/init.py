"""`ciload init`: a first script, and pipelines that gate with it; `starter/` knows what stands in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

from ciload.cli.command import exit_code_of, say, show
from ciload.cli.starter_files import pipelines_for, write_files
from ciload.cli.trial import answers, describe_trial, try_script
from ciload.errors import ExitCode, UsageError
from ciload.secrets import credentials_in, without_secrets
from ciload.starter.choice import Choice
from ciload.starter.discovery import Found, look_at
from ciload.starter.document import read_document
from ciload.starter.operations import ApiDescription, read_api
from ciload.starter.servers import origin
from ciload.starter.service import Service, find_service
from ciload.starter.source import api_script, page_script, variables
from ciload.text import SAFE_PATH, SAFE_QUERY, one_line

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
MOST_MISSING = 10
MOST_TAGS = 8


@dataclass(slots=True)
class Start:
    """A script, and what is known of its target."""

    script: str
    base_url: str = ""  # that the script has
    wait_path: str = ""  # a path that it answers
    variables: Sequence[str] = ()
    functions: dict[str, str] = field(default_factory=dict)  # of the script, by the request that they make
    reads: bool = True  # there is something to try without changing data
    may_try: bool = True
    notes: list[str] = field(default_factory=list)
    service: Service | None = None

    @property
    def server(self) -> str:
        """That pipelines load."""
        port = self.service.port if self.service and self.service.port else 8000
        return self.base_url or f"http://localhost:{port}"

    @property
    def wait_for(self) -> str:
        """A page of the server that is there when the service is; empty when none is known."""
        path = self.wait_path or (self.service.wait_path if self.service else "")
        return self.server + path if path else ""


def init_command(
    target: str, output: str, wanted: Sequence[str], *, force: bool, choice: Choice | None = None, run: bool = True
) -> int:
    """Write the script and the pipelines `wanted`, try the script, and print what to do next."""

    def act() -> int:
        start, files = write_start(target, output, wanted, force=force, choice=choice)
        show("".join(f"wrote {one_line(str(path))}\n" for path in files))
        notes = [each for each in start.notes if each]
        show("\n" + "\n".join(notes) + "\n" if notes else "")
        if run:
            show("\n" + "\n".join(_try(start, Path(output))) + "\n")
        show(_next(start, output))
        return ExitCode.PASSED

    return exit_code_of(act)


def write_start(
    target: str, output: str, wanted: Sequence[str], *, force: bool, choice: Choice | None = None
) -> tuple[Start, dict[Path, str]]:
    """Write the script and the pipelines `wanted`; answers what is known of the target, and the files.

    Raises:
        UsageError: there is nothing to make them from, or one of the files is there already; none was written.
    """
    script = Path(output)
    if script.suffix != ".py":
        raise UsageError(f"--output {one_line(output)}: a script's name ends in .py")
    choice = choice or Choice()
    if not target:
        start = Start(page_script("/", "", "ciload init", script.name), may_try=False)
    elif SCHEME.match(target):
        start = _from_url(target, script.name, choice)
    else:
        api = read_api(read_document(target), choice)
        start = _from_api(api, f"ciload init {Path(target).name}", script.name)
    start.service = find_service(Path.cwd())
    if not target:
        _without_target(start)
    files = {script: start.script}
    if wanted:
        made, notes = pipelines_for(output, start.server, start.wait_for, start.variables, start.service, wanted)
        files |= made
        start.notes += notes
    write_files(files, force=force)
    return start, files


def _without_target(start: Start) -> None:
    """The script requests `/`. Where a service has a document, there is more to be had."""
    if start.service is None or not start.service.wait_path:
        start.wait_path = "/"
    else:
        start.notes.append(
            f"This is {start.service.known_by}: while it runs, `ciload init {start.server} --force` writes a script "
            "that makes each of its requests."
        )


def _from_url(url: str, file: str, choice: Choice) -> Start:
    shown = one_line(without_secrets(url))
    if not origin(url):
        raise UsageError(f"{shown}: is no URL that can be loaded, which is like http://localhost:8000/health")
    if urlsplit(url.strip()).username is not None:
        raise UsageError(
            f"{shown}: leave user and password out, they would stand in the script; pass them when it runs, "
            "with CILOAD_BASE_URL, or read them from the environment in the script"
        )
    found = look_at(url.strip())
    if found.document is None:
        return _from_page(url, shown, found, file, choice)
    where = one_line(without_secrets(found.url))
    api = read_api(found.document, choice, origin(found.url))
    start = _from_api(api, f"ciload init {shown}", file)
    start.notes.insert(0, f"The document at {where} describes {one_line(api.title)}.")
    start.may_try = api.base_url == origin(found.url)
    if not start.wait_path and start.may_try:
        start.wait_path = urlsplit(found.url).path  # the service that is loaded answers there
    return start


def _from_page(url: str, shown: str, found: Found, file: str, choice: Choice) -> Start:
    if choice.tags or choice.paths:
        what = f"nothing answers there ({found.why})" if found.status is None else "there is no OpenAPI document"
        raise UsageError(f"{shown}: {what}, and --tag and --path choose from one")
    base_url, parts = origin(url), urlsplit(url.strip())
    path = "/" + quote(parts.path, safe=SAFE_PATH).lstrip("/")
    if parts.query:
        path += "?" + quote(parts.query, safe=SAFE_QUERY)
    start = Start(page_script(path, base_url, f"ciload init {shown}", file), base_url, path)
    start.functions[f"GET {urlsplit(path).path}"] = "status"  # as its check begins
    if credentials_in(url):
        start.notes.append("What is secret in its query stands in the script now: have it read os.environ instead.")
    if found.status is not None and parts.path in ("", "/"):
        start.notes.append("The service has no OpenAPI document where one would be; this page is requested.")
    return start


def _from_api(api: ApiDescription, made_by: str, file: str) -> Start:
    if not api.operations:
        why = "".join(f"\n  {each}" for each in api.missing[:MOST_MISSING])
        raise UsageError(
            "the document describes no requests: "
            + (f"what is in it cannot be written:{why}" if why else "`paths` is empty, or has no methods")
        )
    base_url = api.base_url
    start = Start(api_script(api, made_by, file), base_url, api.open_page, variables(api))
    start.functions = {each.name: each.function for each in api.operations}
    start.reads = any(each.reads for each in api.operations)
    writes = sum(not each.reads for each in api.operations)
    count = len(api.operations)
    start.notes.append(
        f"{count} request{'s' * (count != 1)}, {writes} of which {'change' if writes != 1 else 'changes'} data."
    )
    if writes:
        start.notes.append("These are only sent with -e WRITES=1 (POST, PUT, PATCH) and -e DELETES=1.")
    if not start.reads:
        start.notes.append("Nothing else is described: without these flags there is no request, and the run fails.")
    if start.variables:
        start.notes.append(f"Credentials are read from {', '.join(start.variables)}.")
    if api.server and api.server != base_url:
        start.notes.append(f"The document names {api.server}, which is not loaded unless you say so with --base-url.")
    start.notes += _not_written(api)
    return start


def _not_written(api: ApiDescription) -> list[str]:
    lines = []
    if api.left_out:
        total = len(api.operations) + api.left_out
        tags = sorted(api.beyond.items(), key=lambda each: -each[1])
        shown = ", ".join(f"{one_line(name, 40)} ({count})" for name, count in tags[:MOST_TAGS])
        more = f", and {len(tags) - MOST_TAGS} more tags" if len(tags) > MOST_TAGS else ""
        lines.append(f"{api.left_out:,} of {total:,} are left out, by tag: {shown}{more}.")
        lines.append(f"Choose with --tag NAME or --path '/users*', or take all with --limit {total}.")
    if api.others:
        lines.append(f"{api.others:,} are left out by --tag and --path.")
    if api.missing:
        lines.append("Not in the script:")
        lines += [f"  {one_line(each)}" for each in api.missing[:MOST_MISSING]]
        if len(api.missing) > MOST_MISSING:
            lines.append(f"  and {len(api.missing) - MOST_MISSING} more, at its top.")
    return lines


def _try(start: Start, script: Path) -> list[str]:
    """What one iteration of the script gets, or why there was none."""
    again = f"ciload run {shlex.quote(str(script))} -i 1"
    if not start.base_url or not start.may_try:
        where = "" if start.base_url else " --base-url URL"
        return [f"Not tried. To see what each request gets: {again}{where}"]
    if not start.reads:
        return ["Not tried: all requests change data."]
    if not answers(start.base_url):
        return [f"Nothing answers at {start.base_url}. Start your service, and see what each request gets:",
                f"  {again}"]  # fmt: skip
    say(f"trying it once at {start.base_url}; only what reads is sent …")
    result = try_script(script, start.variables)
    if result is None:
        return [f"The trial has not ended; see why with: {again}"]
    return describe_trial(result, start.functions, start.variables)


def _next(start: Start, output: str) -> str:
    script = shlex.quote(one_line(output))
    where = "" if start.base_url else f" --base-url {start.server}"
    return f"\nNext:\n  ciload inspect {script}{where}\n  ciload run {script}{where}\n"
