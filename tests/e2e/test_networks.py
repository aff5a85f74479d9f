"""Runs in a company's network: a proxy, an authority of its own, client certificates, tokens in headers."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.conftest import Ciload
from tests.http.proxy_servers import http_proxy, socks_proxy
from tests.http.server import Elsewhere, Server, response
from tests.http.test_certificates import PASSWORD, Company

GET = """
from ciload import check, http
async def default(vu):
    reply = await http.get("/users")
    check(reply, {"is there": reply.status_code == 200})
"""
OK = response(b"ok", "Set-Cookie: sid=1")


def test_a_proxy_and_a_client_certificate_for_the_load_and_before_it(ciload: Ciload, tmp_path: Path) -> None:
    """--wait-for goes the way of the load; nothing that is secret is in any output."""
    company = Company(tmp_path, "api.example.test")
    with (
        http_proxy(tmp_path, signing_in=True) as port,
        Elsewhere(lambda: Server(OK, tls=company.asking())) as server,
    ):
        script = GET + (
            "options = {'thresholds': {'checks': ['rate==1']}, 'tls_auth': [{'cert': "
            f"{company.cert!r}, 'key': {company.locked!r}, 'password': {PASSWORD!r}, "
            "'domains': ['*.example.test']}]}\n"
        )

        run = ciload.run(
            script, "--base-url", f"https://api.example.test:{server.port}", "--ca-bundle", str(company.bundle),
            "--wait-for", f"https://api.example.test:{server.port}/health", "--wait-timeout", "5s",
            "--resolve", f"api.example.test:{server.port}:127.0.0.1", "--header", "X-Api-Key: hushhush",
            "-u", "2", "-i", "6", "--workers", "2",
        )  # fmt: skip
        assert run.code == 0, run.all_text()
        assert {each.header("x-api-key") for each in server.requests} == {"hushhush"}
        assert server.targets.count("/users") == 6
        assert "/health" in server.targets
        assert "hushhush" not in run.all_text()
        assert PASSWORD not in run.all_text()
        assert run.result["options"]["headers"] == {"X-Api-Key": "***"}
        refused = ciload.run(
            GET, "--base-url", "http://api.example.test", "--proxy", f"http://jo:wrongwrong@127.0.0.1:{port}", "-i", "1"
        )
        assert refused.code == 0  # it is an answer: 401 of the proxy
        assert "wrongwrong" not in refused.all_text()


def test_the_proxy_of_the_environment_is_named(ciload: Ciload) -> None:
    """For other machines; this one's own addresses are asked directly."""
    with socks_proxy() as port, Elsewhere(lambda: Server(OK)) as server:
        direct = ciload.run(GET, "--base-url", server.url, "-i", "1", ALL_PROXY=f"socks5://127.0.0.1:{port}")
        assert (direct.code, len(server.requests)) == (0, 1)
        assert f"go through socks5://127.0.0.1:{port}" in direct.stderr
        assert "--proxy none goes without" in direct.stderr
        through = ciload.run(GET, "--base-url", server.url, "-i", "1", CILOAD_PROXY=f"socks5://127.0.0.1:{port}")
        assert (through.code, len(server.requests)) == (0, 2)


def test_a_unix_socket_is_the_target(ciload: Ciload, tmp_path: Path) -> None:
    """By its URL, for --wait-for as well."""
    with Elsewhere(lambda: Server(OK, path=tmp_path / "app.sock")) as server:
        run = ciload.run(GET, "--base-url", server.url, "--wait-for", f"{server.url}/up", "-i", "3", "-u", "1")
        assert run.code == 0, run.all_text()
        assert server.targets == ["/up", *["/users"] * 3]
    assert [each["name"] for each in run.result["endpoints"]] == ["/users"]


def test_cookies_that_stay(ciload: Ciload) -> None:
    """With --keep-cookies an iteration has those of the one before."""
    with Elsewhere(lambda: Server(OK)) as server:
        for flags, cookies in (([], [None] * 3), (["--keep-cookies"], [None, "sid=1", "sid=1"])):
            del server.requests[:]
            assert ciload.run(GET, "--base-url", server.url, "-i", "3", "-u", "1", *flags).code == 0
            assert [each.header("cookie") for each in server.requests] == cookies


def test_files_that_cannot_be_used_are_told_before_the_load(ciload: Ciload, tmp_path: Path) -> None:
    """All at once, with what is wrong with each; exit code 104."""
    company = Company(tmp_path)
    (tmp_path / "other").mkdir()
    other = Company(tmp_path / "other")
    script = GET + (
        f"options = {{'tls_auth': [{{'cert': {company.cert!r}, 'key': {company.locked!r}, 'password': 'wrongwrong'}},"
        f" {{'cert': {company.cert!r}, 'key': {other.key!r}}}, {{'cert': 'nowhere.pem'}}, {{'cert': 'load.py'}}]}}\n"
    )
    run = ciload.run(script, "--base-url", "https://localhost:9", "--proxy", "ftp://me:hushhush@x")
    assert run.code == 104
    for said in (
        f"load.py:6: tls_auth: entry 1, {company.cert}: the password of the key is wrong, or missing",
        f"tls_auth: entry 2, {company.cert}: the key is not that of the certificate",
        "tls_auth: entry 3, nowhere.pem: no such file or directory",
        "tls_auth: entry 4, load.py: no PEM file",
        "--proxy: not a proxy like",
    ):
        assert said in run.stderr
    assert "wrongwrong" not in run.all_text()
    assert "hushhush" not in run.all_text()
