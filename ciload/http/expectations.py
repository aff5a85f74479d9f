"""What a request expects of its answer: statuses, and what a function of the script says of the body."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ciload.metrics.expected import REDIRECTS, Statuses, parse_statuses
from ciload.metrics.registry import Labels, Scope

if TYPE_CHECKING:
    from ciload.http.response import Response

NOT_AS_EXPECTED = "not as expected"
Expect = Callable[["Response"], Any]
# Asks a function of the script, and settles what that raises.
Ask = Callable[[Expect, "Response", Scope], bool]


def ask_plainly(expect: Expect, response: Response, _: Scope) -> bool:
    return bool(expect(response))


def expected_statuses(expected: Any, *, follows: bool) -> Statuses:
    """Those of one request; where redirects are followed, these are no answer, and so as expected.

    Raises:
        ValueError, TypeError: these are no statuses.
    """
    statuses = parse_statuses(expected)
    return statuses.and_also(*REDIRECTS) if follows else statuses


@dataclass(frozen=True, slots=True)
class Expectation:
    """`expect=` of a request: asked about an answer whose status is expected, and not about redirects on the way."""

    function: Expect
    ask: Ask
    follows: bool

    def judge(self, response: Response, scope: Scope, labels: Labels) -> None:
        """Let the function say whether the answer counts as failed.

        Raises:
            What ends the run.
        """
        passing = self.follows and response.has_redirect_location
        if response.status_code not in scope.expected(labels) or passing:
            return
        if not self.ask(self.function, response, scope):
            response.error = NOT_AS_EXPECTED


def expectation(expect: Expect, ask: Ask, *, follows: bool, stream: bool) -> Expectation:
    """
    Raises:
        TypeError: it is no function.
        ValueError: there is no whole answer to ask it about.
    """
    if not callable(expect):
        raise TypeError(f"expect= is a function of the response, not {type(expect).__name__}")
    if stream:
        raise ValueError("expect= looks at a whole answer: with stream=True, check() what has come")
    return Expectation(expect, ask, follows)
