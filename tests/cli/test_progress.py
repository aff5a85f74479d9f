"""What is shown while a run goes on."""

from __future__ import annotations

import pytest
from rich.console import Console, RenderableType

from ciload.cli.progress import Display, Lines, describe
from ciload.engine.run import Moment
from ciload.metrics.snapshot import Second
from ciload.options.plan import Scenario


def scenario(iterations: int | None = None) -> Scenario:
    return Scenario(
        name="default",
        executor="constant-vus" if iterations is None else "shared-iterations",
        vus=15,
        iterations=iterations,
        duration_s=30,
        graceful_stop_s=30,
    )


def moment(at_s: float, *, requests: int = 100, failed: int = 0, errors: int = 0) -> Moment:
    p95 = 283.4 if requests else None
    return Moment(at_s, 1.0, 15, round(at_s) * 10, errors, Second(requests, failed, 1000, 100.0, p95))


def test_a_log_gets_a_line_every_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    """Time, share, virtual users, iterations, rate, p95 and failures so far; on stderr."""
    lines = Lines(scenario())
    for second in range(1, 26):
        lines.second(moment(second, failed=1))
        lines.tick(float(second))
    captured = capsys.readouterr()
    assert captured.out == ""
    first, second_line = captured.err.splitlines()
    shown = " ".join(first.split())
    assert shown == "10s 33% 15 VUs · 100 iterations · 100.0 req/s · p95 283.4ms · 10 failed"
    assert second_line.strip().startswith("20s")


def test_a_second_without_responses_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """A target that hangs is not shown with the p95 of the second before; script errors are shown."""
    lines = Lines(scenario())
    lines.second(moment(10, requests=0, errors=3))
    lines.tick(10.0)
    text = capsys.readouterr().err
    assert "no response" in text
    assert "3 script errors" in text


def test_the_share_of_iterations_is_their_number() -> None:
    """A run of 200 iterations is half done after 100, however long that took."""
    lines = Lines(scenario(iterations=200))
    lines.second(moment(10))
    assert lines.share(10.0) == 0.5


def test_a_terminal_gets_a_bar() -> None:
    """The display has the title, a bar and the current figures, and is drawn again as time goes by."""
    drawn: list[RenderableType] = []

    def update(renderable: RenderableType, *, refresh: bool = False) -> None:
        assert refresh
        drawn.append(renderable)

    display = Display(scenario(), "load.py: 15 virtual users", update)
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
    ("iterations", "text"), [(None, "15 virtual users for 30s"), (200, "15 virtual users, 200 iterations")]
)
def test_the_title_says_what_is_going_to_happen(iterations: int | None, text: str) -> None:
    """Users, and how long or how often."""
    assert describe(scenario(iterations)) == text
