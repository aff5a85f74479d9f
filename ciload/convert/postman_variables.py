"""Postman's variables: `{{name}}` in any text becomes a value, a setting, or what a test script has kept."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ciload.convert.credentials import constant_name
from ciload.convert.journey import Journey, Setting
from ciload.convert.marks import Reference
from ciload.convert.reading import text_of
from ciload.redaction import is_secret_name
from ciload.starter.names import unique, words

PLACEHOLDER = re.compile(r"\{\{\s*([^{}]{1,200}?)\s*\}\}")
DEEPEST = 10
# Those that Postman makes up: an expression without quotes, and whether it is text.
DYNAMIC = {
    "guid": ("str(uuid.uuid4())", True),
    "randomuuid": ("str(uuid.uuid4())", True),
    "timestamp": ("int(time.time())", False),
    "isotimestamp": ("datetime.now(UTC).isoformat()", True),
    "randomint": ("vu.random.randint(0, 1000)", False),
    "randomboolean": ("vu.random.choice((True, False))", False),
}
NUMBER = "vu.random.randint(1, 999_999)"


class Variables:
    """What each name means, from the request on that is being read."""

    def __init__(self, journey: Journey, lists: Iterable[Iterable[Mapping[str, Any]]]) -> None:
        self.journey = journey
        self.values: dict[str, str] = {}
        self.secret: set[str] = set()
        self.kept: dict[str, Reference] = {}  # by test scripts
        self.settings: dict[str, Reference] = {}
        for each in lists:
            for variable in each:
                name = text_of(variable.get("key")) or text_of(variable.get("id"))
                if name and variable.get("disabled") is not True and variable.get("enabled") is not False:
                    self.values[name] = text_of(variable.get("value"))
                    if variable.get("type") == "secret":
                        self.secret.add(name)

    def fill(self, text: str, depth: int = 0) -> str:
        """Text with marks in the place of variables."""
        if "{{" not in text:
            return text
        return PLACEHOLDER.sub(lambda hit: self._meant(hit[1], depth), text)

    def url(self, text: str) -> str:
        """The same for a URL, where a variable that holds a host is replaced by it."""
        for _ in range(DEEPEST):
            hit = PLACEHOLDER.match(text)
            value = self.values.get(hit[1], "") if hit and hit[1] not in self.kept else ""
            if not hit or not value or not re.match(r"https?://|[\w.-]+(:\d+)?(/|$)|\{\{", value):
                break
            text = (
                value.rstrip("/") + text[hit.end() :]
                if text[hit.end() :].startswith("/")
                else value + text[hit.end() :]
            )
        return self.fill(text)

    def keep(self, name: str, reference: Reference) -> None:
        """From the next request on, the name means this."""
        self.kept[name] = reference

    def set(self, name: str, value: str) -> None:
        self.kept.pop(name, None)
        self.values[name] = value

    def _meant(self, name: str, depth: int) -> str:
        references = self.journey.references
        if name in self.kept:
            return references.mark(self.kept[name])
        if name.startswith("$"):
            return self._dynamic(name[1:])
        value = self.values.get(name, "")
        if PLACEHOLDER.search(value) and depth < DEEPEST:
            return self.fill(value, depth + 1)
        if name not in self.settings:
            is_secret = name in self.secret or is_secret_name(name)
            constant = constant_name(name, self.journey.taken)
            about = f"the variable {name}" + ("" if value else ", which has no value")
            self.journey.settings.append(Setting(constant, constant, about, value if value and not is_secret else None))
            self.settings[name] = Reference(constant, words(name) or "value")
        return references.mark(self.settings[name])

    def _dynamic(self, name: str) -> str:
        references, lower = self.journey.references, name.lower()
        if lower in DYNAMIC:
            code, is_text = DYNAMIC[lower]
            return references.mark(Reference(code, words(name), is_text, is_local=True))
        number = references.mark(Reference(NUMBER, "number", is_text=False, is_local=True))
        said = words(name.removeprefix("random")).replace("_", "-") or "value"
        return f"{said}-{number}@example.com" if "email" in lower else f"{said}-{number}"

    def variable(self, name: str, key: str) -> str:
        """A name for what a test script keeps as `name`."""
        return unique(words(name)[:40].strip("_") or words(key) or "value", self.journey.taken)
