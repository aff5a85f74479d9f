"""Ends a side-by-side run as soon as every metric is decided, without more false alarms than stated."""

from __future__ import annotations

from ciload.gate.sequential import at_look, looks
from ciload.gate.side_by_side import compare_blocks
from ciload.gate.verdicts import Terms
from ciload.metrics.blocks import BlockSeries
from ciload.result.build import block_rows
from ciload.result.comparison import GateVerdict

DECIDED = {GateVerdict.REGRESSION, GateVerdict.IMPROVED, GateVerdict.OK}


class UntilClear:
    """Asked once a second whether the load has shown what it is for."""

    def __init__(self, terms: Terms, limit_s: float) -> None:
        """
        Args:
            terms: what is promised for all looks together.
            limit_s: measured seconds after which the load ends anyway.
        """
        self._terms = terms
        self._limit_s = limit_s
        self._looks = looks(limit_s)[:-1]

    def __call__(self, blocks: BlockSeries, at_s: float) -> bool:
        if at_s not in self._looks:
            return False
        metrics = compare_blocks([block_rows(blocks)], at_look(self._terms, self._limit_s, at_s))
        deciding = [each for each in metrics if each.decides]
        return bool(deciding) and all(each.verdict in DECIDED for each in deciding)
