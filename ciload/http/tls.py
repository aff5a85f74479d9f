"""TLS to the targets: who is trusted, which versions are spoken, and which certificate is shown to whom."""

from __future__ import annotations

import ssl
import warnings
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

LEGACY = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)  # OpenSSL speaks them only at its lowest level of security


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A certificate that servers may ask for, as PEM files. Without `domains` it is shown to any server."""

    cert: str
    key: str = ""  # "": in the same file
    password: str = field(default="", repr=False)  # of the key
    domains: tuple[str, ...] = ()  # names, or *.example.com

    def is_for(self, host: str) -> bool:
        return not self.domains or any(matches(host, domain) for domain in self.domains)


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """How connections are encrypted. By default whom OpenSSL trusts, SSL_CERT_FILE and SSL_CERT_DIR included."""

    verify: bool = True
    ca_bundle: str = ""  # a PEM file with more authorities, or a folder of them
    certificates: tuple[ClientCertificate, ...] = ()
    lowest: ssl.TLSVersion | None = None
    highest: ssl.TLSVersion | None = None


def matches(host: str, pattern: str) -> bool:
    """Whether a name fits a pattern: itself, or with `*.` before it anything below."""
    host, pattern = host.lower(), pattern.lower()
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern


class TlsContexts:
    """OpenSSL's contexts, made when first needed: one for each certificate that is shown, and one for none."""

    def __init__(self, settings: TlsSettings, protocols: list[str]) -> None:
        """`protocols` are offered to servers (ALPN), the preferred one first."""
        self._settings = settings
        self._protocols = protocols
        self._contexts: dict[ClientCertificate | None, ssl.SSLContext] = {}

    def context_for(self, host: str) -> ssl.SSLContext:
        """The first certificate that names the host is shown to it; else one that is for everybody."""
        fitting = [each for each in self._settings.certificates if each.is_for(host)]
        certificate = next((each for each in fitting if each.domains), fitting[0] if fitting else None)
        context = self._contexts.get(certificate)
        if context is None:
            context = self._contexts[certificate] = make_context(self._settings, certificate)
            context.set_alpn_protocols(self._protocols)
        return context


def make_context(settings: TlsSettings, certificate: ClientCertificate | None = None) -> ssl.SSLContext:
    """One of OpenSSL's contexts. It writes the session's keys to the file of SSLKEYLOGFILE if that is set.

    Raises:
        OSError: a file cannot be read, or is not PEM (ssl.SSLError).
    """
    context = ssl.create_default_context()
    if settings.ca_bundle:
        load_authorities(context, settings.ca_bundle)
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    with warnings.catch_warnings():  # old versions are what was asked for
        warnings.simplefilter("ignore", DeprecationWarning)
        if settings.lowest is not None:
            context.minimum_version = settings.lowest
        if settings.highest is not None:
            context.maximum_version = settings.highest
    if settings.lowest in LEGACY:
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
    if certificate is not None:
        # OpenSSL would ask for a missing password at the terminal.
        context.load_cert_chain(certificate.cert, certificate.key or None, lambda: certificate.password)
    return context


def load_authorities(context: ssl.SSLContext, place: str) -> None:
    """Trust the authorities in a PEM file, or in the PEM files of a folder, as well.

    Raises:
        OSError: there are none, or they cannot be read.
    """
    path = Path(place)
    if not path.is_dir():
        context.load_verify_locations(cafile=place)
        return
    before = context.cert_store_stats()["x509"]
    for each in sorted(path.iterdir()):
        if each.suffix in (".pem", ".crt", ".cer"):
            with suppress(ssl.SSLError):  # a key, perhaps
                context.load_verify_locations(cafile=str(each))
    if context.cert_store_stats()["x509"] == before:
        raise FileNotFoundError("none of its .pem, .crt and .cer files has a certificate that was not known")
