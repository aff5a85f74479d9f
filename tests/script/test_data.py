"""Test data: files that are read once and that nobody changes, and rows for iterations."""

from __future__ import annotations

import copy
import json
import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ciload.engine.segment import Segment
from ciload.http.session import Session
from ciload.metrics.registry import Registry, Scope
from ciload.script.data import FrozenDict, csv_rows, json_file
from ciload.script.vu import VU, OutOfRowsError
from tests.http.vu import Nobody

HERE = Path(__file__).parent


def written(tmp_path: Path, text: str | bytes, name: str = "users.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name,age\nann,7\nbob,8\n", [{"name": "ann", "age": "7"}, {"name": "bob", "age": "8"}]),
        ("\ufeffname;age\r\nann;7\r\n\r\n", [{"name": "ann", "age": "7"}]),
        ('name\tsays\n"ann"\t"two\nlines, ""quoted"""\n', [{"name": "ann", "says": 'two\nlines, "quoted"'}]),
        ("name\nann\n", [{"name": "ann"}]),
        ('"a;b;c",d\n1,2\n', [{"a;b;c": "1", "d": "2"}]),
    ],
)
def test_rows_of_csv(tmp_path: Path, text: str, expected: list[dict[str, str]]) -> None:
    """Whatever delimiter, marks and line ends programs write; rows go into JSON like any mapping."""
    rows = csv_rows(written(tmp_path, text))

    assert json.loads(json.dumps(rows)) == expected


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "users.csv: empty"),
        ("name,age\n", "users.csv: no rows"),
        ("name,,age\nann,1,2\n", "users.csv:1: column 2 has no name"),
        ("name,name\nann,bob\n", "users.csv:1: two columns are called 'name'"),
        ("name,age\nann,7\nbob\n", "users.csv:3: 1 fields, where the first line has 2"),
        ('name,age\nann,"7\n', "users.csv:2: unexpected end of data"),
        (b"name\n" + b"ann\n" * 20_000 + b"\xff\n", "users.csv:20002: not UTF-8"),
        ("\nname\nann\n", "users.csv:1: empty line"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_line(tmp_path: Path, text: str | bytes, where: str) -> None:
    """Before a load begins that would be about something else."""
    with pytest.raises(ValueError, match=r"users\.csv") as raised:
        csv_rows(written(tmp_path, text))
    assert where in str(raised.value)


def test_json_is_frozen_through_and_through(tmp_path: Path) -> None:
    """Nobody changes what all virtual users share; it goes into JSON, copies and other processes."""
    path = written(tmp_path, '{"users": [{"name": "ann", "tags": ["a"]}]}', "data.json")
    data = json_file(path)

    assert json_file(path) is data
    assert json.loads(json.dumps(data)) == {"users": [{"name": "ann", "tags": ["a"]}]}
    assert pickle.loads(pickle.dumps(data)) == data
    assert copy.deepcopy(data) is data
    [user] = data["users"]
    for change in (
        lambda: user.update(name="bob"), lambda: user.pop("name"), lambda: user.__setitem__("name", 1),
        lambda: user.__ior__({"name": 1}), user.clear,
    ):  # fmt: skip
        with pytest.raises(TypeError, match="make a copy"):
            change()
    with pytest.raises(AttributeError):
        user["tags"].append("b")
    assert dict(user) | {"name": "bob"} == {"name": "bob", "tags": ("a",)}


def test_json_that_is_none_and_files_that_are_not_there(tmp_path: Path) -> None:
    """With the line, and with the path that was looked at."""
    with pytest.raises(ValueError, match=r"data.json:2: not JSON"):
        json_file(written(tmp_path, '{"a": 1,\n oops}', "data.json"))
    with pytest.raises(ValueError, match="one character"):
        csv_rows(written(tmp_path, "a::b\n1::2\n"), delimiter="::")
    for read in (csv_rows, json_file):
        with pytest.raises(ValueError, match="not a file"):
            read(tmp_path)
        with pytest.raises(FileNotFoundError, match=str(HERE / "gone.csv")):
            read("gone.csv")


def test_a_file_that_has_changed_is_read_again(tmp_path: Path) -> None:
    """What is remembered is a version of the file."""
    first = csv_rows(written(tmp_path, "name\nann\n"))
    again = csv_rows(tmp_path / "users.csv")
    later = csv_rows(written(tmp_path, "name\nann\nbob\n"))

    assert first is again
    assert len(later) == 2


def virtual_user(number: int, iteration_in_test: int) -> VU:
    vu = VU(number, Session(None, Scope(Registry()), Nobody()), "default")
    vu.iteration = vu.iteration_in_test = iteration_in_test
    return vu


@given(st.integers(1, 40), st.integers(1, 5), st.integers(0, 80))
def test_rows_in_turn_and_once_over_all_workers(rows: int, workers: int, iterations: int) -> None:
    """Numbers of iterations are shared out among workers, so each row comes as often as it should, whoever takes it."""
    data = [FrozenDict(n=number) for number in range(rows)]
    taken: Counter[int] = Counter()
    once: Counter[int] = Counter()
    refused = 0
    for worker in range(workers):
        segment = Segment(worker, workers)
        for local in range(segment.share(iterations)):
            vu = virtual_user(worker + 1, segment.number(local))
            taken[vu.pick(data, "circular")["n"]] += 1
            try:
                once[vu.pick(data, "unique")["n"]] += 1
            except OutOfRowsError:
                refused += 1
    full, rest = divmod(iterations, rows)
    assert [taken[n] for n in range(rows)] == [full + (n < rest) for n in range(rows)]
    assert once == Counter(range(min(rows, iterations)))
    assert refused == max(0, iterations - rows)


def test_a_row_for_each_virtual_user_and_any_row() -> None:
    """The one does not change from iteration to iteration, the other does, and is the same in every run."""
    data = list(range(10))
    assert {virtual_user(3, n).pick(data, "vu") for n in range(20)} == {2}
    assert virtual_user(13, 0).pick(data, "vu") == 2
    drawn = [virtual_user(3, n).pick(data) for n in range(50)]
    assert drawn == [virtual_user(3, n).pick(data) for n in range(50)]
    assert len(set(drawn)) > 5


@pytest.mark.parametrize(("rows", "how"), [([], "random"), ([1], "any")])
def test_what_cannot_be_picked(rows: list[int], how: Any) -> None:
    """No rows, or a word that is none of the known ones."""
    with pytest.raises(ValueError, match="pick"):
        virtual_user(1, 0).pick(rows, how)
