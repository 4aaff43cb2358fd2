"""Hosts: their one spelling, and which are listed."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionware import ConfigurationError
from regionware.http.hosts import Hosts, canonical_host, name_of
from regionware.policies import Route
from regionware.policies.table import Table

SPELLINGS = [
    # as sent in lower case, scheme, canonical
    ("a.test", "http", "a.test"),
    ("a.test:80", "http", "a.test"),
    ("a.test:080", "http", "a.test"),
    ("a.test:", "http", "a.test"),
    ("a.test:443", "https", "a.test"),
    ("a.test:443", "http", "a.test:443"),
    ("a.test:80", "https", "a.test:80"),
    ("a.test:8000", "http", "a.test:8000"),
    ("a.test.", "http", "a.test"),
    ("a.test.:80", "http", "a.test"),
    ("xn--bcher-kva.test", "http", "xn--bcher-kva.test"),
    ("my_host", "http", "my_host"),
    ("127.0.0.1:80", "http", "127.0.0.1"),
    ("[::1]", "http", "[::1]"),
    ("[::1]:80", "http", "[::1]"),
    ("[0:0:0:0:0:0:0:1]:8000", "http", "[::1]:8000"),
]
MALFORMED = [
    "", "a b", "a/b", "a\\b", "a.test:port", "a.test:99999", "a.test:99999999999999999999", ":80",
    "u@a.test", "a.test, b.test", "a..b", ".a", "-a.test", "a-.test", ".", "::1", "[::1", "[::g]",
    "[::1%25eth0]", "[v1.x]", "[]", "b\xfccher.test", "a.test:80:80", "a\n", "a\0b", "*.a.test",
    "a" * 64 + ".test", ".".join(["a" * 63] * 4), "http://a.test", "a.test#x", "a.test?x", "%61",
]  # fmt: skip


@pytest.mark.parametrize(("host", "scheme", "canonical"), SPELLINGS)
def test_each_host_has_one_spelling(host: str, scheme: str, canonical: str) -> None:
    assert canonical_host(host, scheme) == canonical
    assert canonical_host(canonical, scheme) == canonical


@pytest.mark.parametrize("host", MALFORMED)
def test_what_is_no_host_has_none(host: str) -> None:
    assert canonical_host(host, "http") is None
    listed = Hosts(["a.test", "*.test", "[::1]"])
    assert listed.canonical(host, "http") is None
    # Without a list, only a request without any host passes as it is.
    assert Hosts().canonical(host, "http") == (host if not host else None)


LISTED = Hosts(["Example.com", "*.example.com", "localhost:8000", "[::1]:8000", "xn--p1ai"])


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("example.com", True), ("example.com:80", True), ("example.com.", True),
        ("a.example.com", True), ("a.b.example.com", True), ("badexample.com", False),
        ("example.com:8000", False), ("a.example.com:8000", False), ("example.com.evil", False),
        ("localhost:8000", True), ("localhost", False), ("localhost:8001", False),
        ("[::1]:8000", True), ("[0::1]:8000", True), ("[::1]", False), ("xn--p1ai", True),
        (".example.com", False), ("evil", False), ("", False),
    ],
)  # fmt: skip
def test_a_list(host: str, known: bool) -> None:
    for _ in range(2):  # the second time from memory
        assert (LISTED.canonical(host, "http") is not None) is known


@pytest.mark.parametrize("written", ["a.test", "a.test:80", "a.test:443", "A.TEST.", "a.test:"])
def test_a_port_that_a_scheme_implies_need_not_be_written(written: str) -> None:
    hosts = Hosts([written])
    assert hosts.canonical("a.test", "http") == hosts.canonical("a.test:443", "https") == "a.test"
    assert hosts.canonical("a.test:8000", "http") is None


def test_a_wildcard_with_a_port() -> None:
    hosts = Hosts(["*.dev.test:8443"])
    assert hosts.canonical("a.dev.test:8443", "https") == "a.dev.test:8443"
    assert hosts.canonical("a.dev.test", "https") is None


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("a.test", "a.test"), ("a.test:81", "a.test"), ("a.test.:81", "a.test"), ("[::1]", "[::1]"),
        ("[::1]:81", "[::1]"), ("", ""), ("a.test.evil", "a.test.evil"), ("a.test:x", "a.test:x"),
    ],
)  # fmt: skip
def test_a_route_s_hosts_are_names(sent: str, name: str) -> None:
    assert name_of(sent) == name
    table = Table([Route("/x", hosts=["a.test", "[::1]"])])
    assert (table.match("GET", sent, "/x").index == 0) is (name in {"a.test", "[::1]"})


def test_an_error_says_how_to_write_it() -> None:
    with pytest.raises(ConfigurationError, match=r"hosts\[1\].*A-labels"):
        Hosts(["a.test", "b\xfccher.test"])
    with pytest.raises(ConfigurationError, match=r"hosts\[0\].*no scheme"):
        Hosts(["https://a.test"])


@given(st.text(string.printable + "\xff\u0130", max_size=30), st.sampled_from(["http", "https"]))
def test_any_text_has_a_spelling_that_stays_or_none(text: str, scheme: str) -> None:
    found = canonical_host(text.lower(), scheme)
    assert found is None or canonical_host(found, scheme) == found
    name_of(text)


def test_what_is_remembered_is_bounded() -> None:
    hosts = Hosts()
    for number in range(10_000):
        hosts.canonical(f"h{number}", "http")
    hosts.canonical("x" * 10_000, "http")
    assert len(hosts._known) <= 4096
