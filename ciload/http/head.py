"""Status line and headers of a response: what decides the next step is read at once, the rest when somebody asks.

As lenient as Go and curl are, where nothing can get out of step by it: lines may end in LF alone, go on in the next one
(obs-fold), and carry control characters; equal lengths may be repeated (RFC 9112 2.2, 5.2, 6.3).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ciload.http.failure import ONLY_HTTP2, ErrorCode, MalformedError, RequestFailedError

BLANKS = b" \t\r"
VERSIONS = {b"HTTP/1.1 ": "1.1", b"HTTP/1.0 ": "1.0"}
BODILESS = frozenset({204, 304})
HEAD_END = b"\r\n\r\n"
EMPTY_LINE = re.compile(rb"\n\r?\n")
BEGINNING = b"HTTP/1."
# The rest of a frame's head, behind its length, of what a server of HTTP/2 begins with: SETTINGS, or GOAWAY at once.
HTTP2_BEGINNINGS = (b"\x04\0\0\0\0\0", b"\x07\0\0\0\0\0")
UNSIZED = -1
MOST_DIGITS = 18  # of a Content-Length
# Lines that decide something, and lines that are no header. The search passes over all others: that makes it fast.
REMARKABLE = re.compile(
    rb"\n(?:(?i:(connection|content-length|content-encoding|transfer-encoding|location|set-cookie)):([^\n]*)"
    rb"|(?![!#$%&'*+.^_`|~0-9A-Za-z-]++:)([^\n]*))"
)
FOLD = re.compile(rb"\r?\n[ \t]+")
# HTTP/2's fields have no lines, so nothing in them may look like one; names are in lower case (RFC 9113 8.2.1).
FIELD_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+")
LINE_BREAK = re.compile(rb"[\r\n\0]")
DECIDING_FIELDS = frozenset({b"content-length", b"content-encoding", b"location", b"set-cookie"})


class Head:
    """A parsed status line and header block. Immutable, and shared by all responses with these very bytes."""

    __slots__ = ("_block", "body_bytes", "chunked", "codings", "http_version", "keep_alive", "location", "set_cookies",
                 "status_code")  # fmt: skip

    def __init__(self, status_code: int, http_version: str, block: bytes) -> None:
        self.status_code = status_code
        self.http_version = http_version
        self._block = block
        self.keep_alive = http_version == "1.1"  # the server lets the connection go on behind this response
        self.body_bytes = UNSIZED  # that is, chunked or until the connection ends
        self.chunked = False
        self.codings: tuple[bytes, ...] = ()  # of the body, in the order in which they were applied
        self.location: str | None = None
        self.set_cookies: tuple[str, ...] = ()

    def alike(self, block: bytes, body_bytes: int) -> Head:
        """A head that decides the same, but for the length of its body."""
        head = Head(self.status_code, self.http_version, block)
        head.keep_alive = self.keep_alive
        head.body_bytes = body_bytes
        head.chunked = self.chunked
        head.codings = self.codings
        return head

    @property
    def reason(self) -> str:
        return self._block.partition(b"\n")[0][13:].strip(BLANKS).decode("latin-1")

    @property
    def pairs(self) -> list[tuple[bytes, bytes]]:
        """Names as they were sent, and values without the blanks around them."""
        split = (line.partition(b":") for line in self._block.split(b"\n")[1:])
        return [(name, value.strip(BLANKS)) for name, _, value in split]


NO_HEAD = Head(0, "", b"")


def read_head(data: bytes, searched: int = 0) -> tuple[Head | None, int]:
    """The head at the beginning of `data`, and where that begins which comes behind it; None: it is not all there yet.

    Its end is not before `searched`: a head that comes byte by byte is not searched from its beginning each time.

    Raises:
        MalformedError: it is not HTTP/1, or says two things at once.
    """
    end = data.find(HEAD_END, searched)
    if end >= 0 and (head := _parse(data[:end])) is not None:
        return head, end + len(HEAD_END)
    # To look for line ends of other kinds takes longer.
    empty_line = EMPTY_LINE.search(data, searched)
    if empty_line is None:
        check_beginning(data)
        return None, 0
    return parse_head(data[: empty_line.start()]), empty_line.end()


def check_beginning(data: bytes) -> None:
    """See whether a head can begin like this, before there is all of it.

    Raises:
        MalformedError: it cannot.
    """
    if data[3:9] in HTTP2_BEGINNINGS:
        raise RequestFailedError(ErrorCode.UNKNOWN, f"{ONLY_HTTP2}only")
    if not data.startswith(BEGINNING[: len(data)]):
        raise MalformedError(f"it begins with {_shown(data)}")


def parse_head(block: bytes) -> Head:
    """Read the lines from the status line to the last header, without the empty line behind them.

    Raises:
        MalformedError: it is not HTTP/1, or says two things at once.
    """
    head = _parse(block)
    if head is None:
        raise MalformedError("an empty line between the headers")
    return head


def _parse(block: bytes) -> Head | None:
    """As `parse_head`; None when an empty line lies within, so that the head has ended before."""
    version, status = VERSIONS.get(block[:9]), block[9:12]
    if version is None or not status.isdigit() or status < b"100" or block[12:13] not in b" \r\n":
        raise MalformedError(f"it begins with {_shown(block)}")
    head = Head(int(status), version, block)
    said: dict[bytes, list[bytes]] = {}
    for name, value, odd in REMARKABLE.findall(block):
        if name:
            said.setdefault(name.lower(), []).append(value.strip(BLANKS))
        elif odd in (b"", b"\r"):
            return None
        elif odd[:1] in (b" ", b"\t"):
            return _parse(FOLD.sub(b" ", block))
        else:
            raise MalformedError(f"a header line without a name: {_shown(odd)}")
    if b"\0" in block:
        raise MalformedError("a NUL in the headers")
    _decide(head, said)
    return head


def head_of_fields(fields: list[tuple[bytes, bytes]]) -> Head:
    """The head that HTTP/2 sends as fields; it has the text that HTTP/1 would make of them.

    Raises:
        MalformedError: these are not the fields of a response.
    """
    status = b""
    lines: list[bytes] = []
    said: dict[bytes, list[bytes]] = {}
    for name, value in fields:
        if name == b":status" and not status and not lines:
            status = value
        elif not FIELD_NAME.fullmatch(name) or LINE_BREAK.search(value):
            raise MalformedError(f"a header that cannot be one: {_shown(name)}")
        else:
            lines.append(b"\r\n%b: %b" % (name, value))
            if name in DECIDING_FIELDS:
                said.setdefault(name, []).append(value.strip(BLANKS))
    if len(status) != 3 or not status.isdigit() or status < b"100":
        raise MalformedError(f"its status is {_shown(status)}")
    head = Head(int(status), "2", b"HTTP/2 %b%b" % (status, b"".join(lines)))
    _decide(head, said)
    return head


def _decide(head: Head, said: dict[bytes, list[bytes]]) -> None:
    """Read the headers that decide something; those that were sent, by their names in lower case."""
    if lengths := said.get(b"content-length"):
        head.body_bytes = _length(lengths)
    if options := said.get(b"connection"):
        head.keep_alive = _goes_on(options, head.keep_alive)
    if codings := said.get(b"content-encoding"):
        head.codings = _list(codings)
    if transfer := said.get(b"transfer-encoding"):
        _apply(head, _list(transfer))
    if cookies := said.get(b"set-cookie"):
        head.set_cookies = tuple(line.decode("latin-1") for line in cookies)
    if (locations := said.get(b"location")) and locations[0]:
        head.location = _text(locations[0])
    if head.status_code in BODILESS:
        head.body_bytes, head.chunked = 0, False  # whatever the headers say (RFC 9112 6.3)


def _goes_on(values: list[bytes], otherwise: bool) -> bool:
    """What Connection headers say of the connection's future (RFC 9112 9.3)."""
    if values == [b"keep-alive"]:
        return True
    options = _list(values)
    return b"close" not in options and (otherwise or b"keep-alive" in options)


def _apply(head: Head, transfer: tuple[bytes, ...]) -> None:
    """Transfer codings come after content codings, and the last one frames the body (RFC 9112 6.1, 6.3)."""
    if not transfer:
        return
    head.chunked = transfer[-1] == b"chunked"
    if head.body_bytes != UNSIZED:  # whoever believes the length reads something else behind this response
        head.body_bytes, head.keep_alive = UNSIZED, False
    head.codings += transfer[:-1] if head.chunked else transfer
    if b"chunked" in head.codings:
        raise MalformedError(f"unsupported transfer codings {_shown(b', '.join(transfer))}")


def _length(values: list[bytes]) -> int:
    """The same length may be said more than once (RFC 9110 8.6)."""
    said = values if len(values) == 1 and values[0].isdigit() else b",".join(values).split(b",")
    lengths = {value.strip(BLANKS) for value in said}
    length = lengths.pop()
    if lengths or not length.isdigit() or len(length) > MOST_DIGITS:
        raise MalformedError(f"the Content-Length is {_shown(b', '.join(values))}")
    return int(length)


def _list(values: list[bytes]) -> tuple[bytes, ...]:
    """A list in lower case (RFC 9110 5.6.1), which may be in several headers; "identity" is no coding."""
    members = (member.strip(BLANKS) for member in b",".join(values).lower().split(b","))
    return tuple(member for member in members if member and member != b"identity")


def _text(value: bytes) -> str:
    """Servers that do not encode their URLs mostly mean UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _shown(text: bytes) -> str:
    return repr(text.partition(b"\n")[0][:40].strip().decode("latin-1"))


class Headers(Mapping[str, str]):
    """Response headers, case-insensitive; values of a repeated header are joined by ", "."""

    __slots__ = ("_joined", "raw")

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        self.raw = raw
        self._joined: dict[str, str] = {}
        for name, value in raw:
            key, text = name.decode("latin-1").lower(), value.decode("latin-1")
            self._joined[key] = f"{self._joined[key]}, {text}" if key in self._joined else text

    def __getitem__(self, name: str) -> str:
        return self._joined[name.lower()]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._joined

    def __iter__(self) -> Iterator[str]:
        return iter(self._joined)

    def __len__(self) -> int:
        return len(self._joined)

    def get_list(self, name: str) -> list[str]:
        key = name.lower().encode("latin-1")
        return [value.decode("latin-1") for found, value in self.raw if found.lower() == key]

    def __repr__(self) -> str:
        return f"Headers({self._joined!r})"
