"""Values that a reply gave and a later request sent become variables of the script."""

from __future__ import annotations

import re
from typing import Any

from ciload.convert.journey import Extraction, Journey, Place, Step, change_values
from ciload.convert.marks import Bare, Reference, has_mark
from ciload.convert.values import Found, between, fits, is_special, is_strong, singular, values_of
from ciload.starter.names import LONGEST, unique, words

TOKENS = re.compile(r"[\w.~+/=-]{8,}")
SCHEME = re.compile(r"(Bearer|Token|JWT|ApiKey)\s+(\S+)", re.IGNORECASE)
MOST_SEARCHES = 2_000  # through all replies before a request
COMMON_WORDS = frozenset({"id", "uuid", "guid", "key", "value", "number", "code", "ref", "no", "hash", "sid"})


class Correlation:
    """One pass over the steps: what each sends is looked for in what came before."""

    def __init__(self, journey: Journey) -> None:
        self.journey = journey
        self.known: dict[str, list[tuple[Step, Found]]] = {}
        self.marks: dict[tuple[int, str], Reference] = {}  # by the step and the expression
        self.sent: set[str] = set()
        self.before: list[Step] = []
        self.searches_left = MOST_SEARCHES

    def run(self) -> None:
        for step in self.journey.steps:
            change_values(step.request, self._change)
            for found in values_of(step):
                # What was sent before it was received is the user's own.
                if found.value not in self.sent:
                    self.known.setdefault(found.value, []).append((step, found))
            self.before.append(step)

    def _change(self, place: Place, value: Any) -> Any:
        text = str(value)
        if not text or has_mark(text):
            return value
        if place.kind == "header" and (hit := SCHEME.fullmatch(text)):
            return f"{hit[1]} {self._one(place, hit[2])}"
        if place.kind == "content":
            return TOKENS.sub(lambda hit: self._strong(hit[0], place.name), text)
        made = self._one(place, text)
        if made != text:
            return _in_json(made, value, self._reference(made)) if place.kind == "json" else made
        if isinstance(value, str) and len(text) > 16:
            return TOKENS.sub(lambda hit: self._strong(hit[0], place.name), text)
        return value

    def _one(self, place: Place, text: str) -> str:
        """The mark for a whole value, or the value itself."""
        fitting = [
            (step, found)
            for step, found in self.known.get(text, ())
            if is_special(found) or fits(found, place.kind, place.name)
        ]
        if fitting:  # of several, the one that is called the same
            return self._mark(*min(fitting, key=lambda each: words(each[1].key) != words(place.name)))
        made = self._anywhere(text, place.name)
        if made == text:
            self.sent.add(text)
        return made

    def _strong(self, text: str, key: str) -> str:
        for step, found in self.known.get(text, ()):
            if is_strong(found.value):
                return self._mark(step, found)
        return self._anywhere(text, key)

    def _anywhere(self, text: str, key: str) -> str:
        """In the text of any reply before, such as a script in a page."""
        if is_strong(text) and text not in self.sent and self.searches_left > 0:
            self.searches_left -= 1
            for step in self.before:
                if text in step.reply.text and (found := between(step.reply.text, text, key)):
                    return self._mark(step, found)
        return text

    def _mark(self, step: Step, found: Found) -> str:
        key = (id(step), found.code)
        if key not in self.marks:
            name = unique(_name(found), self.journey.taken)
            step.extractions.append(Extraction(name, found.code))
            self.marks[key] = Reference(name, name, found.is_text, is_local=True)
        return self.journey.references.mark(self.marks[key])

    def _reference(self, mark: str) -> Reference | None:
        pieces = self.journey.references.pieces(mark)
        return pieces[0] if len(pieces) == 1 and isinstance(pieces[0], Reference) else None


def _in_json(made: str, value: Any, reference: Reference | None) -> Any:
    """Text stays text in JSON, and numbers numbers."""
    is_number = isinstance(value, int)
    return Bare(made) if is_number and reference is not None else made


def correlate(journey: Journey) -> None:
    Correlation(journey).run()


def _name(found: Found) -> str:
    """`order_id`, of the id of an order."""
    key, about = words(found.key), singular(words(found.about))
    name = f"{about}_{key}" if key in COMMON_WORDS and about and about != key else key
    name = name[:LONGEST].strip("_")
    return f"value_{name}" if not name or name[:1].isdigit() else name
