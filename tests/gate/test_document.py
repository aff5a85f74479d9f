"""The baseline document: what fits in it, and its published schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from ciload.gate.document import Baseline, json_schema
from tests.gate.runs import ENVIRONMENT, endpoint, stored_run, stored_runs

PUBLISHED = Path(__file__).parents[2] / "docs" / "baseline-1.schema.json"


def test_the_published_schema_is_current() -> None:
    """docs/ holds the schema of this code (`make schema`), and a baseline fits it."""
    published = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    assert published == json_schema()
    jsonschema.validate(json.loads(Baseline(runs=stored_runs([10.0, 11.0])).to_json()), published)


def test_what_is_written_is_read() -> None:
    """A baseline survives being written and read, and each run has a line of its own."""
    baseline = Baseline(runs=stored_runs([10.0, 11.0], endpoints=[endpoint("/cart")]))
    text = baseline.to_json()
    assert Baseline.model_validate_json(text, strict=True) == baseline
    assert len(text.splitlines()) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"at": "0001-01-01T00:00:00Z"}, "year 1"),
        ({"environment": ENVIRONMENT.model_copy(update={"cpu": "x" * 5_000})}, "cpu is longer"),
        ({"requests": 3, "failed": 4}, "4 of 3"),
        ({"p95": float("nan")}, "finite"),
        ({"requests": -1}, "greater"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    """Nonsense in a run is an error, not a number to compare with."""
    with pytest.raises(ValidationError, match=message):
        stored_run(**changes)


def test_a_run_is_in_it_once() -> None:
    """The same run twice would count twice."""
    with pytest.raises(ValidationError, match="2 times"):
        Baseline(runs=[stored_run(), stored_run()])
