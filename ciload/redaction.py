"""What of an exchange with a target may be shown: texts in which what looks like a secret is replaced by `***`.

What a secret is called and what it looks like is known here, for whatever shows or keeps traffic. It is told by names
and shapes alone, so some of it is guesswork: rather a harmless value too many is hidden than a token shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import unquote

from ciload.secrets import HIDDEN, without_secrets
from ciload.text import words

SECRET_WORDS = frozenset({
    "token", "secret", "password", "passwd", "pwd", "passphrase", "pass", "passcode", "apikey", "auth", "authorization",
    "credential", "credentials", "signature", "sig", "jwt", "otp", "totp", "cvv", "cvc", "csrf", "xsrf", "session",
    "sessionid", "sid", "bearer", "pin", "ssn", "iban", "jsessionid", "phpsessid", "assertion",
})  # fmt: skip
SECRET_PAIRS = ("api_key", "access_key", "private_key", "card_number", "subscription_key", "app_key", "client_key",
                "account_key", "auth_key", "functions_key", "credit_card", "secret_key", "client_secret")  # fmt: skip
GLUED = ("token", "password", "passwd", "secret", "apikey", "pwd", "sessionid", "passwort", "accesskey", "cardnumber")
SHAPES = re.compile(
    r"(?<![A-Za-z0-9-])eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*|AKIA[0-9A-Z]{16}|(?:sk|pk|rk)_(?:live|test)_\w{8,}|gh[pousr]_\w{20,}|"
    r"github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abpros]-[\w-]{10,}|AIza[\w-]{30,}|sk-[\w-]{20,}|SG\.[\w-]{16,}\.[\w-]{16,}"
)
CARD = re.compile(r"\d{4}([ -]?)\d{4}\1\d{4}\1\d{1,7}")
SECRET_HEADER = re.compile(r"cookie|token|key|secret|sig|pass|auth|credential", re.IGNORECASE)
COOKIES = frozenset({"cookie", "set_cookie", "cookies"})  # names of headers, where a service echoes these

# --- what a secret is


def is_secret_name(name: str) -> bool:
    whole = words(name)
    parts = whole.split("_")
    return bool(
        not SECRET_WORDS.isdisjoint(parts)
        or any(each in f"_{whole}_" for each in (f"_{pair}_" for pair in SECRET_PAIRS))
        or parts[-1].endswith(GLUED)
    )


def is_secret_header(name: str) -> bool:
    return SECRET_HEADER.search(name) is not None or is_secret_name(name)


def is_card(text: str) -> bool:
    """Luhn's check digit is right."""
    digits = [int(each) for each in reversed(text) if each.isdecimal()]
    return len(digits) >= 13 and sum(digits[::2] + [sum(divmod(2 * each, 10)) for each in digits[1::2]]) % 10 == 0


def is_random(text: str) -> bool:
    """A token by its looks: long, with letters of both cases and digits, and no words in it."""
    return (
        re.fullmatch(r"[\w-]{20,}", text) is not None
        and any(each.islower() for each in text)
        and any(each.isupper() for each in text)
        and sum(each.isdigit() for each in text) >= 2
    )


# --- texts without

JSON_NAME = re.compile(r"""(\\{0,8}["'])(?P<name>[^"'\\\n]{1,80})\1\s*:\s*""")
OPENING_QUOTE = re.compile(r"""\\{0,8}["']""")
SCALAR = re.compile(r"[^\s,}\]\"']*")
HARMLESS = frozenset({"", "true", "false", "null", "None", "True", "False", '""', "''", "[]", "{}"})
PAIR = re.compile(
    r"""(?<![\w.%\[\]-])(?P<name>[\w.%\[\]-]{2,80})(?P<is>\s?[=:]\s?)(?P<value>"[^"\n]*"?|'[^'\n]*'?|[^\s&;,<>"'{}]+)"""
)
# Behind a colon stands a sentence as often as a value.
NO_WORD = re.compile(r"[^\s]*\d|\S{16}")
ALWAYS = re.compile(r"pass(word|wd|phrase|code|wort)?|pwd|secret|pin|cvv|cvc|otp|totp|authorization|cookie")
ELEMENT = re.compile(r"(?P<tag><(?P<name>[\w:.-]{1,80})(?:\s[^<>]*)?>)[^<>]+(?=</)")
TAG = re.compile(r"<(?:input|meta|button)\b[^<>]*>?", re.IGNORECASE)
TAG_NAME = re.compile(r"""\b(?:name|id|property|type)\s*=\s*["']?(?P<name>[^"'\s>]{1,80})""", re.IGNORECASE)
TAG_VALUE = re.compile(r"""\b((?:value|content)\s*=\s*)("[^"]*"?|'[^']*'?|[^\s>]+)""", re.IGNORECASE)
SCHEME = re.compile(
    r"\b(Bearer|Basic|Digest|Negotiate|NTLM|Token|ApiKey)\s+(?=\S*[\d=]|\S{20})[\w.~+/=,\"-]{6,}", re.IGNORECASE
)
QUERY = re.compile(r"""(?<=[\w/%.~-])\?[\w.~%\[\]-]{1,80}=[^\s"'<>\\)]*""")
USERINFO = re.compile(r"""(?<=://)[^/\s"'<>@]{1,500}@""")
PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
TOKEN = re.compile(r"[\w-]{20,}")


def redacted(text: str) -> str:
    """A body, or another text of a target, without what looks like a secret, and without query strings."""
    text = PRIVATE_KEY.sub(HIDDEN, text)
    text = _without_json_values(text)
    text = ELEMENT.sub(_element, text)
    text = TAG.sub(_tag, text)
    text = USERINFO.sub(f"{HIDDEN}@", text)
    text = QUERY.sub(f"?{HIDDEN}", text)
    text = SCHEME.sub(rf"\1 {HIDDEN}", text)
    text = PAIR.sub(_pair, text)
    text = SHAPES.sub(HIDDEN, text)
    text = CARD.sub(lambda hit: HIDDEN if is_card(hit[0]) else hit[0], text)
    return TOKEN.sub(lambda hit: HIDDEN if is_random(hit[0]) else hit[0], text)


def redacted_header(name: str, value: str) -> str:
    """The value of a header as it may be shown."""
    return HIDDEN if is_secret_header(name) else redacted(value)


def redacted_url(url: str) -> str:
    """A URL without userinfo, and with `***` for its query."""
    shown = without_secrets(url)
    return f"{shown}?{HIDDEN}" if "?" in url and HIDDEN not in shown else shown


def secret_values(headers: Iterable[tuple[str, str]], shortest: int = 8) -> list[str]:
    """Values of headers that a target may repeat in its answer: tokens, and those of cookies."""
    found = []
    for name, value in headers:
        if name.lower() in ("cookie", "set-cookie"):
            found += [each.partition("=")[2].split(";")[0].strip() for each in value.split("; ")]
        elif is_secret_header(name):
            found += [value, value.rpartition(" ")[2]]  # what is behind the scheme as well
    return [each for each in found if len(each) >= shortest]


@lru_cache(1_024)  # documents have the same few names over and over
def _is_secret(name: str) -> bool:
    """As `is_secret_name`, and the plural of one."""
    plain = unquote(name)
    return is_secret_name(plain) or is_secret_name(plain.removesuffix("s")) or words(plain) in COOKIES


def _without_json_values(text: str) -> str:
    parts, at = [], 0
    for match in JSON_NAME.finditer(text):
        if match.start() < at or not _is_secret(match["name"]):
            continue
        end = _end_of_value(text, match.end())
        if text[match.end() : end] not in HARMLESS:
            parts += [text[at : match.end()], f'"{HIDDEN}"']
            at = end
    return "".join([*parts, text[at:]])


def _end_of_value(text: str, start: int) -> int:
    """Where a JSON value ends, of a text that may be cut in the middle of it."""
    if text[start : start + 1] in ("[", "{"):
        return _end_of_brackets(text, start)
    quote = OPENING_QUOTE.match(text, start)
    if quote is not None:
        return _end_of_string(text, quote)
    scalar = SCALAR.match(text, start)
    return scalar.end() if scalar else start


def _end_of_string(text: str, quote: re.Match[str]) -> int:
    """Behind the next quote that is escaped as the first one is."""
    end = re.compile(rf"(?<!\\){re.escape(quote[0])}").search(text, quote.end())
    while end is not None and len(quote[0]) == 1 and _is_escaped(text, end.start()):
        end = re.compile(re.escape(quote[0])).search(text, end.end())
    return end.end() if end else len(text)


def _is_escaped(text: str, at: int) -> bool:
    before = at
    while before and text[before - 1] == "\\":
        before -= 1
    return (at - before) % 2 == 1


def _end_of_brackets(text: str, start: int) -> int:
    depth, at = 0, start
    while at < len(text):
        if text[at] in "[{":
            depth += 1
        elif text[at] in "]}":
            depth -= 1
            if depth == 0:
                return at + 1
        elif (quote := OPENING_QUOTE.match(text, at)) is not None:
            at = _end_of_string(text, quote)
            continue
        at += 1
    return len(text)


def _element(hit: re.Match[str]) -> str:
    return hit["tag"] + HIDDEN if _is_secret(hit["name"].rpartition(":")[2]) else hit[0]


def _tag(hit: re.Match[str]) -> str:
    names = [each["name"] for each in TAG_NAME.finditer(hit[0])]
    hidden = any(name.lower() == "hidden" or _is_secret(name) for name in names)
    return TAG_VALUE.sub(rf'\1"{HIDDEN}"', hit[0]) if hidden else hit[0]


def _pair(hit: re.Match[str]) -> str:
    name, value = hit["name"], hit["value"]
    if not _is_secret(name) or HIDDEN in value or value.strip("\"'") in HARMLESS:
        return hit[0]
    if ":" in hit["is"] and not (ALWAYS.search(words(unquote(name))) or NO_WORD.match(value)):
        return hit[0]
    return f"{name}{hit['is']}{HIDDEN}"
