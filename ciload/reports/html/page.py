"""A page in one file: its scripts, styles and data stand in it, and its policy lets it load and run nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from ciload.version import __version__

# By it a page is known to be ours, and may be overwritten.
BEGINS = '<!doctype html>\n<!-- ciload -->\n<html lang="en">'
PAGE = Template(f"""\
{BEGINS}
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="$policy">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="ciload {__version__}">
<link rel="icon" href="data:,">
<title>$title</title>
$styles
</head>
<body>
<noscript><p>JavaScript draws this page, from data that stand in it. It loads nothing.</p></noscript>
<script type="application/json" id="data">$data</script>
$scripts
</body>
</html>
""")


def page(title: str, styles: Sequence[str], scripts: Sequence[str], data: object) -> str:
    """The page.

    Args:
        title: as text.
        styles: files of this folder, in order.
        scripts: files of this folder, in order; they find the data in the element `data`.
        data: what JSON can hold. Strings may be anything: no character of them can end the element that they stand in.
    """
    css, code = ([_read(name) for name in names] for names in (styles, scripts))
    return PAGE.substitute(
        policy=_policy(css, code),
        title=escape(title),
        styles="\n".join(f"<style>{text}</style>" for text in css),
        scripts="\n".join(f"<script>{text}</script>" for text in code),
        data=_json(data),
    )


def _read(name: str) -> str:
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    assert "</script" not in text.lower(), f"{name} would end its element"
    assert "</style" not in text.lower(), f"{name} would end its element"
    return text


def _policy(styles: Sequence[str], scripts: Sequence[str]) -> str:
    """Only these very texts count as styles and scripts; nothing may be loaded from anywhere."""
    rules = {"script-src": map(_hash, scripts), "style-src": map(_hash, styles)}
    fixed = "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'"
    return "; ".join([fixed, *(f"{name} {' '.join(hashes)}" for name, hashes in rules.items())])


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _json(data: Any) -> str:
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)  # in ASCII
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
