"""Markdown as GitHub shows it, in a real browser: how tall it is, how wide, and what it looks like.

python -m tests.reports.rendering FOLDER [OUTCOME …]    writes a screenshot of each comment
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from markdown_it import MarkdownIt
from playwright.sync_api import Page, sync_playwright

WIDTH, LEAST_HEIGHT = 900, 100
# GitHub's sizes, spaces and colours. A comment's text is 14 px; in a job summary it is the same.
PAGE = """<!doctype html><meta charset="utf-8"><style>
body { margin: 0; padding: 16px; width: %dpx; box-sizing: border-box; color: #1f2328; background: #fff;
  font: 14px/1.5 "Liberation Sans", "DejaVu Sans", sans-serif;
  overflow-wrap: break-word; }
h2 { font-size: 1.5em; margin: 0 0 16px; padding-bottom: .3em; border-bottom: 1px solid #d1d9e0b3; line-height: 1.25 }
h3 { font-size: 1.25em; margin: 24px 0 16px; line-height: 1.25 }
p, ul, table, details, pre { margin: 0 0 16px } ul { padding-left: 2em }
table { border-collapse: collapse; display: block; width: max-content; max-width: 100%%; overflow: auto }
th, td { padding: 6px 13px; border: 1px solid #d1d9e0 } th { font-weight: 600 }
tr:nth-child(2n) td { background: #f6f8fa }
code { font: 85%% ui-monospace, SFMono-Regular, "Liberation Mono", "DejaVu Sans Mono", monospace; padding: .2em .4em;
  background: #818b981f; border-radius: 6px; white-space: break-spaces }
pre { padding: 16px; overflow: auto; background: #f6f8fa; border-radius: 6px }
pre code { padding: 0; background: none; white-space: pre }
sub { font-size: 75%%; line-height: 0; position: relative; bottom: -.25em } a { color: #0969da }
</style><body>%s</body>"""
# The first fold, or the end where nothing is folded.
MEASURE = """() => {
  const fold = document.querySelector('details');
  const table = document.querySelector('body > table');
  return {
    top: fold ? fold.getBoundingClientRect().bottom : document.body.scrollHeight,
    whole: document.body.scrollHeight,
    width: document.documentElement.scrollWidth,
    rows: table ? table.querySelectorAll('tbody tr').length : 0,
    hidden: [...document.querySelectorAll('body > table')].some((each) => each.scrollWidth > each.clientWidth + 1),
    strange: document.querySelectorAll('script, img, iframe, a:not([href^="https://github.test/"])').length,
  };
}"""


def as_html(markdown: str) -> str:
    """What GitHub's dialect makes of it, raw HTML and bare links included, as a page."""
    text = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(markdown)
    return PAGE % (WIDTH, text)


def assert_one_glance(page: Page, markdown: str) -> float:
    """What stands before the fold fits a screen; nothing has to be scrolled to the side, or does what it should not.

    Answers the height of the whole.
    """
    page.set_content(as_html(markdown))
    seen = page.evaluate(MEASURE)
    assert seen["top"] <= 900
    assert seen["rows"] <= 10
    assert seen["width"] <= WIDTH
    assert not seen["hidden"]
    assert seen["strange"] == 0
    return float(seen["whole"])


@contextmanager
def browser_page() -> Iterator[Page]:
    """A page of the system's Chromium that runs no scripts of the document and asks nobody for anything."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert path is not None, "no Chromium: scripts/install-system-packages chromium:chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": LEAST_HEIGHT})
        page.route("http*://**", lambda route: route.abort())
        yield page
        browser.close()


def main(folder: Path, names: list[str]) -> None:
    from ciload.reports.markdown import Place, result_section  # late: the page's makers need none of it
    from tests.reports.outcomes import OUTCOMES

    folder.mkdir(parents=True, exist_ok=True)
    with browser_page() as page:
        for name in names or OUTCOMES:
            place = Place(is_comment=True, run_url=OUTCOMES[name].ci.run_url)
            page.set_content(as_html(result_section(OUTCOMES[name], place)))
            path = folder / f"{name.replace(' ', '-').replace(',', '')}.png"
            page.screenshot(path=path, full_page=True)
            print(path, page.evaluate(MEASURE))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
