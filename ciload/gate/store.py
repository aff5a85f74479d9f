"""The baseline file on disk or on a web server: untrusted when read, changed under a lock, replaced as a whole."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from ciload.errors import BaselineError, UsageError
from ciload.files import read_file, reason_of, try_writing, write_file
from ciload.gate.document import SCHEMA, Baseline
from ciload.result.document import SCHEMA as RESULT_SCHEMA
from ciload.secrets import without_secrets
from ciload.text import one_line

MOST_BYTES = 16 << 20
MOST_VALUES = 1_000_000  # a full file has some 700,000; more only serves to fill the memory of whoever parses it
MOST_MISTAKES = 3
LOCK_TIMEOUT_S = 60.0
FETCH_TIMEOUT_S = 60.0
PAUSE_TIMEOUT_S = 10.0

URL = re.compile(r"https?:/", re.IGNORECASE)
SCHEME = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
NOTHING_THERE = (404, 410)


def read_baseline(place: str) -> Baseline | None:
    """The baseline at a path or an http(s) URL; None only when there is nothing.

    Raises:
        BaselineError: there is something, and it is no baseline that this ciload can read.
    """
    if URL.match(place):
        shown, data = without_secrets(place), _fetch(place)
    else:
        shown, data = place, _load(place)
    return None if data is None else parse_baseline(data, one_line(shown))


def update(path: str | os.PathLike[str], change: Callable[[Baseline], Baseline]) -> Baseline:
    """Read the file again, change it and replace it, while no other process does; answers what it says now.

    Raises:
        BaselineError: the file is broken, or cannot be written; it is as it was.
        UsageError: a URL, or whatever `change` raises.
    """
    target = _writable(path)
    with _lock(target):
        changed = change(read_baseline(str(target)) or Baseline())
        data = changed.to_json().encode()
        if len(data) > MOST_BYTES:
            raise _too_large(str(target), "with this change; `ciload baseline prune` makes it smaller")
        parse_baseline(data, str(target))
        with _explain_errors(target):
            write_file(target, data)
    return changed


def check_writable(path: str | os.PathLike[str]) -> None:
    """See that a run could be saved there, since finding out after the load is too late.

    Raises:
        BaselineError: it could not.
        UsageError: a URL.
    """
    target = _writable(path)
    with _lock(target), _explain_errors(target):
        try_writing(target.parent)


# --- bytes


def _load(place: str) -> bytes | None:
    if SCHEME.match(place):
        raise BaselineError(f"{one_line(without_secrets(place))}: a baseline is a file, or an http or https URL")
    try:
        return read_file(place, MOST_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BaselineError(f"{one_line(place)}: {reason_of(error)}") from None


def _fetch(url: str) -> bytes | None:
    import anyio  # late, both: most baselines are files
    import httpx

    shown = one_line(without_secrets(url))

    async def in_time() -> bytes | None:
        with anyio.fail_after(FETCH_TIMEOUT_S):  # of all of it: a server may send a byte every now and then
            return await _download(url, shown)

    try:
        return anyio.run(in_time)
    except TimeoutError:
        raise BaselineError(f"{shown}: was not downloaded within {FETCH_TIMEOUT_S:g} s") from None
    except httpx.UnsupportedProtocol:
        raise BaselineError(f"{shown}: is no address to download from; write https://host/path") from None
    except httpx.TimeoutException:
        raise BaselineError(f"{shown}: the server was silent for {PAUSE_TIMEOUT_S:g} s") from None
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, ValueError) as error:
        # The text of most of these may quote the URL, and with it a password.
        reason = str(error) if isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError) else ""
        raise BaselineError(f"{shown}: cannot be downloaded: {one_line(reason) or type(error).__name__}") from None


async def _download(url: str, shown: str) -> bytes | None:
    import httpx

    data = bytearray()
    # Compressed answers are not asked for: a few kB of them could be GBs.
    headers = {"Accept-Encoding": "identity"}
    async with (
        httpx.AsyncClient(timeout=PAUSE_TIMEOUT_S, follow_redirects=True) as client,
        client.stream("GET", url, headers=headers) as reply,
    ):
        if reply.status_code in NOTHING_THERE:
            return None
        if reply.status_code != 200:
            raise BaselineError(f"{shown}: the server answered with status {reply.status_code}, not with a baseline")
        async for chunk in reply.aiter_raw():
            data += chunk
            if len(data) > MOST_BYTES:
                raise _too_large(shown, "downloading was stopped there")
    return bytes(data)


def _too_large(place: str, how: str) -> BaselineError:
    return BaselineError(f"{one_line(place)}: is larger than the {MOST_BYTES >> 20} MiB that it can have ({how})")


# --- bytes to baseline


class _Head(BaseModel):
    """As much as it takes to see what a document is."""

    model_config = ConfigDict(extra="ignore")
    name: object = Field(None, alias="schema")


def parse_baseline(data: bytes, shown: str) -> Baseline:
    """The baseline in these bytes, which come from the place that is `shown`.

    Raises:
        BaselineError: it is none that this ciload can read.
    """
    if guess := _what_else(data):
        raise BaselineError(f"{shown}: {guess}; delete it to begin anew, or give the path of the baseline")
    values = sum(data.count(sign) for sign in (b",", b"[", b"{"))
    if values > MOST_VALUES:
        raise BaselineError(f"{shown}: holds {values:,} values, more than a baseline can; delete it to begin anew")
    try:
        return Baseline.model_validate_json(data, strict=True)
    except ValidationError as error:
        raise BaselineError(f"{shown}: {_wrong(data, error)}") from None


def _what_else(data: bytes) -> str:
    start = data[:200].lstrip()
    if not start:
        return "is empty, as after a write that was cut off"
    if data.startswith((b"\x1f\x8b", b"PK\x03\x04")):
        return "is compressed; unpack it first"
    if start.startswith(b"<"):
        return "is a web page or XML, not a baseline; perhaps a login or error page was saved"
    return ""


def _wrong(data: bytes, error: ValidationError) -> str:
    again = "delete it to begin anew, or restore an older copy"
    count = error.error_count()
    if count > MOST_VALUES // 100:  # each would become an object of its own
        return f"has {count:,} mistakes, so it is no baseline; {again}"
    mistakes = error.errors(include_url=False, include_context=False, include_input=False)
    if mistakes[0]["type"] == "json_invalid":
        return f"is not whole, or never was JSON ({one_line(mistakes[0]['msg'])}); {again}"
    return _other_schema(data) or f"{_list_mistakes(mistakes)}; {again}"


def _other_schema(data: bytes) -> str:
    try:
        name = _Head.model_validate_json(data).name
    except ValidationError:
        return "is JSON, but no object, so it is no baseline"
    if name == SCHEMA:
        return ""
    if isinstance(name, str) and name.startswith(RESULT_SCHEMA.rpartition("/")[0]):
        return "is the result of one run, not a baseline; `--baseline` takes the file that earlier runs were saved in"
    family = SCHEMA.rpartition("/")[0] + "/"
    if isinstance(name, str) and name.startswith(family):
        return f"is {one_line(name)}, written by a newer ciload; this one reads {SCHEMA}: upgrade ciload"
    said = f"its schema is {one_line(repr(name))}" if name is not None else "it names no schema"
    return f"is no baseline: {said}, and not {SCHEMA!r}"


def _list_mistakes(mistakes: list[ErrorDetails]) -> str:
    said = [f"{_place(each['loc'])}: {one_line(each['msg'])}" for each in mistakes[:MOST_MISTAKES]]
    more = len(mistakes) - len(said)
    return "is no baseline: " + "; ".join(said) + (f"; and {more} more mistakes" if more else "")


def _place(location: tuple[int | str, ...]) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{one_line(step, 40)}" for step in location)
    return "".join(steps).lstrip(".") or "the document"


# --- changing the file


def _writable(path: str | os.PathLike[str]) -> Path:
    """The file itself, not a link to it, in a folder that exists."""
    text = os.fspath(path)
    if SCHEME.match(text) or URL.match(text):
        raise UsageError(f"{one_line(without_secrets(text))}: runs can only be saved in a file, not at a URL")
    with _explain_errors(text):
        target = Path(os.path.realpath(text))
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and not target.is_file():
            raise BaselineError(f"{one_line(text)}: is no regular file, so no baseline can be written there")
    return target


@contextmanager
def _lock(target: Path) -> Iterator[None]:
    lock = target.with_name(f".{target.name}.lock")
    holder = FileLock(lock, timeout=LOCK_TIMEOUT_S)
    try:
        with _explain_errors(target):
            lock.touch()  # where that fails, waiting for the lock would not help
            holder.acquire()
    except Timeout:
        raise BaselineError(
            f"{one_line(str(target))}: another process has been writing it for {LOCK_TIMEOUT_S:g} s; "
            f"end that, or wait, then try again (the lock is {one_line(str(lock))})"
        ) from None
    try:
        yield
    finally:
        holder.release()


@contextmanager
def _explain_errors(place: str | Path) -> Iterator[None]:
    """Errors of the system as ours. Having waited for long is left to the caller."""
    try:
        yield
    except Timeout:
        raise
    except (OSError, ValueError, NotImplementedError) as error:
        raise BaselineError(f"{one_line(str(place))}: {reason_of(error)}") from None
