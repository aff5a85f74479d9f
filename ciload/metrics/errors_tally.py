"""What went wrong, each kind once with a count: a dead host is one line, not thousands."""

from __future__ import annotations

from dataclasses import dataclass, field

MOST_KINDS = 100
OTHER = "(other)"


@dataclass(frozen=True, slots=True)
class AnswerSample:
    """One exchange with the target, as it may be shown: the first of its kind that failed.

    `body` is the beginning of the answer's, `status` 0 where there was none, `trace` the id that was sent with it.
    """

    request: str
    status: int
    body: str = ""
    trace: str = ""


@dataclass(slots=True)
class ErrorEntry:
    """One kind of error. `detail` is the first traceback (script); the sample is what the target had answered."""

    count: int = 0
    detail: str = ""
    sample: AnswerSample | None = None


@dataclass(slots=True)
class ErrorTally:
    """Counts by (source, message), bounded whatever the messages contain."""

    entries: dict[tuple[str, str], ErrorEntry] = field(default_factory=dict)

    def add(
        self, source: str, message: str, detail: str = "", count: int = 1, sample: AnswerSample | None = None
    ) -> bool:
        """Count an error; true when this kind has not been seen before."""
        key = (source, message)
        entry = self.entries.get(key)
        if entry is None and len(self.entries) >= MOST_KINDS:
            key, detail = (source if len(self.entries) < 2 * MOST_KINDS - 1 else OTHER, OTHER), ""
            sample = None
            entry = self.entries.get(key)
        if entry is None:
            self.entries[key] = ErrorEntry(count, detail, sample)
            return True
        entry.count += count
        entry.sample = entry.sample or sample
        return False

    def is_news(self, source: str, message: str) -> bool:
        """Whether a kind of error has no entry, and would get one of its own."""
        return (source, message) not in self.entries and len(self.entries) < MOST_KINDS

    def merge(self, other: ErrorTally) -> None:
        for (source, message), entry in other.entries.items():
            self.add(source, message, entry.detail, entry.count, entry.sample)
