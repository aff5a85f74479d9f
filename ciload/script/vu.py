"""The virtual user as a script sees it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from random import Random
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, get_args

from ciload.http.cookies import Cookies
from ciload.http.session import Session, current
from ciload.metrics.series import Tags


class VUTags(MutableMapping[str, str]):
    """Tags of every sample that one virtual user takes from now on."""

    def __init__(self, vu: VU) -> None:
        self._vu = vu
        self._values: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __setitem__(self, name: str, value: object) -> None:
        self._values[str(name)] = str(value)
        self._apply()

    def __delitem__(self, name: str) -> None:
        del self._values[name]
        self._apply()

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def _apply(self) -> None:
        vu = self._vu
        vu.own_tags = tuple(sorted(self._values.items()))
        vu.session.scope = vu.session.scope.tagged(vu.own_tags)
        here = current.get(None)  # inside of a group, a copy of the session is at work
        if here is not None and here is not vu.session and here.pool is vu.session.pool:
            here.scope = here.scope.tagged(vu.own_tags)


Pick = Literal["random", "circular", "unique", "vu"]
T = TypeVar("T")


class Progress(Protocol):
    """What is known of the scenario that a virtual user works for."""

    def share(self, vu: VU, /) -> float: ...

    @property
    def stage(self) -> int | None: ...


class OutOfRowsError(Exception):
    """`vu.pick(rows, "unique")`: there are more iterations than rows."""


class VU:
    """One virtual user.

    Attributes:
        id: counts from 1 and is unique in the run, whatever the number of scenarios and workers; 0 in `setup` and
            `teardown` (k6's `__VU`).
        iteration: how many iterations this virtual user has begun before this one (k6's `__ITER`).
        iteration_in_test: unique among all iterations of the scenario, from 0. In the open model it is the number of
            the scheduled start, so starts that were dropped leave gaps.
        scenario: its name; "" in `setup` and `teardown`.
        base_url: what relative URLs are joined to, "" if there is none; side by side, that of the target at hand.
        env: the environment, with the scenario's `env` over it.
        cookies: by name; `vu.cookies["session"]` reads and sets one, `vu.cookies.set()` says for which server and path.
        tags: set `vu.tags["plan"] = "gold"` to tag all further samples of this virtual user.

        progress: how far the scenario is, from 0 to 1: of its time, or of its iterations where these end it.
        stage: which of its stages the scenario is in, from 0; None if it has none.
        random: random numbers that depend on the virtual user and its iteration alone, so that they are the same in
            every run, and at both targets of `--compare-url`.

    A script may set attributes of its own; they belong to this virtual user alone and last until the run ends.
    """

    __slots__ = (
        "__dict__", "_progress", "_random", "_tags", "env", "id", "iteration", "iteration_in_test", "own_tags",
        "scenario", "session",
    )  # fmt: skip

    def __init__(
        self,
        number: int,
        session: Session,
        scenario: str = "",
        env: Mapping[str, str] = os.environ,
        progress: Progress | None = None,
    ) -> None:
        self.id = number
        self.iteration = 0
        self.iteration_in_test = 0
        self.scenario = scenario
        self.env = env
        self.session = session
        self.own_tags: Tags = ()
        self._progress = progress
        self._tags: VUTags | None = None
        self._random: tuple[int, Random] | None = None  # the iteration it is for, and its numbers: 2.5 kB

    @property
    def random(self) -> Random:
        if self._random is None or self._random[0] != self.iteration:
            seed = f"{self.scenario} {self.id} {self.iteration}"
            self._random = self.iteration, Random(seed)  # noqa: S311  # it guards nothing
        return self._random[1]

    def pick(self, rows: Sequence[T], how: Pick = "random") -> T:
        """A row of test data for this iteration; in all ways the same one at both targets side by side.

        Args:
            rows: such as `csv_rows()` gives.
            how: "random": any, as `vu.random` draws; "circular": one after the other, from the first again after the
                last; "unique": one after the other, each once; "vu": always the same for this virtual user. The
                second and third go by `iteration_in_test`: the n-th row is for the n-th iteration of the scenario,
                whichever worker and function runs it, and a second call in the same iteration gives the same row.

        Raises:
            OutOfRowsError: "unique", and there are more iterations than rows.
            ValueError: there are no rows, or no such way.
        """
        if not len(rows):
            raise ValueError("vu.pick(): there are no rows")
        match how:
            case "random":
                return rows[self.random.randrange(len(rows))]
            case "circular":
                return rows[self.iteration_in_test % len(rows)]
            case "unique" if self.iteration_in_test < len(rows):
                return rows[self.iteration_in_test]
            case "unique":
                number = self.iteration_in_test + 1
                raise OutOfRowsError(
                    f'vu.pick(rows, "unique"): iteration {number:,} needs a row of its own, and there are '
                    f'{len(rows):,}; have a row for every iteration of the scenario, or "circular"'
                )
            case "vu":
                return rows[(self.id - 1) % len(rows)]
        raise ValueError(f"vu.pick(rows, {how!r}): say one of {', '.join(map(repr, get_args(Pick)))}")

    @property
    def progress(self) -> float:
        return 0.0 if self._progress is None else self._progress.share(self)

    @property
    def stage(self) -> int | None:
        return None if self._progress is None else self._progress.stage

    @property
    def tags(self) -> VUTags:
        if self._tags is None:
            self._tags = VUTags(self)
        return self._tags

    @property
    def base_url(self) -> str:
        client = self.session.client
        return "" if client is None else client.base_url

    @property
    def cookies(self) -> Cookies:
        client = self.session.client
        base = None if client is None else client.preparer.base
        return Cookies(self.session.jar, "" if base is None else base.origin.host)

    if TYPE_CHECKING:  # a script's own attributes, of any type

        def __getattr__(self, name: str) -> Any: ...

        def __setattr__(self, name: str, value: Any) -> None: ...

    def __repr__(self) -> str:
        return f"<VU {self.id}, iteration {self.iteration}>"
