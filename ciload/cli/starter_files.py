"""The files of `ciload init`: pipelines at their places, and nothing overwritten."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ciload.errors import UsageError
from ciload.starter import pipelines
from ciload.starter.places import is_local
from ciload.starter.service import Service
from ciload.text import one_line


def pipelines_for(
    output: str, server: str, wait_for: str, variables: Sequence[str], service: Service | None, wanted: Sequence[str]
) -> tuple[dict[Path, str], list[str]]:
    """The pipelines `wanted`, by their paths, and what there is to say about them.

    Raises:
        UsageError: this is no place for them, or the script's name is none for them.
    """
    _see_that_this_is_the_root()
    local = is_local(server)
    wait_for = wait_for if pipelines.HARMLESS_URL.fullmatch(wait_for) else ""
    gate = pipelines.PipelineGate(output.removeprefix("./"), server, local, wait_for, variables, service)
    files: dict[Path, str] = {}
    notes = []
    if "github" in wanted:
        files[Path(".github/workflows/load.yml")] = pipelines.github(gate)
    if "gitlab" in wanted:
        path = _free(Path(".gitlab-ci.yml"), Path(".gitlab-ci.load.yml"))
        files[path] = pipelines.gitlab(gate)
        if path.name == ".gitlab-ci.load.yml":
            notes.append("Add to .gitlab-ci.yml:  include: [{local: .gitlab-ci.load.yml}]")
    if "jenkins" in wanted:
        path = _free(Path("Jenkinsfile"), Path("Jenkinsfile.load"))
        files[path] = pipelines.jenkins(gate)
        if path.name == "Jenkinsfile.load":
            notes.append("Make a multibranch pipeline whose script path is Jenkinsfile.load.")
    notes.append(f"Put the owner of your copy of ciload in place of OWNER in {', '.join(map(str, files))}.")
    if local:
        notes += _about_start(service, gate.port, wanted)
    return files, notes


def _about_start(service: Service | None, port: int, wanted: Sequence[str]) -> list[str]:
    """What was guessed, and what was not."""
    guessed = [name for name, knows in (("github", True), ("jenkins", service and service.in_docker)) if knows]
    lines = []
    if service is not None and set(wanted) & set(guessed):
        lines.append(f"How your service starts was guessed from {service.known_by}, at port {port}:")
        lines += [f"  {each}" for each in service.lines(port)]
        if service.port not in (None, port) and not service.is_told_port:
            lines.append(f"  There, its port is {service.port}: see which one is right.")
    if service is None or not set(wanted) <= set(guessed):
        lines.append(
            "See there how your service is started" + (", which the files here do not tell." if not service else ".")
        )
    return lines


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


def write_files(files: dict[Path, str], *, force: bool) -> None:
    """
    Raises:
        UsageError: one of them is there already, and none was written; or one cannot be written.
    """
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
