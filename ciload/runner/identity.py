"""Who, where and when: what a result says of a run besides measurements, gathered before the load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from ciload.ci.identity import fingerprint, identify_ci, identify_git
from ciload.result.document import CI, Environment, Git


@dataclass(frozen=True, slots=True)
class Identity:
    """One run of a script, on this machine, in this CI job, at this commit."""

    run_id: str
    script: Path
    script_sha256: str
    git: Git
    ci: CI
    machine: Environment


def identify(script: Path, environment: Mapping[str, str]) -> Identity:
    return Identity(
        run_id=uuid4().hex,
        script=script,
        script_sha256=sha256(script.read_bytes()).hexdigest() if script.is_file() else "",
        git=identify_git(environment, Path.cwd()),
        ci=identify_ci(environment),
        machine=fingerprint(),
    )
