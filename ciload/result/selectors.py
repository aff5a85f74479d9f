"""Which series of a metric a threshold is about, by their tags."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ciload.metrics.errors_tally import OTHER
from ciload.metrics.folding import TagPattern
from ciload.metrics.series import Tags

TAG = re.compile(r"\s*(?P<name>[^:,]+?)\s*:\s*(?P<value>\"[^\"]*\"|'[^']*'|[^,]*?)\s*(?P<end>,|\Z)")
# A group's own time contains that of the groups in it; everything else that happened in those happened in the group.
NOT_NESTED = "group_duration"
MOST_VALUES = 5
LONGEST_VALUE = 80


@dataclass(frozen=True, slots=True)
class Selector:
    """Tags that all have to match; without any, every series is meant."""

    tags: tuple[TagPattern, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """Of the tags that it asks for."""
        return frozenset(each.name for each in self.tags)

    def __call__(self, tags: Tags) -> bool:
        found = dict(tags)
        return all(each.matches(found.get(each.name)) for each in self.tags)

    def why_nothing(self, series: Iterable[Tags]) -> str:
        """What there is instead, for a selector that none of a metric's series matches; "" if that explains nothing."""
        found = [dict(tags) for tags in series]
        if not found or any(self(tuple(tags.items())) for tags in found):
            return ""
        for each in self.tags:
            values = {tags[each.name] for tags in found if each.name in tags}
            if not values:
                return f"nothing has a tag {each.name!r}"
            if not any(map(each.matches, values)):
                return f"{each.name} is {_listed(values)}"
        return "nothing has all of these tags"


def parse_selector(text: str, metric: str) -> Selector:
    """Read `tag:value,tag:value`. In a value without quotes, `*` is any text, and a group contains its children.

    Raises:
        ValueError: it is not written like that.
    """
    tags, end = [], 0
    while match := TAG.match(text, end):
        value = match["value"]
        quoted = len(value) >= 2 and value[0] == value[-1] and value[0] in "'\""
        value = value[1:-1] if quoted else value
        if not value:
            break
        pattern = re.escape(value) if quoted else _pattern(match["name"], value, metric)
        tags.append(TagPattern(match["name"], pattern, value if quoted else re.sub(r"\*+", OTHER, value)))
        if not match["end"]:
            return Selector(tuple(tags))
        end = match.end()
    raise ValueError(f"{{{text}}} does not select by tags: write {{name:value}} or {{name:value,status:2*}}")


def _pattern(name: str, value: str, metric: str) -> str:
    pattern = "(?s:.*)".join(re.escape(part) for part in re.split(r"\*+", value))
    nested = name == "group" and value.startswith("::") and metric != NOT_NESTED
    return f"{pattern}(?s:::.*)?" if nested else pattern


def _listed(values: Iterable[str]) -> str:
    shown = sorted(value if len(value) <= LONGEST_VALUE else f"{value[: LONGEST_VALUE - 1]}…" for value in values)
    return ", ".join([*shown[:MOST_VALUES], *(["…"] if len(shown) > MOST_VALUES else [])])
