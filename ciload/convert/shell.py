"""Commands as a shell would split them: quotes, `$'…'`, variables, continued lines. Nothing is run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ciload.convert.marks import clean
from ciload.errors import UsageError
from ciload.text import one_line

# How a variable of the shell stands in an argument: as in Postman, with what cannot be in either of them.
VARIABLE = "{{$env:%s}}"
NAMED = re.compile(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))")
SIMPLE = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "v": "\v",
          "\\": "\\", "'": "'", '"': '"', "?": "?"}  # fmt: skip
CODED = re.compile(r"x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{1,4})|U([0-9A-Fa-f]{1,8})|([0-7]{1,3})")
ENDS = re.compile(r";|&&|\|\||&|\n")


@dataclass(slots=True)
class _Scanner:
    text: str
    shown: str
    at: int = 0

    def mistake(self, what: str, at: int | None = None) -> UsageError:
        line = self.text.count("\n", 0, self.at if at is None else at) + 1
        return UsageError(f"{self.shown}:{line}: {what}")

    def commands(self) -> Iterator[list[str]]:
        """The arguments of one command after the other; what stands behind a pipe is none of them."""
        arguments: list[str] = []
        piped = False
        while self.at < len(self.text):
            character = self.text[self.at]
            if hit := ENDS.match(self.text, self.at):
                self._see_that_it_ends(hit)
                self.at = hit.end()
                if arguments and not piped:
                    yield arguments
                arguments, piped = [], False
            elif character == "|":
                self.at += 1
                if arguments and not piped:
                    yield arguments
                arguments, piped = [], True
            elif character.isspace():
                self.at += 1
            elif self.text.startswith(("\\\n", "\\\r\n"), self.at):
                self.at = self.text.index("\n", self.at) + 1
            elif character == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            elif hit := re.compile(r"\d?(>>?|<)&?\d?\s*").match(self.text, self.at):
                self.at = hit.end()
                if hit[0].strip()[-1:] in "<>":
                    self._word()  # a file
            else:
                arguments.append(self._word())
        if arguments and not piped:
            yield arguments

    def _see_that_it_ends(self, hit: re.Match[str]) -> None:
        """An `&` in the middle of a word was meant as part of a URL."""
        around = self.text[max(0, hit.start() - 1) : hit.start()] + self.text[hit.end() : hit.end() + 1]
        if hit[0] == "&" and len(around) == 2 and not any(each.isspace() for each in around):
            raise self.mistake("a URL with & in it needs quotes")

    def _word(self) -> str:
        made: list[str] = []
        while self.at < len(self.text):
            character = self.text[self.at]
            if character.isspace() or character in ";|&<>":
                break
            if self.text.startswith("$'", self.at):
                made.append(self._ansi())
            elif character == "'":
                end = self.text.find("'", self.at + 1)
                if end < 0:
                    raise self.mistake("a ' is not closed")
                made.append(self.text[self.at + 1 : end])
                self.at = end + 1
            elif character == '"':
                made.append(self._double())
            elif character == "\\":
                made.append(self.text[self.at + 1 : self.at + 2].replace("\n", ""))
                self.at += 2
            else:
                made.append(self._expanded())
        return "".join(made)

    def _double(self) -> str:
        start = self.at
        made: list[str] = []
        self.at += 1
        while self.at < len(self.text):
            character = self.text[self.at]
            if character == '"':
                self.at += 1
                return "".join(made)
            if character == "\\" and self.text[self.at + 1 : self.at + 2] in ("$", "`", '"', "\\", "\n", "!"):
                made.append(self.text[self.at + 1].replace("\n", ""))
                self.at += 2
            else:
                made.append(self._expanded())
        raise self.mistake('a " is not closed', start)

    def _expanded(self) -> str:
        """One character, or a variable."""
        if hit := NAMED.match(self.text, self.at):
            self.at = hit.end()
            return VARIABLE % (hit[1] or hit[2])
        if self.text.startswith(("$(", "`"), self.at):
            raise self.mistake("commands inside of a command are not run; put in what they print")
        self.at += 1
        return self.text[self.at - 1]

    def _ansi(self) -> str:
        start = self.at
        made: list[str] = []
        self.at += 2
        while self.at < len(self.text):
            character = self.text[self.at]
            self.at += 1
            if character == "'":
                return "".join(made)
            if character != "\\":
                made.append(character)
            elif hit := CODED.match(self.text, self.at):
                code = int(next(filter(None, hit.groups())), 8 if hit[4] else 16)
                made.append(chr(code) if code <= 0x10FFFF else "\N{REPLACEMENT CHARACTER}")
                self.at = hit.end()
            else:
                following = self.text[self.at : self.at + 1]
                made.append(SIMPLE.get(following, "\\" + following))
                self.at += 1
        raise self.mistake("a $' is not closed", start)


def split_commands(text: str, shown: str) -> list[list[str]]:
    """The arguments of each curl command in a text.

    Raises:
        UsageError: a quote is open, there is no curl command, or it is for another shell.
    """
    text = clean(text.replace("\r\n", "\n"))
    if re.search(r"\^\s*$", text, re.MULTILINE) and '^"' in text:
        raise UsageError(f"{shown}: is for Windows' cmd: copy it as cURL (bash)")
    found = []
    for words in _Scanner(text, shown).commands():
        while words and (words[0] in ("$", "sudo", "time") or re.fullmatch(r"\w+=.*", words[0])):
            words = words[1:]
        if words and words[0].rpartition("/")[2] == "curl":
            found.append(words[1:])
        elif words:
            raise UsageError(
                f"{shown}: {one_line(words[0], 40)!r} is no curl command, and nothing else can be converted"
            )
    if not found:
        raise UsageError(f"{shown}: has no curl command")
    return found
