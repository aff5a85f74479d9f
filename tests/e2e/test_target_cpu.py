"""CPU per request of real servers."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.e2e.conftest import Ciload

# Burns so many ms of CPU time for each request, however fast the machine is.
SERVER = """
import sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version, wbufsize = "HTTP/1.1", 1 << 16

    def do_GET(self):
        end = time.thread_time() + float(sys.argv[1]) / 1e3
        while time.thread_time() < end:
            pass
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"""
SCRIPT = """
from ciload import http

async def default():
    await http.get("/")
"""


@contextmanager
def burning(ms: float) -> Iterator[tuple[str, int]]:
    """A server that burns so much for each request: its URL and process ID."""
    with subprocess.Popen([sys.executable, "-c", SERVER, str(ms)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}", process.pid
        finally:
            process.kill()


def test_a_fifth_more_cpu_is_found_side_by_side(ciload: Ciload) -> None:
    """One server is told by its port and the other by its ID; what they burnt is what is measured, block by block."""
    with ExitStack() as stack:
        new_url, _ = stack.enter_context(burning(2.4))
        old_url, old_pid = stack.enter_context(burning(2.0))
        run = ciload.run(
            SCRIPT, "--rate", "110/s", "-d", "13s", "-u", "60", "--base-url", new_url, "--compare-url", old_url,
            "--target-process", "port", "--compare-process", str(old_pid),
        )  # fmt: skip

    result = run.result
    assert run.code == 96, run.stdout
    [found] = [each for each in result["comparisons"][0]["metrics"] if each["metric"] == "CPU per request"]
    assert found["verdict"] == "regression", run.stdout
    assert 2.0 < found["old"] < found["new"]
    assert 0.1 < found["change"] < 0.25
    assert result["target_cpu"]["per_request"] > 2.4
    rows = {each["arm"]: each for each in result["blocks"]["rows"] if not each["name"]}
    for arm, whole in (("new", result["target_cpu"]), ("old", result["old_arm"]["target_cpu"])):
        assert abs(sum(rows[arm]["cpu_s"]) - whole["cpu_s"]) < 1e-6
    assert f"PID {old_pid}" in run.stdout


def test_a_process_that_cannot_be_seen_ends_the_run_before_its_load(ciload: Ciload, server: str) -> None:
    """Each process is complained about, with the place where it was said; nothing is sent."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    run = ciload.run(
        SCRIPT, "--base-url", f"http://127.0.0.1:{port}", "--compare-url", server, "--target-process", "port",
        CILOAD_COMPARE_PROCESS="4194305",
    )  # fmt: skip

    assert run.code == 104
    assert f"--target-process: nothing that this machine shows listens on port {port}" in run.stderr
    assert "CILOAD_COMPARE_PROCESS: there is no process PID 4194305 in sight" in run.stderr
    assert run.result["load"]["load_s"] == 0


def test_who_does_not_ask_does_not_pay(ciload: Ciload, server: str) -> None:
    """A run without the options does not even load what it would take."""
    script = "import sys\n" + SCRIPT + "    assert 'psutil' not in sys.modules\n"
    run = ciload.run(script, "-i", "1", "--base-url", server)

    assert run.code == 0, run.stdout
    assert run.result["target_cpu"] is None


def test_a_process_that_ends_in_the_load_is_told(ciload: Ciload, server: str) -> None:
    """The run goes on with a warning, and the metric is not judged."""
    script = (
        "import pathlib\nfrom ciload import sleep\n"
        + SCRIPT
        + "    pathlib.Path('begun').touch()\n    await sleep(0.1)\n"
    )
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        started = ciload.start(script, "-d", "2s", "--base-url", server, "--target-process", str(process.pid))
        while not (ciload.folder / "begun").exists() and started.poll() is None:
            time.sleep(0.05)
        process.kill()
        process.wait()
        run = ciload.finish(started)

    assert "the target's process was gone" in run.stdout
    assert run.result["target_cpu"]["reason"] == "its process was gone before the load ended"
