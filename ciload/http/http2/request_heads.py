"""Heads of requests as HPACK blocks (RFC 7541), without its dynamic table: so a block is the same on every connection.

It costs some bytes that an index would have saved, and saves to encode the same head again on each connection.
"""

from __future__ import annotations

from hpack.table import HeaderTable

MOST_REMEMBERED = 512
METHODS = {b"GET": b"\x82", b"POST": b"\x83"}  # entries of the static table, as the next four
ROOT_PATH = b"\x84"
HTTP, HTTPS = b"\x86", b"\x87"
METHOD, PATH = 2, 4
NO_TABLE = b"\x20"  # the beginning of a connection's first block: the dynamic table is to have no room at all
NAMES: dict[bytes, int] = {}
for number, (static_name, _) in enumerate(HeaderTable.STATIC_TABLE, 1):
    NAMES.setdefault(static_name, number)
# What HTTP/1 needs for its connections must not be sent (RFC 9113 8.2.2).
OF_THE_CONNECTION = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade", b"http2-settings"}
)
SECRET = frozenset({b"authorization", b"cookie", b"proxy-authorization"})  # nobody is to put them into a table either
NEVER_INDEXED = 0x10


class RequestHeads:
    """Blocks for the heads of one client. All that follows the request line is remembered: it is mostly the same."""

    __slots__ = ("_remembered",)

    def __init__(self) -> None:
        self._remembered: dict[bytes, tuple[bytes, bool]] = {}

    def encode(self, head: bytes, scheme: bytes) -> tuple[bytes, bool]:
        """The block, and whether the connection is to take no more requests, as the script has asked for.

        Args:
            head: of an HTTP/1.1 request as `Prepared` makes it, without the empty line at its end.
            scheme: HTTP or HTTPS.
        """
        line, _, rest = head.partition(b"\r\n")
        known = self._remembered.get(rest)
        if known is None:
            if len(self._remembered) >= MOST_REMEMBERED:
                self._remembered.clear()
            known = self._remembered[rest] = _encode(rest)
        method, path, _ = line.split(b" ")
        block = METHODS.get(method) or _literal(METHOD, method)
        return block + scheme + (ROOT_PATH if path == b"/" else _literal(PATH, path)) + known[0], known[1]


def _encode(lines: bytes) -> tuple[bytes, bool]:
    fields = []
    closes = False
    for line in lines.split(b"\r\n"):
        name, _, value = line.partition(b":")
        name, value = name.lower(), value.strip(b" \t")
        if name == b"host":
            name = b":authority"
        elif name == b"connection":
            closes |= b"close" in (option.strip() for option in value.lower().split(b","))
        if name in OF_THE_CONNECTION or (name == b"te" and value.lower() != b"trailers"):
            continue
        index = NAMES.get(name, 0)
        flag = NEVER_INDEXED if name in SECRET else 0
        fields.append(_literal(index, value, flag) if index else bytes([flag]) + _text(name) + _text(value))
    return b"".join(fields), closes


def _literal(index: int, value: bytes, flag: int = 0) -> bytes:
    """A field that goes into no table; its name is an entry of the static one."""
    return _integer(index, 4, flag) + _text(value)


def _text(value: bytes) -> bytes:
    return _integer(len(value), 7, 0) + value


def _integer(value: int, bits: int, flag: int) -> bytes:
    """RFC 7541, 5.1."""
    most = (1 << bits) - 1
    if value < most:
        return bytes((flag | value,))
    parts = [flag | most]
    value -= most
    while value >= 0x80:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*parts, value))
