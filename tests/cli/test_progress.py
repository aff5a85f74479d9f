"""What is shown while a run goes on."""

from __future__ import annotations

import pytest
from rich.console import Console, RenderableType

from ciload.cli.progress import Display, Lines, describe
from ciload.engine.aggregator import TimelinePoint
from ciload.options.plan import Plan, make_plan
from ciload.options.sources import from_flags


def plan(iterations: int | None = None) -> Plan:
    flags = {"vus": 15, "duration": 30} if iterations is None else {"vus": 15, "iterations": iterations}
    return make_plan([from_flags(flags)], {}, lambda _: None)


def moment(at_s: float, *, requests: int = 100, failed: int = 0, errors: int = 0, dropped: int = 0) -> TimelinePoint:
    p50, p95 = (100.0, 283.4) if requests else (None, None)
    return TimelinePoint(at_s, 15, round(at_s) * 10, errors, dropped, failed, requests, 0.0, 1000, p50, p95)


def test_a_log_gets_a_line_every_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    """Time, share, virtual users, iterations, rate, p95 and failures so far; on stderr."""
    lines = Lines(plan())
    for second in range(1, 26):
        lines.second(moment(second, failed=second))
        lines.tick(float(second))
    captured = capsys.readouterr()
    assert captured.out == ""
    first, second_line = captured.err.splitlines()
    shown = " ".join(first.split())
    assert shown == "10s 33% 15 VUs · 100 iterations · 100.0 req/s · p95 283.4ms · 10 failed"
    assert second_line.strip().startswith("20s")


def test_a_second_without_responses_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """A target that hangs is not shown with the p95 of the second before; script errors are shown."""
    lines = Lines(plan())
    lines.second(moment(10, requests=0, errors=3, dropped=7))
    lines.tick(10.0)
    text = capsys.readouterr().err
    assert "no response" in text
    assert "3 script errors" in text
    assert "7 dropped" in text


def test_the_share_of_iterations_is_their_number() -> None:
    """A run of 200 iterations is half done after 100, however long that took."""
    lines = Lines(plan(iterations=200))
    lines.second(moment(10))
    assert lines.share(10.0) == 0.5


def test_a_terminal_gets_a_bar() -> None:
    """The display has the title, a bar and the current figures, and is drawn again as time goes by."""
    drawn: list[RenderableType] = []

    def update(renderable: RenderableType, *, refresh: bool = False) -> None:
        assert refresh
        drawn.append(renderable)

    display = Display(plan(), "load.py: 15 virtual users", update)
    for tick in range(40):
        display.tick(tick * 0.05)
        if tick == 20:
            display.second(moment(1))
    console = Console(width=100, record=True, file=None, force_terminal=False)
    with console.capture() as capture:
        console.print(drawn[-1])
    text = capture.get()
    assert 6 <= len(drawn) <= 9
    assert "load.py: 15 virtual users" in text
    assert "15 VUs · 10 iterations · 100.0 req/s" in text


@pytest.mark.parametrize(
    ("name", "fields", "text"),
    [
        ("default", {"executor": "constant-vus", "vus": 15, "duration": "30s"}, "15 virtual users for 30s"),
        ("default", {"executor": "shared-iterations", "vus": 1, "iterations": 9}, "1 virtual user, 9 iterations"),
        ("a", {"executor": "per-vu-iterations", "vus": 2, "iterations": 9}, "a: 2 virtual users, 9 iterations each"),
        ("default", {"executor": "ramping-vus", "stages": "30s:20,10s:0"}, "up to 20 virtual users in 40s"),
        (
            "pay",
            {"executor": "constant-arrival-rate", "rate": "90/m", "duration": "1m", "max_vus": 7, "startTime": "5s"},
            "pay: 1.5 iterations/s for 1m, up to 7 virtual users from 5s on",
        ),
        (
            "default",
            {"executor": "ramping-arrival-rate", "stages": "1m:50", "max_vus": 7},
            "up to 50 iterations/s in 1m, up to 7 virtual users",
        ),
    ],
)
def test_the_title_says_what_is_going_to_happen(name: str, fields: dict[str, object], text: str) -> None:
    """Users or starts, how long or how often, and from when."""
    whole = make_plan([from_flags({"scenarios": {name: fields}})], {}, lambda _: None)
    assert describe(name, whole.scenarios[name]) == text
