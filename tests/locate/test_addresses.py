"""Addresses as header fields hold them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionware.locate.addresses import bare, hop, with_port


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        (" 192.0.2.1\t", "192.0.2.1"),
        ("192.0.2.1:80", "192.0.2.1"),
        ("192.0.2.1:65535", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:DB8:0::1]:4711", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("[::ffff:192.0.2.1]:80", "192.0.2.1"),
    ],
)
def test_an_address_and_a_port(text: str, address: str) -> None:
    assert str(hop(text)) == address


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "unknown", "_hidden", "localhost", "garbage", "192.0.2", "192.0.2.256", "1",
        "192.0.2.01", "0x7f.1", "192.0.2.1:", "192.0.2.1:80:80", "192.0.2.1:65536", "192.0.2.1:-1",
        "192.0.2.1: 80", "192.0.2.1:٣", "192.0.2.1/32", "192.0.2.1 ,", '"192.0.2.1"', "192.0.2.1;",
        "[192.0.2.1]", "[2001:db8::1", "2001:db8::1]", "[2001:db8::1]80", "[2001:db8::1]:",
        "[2001:db8::1]:99999", "[]", "[", "[::1]]", "fe80::1%eth0", "[fe80::1%25eth0]:1",
        "fe80::1%<script>", "2001:db8:::1", "2001:db8::1::", "1" * 100, "a:1", ":80",
    ],
)  # fmt: skip
def test_what_is_no_address(text: str) -> None:
    assert hop(text) is None


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("203.0.113.7:53211", "203.0.113.7"),
        ("2001:db8::7:53211", "2001:db8::7"),
        ("203.0.113.7", "None"),
        ("2001:db8::7:x", "None"),
        ("a, 203.0.113.7:1", "None"),
        ("", "None"),
    ],
)
def test_an_address_that_always_has_a_port(text: str, address: str) -> None:
    assert str(with_port(text)) == address


@given(st.text(max_size=80) | st.from_regex(r"[\[\]0-9a-f:.%]{0,70}", fullmatch=True))
def test_no_text_raises_and_what_is_read_is_read_again(text: str) -> None:
    for read in (hop, with_port, bare):
        found = read(text)
        assert found is None or bare(str(found)) == found
