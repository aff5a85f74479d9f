"""A journey in a real browser, beside requests to the same server: what does a person wait for under load?"""

import os

from playwright.async_api import async_playwright

from ciload import http, measure

CHROMIUM = os.environ.get("CHROMIUM")  # without it, what `playwright install chromium` has installed

options = {
    "name": "browser",
    "base_url": os.environ.get("SHOP_URL", "http://localhost:8000"),
    "scenarios": {
        "people": {"executor": "constant-vus", "vus": 1, "duration": "30s", "exec": "person"},
        "load": {"executor": "constant-arrival-rate", "rate": 20, "duration": "30s", "exec": "request"},
    },
    "thresholds": {"op_duration{name:open shop}": "p(95)<3000", "op_failed": "rate<0.05"},
}


async def vu_start(vu):
    if vu.scenario == "people":
        vu.playwright = await async_playwright().start()
        vu.browser = await vu.playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


async def person(vu):
    page = await vu.browser.new_page()
    async with measure("open shop", protocol="browser"):
        await page.goto(f"{vu.base_url}/")
    async with measure("buy", protocol="browser"):
        await page.get_by_role("button", name="Buy").click()
        await page.get_by_text("Thank you").wait_for()
    await page.close()


async def request():
    await http.get("/items")


async def vu_stop(vu):
    if vu.scenario == "people":
        await vu.playwright.stop()
