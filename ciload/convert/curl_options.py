"""The options of curl: which of them take a value, and which say nothing about the request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ciload.errors import UsageError
from ciload.text import closest, one_line

# What a request is made of; True: a value follows.
MEANT = {
    "request": True, "header": True, "data": True, "data-ascii": True, "data-raw": True, "data-binary": True,
    "data-urlencode": True, "json": True, "form": True, "form-string": True, "user": True, "cookie": True, "get": False,
    "head": False, "location": False, "location-trusted": False, "user-agent": True, "referer": True, "url": True,
    "url-query": True, "upload-file": True, "oauth2-bearer": True, "insecure": False, "compressed": False,
    "basic": False, "max-time": True, "next": False, "digest": False, "aws-sigv4": True,
}  # fmt: skip
# What does not matter for a load test, or is for the machine that it runs on.
IGNORED = {
    "output": True, "remote-name": False, "remote-header-name": False, "remote-name-all": False, "output-dir": True,
    "create-dirs": False, "silent": False, "show-error": False, "verbose": False, "include": False, "fail": False,
    "fail-with-body": False, "fail-early": False, "progress-bar": False, "no-progress-meter": False, "write-out": True,
    "dump-header": True, "trace": True, "trace-ascii": True, "trace-time": False, "stderr": True, "no-buffer": False,
    "cookie-jar": True, "junk-session-cookies": False, "connect-timeout": True, "retry": True, "retry-delay": True,
    "retry-max-time": True, "retry-all-errors": False, "retry-connrefused": False, "max-redirs": True, "post301": False,
    "post302": False, "post303": False, "keepalive-time": True, "no-keepalive": False, "http1.0": False,
    "http1.1": False, "http2": False, "http2-prior-knowledge": False, "http3": False, "http3-only": False,
    "ipv4": False, "ipv6": False, "tlsv1": False, "tlsv1.0": False, "tlsv1.1": False, "tlsv1.2": False,
    "tlsv1.3": False, "tls-max": True, "ciphers": True, "tls13-ciphers": True, "globoff": False, "path-as-is": False,
    "parallel": False, "parallel-max": True, "limit-rate": True, "max-filesize": True, "speed-limit": True,
    "speed-time": True, "tcp-nodelay": False, "tcp-fastopen": False, "tr-encoding": False, "styled-output": False,
    "no-styled-output": False, "anyauth": False, "disable": False, "netrc": False, "raw": False, "http0.9": False,
    "no-alpn": False, "alpn": False, "no-sessionid": False, "expect100-timeout": True, "remote-time": False,
    "ssl-no-revoke": False, "ssl-reqd": False, "no-location": False, "no-compressed": False, "rate": True,
}  # fmt: skip
# What a run has to be told otherwise, and how.
ELSEWHERE = {
    "proxy": True, "noproxy": True, "proxy-user": True, "socks5": True, "socks5-hostname": True, "cert": True,
    "key": True, "cacert": True, "capath": True, "cert-type": True, "key-type": True, "pass": True, "resolve": True,
    "connect-to": True, "interface": True, "unix-socket": True, "ntlm": False, "negotiate": False, "dns-servers": True,
    "haproxy-protocol": False, "range": True, "time-cond": True, "doh-url": True, "proxy-header": True,
    "pinnedpubkey": True, "continue-at": True, "netrc-file": True,
}  # fmt: skip
SHORT = {
    "X": "request", "H": "header", "d": "data", "F": "form", "u": "user", "b": "cookie", "G": "get", "I": "head",
    "L": "location", "A": "user-agent", "e": "referer", "T": "upload-file", "k": "insecure", "m": "max-time",
    "o": "output", "O": "remote-name", "J": "remote-header-name", "s": "silent", "S": "show-error", "v": "verbose",
    "i": "include", "f": "fail", "#": "progress-bar", "w": "write-out", "D": "dump-header", "N": "no-buffer",
    "c": "cookie-jar", "j": "junk-session-cookies", "0": "http1.0", "4": "ipv4", "6": "ipv6", "1": "tlsv1",
    "g": "globoff", "Z": "parallel", "q": "disable", "n": "netrc", "x": "proxy", "U": "proxy-user", "E": "cert",
    "r": "range", "z": "time-cond", "C": "continue-at", "R": "remote-time", "Y": "speed-limit", "y": "speed-time",
    ":": "next",
}  # fmt: skip
KNOWN = MEANT | IGNORED | ELSEWHERE


def options_of(arguments: Sequence[str], shown: str) -> Iterator[tuple[str, str]]:
    """Long names and their values, in order; URLs are `url`.

    Raises:
        UsageError: an option is unknown, or has no value.
    """
    left = list(reversed(arguments))
    while left:
        argument = left.pop()
        if argument == "--":
            yield from (("url", each) for each in reversed(left))
            return
        if argument.startswith("--"):
            name, _, value = argument[2:].partition("=")
            if name not in KNOWN:
                raise _unknown(f"--{name}", shown)
            if KNOWN[name]:
                if "=" not in argument and not left:
                    raise UsageError(f"{shown}: --{name} has no value")
                yield name, value if "=" in argument else left.pop()
            else:
                yield name, ""
        elif argument.startswith("-") and len(argument) > 1:
            yield from _short(argument, left, shown)
        else:
            yield "url", argument


def _short(argument: str, left: list[str], shown: str) -> Iterator[tuple[str, str]]:
    """Letters in one: those without values, and at most one with, whose value is the rest or follows."""
    for index, letter in enumerate(argument[1:], 2):
        if letter not in SHORT:
            raise _unknown(f"-{letter}", shown)
        name = SHORT[letter]
        if not KNOWN[name]:
            yield name, ""
            continue
        if not argument[index:] and not left:
            raise UsageError(f"{shown}: -{letter} has no value")
        yield name, argument[index:] or left.pop()
        return


def _unknown(option: str, shown: str) -> UsageError:
    near = closest(option.removeprefix("--"), KNOWN) if option.startswith("--") else None
    hint = f"; did you mean --{near}?" if near else ""
    return UsageError(f"{shown}: {one_line(option, 40)} is no option of curl's that we know{hint}")
