"""The target of every run: nginx on one core, answering from memory, over HTTP and HTTPS."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

PATHS = {  # kinds of answers
    "plain": "/v3/users",  # a short one, always the same
    "same": "/same",  # eleven headers, always the same
    "realistic": "/realistic",  # the same headers, a request id and a changing length among them
    "chunked": "/chunked",
    "gzip": "/large.json",
    "json": "/large.json",
}
BODY = (
    '{"count":3,"results":[{"id":1,"name":"Ada Lovelace"},{"id":2,"name":"Alan Turing"},'
    '{"id":3,"name":"Grace Hopper"}],"next":null,"previous":null,"detail":"the same answer every time"}'
)
HEADERS = {
    "Vary": "Accept-Encoding",
    "X-Request-Id": "0123456789abcdef0123456789abcdef",
    "Cache-Control": "no-store",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
USER = {"id": 17, "name": "Grace Hopper", "email": "grace@example.com", "roles": ["admin", "dev"], "score": 99.25}
LARGE = json.dumps({"count": 80, "results": [USER | {"id": number} for number in range(80)], "next": None})  # 10 kB
CONNECTIONS = 20_000
START_S = 10.0

CONFIG = """
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log crit;
events {{ worker_connections {connections}; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    split_clients $request_id $pad {{ 25% "a"; 25% "bbbbbb"; 25% "ccccccccccccccccc"; * "ddddddddddddddddddd"; }}
    server {{
        listen 127.0.0.1:{http} backlog=8192;
        listen 127.0.0.1:{https} ssl backlog=8192;
        ssl_certificate {folder}/cert.pem;
        ssl_certificate_key {folder}/key.pem;
        listen 127.0.0.1:{http2} ssl http2 backlog=8192;
        default_type application/json;
        root {folder};
        location = /v3/users {{ return 200 '{body}'; }}
        location = /same {{ {same} return 200 '{{"id":"0123456789abcdef0123456789abcdef","pad":"aaaaaa",{users}}}'; }}
        location = /realistic {{ {realistic} return 200 '{{"id":"$request_id","pad":"$pad",{users}}}'; }}
        location = /chunked {{
            {realistic} ssi on; ssi_types *; return 200 '{{"id":"$request_id","pad":"$pad",{users}}}';
        }}
        location = /large.json {{ {realistic} gzip on; gzip_types application/json; gzip_comp_level 1; }}
    }}
    server {{
        listen 127.0.0.1:{status};
        location = /status {{ stub_status; }}
    }}
}}
"""


class ServerFailedError(Exception):
    """nginx did not start."""


@dataclass(frozen=True, slots=True)
class Served:
    """What the server has counted since it started."""

    connections: int
    requests: int


@dataclass(frozen=True, slots=True)
class Server:
    http_port: int
    https_port: int
    http2_port: int
    status_port: int

    def url(self, scheme: str, answer: str) -> str:
        """`scheme` is http, https, or http2, which is over TLS."""
        port = {"http": self.http_port, "https": self.https_port, "http2": self.http2_port}[scheme]
        return f"{'http' if scheme == 'http' else 'https'}://127.0.0.1:{port}{PATHS[answer]}"

    def served(self) -> Served:
        """Read the counters. Each reading is itself one connection and one request in them."""
        connection = http.client.HTTPConnection("127.0.0.1", self.status_port, timeout=5)
        connection.request("GET", "/status", headers={"Connection": "close"})
        lines = connection.getresponse().read().decode().splitlines()
        connection.close()
        accepted, _, requests = lines[2].split()  # under "server accepts handled requests"
        return Served(int(accepted), int(requests))


@contextmanager
def nginx(tools: Mapping[str, Path], core: int) -> Iterator[Server]:
    """nginx with one worker, pinned to `core`, on free ports; gone when the block ends.

    Raises:
        ServerFailedError: it did not start; the message is nginx's own.
    """
    server = Server(*free_ports(4))
    with TemporaryDirectory(prefix="ciload-bench-nginx-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # a worker is nobody when root starts nginx, and has to read the large answers
        self_signed_certificate(tools["openssl"], folder)
        config = folder / "nginx.conf"
        (folder / "large.json").write_text(LARGE)
        config.write_text(
            CONFIG.format(
                folder=folder, body=BODY, connections=CONNECTIONS, same=headers(HEADERS),
                realistic=headers(HEADERS | {"X-Request-Id": "$request_id"}), users=BODY[BODY.index('"results"') : -1],
                http=server.http_port, https=server.https_port, http2=server.http2_port, status=server.status_port,
            )
        )  # fmt: skip
        log = folder / "output.txt"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [tools["taskset"], "--cpu-list", str(core), tools["nginx"],
                 "-e", folder / "error.log", "-p", folder, "-c", config],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        try:
            wait_until_up(server, process, log)
            yield server
        finally:
            process.terminate()  # the master ends its worker
            process.wait(timeout=10)


def headers(values: Mapping[str, str]) -> str:
    return " ".join(f"add_header {name} {value};" for name, value in values.items())


def wait_until_up(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    give_up = time.monotonic() + START_S
    while True:
        try:
            server.served()
        except OSError:
            if process.poll() is not None or time.monotonic() > give_up:
                raise ServerFailedError(f"nginx did not start: {log.read_text(errors='replace').strip()}") from None
            time.sleep(0.02)
        else:
            return


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on now; all are held until the last is known, so they differ."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for held in sockets:
            held.bind(("127.0.0.1", 0))
        return [held.getsockname()[1] for held in sockets]
    finally:
        for held in sockets:
            held.close()


def self_signed_certificate(openssl: Path, folder: Path) -> None:
    """Write cert.pem and key.pem for 127.0.0.1: ECDSA on P-256, as most sites have today."""
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
