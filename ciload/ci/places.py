"""Where a CI keeps baselines: artifacts, which are read here, and packages, which are written as well."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

PACKAGE = "package:"


@dataclass(frozen=True, slots=True)
class CiPlaces:
    """`artifact:NAME` and `package:NAME`, in the CI of this environment."""

    environment: Mapping[str, str]

    def fetch(self, place: str) -> bytes | None:
        """The baseline there; None when nobody has made one yet.

        Raises:
            BaselineError: it cannot be looked for, or what is there cannot be used.
        """
        if place.startswith(PACKAGE):
            from ciload.ci import packages  # late, all: most baselines are files

            return packages.fetch(place, self.environment)
        from ciload.ci import artifacts

        return artifacts.fetch(place, self.environment)

    def store(self, place: str, change: Callable[[bytes | None], bytes], is_in: Callable[[bytes], bool]) -> None:
        """Change the package there; see `packages.store`.

        Raises:
            BaselineError: it cannot be written.
        """
        from ciload.ci import packages

        packages.store(place, self.environment, change, is_in)
