"""What a request over HTTP/2 costs the client, ciload or k6: CPU time beyond start-up, against nginx on another core.

python -m benchmarks.http2 --k6 PATH
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks.measure import run_pinned
from benchmarks.tools import SYSTEM_PATH

SERVER_CORE, CLIENT_CORE = 0, 1
FEW, MANY = 1_000, 20_000  # requests: the difference has no start-up in it
ROUNDS = 3
NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log; events {{ worker_connections 1000; }}
http {{
  access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  ssl_certificate {folder}/pem; ssl_certificate_key {folder}/key; keepalive_requests 1000000;
  default_type application/json;
  server {{ listen 127.0.0.1:{http2} ssl http2; location / {{ return 200 '{{"id":1}}'; }} }}
  server {{ listen 127.0.0.1:{http1} ssl; location / {{ return 200 '{{"id":1}}'; }} }}
}}
"""
CILOAD = 'from ciload import http\n\n\nasync def default():\n    await http.get("/")\n'
K6 = """
import http from 'k6/http';
export const options = {{ vus: {vus}, iterations: {iterations}, insecureSkipTLSVerify: true }};
export default function () {{ http.get('{url}/'); }}
"""


@contextmanager
def nginx(folder: Path) -> Iterator[dict[str, str]]:
    """A server for each version of HTTP, by name."""
    ports = {"http2": free_port(), "http1": free_port()}
    subject = ["-subj", "/CN=127.0.0.1", "-days", "2", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    files = ["-keyout", str(folder / "key"), "-out", str(folder / "pem")]
    subprocess.run(["openssl", "req", "-x509", *subject, *files], check=True, capture_output=True)
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, **ports))
    command = ["taskset", "--cpu-list", str(SERVER_CORE), "nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with subprocess.Popen(command, env=os.environ | {"PATH": SYSTEM_PATH}) as server:
        time.sleep(0.5)
        try:
            yield {name: f"https://127.0.0.1:{port}" for name, port in ports.items()}
        finally:
            server.terminate()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def cpu_s(command: list[str], folder: Path) -> float:
    used = run_pinned(command, core=CLIENT_CORE, folder=folder, env=os.environ, timeout_s=60)
    if used.exit_code:
        raise SystemExit(f"{' '.join(command)} ended with {used.exit_code}:\n{used.output}")
    return used.cpu_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--k6", help="the k6 to compare with")
    k6 = parser.parse_args().k6
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "load.py").write_text(CILOAD)
        with nginx(folder) as urls:
            for vus in (1, 50):
                ways = {f"ciload {version}": ("ciload", urls[version]) for version in urls}
                ways |= {f"k6 {version}": (k6, urls[version]) for version in urls} if k6 else {}
                for way, (program, url) in ways.items():
                    costs = sorted(_per_request_us(program, url, vus, folder) for _ in range(ROUNDS))
                    print(
                        f"{vus:3} VUs  {way:14} {median(costs):4.0f} µs a request ({costs[0]:.0f} to {costs[-1]:.0f})"
                    )


def _per_request_us(program: str, url: str, vus: int, folder: Path) -> float:
    cpu = {}
    for iterations in (FEW, MANY):
        if program == "ciload":
            load = ["--vus", str(vus), "--iterations", str(iterations), "--base-url", url]
            how = ["--http2", "auto", "--insecure-skip-tls-verify", "--quiet"]
            cpu[iterations] = cpu_s(["ciload", "run", "load.py", *load, *how], folder)
        else:
            (folder / "load.js").write_text(K6.format(vus=vus, iterations=iterations, url=url))
            cpu[iterations] = cpu_s([program, "run", "--quiet", "load.js"], folder)
    return (cpu[MANY] - cpu[FEW]) / (MANY - FEW) * 1e6


if __name__ == "__main__":
    main()
