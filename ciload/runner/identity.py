"""Who, where and when: what a result says of a run besides measurements, gathered before the load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from ciload.ci.identity import find_folder, fingerprint, identify_ci, identify_git
from ciload.result.document import CI, Environment, Git
from ciload.script.page import Page


@dataclass(frozen=True, slots=True)
class Identity:
    """One run of a script, on this machine, in this CI job, at this commit."""

    run_id: str
    script: str
    script_sha256: str
    folder: str | None
    git: Git
    ci: CI
    machine: Environment


def identify(script: Path | Page, environment: Mapping[str, str]) -> Identity:
    """Asks git, which may take seconds."""
    here = Path.cwd()
    return replace(
        identify_quickly(script, environment),
        git=identify_git(environment, here),
        folder=find_folder(environment, here),
    )


def identify_quickly(script: Path | Page, environment: Mapping[str, str]) -> Identity:
    """Without the commit."""
    return Identity(
        run_id=uuid4().hex,
        script=str(script),
        script_sha256=_digest(script),
        folder=None,
        git=Git(commit=None, branch=None, dirty=None),
        ci=identify_ci(environment),
        machine=fingerprint(),
    )


def _digest(script: Path | Page) -> str:
    if isinstance(script, Page):
        return script.digest
    return sha256(script.read_bytes()).hexdigest() if script.is_file() else ""
