"""The HTTP clients of a run, and how its options say that they reach their targets."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping

from ciload.http.client import Client
from ciload.http.network import Network
from ciload.http.proxies import find_proxies
from ciload.http.request import USER_AGENT, RequestDefaults
from ciload.http.tls import ClientCertificate, TlsSettings
from ciload.http.watching import Watch, WireLog, watch_for
from ciload.metrics.blocks import Arm
from ciload.options.model import Options
from ciload.script.api import is_as_expected

VERSIONS: Mapping[str, ssl.TLSVersion] = {
    "1.0": ssl.TLSVersion.TLSv1, "1.1": ssl.TLSVersion.TLSv1_1, "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}  # fmt: skip


def clients_for(options: Options, show: WireLog | None = None) -> dict[Arm, Client]:
    """An HTTP client for the target, and side by side another for the old one; `show` gets what they send and get."""
    watch = watch_for(trace=options.trace, show=show)
    clients: dict[Arm, Client] = {"new": make_client(options, options.base_url, watch)}
    if options.compare_url:
        clients["old"] = make_client(options, options.compare_url, watch)
    return clients


def make_client(options: Options, base_url: str, watch: Watch | None = None) -> Client:
    """A client for one target; `watch` sees its requests.

    Raises:
        ValueError: a variable of the environment names no proxy.
    """
    user_agent = USER_AGENT if options.user_agent is None else options.user_agent
    return Client(
        base_url=base_url,
        network=network_of(options, os.environ),
        defaults=RequestDefaults(
            tuple(options.headers.items()), user_agent, reuse=not options.no_connection_reuse
        ),
        max_redirects=options.max_redirects,
        keep_cookies=options.keep_cookies,
        max_body_kept=int(options.max_body_kept),
        discard_bodies=options.discard_response_bodies,
        batch=options.batch,
        batch_per_host=options.batch_per_host,
        http2=options.http2,
        ask=is_as_expected,
        watch=watch,
    )  # fmt: skip


def network_of(options: Options, environment: Mapping[str, str]) -> Network:
    """How connections come about in this run.

    Raises:
        ValueError: a proxy is none; the message says where it was named, if not in the options.
    """
    return Network(
        tls=tls_of(options),
        proxies=find_proxies(options.proxy, environment),
        hosts=options.hosts,
        policy=options.dns.policy,
        addresses_last_s=options.dns.ttl,
        local_addresses=options.local_ips,
        blocked_hosts=options.block_hostnames,
        blocked_networks=options.block_ips,
        unix_socket=options.unix_socket,
    )


def tls_of(options: Options) -> TlsSettings:
    lowest, highest = options.tls_version
    certificates = tuple(
        ClientCertificate(each.cert, each.key, each.password.get_secret_value(), each.domains)
        for each in options.tls_auth
    )
    return TlsSettings(
        verify=not options.insecure_skip_tls_verify, ca_bundle=options.ca_bundle, certificates=certificates,
        lowest=VERSIONS.get(lowest), highest=VERSIONS.get(highest),
    )  # fmt: skip
