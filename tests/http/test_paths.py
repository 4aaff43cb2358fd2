"""Which spellings of a path are ambiguous."""

import pytest

from regionware.http.paths import is_odd, is_odd_raw

CANONICAL = ["/", "/a", "/a/b.css", "/%C3%A9", "/%c3%a9", "/a%20b", "/~a", "/%7Ea", "/a:b@c!$&'()",
             "/*+,=", "/a%2Cb", "/a%40b", "/.well-known/x", "/a..b", "/...", "/a."]  # fmt: skip
ENCODED = ["/%2e%2e/a", "/a%2Fb", "/a%5cb", "/a%00", "/a%0ab", "/a%23b", "/a%3Fb", "/a%3bb", "/%25",
           "/a%", "/a%4", "/a%zz", "/%61", "/%41", "/%7a", "/%30", "/%2D", "/%5F", "/a%7F",
           "http://evil/a", "*", "", "\\a"]  # fmt: skip
DECODED = ["a", "", "//a", "/a//b", "/a/../b", "/a/..", "/.", "/a/./b", "/a;b", "/a?b", "/a#b",
           "/a\\b", "/a\0b", "/a\nb", "/a\x7f", "/\ufffd", "http://evil/a"]  # fmt: skip


@pytest.mark.parametrize("raw", CANONICAL)
def test_plain_paths(raw: str) -> None:
    assert not is_odd_raw(raw.encode())


@pytest.mark.parametrize("raw", ENCODED)
def test_what_is_sent(raw: str) -> None:
    assert is_odd_raw(raw.encode())


@pytest.mark.parametrize("path", DECODED)
def test_what_is_decoded(path: str) -> None:
    assert is_odd(path)


@pytest.mark.parametrize("path", ["/", "/a", "/\xe9", "/e\u0301", "/a b", "/a.b/...c"])
def test_plain_text(path: str) -> None:
    assert not is_odd(path)
