"""The page of trends: what stands in it, that nothing of others can act in it, and what a browser makes of it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ciload.reports.html.links import commits_of, commits_of_run, plain_link
from ciload.reports.html.trends import trends_page
from ciload.result.comparison import Drift
from ciload.result.document import Fingerprint
from ciload.result.trends import RunState, TrendDrift, TrendKind, TrendLevel, TrendRun, TrendSeries

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
COMMIT = "0123456789abcdef0123456789abcdef01234567"
HOSTILE = "/</script><script>hacked=1</script><img src=x onerror=hacked=1>&\"'\u202e\u2028"
URL = "https://github.com/octo/api/actions/runs/7"


def run(number: int, state: RunState = "level", **changes: Any) -> TrendRun:
    fields: dict[str, Any] = {
        "run_id": f"run-{number}", "at": NOW + timedelta(hours=number), "commit": COMMIT, "branch": "main", "url": URL,
        "state": state, "alarm": "" if state == "level" else "worse", "level": 1, "why": "",
    }  # fmt: skip
    return TrendRun(**(fields | changes))


def metric(name: str, values: Sequence[float | None], endpoint: str = "", **changes: Any) -> TrendSeries:
    fields: dict[str, Any] = {
        "endpoint": endpoint, "method": "GET" if endpoint else "", "metric": name, "unit": "ms", "worse": 1,
        "values": values, "means": [10.0, 20.0], "old": 20.0,
    }  # fmt: skip
    return TrendSeries(**(fields | changes))


def example(count: int = 30, endpoints: Sequence[str] = ("/slower", "/same", HOSTILE), **changes: Any) -> TrendKind:
    values = [10.0] * (count // 2) + [20.0] * (count - count // 2)
    states: dict[int, RunState] = {3: "ended", 5: "excluded", 7: "tainted", count // 2: "accepted", count - 1: "open"}
    fields: dict[str, Any] = {
        "fingerprint": Fingerprint(scenario="name:shop", load="ab", target="shop.test", runner="Linux", ciload="0"),
        "runs": [run(number, states.get(number, "level")) for number in range(count)],
        "levels": [
            TrendLevel(1, 0, count // 2 - 1, False, "", ""),
            TrendLevel(2, count // 2, count - 2, False, f"ann{HOSTILE}", "TLS to the database"),
        ],
        "series": [
            metric("p50", values), metric("p95", values),
            *(metric("p95", [*values[:-1], 20.0 + 10 * (name == "/slower")], name) for name in endpoints),
        ],
        "moved": count - 2, "shifted": False,
        "drifts": [
            TrendDrift(Drift(metric="p95", unit="ms", first=10, last=12, change=0.2, runs=20), [0, 9], [16, 19])
        ],
    }  # fmt: skip
    return TrendKind(**(fields | changes))


def data(page: str) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_policy_allows_these_scripts_and_nothing_else() -> None:
    """Each script and style is named by its hash; nothing may be loaded or asked for."""
    page = trends_page([example()], made=NOW)
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    texts = re.findall(r"<(script|style)>(.*?)</\1>", page, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for _, text in texts]

    assert len(texts) == 5
    assert sorted(re.findall(r"'sha256-([^']*)'", policy)) == sorted(hashes)
    assert policy.startswith("default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; ")
    assert "unsafe" not in policy
    assert not re.search(r"<(?:link|img|iframe)\b(?![^>]*\"data:,\")", page)


def test_text_of_others_is_data() -> None:
    """No name ends the element that it stands in, or turns the reading direction."""
    page = trends_page([example()], made=NOW)
    endpoints = {each["endpoint"] for each in data(page)["kinds"][0]["series"]}

    assert page.count("</script>") == 4
    assert "<img" not in page
    assert any("</script>" in name and "\\u202e" in name for name in endpoints)
    hostile = Fingerprint(scenario=f"name:{HOSTILE}", load="", target="", runner="", ciload="")
    assert "<title>Trends: /&lt;/script&gt;" in trends_page([example(fingerprint=hostile)], made=NOW)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://github.com/octo/api/actions/runs/7", "https://github.com/octo/api/commit/"),
        ("https://git.test/forge/octo/api/actions/runs/7/jobs/0", "https://git.test/forge/octo/api/commit/"),
        ("https://gitlab.test/group/sub/api/-/jobs/9", "https://gitlab.test/group/sub/api/-/commit/"),
        ("https://code.test/group/api/-/pipelines/9", "https://code.test/group/api/-/commit/"),
        ("https://jenkins.test/job/api/7/", ""),
        ("javascript:alert(1)//a/b/actions/runs/7", ""),
        ("https://u:secret@github.com/octo/api/actions/runs/7", "https://github.com/octo/api/commit/"),
        ("", ""),
    ],
)
def test_a_run_tells_where_its_commits_are(url: str, expected: str) -> None:
    """By the address of its CI run, as GitHub, Gitea, Forgejo and GitLab write it."""
    assert commits_of_run(url) == expected


@pytest.mark.parametrize(
    ("repository", "expected"),
    [
        ("https://github.com/octo/api.git", "https://github.com/octo/api/commit/"),
        ("https://gitlab.test/octo/api/", "https://gitlab.test/octo/api/-/commit/"),
        ("https://code.test/octo/api/-/commit", "https://code.test/octo/api/-/commit/"),
        ("git@github.com:octo/api", ""),
        ("javascript:alert(1)", ""),
    ],
)
def test_a_repository_can_be_named(repository: str, expected: str) -> None:
    """Its host tells GitLab's form, or whoever names it."""
    assert commits_of(repository) == expected


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "//x", "https://", "https://h/a b", "http://[x"]
)
def test_only_web_addresses_are_linked(url: str) -> None:
    """Whatever a baseline says."""
    assert plain_link(url) == ""


def test_commits_are_linked() -> None:
    """To where the run was made, or the repository that is named; what is no commit is not."""
    kind = example(runs=[run(0), run(1, commit="../../x"), run(2, url="")])
    shown = data(trends_page([kind], made=NOW))["kinds"][0]["runs"]
    named = data(trends_page([kind], repository="https://gitlab.test/o/r", made=NOW))["kinds"][0]["runs"]

    assert [each["commitLink"] for each in shown] == [f"https://github.com/octo/api/commit/{COMMIT}", "", ""]
    assert named[2]["commitLink"] == f"https://gitlab.test/o/r/-/commit/{COMMIT}"
    assert shown[0]["link"] == URL


def test_a_baseline_without_runs() -> None:
    """Is a page as well."""
    assert data(trends_page([], made=NOW))["kinds"] == []


def test_in_a_browser(tmp_path: Path) -> None:
    """It draws, marks, filters and sorts, from a file, without a request, an error or a word taken for code."""
    chromium = shutil.which("chromium") or pytest.skip("chromium is not installed")
    sync = pytest.importorskip("playwright.sync_api")
    file = tmp_path / "index.html"
    other = Fingerprint(scenario="name:shop", load="ab", target="shop.test", runner="arm", ciload="0")
    file.write_text(trends_page([example(), example(endpoints=("/only",), fingerprint=other)], made=NOW))
    said: list[str] = []
    asked: list[str] = []
    with sync.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1280, "height": 2400})
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(file.as_uri())
        tab.wait_for_function("document.querySelectorAll('.uplot canvas').length === 5")
        found, cards = tab.locator(".findings"), tab.locator("#endpoints figure")

        assert "accepted by ann" in found.inner_text()
        assert "Slow drift: p95" in found.inner_text()
        assert "most likely moved at" in found.inner_text()
        assert cards.first.locator("h3").inner_text() == "GET /slower"
        assert colors(tab, 0) >= {"line", "worse", "accepted", "ended", "drift", "mean"}
        tab.evaluate("document.querySelectorAll('.chart')[0].focus()")
        tab.keyboard.press("ArrowLeft")
        assert "20 ms" in tab.locator(".tip").first.inner_text()
        assert "alarm (worse), open" in tab.locator(".tip").first.inner_text()
        tab.locator(".chart").first.click(position={"x": 300, "y": 90})
        assert tab.locator(".tip.pinned a").count() == 2
        tab.locator("details").first.locator("summary").click()
        tab.wait_for_selector("table tbody tr")
        assert tab.locator("table").first.locator("tbody tr").count() == 30
        assert tab.locator("table a").first.get_attribute("href") == f"https://github.com/octo/api/commit/{COMMIT}"

        tab.get_by_label("Filter").fill("SAME")
        assert [each.is_visible() for each in cards.all()].count(True) == 1
        assert "1 of 3 endpoints" in tab.locator(".bar").inner_text()
        tab.get_by_label("Filter").fill("</script>")
        assert HOSTILE[:20] in cards.locator("visible=true").inner_text()
        tab.get_by_label("Filter").fill("")
        tab.get_by_label("Along the axis").select_option("time")
        tab.get_by_label("Runs of the same").select_option("1")
        assert cards.count() == 1
        tab.emulate_media(color_scheme="dark")
        assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(13, 17, 23)"
        assert tab.evaluate("typeof hacked") == "undefined"
        browser.close()
    assert said == []
    assert asked == [file.as_uri()]


def colors(tab: Any, chart: int) -> set[str]:
    """Which of the page's colors are drawn in a chart."""
    found: list[str] = tab.evaluate(
        """chart => {
          const canvas = document.querySelectorAll('.chart canvas')[chart];
          const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
          const drawn = new Set();
          for (let i = 0; i < data.length; i += 4) if (data[i + 3] === 255) drawn.add(data.slice(i, i + 3).join());
          const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)).join();
          const of = (name) => getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim();
          const names = ['line', 'worse', 'accepted', 'ended', 'drift', 'mean', 'out'];
          return names.filter((name) => drawn.has(rgb(of(name))));
        }""",
        chart,
    )
    return set(found)
