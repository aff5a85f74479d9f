"""Exceptions of a script whose author comes from another tool say what to write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ciload import http
from ciload.errors import ScriptError
from ciload.metrics.registry import Registry
from ciload.script.failures import one_line, script_traceback
from ciload.script.loader import load_script

anything: Any = http
reply: Any = http.Response.__new__(http.Response)


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("http.post('/x', {'a': 1}, {'headers': {}})", "http.post(url, …): the rest goes by name, json=, data="),
        ("http.get('/x', {'a': 1})", "http.get(url, …)"),
        ("http.request('POST', '/x', 'body')", "http.request(method, url, …)"),
        ("http.post('/x', body='a')", "json=, data= or content="),
        ("http.get('/x', allow_redirects=False)", "follow_redirects="),
        ("http.get('/x', verify=False)", "insecure_skip_tls_verify"),
        ("reply.json('a.b')", "json() gives the whole body: index it"),
        ("reply.status", "it is status_code"),
        ("__VU", "vu.id"),
        ("__ITER", "vu.iteration"),
        ("__ENV", "os.environ"),
        ("exec('from ciload import SharedArray')", "at the top level"),
        ("exec('from ciload import HttpUser')", "async def default(vu)"),
    ],
)
def test_a_hint_stands_in_message_and_traceback(code: str, hint: str) -> None:
    """Both in the table of errors and in its details, once."""
    with pytest.raises((TypeError, AttributeError, NameError, ImportError)) as caught:
        eval(code)
    assert one_line(caught.value).count(hint) == 1
    assert script_traceback(caught.value).count(hint) == 1


@pytest.mark.parametrize("code", ["len(1, 2)", "unknown_name", "exec('from ciload import nothing')", "1 / 0"])
def test_other_exceptions_stay_as_they_are(code: str) -> None:
    """A hint is only for what it is about."""
    with pytest.raises((TypeError, NameError, ImportError, ArithmeticError)) as caught:
        eval(code)
    assert one_line(caught.value) == f"{type(caught.value).__name__}: {caught.value}"


def test_a_script_that_cannot_be_loaded_gets_its_hint(tmp_path: Path) -> None:
    """Imports of k6's names fail at the top level."""
    path = tmp_path / "load.py"
    path.write_text("from ciload import SharedArray\n")
    with pytest.raises(ScriptError, match="all virtual users of a process share it"):
        load_script(path, Registry())
