"""Test data from files: read once for all virtual users of a process, and changed by none of them."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

DELIMITERS = ",;\t|"
MOST_FILES = 100  # that are remembered, by name, size and age
LONGEST_FIELD = 1 << 24
QUOTED = re.compile(r'"[^"]*"')


class FrozenDict(dict[str, Any]):
    """A mapping that nobody can change: all virtual users share it. JSON and forms take it like any dict."""

    __slots__ = ()

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("all virtual users share this: make a copy with dict(row) and change that")

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse

    def __copy__(self) -> FrozenDict:
        return self

    def __deepcopy__(self, _: dict[int, Any]) -> FrozenDict:
        return self

    def __reduce__(self) -> tuple[type[FrozenDict], tuple[dict[str, Any]]]:
        return FrozenDict, (dict(self),)


def data_file(name: str | Path) -> Path:
    """The path of a file that lies beside the module that asks for it, wherever ciload was started.

    Read it at the top level of the script, where all virtual users of a process share what was read.

    Raises:
        FileNotFoundError: there is no such file.
    """
    return _beside(name, "data_file")


def csv_rows(name: str | Path, *, delimiter: str | None = None) -> Sequence[FrozenDict]:
    """The rows of a CSV file that lies beside the module that asks, each by the names in its first line, all text.

    Args:
        name: of the file, in UTF-8.
        delimiter: between fields; unless given, that of comma, semicolon, tab and bar which the first line has most of.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it has no rows, names that are empty or twice there, or lines with more or fewer fields; with the
            line.
    """
    path = _beside(name, "csv_rows")
    if delimiter is not None and len(delimiter) != 1:
        raise ValueError(f"csv_rows({str(name)!r}): a delimiter is one character, not {delimiter!r}")
    return _csv_rows(path, delimiter, *_version(path))


def json_file(name: str | Path) -> Any:
    """What is in a JSON file that lies beside the module that asks: lists as tuples, objects as frozen dicts.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no JSON; with its line.
    """
    path = _beside(name, "json_file")
    return _json_file(path, *_version(path))


def _beside(name: str | Path, verb: str) -> Path:
    """The file beside the module that called `verb`."""
    path = Path(sys._getframe(2).f_code.co_filename).resolve().parent / name
    if not path.exists():
        raise FileNotFoundError(f"{verb}({str(name)!r}): there is no {path}")
    return path


def _version(path: Path) -> tuple[int, int]:
    if not path.is_file():
        raise ValueError(f"{path}: not a file")
    facts = path.stat()
    return facts.st_size, facts.st_mtime_ns


@lru_cache(MOST_FILES)
def _csv_rows(path: Path, delimiter: str | None, *_version: int) -> tuple[FrozenDict, ...]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            found = max(DELIMITERS, key=QUOTED.sub("", first).count)
            rows = csv.reader(file, delimiter=delimiter or found, strict=True)
            csv.field_size_limit(LONGEST_FIELD)
            return tuple(_rows(path, rows))
    except UnicodeDecodeError:
        raise ValueError(_about_encoding(path)) from None
    except csv.Error as error:
        raise ValueError(f"{path}:{rows.line_num}: {error}") from None


def _about_encoding(path: Path) -> str:
    """Where a file is not UTF-8: what reads it piece by piece does not know."""
    data = path.read_bytes()
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return f"{path}:{data.count(10, 0, error.start) + 1}: not UTF-8: {error.reason}"
    return f"{path}: not UTF-8"


def _rows(path: Path, rows: Any) -> Iterator[FrozenDict]:
    first = next(rows, None)
    if first is None:
        raise ValueError(f"{path}: empty; its first line has the names of the columns")
    if not first:
        raise ValueError(f"{path}:1: empty line, where the names of the columns belong")
    names = [name.strip() for name in first]
    if "" in names:
        raise ValueError(f"{path}:1: column {names.index('') + 1} has no name")
    if twice := [name for index, name in enumerate(names) if name in names[:index]]:
        raise ValueError(f"{path}:1: two columns are called {twice[0]!r}")
    names = [sys.intern(name) for name in names]
    found = False
    for fields in rows:
        if not fields:  # an empty line
            continue
        if len(fields) != len(names):
            raise ValueError(f"{path}:{rows.line_num}: {len(fields)} fields, where the first line has {len(names)}")
        found = True
        yield FrozenDict(zip(names, fields, strict=True))
    if not found:
        raise ValueError(f"{path}: no rows below the names of the columns")


@lru_cache(MOST_FILES)
def _json_file(path: Path, *_version: int) -> Any:
    try:
        return _frozen(json.loads(path.read_text(encoding="utf-8-sig")))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}:{error.lineno}: not JSON: {error.msg}") from None
    except UnicodeDecodeError:
        raise ValueError(_about_encoding(path)) from None
    except RecursionError:
        raise ValueError(f"{path}: not JSON: nested too deeply") from None


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return FrozenDict({sys.intern(key): _frozen(each) for key, each in value.items()})
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
