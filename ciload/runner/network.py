"""Before the load: are the settings of connections ones that any connection can be made with?"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ciload.engine.clients import network_of, tls_of
from ciload.errors import Complaint, OptionsError
from ciload.http.network import Network
from ciload.http.tls import ClientCertificate, make_context
from ciload.options.model import Options
from ciload.options.plan import origins
from ciload.options.sources import Source

NOT_PEM = ("NO_CERTIFICATE_OR_CRL_FOUND", "NO_START_LINE", "PEM lib", "PEM_LIB", "BAD_BASE64_DECODE")


def checked_network(options: Options, sources: Sequence[Source]) -> Network:
    """The network of a run.

    Raises:
        OptionsError: files or proxies that no request could be sent with; all at once, with their places.
    """
    said_at = origins(sources)
    complaints = list(_about_certificates(options, said_at))
    try:
        network = network_of(options, os.environ)
    except ValueError as error:
        complaints.append(Complaint(said_at.get("proxy", "the environment"), str(error)))
    if options.no_connection_reuse and options.http2 != "off":
        message = "no_connection_reuse: connections of HTTP/2 are there to be shared"
        complaints.append(Complaint(said_at["no_connection_reuse"], message, "say http2: off"))
    if complaints:
        raise OptionsError(complaints)
    return network


def _about_certificates(options: Options, said_at: Mapping[str, str]) -> Iterable[Complaint]:
    tls = tls_of(options)
    if options.ca_bundle:
        try:
            make_context(tls)
        except OSError as error:
            yield Complaint(said_at["ca_bundle"], f"ca_bundle: {options.ca_bundle}: {_why(error)}")
            return
    for number, certificate in enumerate(tls.certificates, 1):
        try:
            make_context(tls, certificate)
        except OSError as error:
            yield Complaint(
                said_at["tls_auth"], f"tls_auth: entry {number}, {certificate.cert}: {_why(error, certificate)}"
            )


def _why(error: OSError, certificate: ClientCertificate | None = None) -> str:
    """OpenSSL's reasons are for people who know OpenSSL."""
    if not isinstance(error, ssl.SSLError):
        return (error.strerror or str(error)).lower()
    reason = error.reason or str(error)
    if reason == "KEY_VALUES_MISMATCH":
        return "the key is not that of the certificate"
    if certificate is not None and _is_locked(certificate):
        return "the password of the key is wrong, or missing"
    if any(each in reason or each in str(error) for each in NOT_PEM):
        return "no PEM file with what is needed: a certificate, and for a client its key"
    return f"OpenSSL says {reason}"


def _is_locked(certificate: ClientCertificate) -> bool:
    """Whether the key needs a password: OpenSSL has the same reason for a wrong one as for a file of another kind."""
    try:
        return b" ENCRYPTED" in Path(certificate.key or certificate.cert).read_bytes()
    except OSError:
        return False
