"""`Forwarded` (RFC 7239), read strictly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionware.locate.forwarded import LONGEST, MOST, parse


def clients(text: str) -> list[str] | None:
    found = parse(text)
    return None if found is None else [str(one.client) for one in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # The examples of the standard.
        ("for=192.0.2.60;proto=http;by=203.0.113.43", ["192.0.2.60"]),
        ('for="_gazonk"', ["None"]),
        ('For="[2001:db8:cafe::17]:4711"', ["2001:db8:cafe::17"]),
        ("for=192.0.2.43, for=198.51.100.17", ["192.0.2.43", "198.51.100.17"]),
        ('for=192.0.2.43, for="[2001:db8:cafe::17]"', ["192.0.2.43", "2001:db8:cafe::17"]),
        ("for=192.0.2.43,for=unknown", ["192.0.2.43", "None"]),
        ('for="192.0.2.43:47011"', ["192.0.2.43"]),
        ("for=_hidden, for=_SEVKISEK", ["None", "None"]),
        ("proto=https;by=203.0.113.43", ["None"]),
        # What is allowed, and easily missed.
        ("FOR=192.0.2.1;PrOtO=HTTPS", ["192.0.2.1"]),
        ("for=192.0.2.1\t ,\t for=192.0.2.2", ["192.0.2.1", "192.0.2.2"]),
        (r'for="192\.0.2.1"', ["192.0.2.1"]),
        ('for=192.0.2.1;ext="a,b;c=d\\""', ["192.0.2.1"]),
        ('for="192.0.2.1:_port"', ["192.0.2.1"]),
        ('for=""', ["None"]),
        # Addresses of IPv6 stand in brackets, and in quotes.
        ('for="2001:db8::1"', ["None"]),
        ("for=garbage", ["None"]),
        ("for='192.0.2.1'", ["None"]),
    ],
)
def test_well_formed(text: str, expected: list[str]) -> None:
    assert clients(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", " ", ",", ";", "=", "for", "for=", "=a", "192.0.2.1", 'for="',
        # Quoted strings that swallow, or are swallowed.
        'for=192.0.2.60, for="_x, for=1.2.3.4', 'for="_x", for=1.2.3.4"', 'for="a"b', 'for=a"b"',
        '"for"=192.0.2.1', 'for="\\', 'for="a\\"',
        # Empty elements and parameters.
        "for=192.0.2.1,", ",for=192.0.2.1", "for=192.0.2.1,,for=192.0.2.2", "for=192.0.2.1;",
        ";for=192.0.2.1", "for=192.0.2.1;;proto=http",
        # The same parameter twice.
        "for=192.0.2.1;for=192.0.2.2", "for=192.0.2.1;For=192.0.2.1",
        "for=192.0.2.1, proto=http;PROTO=https",
        # White space where none may be.
        "for =192.0.2.1", "for= 192.0.2.1", "for=192.0.2.1; proto=http", "for=192.0.2.1 ;a=b",
        "for=192.0.2.1 for=192.0.2.2", "for=192.0.2.1\n,for=192.0.2.2",
        # Colons and brackets are in no token.
        "for=192.0.2.1:80", "for=[2001:db8::1]", "for=2001:db8::1",
        'for="\u0100"', "for=a\x00b", 'for="a\x00b"', 'for="\x7f"',
    ],
)  # fmt: skip
def test_malformed(text: str) -> None:
    assert parse(text) is None


def test_a_scheme_and_a_host() -> None:
    (one,) = parse('for="[2001:db8::1]";proto=HTTPS;host="Example.com:8443"') or ()
    assert (one.proto, one.host) == ("https", "example.com:8443")
    assert str(one) == 'for="[2001:db8::1]";proto=https;host="example.com:8443"'
    assert parse(str(one)) == (one,)
    for text in ('proto="ht tp"', 'host="a/b"', 'host="a b"', 'proto="";host=""', "proto=1http"):
        (none,) = parse(text) or ()
        assert (none.proto, none.host) == ("", "")


def test_bounds() -> None:
    assert len(parse(", ".join(["for=192.0.2.1"] * MOST)) or ()) == MOST
    assert parse(", ".join(["for=192.0.2.1"] * (MOST + 1))) is None
    assert parse(f'for=192.0.2.1;a="{"x" * (LONGEST - 18)}"') is not None
    assert parse(f'for=192.0.2.1;a="{"x" * LONGEST}"') is None


@given(
    st.text(max_size=60)
    | st.text(alphabet='for=proto="\\;,_ .:[]0129ab\t', max_size=60)
    | st.lists(st.sampled_from(["for=192.0.2.1", 'x="', '"', ",", ";", "for=_a", "\\"])).map(
        "".join
    )
)
def test_no_text_raises_and_what_is_read_is_written_alike(text: str) -> None:
    found = parse(text)
    if found is not None and all(str(one) for one in found):
        assert parse(", ".join(map(str, found))) == found


@given(
    st.text(alphabet='for=proto="\\;,_ .:[]019ab\t', max_size=40),
    st.sampled_from(["192.0.2.1", "198.51.100.2"]),
)
def test_what_is_appended_is_read_as_it_is_or_nothing_is(left: str, client: str) -> None:
    """The property that a repairing parser does not have."""
    found = parse(f"{left}, for={client};proto=http")
    assert found is None or (str(found[-1].client), found[-1].proto) == (client, "http")
