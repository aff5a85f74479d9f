"""All outputs of a run: opened before its load, given every second, closed after it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ciload.metrics.recording import Samples
from ciload.metrics.snapshot import Snapshot
from ciload.outputs.output import Output, Second


class Outputs:
    """Several outputs as one."""

    def __init__(self, outputs: Sequence[Output] = ()) -> None:
        self._outputs = outputs
        self._closed = False

    def take(self, measured: Snapshot, samples: Sequence[Samples], at: float) -> None:
        """See `Second`."""
        second = Second(measured, samples, at)
        for each in self._outputs:
            each.take(second)

    def close(self) -> list[str]:
        """Close them, once; answers what went wrong with any of them."""
        for each in () if self._closed else self._outputs:
            each.close()
        self._closed = True
        return [each.problem for each in self._outputs if each.problem]


def open_outputs(targets: Sequence[tuple[str, str]], about: dict[str, str], mask: Callable[[str], str]) -> Outputs:
    """Open what `--output` names, by kind and target.

    Args:
        targets: kinds and where to.
        about: the run: attributes of a resource, as OpenTelemetry calls them.
        mask: hides secrets.

    Raises:
        OutputFailedError: one of them cannot be opened.
    """
    return Outputs([_open(kind, target, about, mask) for kind, target in targets])


def _open(kind: str, target: str, about: dict[str, str], mask: Callable[[str], str]) -> Output:
    if kind == "statsd":
        from ciload.outputs.statsd import StatsD

        return StatsD(target, mask)
    if kind == "otlp":
        from ciload.outputs.otlp import OTLP

        return OTLP(target, about, mask)
    from ciload.outputs.sample_files import SampleFile

    return SampleFile(kind, target, mask)
