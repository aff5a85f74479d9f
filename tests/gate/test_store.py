"""The baseline file: what is no baseline is one clear error, and what is saved is never lost."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from filelock import FileLock

from ciload.errors import BaselineError, ExitCode, UsageError
from ciload.gate import store
from ciload.gate.document import Baseline
from ciload.gate.levels import prune
from ciload.gate.store import check_writable, read_baseline, update
from tests.gate.runs import endpoint, save_run, stored_run, stored_runs

MOST_MEMORY = 120 << 20


def good() -> dict[str, Any]:
    run = stored_run(endpoints=[endpoint("/cart")])
    document: dict[str, Any] = json.loads(Baseline(runs=[run]).to_json())
    return document


def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    document = good()
    change(document)
    return json.dumps(document).encode()


def total(**changes: Any) -> bytes:
    return changed(lambda document: document["runs"][0]["endpoints"][0].update(changes))


def run(**changes: Any) -> bytes:
    return changed(lambda document: document["runs"][0].update(changes))


POISON = {
    "empty": (b"", "is empty"),
    "blank": (b" \n", "is empty"),
    "text": (b"cache miss", "never was JSON"),
    "page": (b"<!DOCTYPE html><html>Sign in</html>", "web page"),
    "gzip": (gzip.compress(b"{}"), "compressed"),
    "not UTF-8": (b'{"schema": "\xff"}', "JSON"),
    "list": (b"[]", "no object"),
    "nothing in it": (b'{"runs": []}', ""),
    "result": (b'{"schema": "ciload/result/1", "run_id": "x"}', "is the result of one run"),
    "newer": (b'{"schema": "ciload/baseline/2", "runs": {}}', "newer ciload; this one reads .*/1: upgrade"),
    "foreign": (b'{"schema": "other/1"}', "its schema is 'other/1'"),
    "no schema": (b'{"results": 1}', "names no schema"),
    "nested": (b"[" * 1_000_000, "JSON"),
    "text for number": (total(p95="20"), r"runs\[0\].endpoints\[0\].p95: "),
    "number for text": (run(branch=5), r"runs\[0\].branch: "),
    "NaN": (total(p50=float("nan")), r"endpoints\[0\].p50: "),
    "Infinity": (total(p50=float("inf")), r"endpoints\[0\].p50: "),
    "beyond floats": (total(p50=0).replace(b'"p50": 0', b'"p50": 1e999'), r"endpoints\[0\].p50: "),
    "endless number": (total(requests=0).replace(b'"requests": 0', b'"requests": ' + b"9" * 100_000), "baseline|JSON"),
    "negative": (total(requests=-1), r"endpoints\[0\].requests: "),
    "no date": (run(at="yesterday"), r"runs\[0\].at: "),
    "no zone": (run(at="2026-01-01T00:00:00"), r"runs\[0\].at: "),
    "number as date": (run(at=1e300), r"runs\[0\].at: "),
    "twice": (changed(lambda d: d["runs"].append(d["runs"][0])), "is in it 2 times"),
    "many runs": (changed(lambda d: d.update(runs=d["runs"] * 1_001)), "runs: "),
    "no endpoints": (run(endpoints=[]), r"runs\[0\].endpoints: "),
    "million runs": (b'{"schema": "ciload/baseline/1", "runs": [' + b"{}," * 1_000_000 + b"{}]}", "values"),
    "hundred thousand runs": (b'{"schema": "ciload/baseline/1", "runs": [' + b"{}," * 100_000 + b"{}]}", "baseline"),
    "unknown fields": (b"{" + b",".join(b'"%d":0' % n for n in range(500_000)) + b"}", "mistakes"),
    "control characters": (run(**{"\x1b[2J": 1}), r"\\x1b\[2J"),
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in POISON if name != "nothing in it"])
def test_poison_is_one_clear_error(name: str, tmp_path: Path) -> None:
    """Whatever is in the file, the error names it and says why; the file stays as it is, also when saving."""
    data, message = POISON[name]
    path = tmp_path / "base.json"
    path.write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(BaselineError, match=message) as caught:
            read_baseline(str(path))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert caught.value.exit_code == ExitCode.NO_COMPARISON
    assert text.isprintable()
    assert len(text) < 1_200
    assert peak < MOST_MEMORY
    with pytest.raises(BaselineError):
        save_run(path, stored_run(run_id="new"))
    assert path.read_bytes() == data


def test_mistakes_are_listed_up_to_three(tmp_path: Path) -> None:
    """Of many mistakes the first three are shown, and how many more there are."""
    path = tmp_path / "base.json"
    path.write_bytes(total(p50=-1, p95=-1, p99=-1, avg=-1, requests="x"))
    with pytest.raises(BaselineError, match="and 2 more mistakes") as caught:
        read_baseline(str(path))
    assert str(caught.value).count("endpoints[0]") == 3


def test_a_truncated_file_is_an_error_wherever_it_ends(tmp_path: Path) -> None:
    """A file that was cut off is never taken for a baseline, nor for none."""
    whole = json.dumps(good()).encode()
    path = tmp_path / "base.json"
    for end in range(0, len(whole) - 1, 37):
        path.write_bytes(whole[:end])
        with pytest.raises(BaselineError):
            read_baseline(str(path))


def test_only_nothing_is_none(tmp_path: Path) -> None:
    """No file is no baseline; a folder, a FIFO, a device and another scheme are errors, at once."""
    assert read_baseline(str(tmp_path / "none.json")) is None
    assert read_baseline(str(tmp_path / "no folder" / "none.json")) is None
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    (tmp_path / "file").write_text("x")
    for place in (
        str(tmp_path),
        str(fifo),
        "/dev/zero",
        "s3://bucket/x",
        str(tmp_path / "file" / "x"),
        "a\0b",
        "x" * 999,
    ):
        with pytest.raises(BaselineError):
            read_baseline(place)


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    """The size is looked at first."""
    path = tmp_path / "base.json"
    with path.open("wb") as file:
        file.truncate(10 << 30)
    tracemalloc.start()
    with pytest.raises(BaselineError, match="larger than the 16 MiB"):
        read_baseline(str(path))
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission_is_an_error(tmp_path: Path) -> None:
    """A file that may not be read is not mistaken for none."""
    path = tmp_path / "base.json"
    path.touch(0o000)
    with pytest.raises(BaselineError, match="permission denied"):
        read_baseline(str(path))


def test_histograms_of_older_files_are_ignored(tmp_path: Path) -> None:
    """A file that has histograms in it is read, whatever they are, and loses them when it is next saved."""
    path = tmp_path / "base.json"
    path.write_bytes(total(histogram="HISTFAAA"))
    assert read_baseline(str(path)) == Baseline(runs=[stored_run(endpoints=[endpoint("/cart")])])
    save_run(path, stored_run(run_id="new"))
    assert b"histogram" not in path.read_bytes()


def test_a_full_file_is_read_quickly(tmp_path: Path) -> None:
    """30 runs of 21 endpoints with blocks take well under a second."""
    blocks = [float(n) + 0.123456789 for n in range(40)]
    endpoints = [endpoint(f"/{n}", block_p50=blocks, block_p95=blocks) for n in range(20)]
    path = tmp_path / "base.json"
    path.write_text(Baseline(runs=stored_runs([10.0] * 30, endpoints=endpoints)).to_json())
    started = time.perf_counter()
    assert read_baseline(str(path)) is not None
    assert time.perf_counter() - started < 1


# --- URLs


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        where = self.path.split("?")[0]
        if where == "/moved":
            self.send_response(302)
            self.send_header("Location", "/base.json?token=hush")
            self.end_headers()
            return
        body = json.dumps(good()).encode() if where == "/base.json" else b"<html>"
        self.send_response(int(where[1:]) if where[1:].isdigit() else 200)
        length = {"/cut": len(body) + 10}.get(where, len(body))
        if where != "/endless":
            self.send_header("Content-Length", str(length))
        self.end_headers()
        if where == "/endless":
            try:
                while True:
                    self.wfile.write(bytes(1 << 20))
            except OSError:
                return
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_baseline_from_a_url() -> None:
    """Redirects are followed, 404 and 410 are nothing, all else is an error without credentials in it."""
    with serving() as host:
        assert read_baseline(f"http://{host}/base.json") == read_baseline(f"http://{host}/moved")
        assert read_baseline(f"http://{host}/base.json") == Baseline.model_validate_json(json.dumps(good()))
        assert read_baseline(f"http://{host}/404") is read_baseline(f"http://{host}/410") is None
        for where in ("403", "500", "cut", "page", "endless"):
            with pytest.raises(BaselineError) as caught:
                read_baseline(f"http://ann:hush@{host}/{where}?token=hush")
            assert str(caught.value).startswith(f"http://{host}/{where}: ")
            assert "hush" not in str(caught.value)
    for place in (f"http://ann:hush@{host}/x", "http://:hush@/x", "http://ann:hush@x:99999/", "http://ann:hush@[/x"):
        with pytest.raises(BaselineError) as caught:
            read_baseline(place)
        assert "hush" not in str(caught.value)


# --- saving


def test_saving_adds_to_the_file(tmp_path: Path) -> None:
    """Runs accumulate, folders are made, and the file that is there keeps its mode."""
    path = tmp_path / "deep" / "base.json"
    first, second = stored_runs([10.0, 11.0])
    save_run(path, first)
    path.chmod(0o640)
    saved = save_run(path, second)
    assert saved == read_baseline(str(path)) == Baseline(runs=[first, second])
    assert save_run(path, second) == saved
    assert path.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in path.parent.iterdir() if each.suffix != ".lock"] == ["base.json"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """Saving through a symbolic link changes the file it points to."""
    (tmp_path / "link.json").symlink_to(tmp_path / "real.json")
    save_run(tmp_path / "link.json", stored_run())
    assert (tmp_path / "link.json").is_symlink()
    assert read_baseline(str(tmp_path / "real.json")) == Baseline(runs=[stored_run()])


def test_a_new_file_respects_the_umask(tmp_path: Path) -> None:
    """Others may read what the umask lets them read."""
    before = os.umask(0o027)
    try:
        save_run(tmp_path / "base.json", stored_run())
    finally:
        os.umask(before)
    assert (tmp_path / "base.json").stat().st_mode & 0o777 == 0o640


def test_a_change_that_fails_changes_nothing(tmp_path: Path) -> None:
    """An error on the way leaves the old file and no others."""
    path = tmp_path / "base.json"
    save_run(path, stored_run())
    before = path.read_bytes()
    broken = stored_run().model_copy(update={"load_s": -1.0, "run_id": "x"})
    with pytest.raises(BaselineError, match="load_s"):
        save_run(path, broken)
    with pytest.raises(ZeroDivisionError):
        update(path, lambda baseline: prune(baseline, keep=1 // 0))
    assert path.read_bytes() == before


SAVER = """
import sys
from tests.gate.runs import START, save_run, stored_run
from datetime import timedelta
for n in range(6):
    save_run(sys.argv[1], stored_run(run_id=f"{sys.argv[2]}-{n}", at=START + timedelta(minutes=n)))
"""


def test_processes_that_save_at_once_all_survive(tmp_path: Path) -> None:
    """Four processes save six runs each into one file, and all are in it."""
    path = tmp_path / "base.json"
    root = Path(__file__).parents[2]
    started = [subprocess.Popen([sys.executable, "-c", SAVER, str(path), name], cwd=root) for name in "abcd"]
    assert [process.wait(30) for process in started] == [0] * 4
    baseline = read_baseline(str(path))
    assert baseline is not None
    assert {each.run_id for each in baseline.runs} == {f"{name}-{n}" for name in "abcd" for n in range(6)}


def test_waiting_for_a_lock_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever holds the lock for too long is an error that says so."""
    monkeypatch.setattr(store, "LOCK_TIMEOUT_S", 0.1)
    with FileLock(tmp_path / ".base.json.lock"), pytest.raises(BaselineError, match="another process"):
        save_run(tmp_path / "base.json", stored_run())


def test_what_cannot_be_written_is_known_before(tmp_path: Path) -> None:
    """A file can be checked before the load; the check leaves no baseline behind."""
    check_writable(tmp_path / "new" / "base.json")
    assert not (tmp_path / "new" / "base.json").exists()
    (tmp_path / "file").write_text("x")
    os.mkfifo(tmp_path / "fifo")
    for place in (tmp_path, tmp_path / "file" / "x.json", tmp_path / "fifo", Path("/proc/none/x.json")):
        with pytest.raises(BaselineError):
            check_writable(place)
    with pytest.raises(UsageError, match="only be saved in a file"):
        check_writable("https://ann:hush@host/base.json")
