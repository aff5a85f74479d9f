"""`ciload convert`: a script from a recording, a collection, a log or a curl command; `convert/` knows how."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from ciload.cli.command import exit_code_of, say, show
from ciload.cli.starter_files import write_files
from ciload.convert.kinds import Choices, Converted, convert, convert_curl
from ciload.durations import parse_duration
from ciload.errors import ExitCode, UsageError
from ciload.text import one_line

STDOUT = "-"
MOST_LINES = 20


def convert_command(
    material: Sequence[str], output: str, *, force: bool, hosts: Sequence[str], keep_static: bool, duration: str,
    variables: str,
) -> int:  # fmt: skip
    """Write the script, and say what is in it, what is not, and what it needs."""

    def act() -> int:
        if output != STDOUT and Path(output).suffix != ".py":
            raise UsageError(f"--output {one_line(output)}: a script's name ends in .py, or is - for standard output")
        file = "load.py" if output == STDOUT else Path(output).name
        choices = Choices(hosts, keep_static, _seconds(duration), variables)
        made = _converted(material, file, choices)
        if output == STDOUT:
            show(made.script)
            say("\n".join(_about(made)))
            return ExitCode.PASSED
        write_files({Path(output): made.script}, force=force)
        show(f"wrote {one_line(output)}\n\n" + "".join(f"{line}\n" for line in _about(made)))
        show(_next(made, output))
        return ExitCode.PASSED

    return exit_code_of(act)


def _converted(material: Sequence[str], file: str, choices: Choices) -> Converted:
    if material[0] == "curl":
        return convert_curl(material[1:], file)
    if len(material) > 1:
        raise UsageError(f"{one_line(material[1])}: one file makes one script; `curl` and its arguments come last")
    return convert(material[0], file, choices)


def _seconds(duration: str) -> float | None:
    if not duration:
        return None
    try:
        seconds = parse_duration(duration)
    except ValueError as error:
        raise UsageError(f"--duration {one_line(duration)}: {one_line(str(error))}") from None
    if not 10 <= seconds <= 7 * 86_400:
        raise UsageError(f"--duration {one_line(duration)}: from 10 s to 7 days")
    return seconds


def _about(made: Converted) -> list[str]:
    lines = [made.summary]
    if made.left_out:
        lines += ["Not in the script:", *(f"  {one_line(each)}" for each in made.left_out[:MOST_LINES])]
        if len(made.left_out) > MOST_LINES:
            lines.append(f"  and {len(made.left_out) - MOST_LINES} more, at its top")
    if made.notes:
        lines += ["See to:", *(f"  {one_line(each)}" for each in dict.fromkeys(made.notes[:MOST_LINES]))]
    if made.settings:
        width = max(len(name) for name, _ in made.settings)
        lines += ["Set in the environment before it runs; what was recorded is not in the script:"]
        lines += [f"  {name:<{width}}  {one_line(about)}".rstrip() for name, about in made.settings]
    return lines


def _next(made: Converted, output: str) -> str:
    script = shlex.quote(one_line(output))
    where = f" --base-url {shlex.quote(one_line(made.base_url))}" if made.base_url else ""
    return f"\nNext:\n  ciload inspect {script}{where}\n  ciload run {script} -u 1 -i 1{where}\n"
