"""TLS as a company has it: own authorities, certificates for clients, bounds on versions, and keys for Wireshark."""

from __future__ import annotations

import asyncio
import ssl
import time
from dataclasses import replace
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from ciload import http
from ciload.http.network import Network
from ciload.http.tls import ClientCertificate, TlsSettings, make_context, matches
from tests.http.server import Answer, Elsewhere, End, Pause, Server, by_path, response
from tests.http.vu import virtual_user

pytestmark = pytest.mark.anyio
OK = response(b"ok")
PASSWORD = "open sesame"
REFUSED = (1000, 1220, 1300)  # asyncio's server may end the connection before its alert has left


class Company:
    """An authority that nobody trusts by himself, with a server's certificate and one for a client."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.authority = trustme.CA()
        self.bundle = folder / "authority.pem"
        self.authority.cert_pem.write_to_path(self.bundle)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(*(names or ("localhost", "127.0.0.1"))).configure_cert(self.tls)
        client = self.authority.issue_cert("tester@example.test")
        self.both, self.cert, self.key, self.locked = (
            str(folder / f"{name}.pem") for name in ("both", "cert", "key", "locked")
        )  # fmt: skip
        client.private_key_and_cert_chain_pem.write_to_path(self.both)
        client.cert_chain_pems[0].write_to_path(self.cert)
        client.private_key_pem.write_to_path(self.key)
        key = serialization.load_pem_private_key(client.private_key_pem.bytes(), None)
        Path(self.locked).write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(PASSWORD.encode()),
            )
        )  # fmt: skip

    def asking(self) -> ssl.SSLContext:
        """The server's TLS, which lets nobody in without a certificate."""
        self.tls.verify_mode = ssl.CERT_REQUIRED
        self.tls.load_verify_locations(self.bundle)
        return self.tls

    def trusting(self, *certificates: ClientCertificate) -> Network:
        return Network(tls=TlsSettings(ca_bundle=str(self.bundle), certificates=certificates))


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return Company(tmp_path)


@pytest.mark.parametrize("place", ["file", "folder"])
async def test_a_bundle_beside_the_systems_authorities(company: Company, place: str) -> None:
    """It adds to whom the system trusts."""
    bundle = company.bundle if place == "file" else company.bundle.parent
    settings = TlsSettings(ca_bundle=str(bundle))
    system = len(ssl.create_default_context().get_ca_certs())
    assert len(make_context(settings).get_ca_certs()) > system
    async with Server(OK, tls=company.tls) as server:
        async with virtual_user(network=Network(tls=settings)):
            assert (await http.get(server.url)).text == "ok"
        async with virtual_user():
            assert (await http.get(server.url)).error_code == 1310


@pytest.mark.parametrize("parts", ["in one file", "apart", "locked"])
async def test_a_client_certificate(company: Company, parts: str) -> None:
    """With its key in the same file, in another one, or in one that needs a password."""
    certificate = {
        "in one file": ClientCertificate(company.both),
        "apart": ClientCertificate(company.cert, company.key),
        "locked": ClientCertificate(company.cert, company.locked, PASSWORD),
    }[parts]
    async with Server(OK, tls=company.asking()) as server, virtual_user(network=company.trusting(certificate)):
        assert (await http.get(server.url)).text == "ok"
    assert PASSWORD not in repr(certificate)


async def test_certificates_by_host(company: Company, tmp_path: Path) -> None:
    """A host gets the one that names it, before one that is for everybody; others get none."""
    (tmp_path / "other").mkdir()
    stranger = Company(tmp_path / "other")
    named = ClientCertificate(company.both, domains=("localhost", "*.example.test"))
    async with Server(OK, tls=company.asking()) as server:
        url = f"https://localhost:{server.port}/"
        async with virtual_user(network=company.trusting(ClientCertificate(stranger.both), named)):
            assert (await http.get(url)).text == "ok"
            assert (await http.get(f"https://127.0.0.1:{server.port}/")).error_code in REFUSED
        async with virtual_user(network=company.trusting(replace(named, domains=("*.localhost",)))):
            answer = await http.get(url)
            assert answer.error_code in REFUSED


def test_which_names_a_pattern_means() -> None:
    """As in k6: a star is for what is below, at any depth."""
    names = ["example.test", "a.example.test", "A.B.Example.Test", "badexample.test"]
    assert [matches(name, "*.example.test") for name in names] == [False, True, True, False]
    assert [matches(name, "Example.test") for name in names] == [True, False, False, False]


@pytest.mark.parametrize(
    ("lowest", "highest", "works"),
    [("TLSv1_2", "TLSv1_2", True), ("TLSv1_3", None, False), (None, "TLSv1_2", True), ("TLSv1_3", "TLSv1_3", False)],
)
async def test_bounds_on_the_version(company: Company, lowest: str | None, highest: str | None, works: bool) -> None:
    """A server that speaks 1.2 alone is reached when that is within the bounds."""
    company.tls.maximum_version = ssl.TLSVersion.TLSv1_2
    tls = TlsSettings(
        ca_bundle=str(company.bundle),
        lowest=None if lowest is None else ssl.TLSVersion[lowest],
        highest=None if highest is None else ssl.TLSVersion[highest],
    )
    network = Network(tls=tls)
    async with Server(OK, tls=company.tls) as server, virtual_user(network=network):
        answer = await http.get(server.url)
    assert (answer.text == "ok") is works
    assert works or answer.error_code in REFUSED


async def test_an_old_server_is_reached_by_who_insists(company: Company) -> None:
    """TLS 1.1 is what OpenSSL does not speak by itself."""
    old = company.tls
    with pytest.deprecated_call():
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    insisting = TlsSettings(ca_bundle=str(company.bundle), lowest=ssl.TLSVersion.TLSv1_1)
    async with Server(OK, tls=old) as server:
        async with virtual_user(network=Network(tls=insisting)):
            assert (await http.get(server.url)).text == "ok"
        async with virtual_user(network=company.trusting()):
            assert (await http.get(server.url)).error_code in REFUSED


async def test_keys_for_who_looks_at_the_packets(
    company: Company, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSLKEYLOGFILE is what Wireshark reads."""
    log = tmp_path / "keys.log"
    monkeypatch.setenv("SSLKEYLOGFILE", str(log))
    async with Server(OK, tls=company.tls) as server, virtual_user(network=company.trusting()):
        await http.get(server.url)
    assert "CLIENT_TRAFFIC_SECRET_0" in log.read_text()


# --- what lies in an encrypted socket, and refused uploads


@pytest.mark.parametrize("late_s", [0.0, 0.02])
async def test_an_answer_too_many_is_nobodys(company: Company, late_s: float) -> None:
    """It came with the right one, or while the event loop was kept from reading it: the next request takes another."""
    answers: dict[str, Answer] = {"/1": [OK, Pause(late_s), response(b"wrong")] if late_s else OK + response(b"wrong")}
    # In a thread of its own: the client's is blocked.
    with Elsewhere(lambda: Server(by_path({"/2": OK, **answers}), tls=company.tls)) as server:
        async with virtual_user(network=company.trusting()):
            for _ in range(5):
                assert (await http.get(f"{server.url}/1")).text == "ok"
                time.sleep(0.1 if late_s else 0)
                assert (await http.post(f"{server.url}/2")).text == "ok"


async def test_an_end_that_lies_in_the_socket_loses_no_post(company: Company) -> None:
    """The server closes a resting connection while the event loop is kept from seeing it."""
    with Elsewhere(lambda: Server([OK, End.CLOSE], tls=company.tls)) as server:
        async with virtual_user(network=company.trusting()) as vu:
            for _ in range(5):
                answer = await http.post(server.url, content=b"x")
                assert answer.text == "ok", answer.error
                time.sleep(0.05)
            assert vu.failed() == (0, 5)


async def test_messages_of_tls_are_no_answers(company: Company) -> None:
    """A connection that has rested is used again, whatever session tickets lie in its socket."""
    async with Server(OK, tls=company.tls) as server, virtual_user(network=company.trusting()):
        for _ in range(5):
            assert (await http.get(server.url)).text == "ok"
            await asyncio.sleep(0.005)
    assert server.connections == 1


@pytest.mark.parametrize("how", [End.CLOSE, End.RESET])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("size", [200_000, 20_000_000])
async def test_a_refused_upload_has_its_answer(company: Company, how: End, version: ssl.TLSVersion, size: int) -> None:
    """A server that reads the head, refuses, and closes: what it said is the answer.

    A reset that overtakes it destroys it in the kernel, so there is a moment between.
    """
    company.tls.maximum_version = version
    refusal = response(b"too large", "Connection: close", status="413 Content Too Large")
    async with (
        Server([refusal, Pause(0.05), how], when="head", tls=company.tls) as server,
        virtual_user(network=company.trusting()),
    ):
        for _ in range(3):
            answer = await http.post(server.url, content=bytes(size))
            assert (answer.status_code, answer.text) == (413, "too large"), answer.error
