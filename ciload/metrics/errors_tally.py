"""What went wrong, each kind once with a count: a dead host is one line, not thousands."""

from __future__ import annotations

from dataclasses import dataclass, field

MOST_KINDS = 100
OTHER = "(other)"


@dataclass(slots=True)
class ErrorEntry:
    """One kind of error. `detail` is the first traceback (script) and is empty for requests."""

    count: int = 0
    detail: str = ""


@dataclass(slots=True)
class ErrorTally:
    """Counts by (source, message), bounded whatever the messages contain."""

    entries: dict[tuple[str, str], ErrorEntry] = field(default_factory=dict)

    def add(self, source: str, message: str, detail: str = "", count: int = 1) -> bool:
        """Count an error; true when this kind has not been seen before."""
        key = (source, message)
        entry = self.entries.get(key)
        if entry is None and len(self.entries) >= MOST_KINDS:
            key, detail = (source if len(self.entries) < 2 * MOST_KINDS - 1 else OTHER, OTHER), ""
            entry = self.entries.get(key)
        if entry is None:
            self.entries[key] = ErrorEntry(count, detail)
            return True
        entry.count += count
        return False

    def merge(self, other: ErrorTally) -> None:
        for (source, message), entry in other.entries.items():
            self.add(source, message, entry.detail, entry.count)
