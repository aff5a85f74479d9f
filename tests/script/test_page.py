"""`ciload run URL`: what a page is called, and which runs are of the same one."""

from __future__ import annotations

from pathlib import Path

import pytest

from ciload.engine.control import Control
from ciload.errors import UsageError
from ciload.metrics.registry import Registry
from ciload.runner.prepare import RunRequest, load
from ciload.script.loader import load_script
from ciload.script.page import Page


@pytest.mark.parametrize(
    ("url", "base_url", "path", "shown"),
    [
        ("http://host", "http://host", "/", "host/"),
        ("HTTP://Host:81/a b?q=ü#f", "http://Host:81", "/a%20b?q=%C3%BC", "host:81/a%20b"),
        ("https://me:pw@host/a?token=x", "https://me:pw@host", "/a?token=x", "host/a"),
        ("http://[::1]:81/x", "http://[::1]:81", "/x", "[::1]:81/x"),
        ("http://host/a@b", "http://host", "/a@b", "***"),
    ],
)
def test_a_page_is_called_by_its_host_and_path(url: str, base_url: str, path: str, shown: str) -> None:
    """Without what may be secret, which is still sent."""
    page = Page.at(url)
    assert (page.base_url, page.path, str(page)) == (base_url, path, shown)


def test_pages_are_different_tests() -> None:
    """Runs are compared with runs of the same page, whatever the values in its query are."""
    digests = [Page.at(f"http://host{path}").digest for path in ("/a?x=1", "/a?x=2", "/a?y=1", "/b")]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_a_page_is_a_script() -> None:
    """With a function to run, and thresholds that can fail it."""
    script = load_script(page := Page.at("http://host/x"), Registry())
    assert script.complaint_about("default") is None
    assert (script.source, set(script.options["thresholds"])) == (page, {"http_req_failed", "checks"})


def test_its_options_are_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thresholds in the configuration file take their place."""
    monkeypatch.chdir(tmp_path)
    request = RunRequest(Page.at("http://host/x"), {"base_url": "http://host"}, {})
    assert len(load(request, [], Registry(), Control())[1].thresholds) == 2
    Path("ciload.yaml").write_text("thresholds: {http_req_duration: p(95)<300}\n", encoding="utf-8")
    assert [each.metric for each in load(request, [], Registry(), Control())[1].thresholds] == ["http_req_duration"]


@pytest.mark.parametrize("url", ["http://", "https://me:s3cretzqx@", "http://h:port/?token=s3cretzqx"])
def test_what_is_no_page(url: str) -> None:
    """Is told, without its secrets."""
    with pytest.raises(UsageError, match="a page is like") as error:
        Page.at(url)
    assert "s3cretzqx" not in str(error.value)
