"""What options say before they are checked: where reports go and who is told has to be known when they are wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ciload.options.model import COMMENT_WHEN, Options, comment_when
from ciload.options.sources import Source


@dataclass(frozen=True, slots=True)
class ForCI:
    """What the CI is to be given besides what costs no permission: a comment, and when; a status of the commit."""

    comment: str = "off"
    status: bool = False


def text(sources: Sequence[Source], option: str) -> str:
    """What an option says; "" if nobody knows."""
    named = (source.values.get(option) for source in sources)
    return next((each for each in named if isinstance(each, str) and each), "")


def switch(sources: Sequence[Source], option: str) -> bool:
    """Whether a switch is on."""
    return comment_when(_first(sources, option)) == "always"


def out_dir(sources: Sequence[Source]) -> str:
    """Where reports go."""
    return text(sources, "out_dir") or str(Options.model_fields["out_dir"].default)


def for_ci(sources: Sequence[Source]) -> ForCI:
    """What the CI is to be given."""
    when = comment_when(_first(sources, "comment"))
    return ForCI(str(when) if when in COMMENT_WHEN else "off", switch(sources, "status"))


def _first(sources: Sequence[Source], option: str) -> object:
    return next((source.values[option] for source in sources if option in source.values), None)
