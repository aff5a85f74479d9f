"""An OpenAPI 3 or Swagger 2 document as plain data, and the documents that it refers to.

They may be anything: what is made of them has text keys, a bounded size and no cycles.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ciload.errors import UsageError
from ciload.starter.places import Files, NotFollowedError, Places, Web, read_start
from ciload.starter.plain import MOST_NODES, Reference, parse
from ciload.text import one_line

MOST_BYTES = 64 << 20  # of all documents
MOST_REFERENCES = 20  # one behind the other
MOST_UNFOLLOWED = 100
VERSION = re.compile(rb"""["']?(openapi|swagger)["']?\s*:""")


class Document:
    """The document that one starts with, and what references in it point to.

    `unfollowed` says which of them could not be followed, and why.
    """

    def __init__(self, root: Mapping[str, Any], place: str = "", places: Places | None = None) -> None:
        self.root = root
        self.unfollowed: dict[str, str] = {}
        self._place = place
        self._places = places
        self._others: dict[str, Any] = {place: root}
        self._broken: dict[str, str] = {}
        self._bytes_left = MOST_BYTES
        self._nodes_left = [MOST_NODES]

    @property
    def is_swagger(self) -> bool:
        return "swagger" in self.root

    def resolve(self, node: object) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        """The mapping that this is or refers to, and the references on the way; empty when there is none.

        What stands beside a reference goes before what it refers to.
        """
        passed: list[str] = []
        beside: dict[str, Any] = {}
        while isinstance(node, Mapping) and isinstance(reference := node.get("$ref"), str):
            beside = {**{key: each for key, each in node.items() if key != "$ref"}, **beside}
            try:
                place, pointer = self._target(reference)
                whole = f"{place}#{pointer}"
                if whole in passed or len(passed) >= MOST_REFERENCES:
                    raise NotFollowedError("refers to itself")
                passed.append(whole)
                node = self._at(place, pointer)
            except NotFollowedError as error:
                self._note(reference, str(error))
                return beside, tuple(passed)
        if not isinstance(node, Mapping):
            return beside, tuple(passed)
        return {**node, **beside} if beside else node, tuple(passed)

    def mapping(self, node: object) -> Mapping[str, Any]:
        return self.resolve(node)[0]

    def _note(self, reference: str, why: str) -> None:
        if len(self.unfollowed) < MOST_UNFOLLOWED:
            shown = one_line(str(reference))
            if isinstance(reference, Reference):
                document = self._places.shown(reference.place) if self._places else ""
                shown += f" (in {document}{one_line(reference.at)})"
            self.unfollowed[shown] = why

    def _target(self, reference: str) -> tuple[str, str]:
        before, _, pointer = str(reference).partition("#")
        home = reference.place if isinstance(reference, Reference) else self._place
        if not before:
            return home, pointer
        if self._places is None:
            raise NotFollowedError("is in another document")
        return self._places.join(home, before), pointer

    def _at(self, place: str, pointer: str) -> object:
        node: object = self._read(place)
        if not pointer:
            return node
        if not pointer.startswith("/"):
            raise NotFollowedError("is no path in a document, which begins with #/")
        for part in unquote(pointer[1:]).split("/"):
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(node, Mapping) and key in node:
                node = node[key]
            elif isinstance(node, list) and key.isascii() and key.isdigit() and len(key) < 6 and int(key) < len(node):
                node = node[int(key)]
            else:
                raise NotFollowedError("is not in the document")
        return node

    def _read(self, place: str) -> object:
        """Another document, read once."""
        if place in self._others:
            return self._others[place]
        if place not in self._broken:
            try:
                self._others[place] = self._load(place)
                return self._others[place]
            except NotFollowedError as error:
                self._broken[place] = str(error)
        raise NotFollowedError(self._broken[place])

    def _load(self, place: str) -> object:
        assert self._places is not None
        if len(self._others) > self._places.most_documents:
            raise NotFollowedError(f"there are more than {self._places.most_documents:,} documents")
        data = self._places.read(place)
        self._bytes_left -= len(data)
        if self._bytes_left < 0:
            raise NotFollowedError(f"the documents are larger than {MOST_BYTES >> 20} MiB together")
        try:
            return parse(data, "", place, self._nodes_left)
        except UsageError as error:
            raise NotFollowedError(str(error).removeprefix(": ")) from None


def read_document(place: str) -> Document:
    """The document in a file.

    Raises:
        UsageError: there is none, it cannot be read, or it is no OpenAPI document.
    """
    where = str(Path(place).resolve())
    return _document(parse(read_start(place), one_line(place), where), where, one_line(place), Files(place))


def document_from(url: str, data: bytes) -> Document:
    """The document that a server has sent.

    Raises:
        UsageError: it is none.
    """
    places = Web()
    shown = places.shown(url)
    return _document(parse(data, shown, url), url, shown, places)


def may_be_document(data: bytes) -> bool:
    """Whether it is worth parsing: a page is no document, whatever it is called."""
    return data.lstrip()[:1] != b"<" and VERSION.search(data) is not None


def _document(root: object, place: str, shown: str, places: Places) -> Document:
    if not isinstance(root, dict) or not ("openapi" in root or "swagger" in root):
        raise UsageError(
            f"{shown}: is no OpenAPI document, which begins with `openapi: 3` or `swagger: '2.0'`; "
            "without one, give the URL of a page to begin with: ciload init http://localhost:8000/"
        )
    return Document(root, place, places)
