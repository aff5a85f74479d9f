"""What must not stand in a script: it comes from the environment, whatever place it had in the recording."""

from __future__ import annotations

import re
from typing import Any

from ciload.convert.journey import Journey, Place, Request, Setting, change_values
from ciload.convert.marks import Bare, Reference, has_mark
from ciload.redaction import CARD, SHAPES, is_card, is_random, is_secret_name
from ciload.secrets import TOKEN_VARIABLE
from ciload.starter.names import unique, words

ALWAYS = re.compile(r"pass(word|wd|phrase|code|wort)?|pwd|secret|pin|cvv|cvc|otp|totp")
IN_TEXT = re.compile(r"""<([\w:-]+)[^<>]*>([^<>]{3,400})</|["']?([\w-]+)["']?\s*[:=]\s*["']([^"']{3,400})["']""")
# In GraphQL, `login(password: $p)` says what the variable p is.
ARGUMENT = re.compile(r"\b(\w{1,80})\s*:\s*\$(\w{1,80})")
SCHEME = re.compile(r"([A-Za-z][A-Za-z-]*)\s+(\S+)")
# Set on most machines to something else, or read by ciload itself.
USUAL = frozenset({
    "USER", "HOME", "PATH", "LANG", "SHELL", "PWD", "HOST", "HOSTNAME", "TERM", "EDITOR", "MAIL", "LOGNAME", "TMPDIR",
    "DISPLAY", "SECONDS", "PORT", "CI", "TZ", "OLDPWD", "PAGER", "IFS", "UID", "NAME", "ID", "URL", "USERNAME", "EMAIL",
    "DATE", "TIME", "VERSION", "GROUPS", "TEMP", "TMP",
})  # fmt: skip
SHORTEST = 6  # of a value that is replaced in the middle of others
OF_TRACKERS = re.compile(r"_ga|_gid|_gat|_fbp|_hj|amp_|mp_|ajs_|optimizely|intercom|_clck|_clsk|__utm|_uet|_gcl")


class Hiding:
    """The secrets of a journey: each value has one variable, wherever it stands."""

    def __init__(self, journey: Journey) -> None:
        self.journey = journey
        self.marks: dict[str, str] = {}  # by the value
        self.arguments: dict[str, str] = {}  # secret variables of a GraphQL request, and what they are

    def run(self) -> None:
        for value, name in self.journey.secrets.items():
            self.hide(value, name, f"the {name.replace('_', ' ')} that requests sign in with")
        for step in self.journey.steps:
            self._hide_auth(step.request)
        for each in self.journey.steps:
            self.arguments = _secret_arguments(each.request)
            change_values(each.request, self._change)
        # Once more: a value is secret everywhere, also where its place did not tell.
        for each in self.journey.steps:
            change_values(each.request, self._everywhere)

    def _hide_auth(self, request: Request) -> None:
        if request.auth is not None:
            user, password = request.auth
            if not has_mark(user):
                user = self.hide(user, "API_USER", "the user of basic authentication") if user else ""
            if not has_mark(password):
                password = (
                    self.hide(password, "API_PASSWORD", "the password of basic authentication") if password else ""
                )
            request.auth = (user, password)

    def hide(self, value: str, variable: str, about: str) -> str:
        """The mark for a secret value."""
        if value not in self.marks:
            name = constant_name(variable, self.journey.taken)
            self.journey.settings.append(Setting(name, name, about))
            self.marks[value] = self.journey.references.mark(Reference(name, name.lower()))
        return self.marks[value]

    def _change(self, place: Place, value: Any) -> Any:
        text = str(value)
        if not text or isinstance(value, Bare) or (has_mark(text) and place.kind != "content"):
            return value
        about = f"{place.name} in a {place.kind}" if place.kind != "content" else "a secret in a body"
        if place.kind == "cookie":
            return self._cookie(place.name, text)
        if place.kind == "header":
            return self._header(place.name, text)
        if place.kind == "content":
            text = IN_TEXT.sub(self._in_text, text)
        elif place.kind != "path" and self._is_secret(place, value):
            name = self.arguments.get(place.name, place.name) if place.kind == "json" else place.name
            mark = self.hide(text, name, f"{name}, in the {WHERE[place.kind]}")
            return mark if isinstance(value, str) else self._number(mark)
        elif CARD.fullmatch(text) and is_card(text):
            mark = self.hide(text, "card_number", f"a card number, in the {WHERE.get(place.kind, place.kind)}")
            return mark if isinstance(value, str) else self._number(mark)
        elif place.kind in ("path", "query") and is_random(text):
            return self.hide(text, "secret" if place.kind == "path" else place.name, f"a token in the {place.kind}")
        return SHAPES.sub(lambda hit: self.hide(hit[0], "api_key", about), text) if isinstance(value, str) else value

    def _is_secret(self, place: Place, value: Any) -> bool:
        name = self.arguments.get(place.name, place.name) if place.kind == "json" else place.name
        return is_secret_name(name) and self._is_value(name, value)

    def _number(self, mark: str) -> Bare:
        """A secret that was a number in JSON, and is one again."""
        [reference] = self.journey.references.pieces(mark)
        assert isinstance(reference, Reference)
        number = Reference(f"int({reference.code} or 0)", reference.label, is_text=False)
        return Bare(self.journey.references.mark(number))

    def _is_value(self, name: str, value: Any) -> bool:
        if ALWAYS.search(words(name)):
            return str(value) not in ("true", "false", "null")
        return isinstance(value, str) and len(value) >= SHORTEST and not value.isspace()

    def _header(self, name: str, text: str) -> str:
        lower = name.lower()
        if lower == "authorization":
            hit = SCHEME.fullmatch(text)
            if hit and hit[1].lower() in ("bearer", "token", "jwt", "apikey", "key", "splunk", "bot", "oauth"):
                return f"{hit[1]} {self.hide(hit[2], 'API_TOKEN', 'the token in the Authorization header')}"
            signed = "; it was signed for one moment" if text.startswith("AWS4") else ""
            return self.hide(text, "AUTHORIZATION", f"the Authorization header{signed}")
        if (is_secret_name(name) or words(name).endswith("key")) and len(text) >= 4:
            return self.hide(text, words(name).removeprefix("x_"), f"the header {name}")
        return SHAPES.sub(lambda hit: self.hide(hit[0], "api_key", f"a key in the header {name}"), text)

    def _cookie(self, name: str, text: str) -> str:
        is_harmless = len(text) < SHORTEST or (text.isalpha() and len(text) < 16)
        return text if is_harmless and not is_secret_name(name) else self.hide(text, name, f"the cookie {name}")

    def _in_text(self, hit: re.Match[str]) -> str:
        name, value = (hit[1], hit[2]) if hit[1] else (hit[3], hit[4])
        if not is_secret_name(name.rpartition(":")[2]) or has_mark(value) or not value.strip():
            return hit[0]
        start = hit.start(2 if hit[1] else 4) - hit.start()
        mark = self.hide(value, name.rpartition(":")[2], f"{name}, in a body")
        return hit[0][:start] + mark + hit[0][start + len(value) :]

    def _everywhere(self, place: Place, value: Any) -> Any:
        if not isinstance(value, str) or isinstance(value, Bare):
            return self.marks.get(str(value), value) if place.kind == "json" and str(value) in self.marks and len(
                str(value)) >= SHORTEST and not has_mark(str(value)) else value  # fmt: skip
        for secret, mark in self.marks.items():
            if len(secret) >= SHORTEST and secret in value:
                value = value.replace(secret, mark)
        return value


def _secret_arguments(request: Request) -> dict[str, str]:
    body = request.body.json
    query = body.get("query") if isinstance(body, dict) else None
    pairs = ARGUMENT.findall(query) if isinstance(query, str) else []
    return {variable: name for name, variable in pairs if is_secret_name(name)}


WHERE = {"query": "query", "form": "form", "part": "form", "json": "body", "header": "headers"}


def hide_secrets(journey: Journey) -> list[str]:
    """Put variables in the place of secrets; answers what they were."""
    hiding = Hiding(journey)
    hiding.run()
    return list(hiding.marks)


def constant_name(name: str, taken: set[str]) -> str:
    """A name for a constant and its variable, that nobody else sets."""
    made = words(name).upper()[-40:].strip("_") or "VALUE"
    if made in ("PWD", "PASS", "PASSWD"):
        made = "PASSWORD"
    if made in USUAL or made[:1].isdigit() or made.startswith("CILOAD") or TOKEN_VARIABLE.fullmatch(made):
        made = f"API_{made}".replace("API_CILOAD_", "API_")
    return unique(made, taken)
