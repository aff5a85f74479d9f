"""What is at a URL: an OpenAPI document, a service that has one, or a page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from ciload.errors import UsageError
from ciload.secrets import without_secrets
from ciload.starter.document import Document, document_from, may_be_document
from ciload.starter.places import Answer, NotFollowedError, Web, fetch
from ciload.text import one_line

# Where services have theirs: FastAPI, Spring, ASP.NET, Django REST framework, and others.
USUAL = ("/openapi.json", "/v3/api-docs", "/swagger/v1/swagger.json", "/swagger.json", "/openapi.yaml", "/api/schema/")
NAMED_SO = re.compile(r"(openapi|swagger|api-docs)[^/]*$|\.ya?ml$", re.IGNORECASE)
SHOWS_ONE = re.compile(rb"swagger-ui|redoc|rapidoc|stoplight|scalar", re.IGNORECASE)  # pages made from a document
LINK = re.compile(rb"""["'](/?[\w./:-]{0,99}(?:openapi|swagger|api-docs|schema)[\w./-]{0,99})["']""", re.IGNORECASE)
MOST_LINKS = 5


@dataclass(frozen=True, slots=True)
class Found:
    """What is there. `url` is where the document was; `status` what the page answers, None when nothing does."""

    url: str
    document: Document | None
    status: int | None
    why: str = ""  # nothing answers


def look_at(url: str) -> Found:
    """Ask what is there, once; a service, or a page that shows a document, also for that document.

    Raises:
        UsageError: by its name it is a document, and there is none.
    """
    shown = one_line(without_secrets(url))
    path = urlsplit(url).path
    by_name = NAMED_SO.search(path) is not None
    try:
        answer = fetch(url)
    except NotFollowedError as error:
        if by_name:
            raise UsageError(f"{shown}: cannot be read: {error}") from None
        return Found(url, None, None, str(error))
    if document := _document(answer, must_be=by_name):
        return Found(answer.url, document, answer.status)
    is_page_of_one = SHOWS_ONE.search(answer.data) is not None
    if path in ("", "/") or is_page_of_one:
        links = LINK.findall(answer.data)[:MOST_LINKS] if is_page_of_one else []
        for each in dict.fromkeys([*(link.decode() for link in links), *USUAL]):
            if found := _at(answer.url, each):
                return found
    elif by_name:
        what = f"answers with status {answer.status}" if answer.status != 200 else "is no OpenAPI document"
        raise UsageError(f"{shown}: {what}; for a page, name one that is no document: ciload init http://host/page")
    return Found(url, None, answer.status)


def _at(page: str, link: str) -> Found | None:
    try:
        url = Web().join(page, link)
        answer = fetch(url, most_redirects=0)
    except NotFollowedError:
        return None
    document = _document(answer)
    return Found(urljoin(page, link), document, answer.status) if document else None


def _document(answer: Answer, *, must_be: bool = False) -> Document | None:
    if answer.status != 200 or not may_be_document(answer.data):
        return None
    try:
        return document_from(answer.url, answer.data)
    except UsageError:
        if must_be:
            raise
        return None
