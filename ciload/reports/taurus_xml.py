"""The result as Taurus writes its final statistics, which the Performance plugin of Jenkins reads (`perfReport`).

Times are in seconds, as they are there. The group without a name is all requests, or all operations if there were none.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET

from ciload.result.document import Distribution, RunResult
from ciload.text import one_line, request_label

LONGEST_LABEL = 250


def final_status_xml(result: RunResult) -> str:
    """The XML document, declaration included: the plugin looks for it to know the format."""
    root = ET.Element("FinalStatus")
    ET.SubElement(root, "TestDuration").text = _number(result.load.load_s)
    duration, received = result.duration, result.metrics.get("data_received")
    whole = [each for each in result.endpoints if each.method or result.of_operations]
    _group(
        root, "", requests=sum(each.requests for each in whole),
        failed=sum(each.failed for each in whole), trend=duration.trend if duration else None,
        received=int(received.count or 0) if received else 0,
    )  # fmt: skip
    seen: set[str] = set()
    for each in result.endpoints:
        label = _unique(one_line(request_label(each.method, each.name), LONGEST_LABEL), seen)
        _group(
            root, label, requests=each.requests, failed=each.failed, trend=each.duration,
            received=each.bytes_received,
        )  # fmt: skip
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _unique(label: str, seen: set[str]) -> str:
    name, number = label or "(no name)", 1
    label = name
    while label in seen:
        number += 1
        label = f"{name} ({number})"
    seen.add(label)
    return label


def _group(
    root: ET.Element, label: str, *, requests: int, failed: int, trend: Distribution | None, received: int
) -> None:
    group = ET.SubElement(root, "Group", {"label": label})
    values = {"throughput": requests, "succ": requests - failed, "fail": failed, "bytes": received}
    for name, value in values.items():
        ET.SubElement(group, name, {"value": str(value)})
    ET.SubElement(group, "avg_rt", {"value": _number((trend.avg if trend else 0.0) / 1e3)})
    percentiles = (
        {"0.0": trend.min, "50.0": trend.med, "90.0": trend.p90, "95.0": trend.p95, "99.0": trend.p99,
         "100.0": trend.max}
        if trend else dict.fromkeys(("0.0", "50.0", "90.0", "95.0", "99.0", "100.0"), 0.0)
    )  # fmt: skip
    for rank, ms in percentiles.items():
        ET.SubElement(group, "perc", {"param": rank, "value": _number(ms / 1e3)})


def _number(value: float) -> str:
    return f"{value:.5f}"
