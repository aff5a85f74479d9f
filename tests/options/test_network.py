"""How settings of connections are written, and what is said of those that are wrong."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ciload.errors import OptionsError
from ciload.options.plan import Plan
from tests.options.test_plan import complaints_of, plan_of, yaml_file


def value_of(option: str, written: Any) -> Any:
    return getattr(plan_of(script={option: written}).options, option)


@pytest.mark.parametrize(
    ("written", "hosts"),
    [
        ({"A.test": "127.0.0.1"}, {"a.test": "127.0.0.1"}),
        ({"a.test:443": "127.0.0.1:8443", "*.b.test": "::1"}, {"a.test:443": "127.0.0.1:8443", "*.b.test": "::1"}),
        ({"a.test": "[::1]:8"}, {"a.test": "[::1]:8"}),
        (["a.test:443:127.0.0.1", "b.test:80:[::1]"], {"a.test:443": "127.0.0.1", "b.test:80": "::1"}),
        ("a.test:443:127.0.0.1,b.test=10.0.0.1:8", {"a.test:443": "127.0.0.1", "b.test": "10.0.0.1:8"}),
        ("b.test:80:::1", {"b.test:80": "::1"}),
    ],
)
def test_hosts(written: Any, hosts: dict[str, str]) -> None:
    """k6's mapping, and curl's way to write it."""
    assert value_of("hosts", written) == hosts


@pytest.mark.parametrize(
    ("written", "versions"),
    [("1.2", ("1.2", "1.2")), ("1.2-1.3", ("1.2", "1.3")), ("1.3-", ("1.3", "")), ("-1.2", ("", "1.2")),
     ("tls1.3", ("1.3", "1.3")), ({"min": "tls1.2", "max": "tls1.3"}, ("1.2", "1.3")), ({"min": 1.2}, ("1.2", "")),
     (1.3, ("1.3", "1.3"))],
)  # fmt: skip
def test_versions_of_tls(written: Any, versions: tuple[str, str]) -> None:
    assert value_of("tls_version", written) == versions


def test_the_spelling_of_k6(tmp_path: Path) -> None:
    """Options of a k6 script can be copied."""
    script = {
        "noConnectionReuse": True, "userAgent": "me", "maxRedirects": 3, "localIPs": "127.0.0.1",
        "tlsVersion": "tls1.2", "dns": {"ttl": "1m", "policy": "onlyIPv4"}, "hosts": {"a.test": "1.2.3.4"},
        "blockHostnames": ["*.b.test"],
        "tlsAuth": [{"domains": ["a.test"], "cert": "c", "key": "k", "password": "p"}],
    }  # fmt: skip
    options = plan_of(script=script).options
    assert (options.no_connection_reuse, options.user_agent, options.max_redirects) == (True, "me", 3)
    assert (options.local_ips, options.block_hostnames) == (("127.0.0.1",), ("*.b.test",))
    assert (options.dns.ttl, options.dns.policy) == (60, "onlyIPv4")
    assert options.tls_auth[0].password.get_secret_value() == "p"
    assert options.tls_auth[0].domains == ("a.test",)


def test_flags_variables_and_files_say_the_same(tmp_path: Path) -> None:
    """A flag that may be repeated, a variable with one on each line, a mapping."""
    flags = {"headers": ["X-A: 1", "X-B: a: b"], "tls_auth": ["a.pem", "b.pem,b.key"], "proxy": "proxy.test:3128"}
    options = plan_of(flags).options
    assert options.headers == {"X-A": "1", "X-B": "a: b"}
    assert [(each.cert, each.key) for each in options.tls_auth] == [("a.pem", ""), ("b.pem", "b.key")]
    assert options.proxy == "http://proxy.test:3128"
    variables = {
        "CILOAD_HEADERS": "X-A: 1\nX-B: 2, 3\n", "CILOAD_BLOCK_IPS": "10.0.0.1/8, ::1", "CILOAD_PROXY": "none",
        "CILOAD_TLS_AUTH": "[{cert: a.pem, domains: a.test}]", "CILOAD_DNS": "ttl=0,policy=any",
    }  # fmt: skip
    options = plan_of(environment=variables).options
    assert options.headers == {"X-A": "1", "X-B": "2, 3"}
    assert options.block_ips == ("10.0.0.0/8", "::1/128")
    assert (options.dns.ttl, options.proxy, options.tls_auth[0].domains) == (0, "none", ("a.test",))
    file = yaml_file(tmp_path, "headers:\n  X-A: 1\nlocal_ips: [127.0.0.2]\nuser_agent: ''\n")
    options = plan_of(file=file).options
    assert (options.headers, options.local_ips, options.user_agent) == ({"X-A": "1"}, ("127.0.0.2",), "")


@pytest.mark.parametrize(
    ("option", "written", "said"),
    [
        ("hosts", {"a.test": "b.test"}, "'b.test' is no IP address"),
        ("hosts", {"a.test": "1.2.3.4:0"}, "no IP address"),
        ("hosts", {"a.test": "1.2.3.4:"}, "no IP address"),
        ("hosts", {"http://a.test": "1.2.3.4"}, "no name of a host"),
        ("hosts", ["a.test:443"], "HOST:PORT:ADDRESS"),
        ("hosts", 7, "valid dictionary"),
        ("tls_version", "1.3-1.2", "1.3 is above 1.2"),
        ("tls_version", "2", "no version of TLS"),
        ("tls_version", {"least": "1.2"}, "min and max"),
        ("dns", {"select": "random"}, "unknown field 'select' in dns"),
        ("dns", {"policy": "IPv4"}, "'preferIPv4', 'preferIPv6'"),
        ("dns", {"ttl": 300000}, "no unit"),
        ("block_ips", "10.0.0.0/33", "no network"),
        ("local_ips", "localhost", "no IP address"),
        ("block_hostnames", "a b", "no name of a host"),
        ("tls_auth", {"cert": ""}, "at least 1 character"),
        ("tls_auth", [{"crt": "x"}], "tls_auth.0.cert: field required"),
        ("max_redirects", -1, "greater than or equal to 0"),
    ],
)
def test_what_is_wrong_with_them(option: str, written: Any, said: str) -> None:
    """What is wrong, and how it is written."""
    assert said in complaints_of(script={option: written})


@pytest.mark.parametrize(
    ("option", "written"),
    [
        ("headers", {"Authorization": "hush\r\nhush"}), ("headers", ["Bearer hush"]), ("headers", {"hush hush": "x"}),
        ("headers", 7), ("tls_auth", [{"cert": "x", "password": ["hush"]}]), ("tls_auth", [{"hush": "x"}]),
        ("proxy", ["hush"]),
    ],
)  # fmt: skip
def test_what_may_be_secret_is_not_quoted(option: str, written: Any) -> None:
    """The option and what is wrong, without what was written."""
    said = complaints_of(script={option: written})
    assert option in said
    assert "hush" not in said.replace("unknown field 'hush'", "")


def test_a_plan_with_secrets_shows_none() -> None:
    """Neither do its dumps."""
    plan = plan_of(script={"tls_auth": [{"cert": "a.pem", "password": "hush"}]})
    assert "hush" not in repr(plan) + plan.model_dump_json()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)
OPTIONS = ["hosts", "dns", "tls_version", "tls_auth", "headers", "block_ips", "block_hostnames", "local_ips", "proxy"]


@given(st.sampled_from(OPTIONS), JSON)
def test_anything_is_a_plan_or_a_complaint(option: str, written: Any) -> None:
    """Whatever somebody writes: never a traceback."""
    with suppress(OptionsError):
        assert isinstance(plan_of(script={option: written}), Plan)
