"""One exchange of each kind that failed, as a developer would want to see it: what was asked, and what came."""

from __future__ import annotations

from ciload.result.document import AnswerSample, RunResult

SHORT_LINES, SHORT_CHARACTERS = 3, 300  # of a body, where there is little room


def is_telling(sample: AnswerSample | None) -> bool:
    """Whether it says more than the error does."""
    return sample is not None and bool(sample.status or sample.trace)


def first_line(sample: AnswerSample) -> str:
    """`POST http://localhost:8000/orders → 500, trace 4bf92f3577b34da6a3ce929d0e0e4736`."""
    answered = str(sample.status) if sample.status else "no answer"
    return f"{sample.request} → {answered}" + (f", trace {sample.trace}" if sample.trace else "")


def in_full(sample: AnswerSample) -> str:
    """The line and the body."""
    return f"{first_line(sample)}\n\n{sample.body}" if sample.body else first_line(sample)


def shortly(sample: AnswerSample) -> str:
    """The line and the first lines of the body."""
    body = "\n".join(line for line in sample.body.splitlines() if line.strip())
    short = "\n".join(body[:SHORT_CHARACTERS].split("\n")[:SHORT_LINES])
    if not short:
        return first_line(sample)
    return f"{first_line(sample)}\n{short}{'…' if len(short) < len(body) else ''}"


def samples_of(result: RunResult) -> list[tuple[str, AnswerSample]]:
    """All that there are, with what each is about."""
    found = [
        (f"{each.source}: {each.message}", each.sample)
        for each in result.errors
        if each.sample is not None and is_telling(each.sample)
    ]
    return found + [(f"check {each.name}", each.sample) for each in result.checks if each.sample is not None]
