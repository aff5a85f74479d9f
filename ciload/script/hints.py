"""What a script's author probably meant, who comes from k6, requests or Locust."""

from __future__ import annotations

import re
from collections.abc import Mapping

_ARGUMENTS: Mapping[str, str] = {
    "allow_redirects": "it is follow_redirects=",
    "body": "it is json=, data= or content=",
    "catch_response": "responses are never exceptions: look at the response with check()",
    "payload": "it is json=, data= or content=",
    "redirects": "it is follow_redirects=",
    "verify": "it is an option of the run: insecure_skip_tls_verify",
}
_NAMES: Mapping[str, str] = {
    "__ENV": "it is os.environ, or vu.env with the scenario's env",
    "__ITER": "it is vu.iteration: `async def default(vu)`",
    "__VU": "it is vu.id: `async def default(vu)`",
    "console": "it is print()",
    "randomIntBetween": "it is vu.random.randint()",
}
_IMPORTS: Mapping[str, str] = {
    "FastHttpUser": "a virtual user is `async def default(vu)`",
    "HttpUser": "a virtual user is `async def default(vu)`",
    "SharedArray": "read data at the top level of the script: all virtual users of a process share it",
    "between": "write `await sleep(vu.random.uniform(1, 5))`",
    "constant": "write `await sleep(1)`",
    "encoding": "Python has it: base64",
    "exec": "it is vu: `async def default(vu)`",
    "execution": "it is vu: `async def default(vu)`",
    "randomSeed": "vu.random has the same numbers in every run",
    "task": "functions are named by a scenario's exec",
}
_UNKNOWN_ARGUMENT = re.compile(r"http\.\w+\(\) got an unexpected keyword argument '(\w+)'")
_POSITIONAL = re.compile(r"http\.(\w+)\(\) takes 2 positional arguments")
_JSON_PATH = re.compile(r"Response\.json\(\) takes 1 positional argument")
_NO_SUCH_IMPORT = re.compile(r"cannot import name '(\w+)' from 'ciload(?:\.http)?'")


def hint(error: BaseException) -> str:
    """A few words about an exception of the script's; "" when there is nothing to say."""
    if isinstance(error, NameError):
        return _NAMES.get(error.name or "", "")
    if isinstance(error, ImportError):
        found = _NO_SUCH_IMPORT.match(str(error))
        return _IMPORTS.get(found[1], "") if found else ""
    if not isinstance(error, TypeError):
        return ""
    text = str(error)
    if found := _POSITIONAL.match(text):
        first = "(method, url, …)" if found[1] == "request" else "(url, …)"
        return f"write http.{found[1]}{first}: the rest goes by name, json=, data= or content= for a body, headers=, …"
    if found := _UNKNOWN_ARGUMENT.match(text):
        return _ARGUMENTS.get(found[1], "")
    return "json() gives the whole body: index it" if _JSON_PATH.match(text) else ""
