"""Access logs become endpoints, shares and rates."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest

from ciload.convert.log_lines import Line, parse_line
from tests.convert.conftest import Converter

AT = 1760097336.0
COMBINED = '203.0.113.9 - bob [10/Oct/2025:13:55:36 +0200] "GET /a?b=1 HTTP/1.1" 200 2326 "http://r/" "Mozilla/5.0"'


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (COMBINED, Line(AT, "GET", "/a?b=1", 200)),
        ('2001:db8::1 - - [10/Oct/2025:13:55:36 +0200] "HEAD / HTTP/2.0" 304 -', Line(AT, "HEAD", "/", 304)),
        (f"www.shop.example:443 {COMBINED}", Line(AT, "GET", "/a?b=1", 200, "www.shop.example")),
        (f"shop {COMBINED} 0.003", Line(AT, "GET", "/a?b=1", 200, "shop")),
        (r'1.2.3.4 - - [10/Oct/2025:11:55:36 +0000] "GET /\x22a HTTP/1.1" 200 5 "-" "-"', Line(AT, "GET", '/"a', 200)),
        (r'1.2.3.4 - - [10/Oct/2025:13:55:36 +0200] "\x16\x03" 400 5 "-" "-"', None),
        ('1.2.3.4 - - [99/Oct/2025:13:55:36 +0200] "GET / HTTP/1.1" 200 5', None),
        (
            json.dumps({"time_iso8601": "2025-10-10T13:55:36+02:00", "request": "GET /a HTTP/1.1", "status": "200"}),
            Line(AT, "GET", "/a", 200),
        ),
        (
            json.dumps({"ts": AT, "status": 200, "request": {"method": "GET", "uri": "/a", "host": "h.example:8443"}}),
            Line(AT, "GET", "/a", 200, "h.example"),
        ),
        (
            json.dumps(
                {
                    "time": "2025-10-10T11:55:36Z",
                    "RequestMethod": "GET",
                    "RequestPath": "/a",
                    "DownstreamStatus": 200,
                    "RequestHost": "h",
                }
            ),
            Line(AT, "GET", "/a", 200, "h"),
        ),
        ("{", None),
        ("garbage", None),
    ],
)
def test_lines(text: str, line: Line | None) -> None:
    """Of nginx, Apache, Caddy and Traefik."""
    assert parse_line(text) == line


def log() -> str:
    lines = []
    for minute in range(30):
        for number in range(10 if minute < 15 else 20):
            path = [f"/products/{number}?ref=x", "/", f"/search?q=w{number}&token=abcdef12345"][number % 3]
            lines.append(f'::1 - - [10/Oct/2025:13:{minute:02}:{number:02} +0000] "GET {path} HTTP/1.1" 200 5 "-" "-"')
    more = [
        '::1 - - [10/Oct/2025:13:00:00 +0000] "POST /orders HTTP/1.1" 201 5 "-" "-"',
        '::1 - - [10/Oct/2025:13:00:00 +0000] "GET /wp-login.php HTTP/1.1" 404 5 "-" "-"',
        '::1 - - [10/Oct/2025:13:00:00 +0000] "GET /reset/Zx81kQ0aLm3Np5Rs7Tu9v HTTP/1.1" 200 5 "-" "-"',
        '::1 - - [10/Oct/2025:13:00:00 +0000] "GET /a.css HTTP/1.1" 200 5 "-" "-"',
        "garbage",
    ]
    return "\n".join([*more, *lines]) + "\n"


def test_endpoints_shares_and_rates(convert: Converter) -> None:
    """What was left out is said, with lines; secrets of queries are not in the script."""
    made = convert(gzip.compress(log().encode()), "access.log.gz")
    assert made.code == 0, made.said
    assert sorted(made.calls()) == [
        "http.get('/')",
        "http.get('/search', params=query)",
        "http.get(f'/products/{product_id}', params=query, name='/products/{product_id}')",
    ]
    for said in (
        "1 request: POST: a log has no bodies",
        "1 request: answered with 4xx or 5xx",
        "1 request: static files",
        "1 of 455 lines is none of the known formats: line 5",
        "29.3 min are played in 10 min",
    ):
        assert said in made.said, made.said
    assert "abcdef12345" not in made.script
    assert "Zx81kQ0aLm3Np5Rs7Tu9v" not in made.script + made.said
    shares = dict(re.findall(r"    (\w+): (\d+),", made.script))
    assert shares == {"products_item": "165", "home": "150", "search": "135"}
    targets = [int(each) for each in re.findall(r'"target": (\d+)', made.script)]
    assert sum(targets[:5]) / 5 == pytest.approx(10, abs=3)
    assert sum(targets[-5:]) / 5 == pytest.approx(20, abs=4)
    convert.load()


def test_it_runs(convert: Converter, tmp_path: Path) -> None:
    """The plan is one that ciload takes."""
    convert(log(), "access.log", duration="10s")
    done = convert.run("--base-url", "http://127.0.0.1:1")
    assert done.returncode == 99
    assert "requests got a response" in done.stdout
    assert "script error" not in done.stdout


def test_one_virtual_host(convert: Converter) -> None:
    """The busiest, or the one that is asked for."""
    lines = [f"{host}:443 {COMBINED}" for host in ("a.example", "b.example", "a.example")]
    assert "1 request: to other hosts; --host chooses one: b.example (1)" in convert("\n".join(lines), "x.log").said
    assert "--base-url https://b.example" in convert("\n".join(lines), "x.log", hosts=["b.example"]).said
    assert "is not in the log" in convert("\n".join(lines), "x.log", hosts=["c.example"]).said


def test_names_of_things_are_one_endpoint(convert: Converter) -> None:
    """Many different paths below one are samples of it."""
    lines = [COMBINED.replace("/a?b=1", f"/blog/how-to-{word}") for word in "abcdefghijklmnopqrstuvwxyz"]
    made = convert("\n".join(lines), "x.log")
    assert made.calls() == ["http.get(f'/blog/{blog_id}', name='/blog/{blog_id}')"]
