"""A script whose names and tags never repeat: reports see less of it, thresholds do not."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Ciload

SCRIPT = """
from ciload import Rate, Trend, check, http

paid = Rate("paid")
cost = Trend("cost", unit="dollars")
THRESHOLDS = {
    "http_req_failed{tier:read}": ["rate<0.3"],
    "http_req_failed{tier:write}": ["rate==0"],
    "http_reqs{user:*}": ["count==3000"],
    "http_reqs{user:2999,name:/items/2*}": ["count==1"],
    "http_reqs{status:5*,tier:write}": ["count<1"],
    "http_reqs{teir:read}": ["count<1"],
    "checks{tier:read}": ["rate>0.7"],
    "paid{plan:gold}": ["rate==0.5"],
    "cost{plan:gold}": ["p(95)<0.0005"],
    "cost": ["min>-0.0005"],
}
options = {"thresholds": THRESHOLDS}


async def default(vu):
    number = vu.iteration_in_test
    tier = "write" if number % 2 else "read"
    tags = {"tier": tier, "user": str(number)}
    url = "/status/500" if number % 6 == 0 else "/status/200"
    response = await http.get(url, name=f"/items/{number}", tags=tags)
    check(response, {f"item {number} is there": response.status_code == 200}, tags=tags)
    vu.tags["order"] = str(number)
    plan = {"plan": "gold" if number % 4 < 2 else "tin"}
    paid.add(number % 2, tags=plan)
    cost.add(0.00045 if number % 2 else -0.00045, tags=plan)
"""


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_threshold_on_a_tag_beyond_the_bound_is_right(ciload: Ciload, server: str, workers: str) -> None:
    """Of 3,000 names, users and orders a part is folded away, which is said, and every threshold judges all of them."""
    run = ciload.run(SCRIPT, "--base-url", server, "-u", "50", "-i", "3000", CILOAD_WORKERS=workers)
    seen = {each["metric"]: (each["value"], each["outcome"]) for each in run.result["thresholds"]}
    assert run.code == 99, run.stdout + run.stderr
    assert seen == {
        "http_req_failed{tier:read}": (pytest.approx(1 / 3), "fail"),
        "http_req_failed{tier:write}": (0, "pass"),
        "http_reqs{user:*}": (3_000, "pass"),
        "http_reqs{user:2999,name:/items/2*}": (1, "pass"),
        "http_reqs{status:5*,tier:write}": (0, "pass"),
        "http_reqs{teir:read}": (None, "no data"),
        "checks{tier:read}": (pytest.approx(2 / 3), "fail"),
        "paid{plan:gold}": (0.5, "pass"),
        "cost{plan:gold}": (0.00045, "pass"),
        "cost": (-0.00045, "pass"),
    }
    [folded] = [each for each in run.result["verdict"]["warnings"] if "series are kept" in each]
    assert "names of requests were folded into (other) (first: /items/" in folded
    assert "values of the tag 'order', which no threshold selects, were left out" in folded
    assert "give requests with changing URLs a `name=`" in folded
    assert len(run.result["endpoints"]) < 2_500
    assert sum(each["requests"] for each in run.result["endpoints"]) == 3_000
    assert "Nothing has a tag 'teir'." in run.stdout
