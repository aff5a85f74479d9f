"""Where documents are: files of one folder, or URLs of one server. What they refer to is read with limits, or not."""

from __future__ import annotations

import os
import re
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urljoin, urlsplit

from ciload.errors import UsageError
from ciload.files import read_file, reason_of
from ciload.secrets import without_secrets
from ciload.text import one_line

MOST_BYTES = 16 << 20  # of one document
PAUSE_TIMEOUT_S = 10.0
WITHIN_S = 30.0  # one document, a byte every now and then
MOST_REDIRECTS = 5
LOCAL = ("localhost", "127.0.0.1", "0.0.0.0", "::1", "host.docker.internal")  # noqa: S104  # nothing listens there
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
ACCEPT = "application/json, application/yaml;q=0.9, */*;q=0.8"
ERRNO = re.compile(r"^\[Errno -?\d+\] ")
PORTS = {"http": 80, "https": 443}


class NotFollowedError(Exception):
    """Why a reference leads nowhere, in words."""


class Places(Protocol):
    """A kind of place. Both methods raise `NotFollowedError`."""

    most_documents: int

    def join(self, place: str, reference: str) -> str:
        """The place that a reference in the document at `place` means."""

    def read(self, place: str) -> bytes: ...

    def shown(self, place: str) -> str: ...


class Files:
    """Files inside of one folder: the repository of the document, else the working directory, else its own folder."""

    most_documents = 2_000

    def __init__(self, document: str) -> None:
        path, here = Path(document).resolve(), Path.cwd()
        repository = next((each for each in path.parents if (each / ".git").exists()), None)
        self.folder = repository or (here if path.is_relative_to(here) else path.parent)

    def join(self, place: str, reference: str) -> str:
        if SCHEME.match(reference) or reference.startswith("//"):
            raise NotFollowedError("from a file, no URL is followed; save what is there beside it")
        try:
            path = (Path(place).parent / unquote(reference)).resolve()
        except (OSError, ValueError, RuntimeError):  # a null byte, a link to itself
            raise NotFollowedError("no file can be called so") from None
        if not path.is_relative_to(self.folder):
            raise NotFollowedError(f"lies outside of {one_line(str(self.folder))}")
        return str(path)

    def read(self, place: str) -> bytes:
        try:
            return read_file(place, MOST_BYTES)
        except FileNotFoundError:
            raise NotFollowedError("there is no such file") from None
        except OSError as error:
            raise NotFollowedError(reason_of(error)) from None

    def shown(self, place: str) -> str:
        return one_line(os.path.relpath(place) if Path(place).is_absolute() else place)


class Web:
    """URLs of the server that the document came from, and of no other: it must not choose whom this machine asks."""

    most_documents = 100

    def join(self, place: str, reference: str) -> str:
        try:
            url = urljoin(place, reference)
            same = _server(url) == _server(place)
        except ValueError:
            raise NotFollowedError("is no URL") from None
        if not same:
            raise NotFollowedError("is at another server than the document, which is not asked")
        return url

    def read(self, place: str) -> bytes:
        answer = fetch(place, most_redirects=0)
        if answer.status != 200:
            raise NotFollowedError(f"the server answers with status {answer.status}")
        return answer.data

    def shown(self, place: str) -> str:
        return one_line(without_secrets(place))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server says; `url` is where it said that, after redirects."""

    url: str
    status: int
    data: bytes


def fetch(url: str, *, most_redirects: int = MOST_REDIRECTS) -> Answer:
    """What is at a URL. The target's certificate is checked, and must be known to OpenSSL or in SSL_CERT_FILE.

    Raises:
        NotFollowedError: nothing answers, or not with something of a size that a document can have.
    """
    import httpx  # late: few documents come from URLs

    ends_at = time.monotonic() + WITHIN_S
    headers = {"Accept": ACCEPT, "Accept-Encoding": "identity", "User-Agent": "ciload"}
    try:
        with httpx.Client(
            timeout=PAUSE_TIMEOUT_S, headers=headers, verify=ssl.create_default_context(),
            follow_redirects=most_redirects > 0, max_redirects=most_redirects, trust_env=not is_local(url),
        ) as client, client.stream("GET", url) as reply:  # fmt: skip
            data = bytearray()
            for chunk in reply.iter_raw():
                data += chunk
                if len(data) > MOST_BYTES:
                    raise NotFollowedError(f"is larger than the {MOST_BYTES >> 20} MiB that a document can have")
                if time.monotonic() > ends_at:
                    raise NotFollowedError(f"was not downloaded within {WITHIN_S:g} s")
            return Answer(str(reply.url), reply.status_code, bytes(data))
    except httpx.TimeoutException:
        raise NotFollowedError(f"the server is silent for {PAUSE_TIMEOUT_S:g} s") from None
    except httpx.TooManyRedirects:
        raise NotFollowedError("redirects do not end") from None
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, ValueError) as error:
        # The text of others may quote the URL, and with it a password.
        reason = str(error) if isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError) else ""
        reason = ERRNO.sub("", reason)
        if "CERTIFICATE_VERIFY_FAILED" in reason:
            reason += "; SSL_CERT_FILE names other authorities"
        raise NotFollowedError(one_line(reason) or type(error).__name__) from None


def read_start(place: str) -> bytes:
    """The document that the user has named.

    Raises:
        UsageError: there is none, or it cannot be read.
    """
    shown = one_line(place)
    try:
        return read_file(place, MOST_BYTES)
    except FileNotFoundError:
        raise UsageError(f"{shown}: there is no such file; a URL begins with http:// or https://") from None
    except OSError as error:
        raise UsageError(f"{shown}: {reason_of(error)}; give an OpenAPI file or a URL") from None


def is_local(url: str) -> bool:
    try:
        return urlsplit(url).hostname in LOCAL
    except ValueError:
        return False


def _server(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or PORTS.get(parts.scheme)
