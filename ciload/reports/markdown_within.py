"""Markdown of a test or a suite in so many bytes, since forges cut or refuse what is longer."""

from __future__ import annotations

from ciload.reports.headline import headline_of
from ciload.reports.markdown import SMALLEST_SHARE, SUMMARY, Place, result_section, section_title
from ciload.reports.markdown_suite import suite_section
from ciload.reports.suite_headline import suite_headline
from ciload.result.suite import Suite, Tested


def summary_within(tested: Tested, most_bytes: int, note: str, place: Place = SUMMARY) -> str:
    """The section of a test or a suite in at most `most_bytes`, "" if nothing can be said in so few.

    Args:
        tested: what was run.
        most_bytes: as UTF-8.
        note: a line of markdown that says where the whole is; it is added when rows had to be left out.
        place: where it is to stand.
    """
    share, text = 1.0, _section(tested, place, 1.0)
    while len(text.encode()) > most_bytes and share > SMALLEST_SHARE:
        # What does not shrink with the budgets makes this too much at first.
        share *= min(0.5, max(0.1, most_bytes / len(text.encode())))
        text = f"{_section(tested, place, share)}\n{note}\n"
    if len(text.encode()) <= most_bytes:
        return text
    headline = suite_headline(tested) if isinstance(tested, Suite) else headline_of(tested)
    text = f"{section_title(headline)}\n\n{note}\n"
    return text if len(text.encode()) <= most_bytes else ""


def _section(tested: Tested, place: Place, share: float) -> str:
    if isinstance(tested, Suite):
        return suite_section(tested, place, share)
    return result_section(tested, place, share)
