"""Byte ranges: a model that counts bytes, and the bodies of 206."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regionware.http.ranges import (
    boundary_for,
    content_range,
    multipart,
    parse_range,
    unsatisfied,
)

Ranges = list[tuple[int, int]] | None
FAR = "9" * 5000


@pytest.mark.parametrize(
    ("text", "expected"),
    [  # the first six are of RFC 9110, section 14.1.2
        ("bytes=0-499", [(0, 499)]),
        ("bytes=500-999", [(500, 999)]),
        ("bytes=-500", [(9500, 9999)]),
        ("bytes=9500-", [(9500, 9999)]),
        ("bytes=0-0,-1", [(0, 0), (9999, 9999)]),
        ("bytes= 0-999, 4500-5499, -1000", [(0, 999), (4500, 5499), (9000, 9999)]),
        ("BYTES=0-0", [(0, 0)]),
        (" bytes=0-0\t", [(0, 0)]),
        ("bytes=5-6,,\t1-2 ,", [(5, 6), (1, 2)]),
        ("bytes=0-", [(0, 9999)]),
        ("bytes=0-10000", [(0, 9999)]),
        ("bytes=9999-9999", [(9999, 9999)]),
        ("bytes=-10001", [(0, 9999)]),
        ("bytes=000-0001", [(0, 1)]),
        ("bytes=0-4,5-9", [(0, 4), (5, 9)]),
        ("bytes=0-1,10000-", [(0, 1)]),
        (f"bytes=0-{FAR}", [(0, 9999)]),
        (f"bytes=-{FAR}", [(0, 9999)]),
        (f"bytes={'0' * 5000}1-2", [(1, 2)]),
        (f"bytes={','.join(f'{n}-{n}' for n in range(16))}", [(n, n) for n in range(16)]),
        ("bytes=10000-", []),
        ("bytes=10000-10000,20000-", []),
        ("bytes=-0", []),
        ("bytes=-000", []),
        (f"bytes={FAR}-", []),
        (f"bytes={FAR}-{FAR}", []),
        (f"bytes={FAR}-{FAR}9", []),
    ],
)
def test_ranges_are_read(text: str, expected: Ranges) -> None:
    assert parse_range(text, 10000) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "bytes", "bytes=", "bytes=,", "=0-1", "0-1", "bytes 0-1", "bytes =0-1", "bytes==0-1",
        "items=0-1", "bytes=-", "bytes=--1", "bytes=1", "bytes=a-b", "bytes=0-a", "bytes=0 -1",
        "bytes=0- 1", "bytes=1-0", "bytes=+1-2", "bytes=0x1-2", "bytes=1.0-2", "bytes=\xb2-3",
        "bytes=0-1-2", "bytes=0-1;q=1", "bytes=0-1,x", "bytes=0-1, bytes=2-3", "bytes=0-1\n",
        "bytes=20000-10001", f"bytes={FAR}9-{FAR}", f"bytes={FAR}-1", "bytes=\xa00-1",
        "bytes=0-4,4-5", "bytes=4-5,0-4", "bytes=0-,-1", "bytes=-1,-2", "bytes=0-0,0-0",
        "bytes=0-9,3-4", "bytes=" + ",".join(f"{n}-{n}" for n in range(17)),
        "bytes=" + ",".join(["10000-"] * 17),
    ],
)  # fmt: skip
def test_other_fields_are_ignored(text: str) -> None:
    assert parse_range(text, 10000) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("bytes=0-", []), ("bytes=0-0", []), ("bytes=-0", []), ("bytes=-1", None)],
)
def test_empty_content_has_an_end_without_offsets(text: str, expected: Ranges) -> None:
    assert parse_range(text, 0) == expected


def model(text: str, length: int) -> Ranges:
    """The sets of bytes that the words of the standard describe."""
    asked = []
    for member in text.removeprefix("bytes=").split(","):
        first, last = member.split("-")
        if not first and not last:
            return None
        if first and last and int(first) > int(last):
            return None
        places = range(length)
        if first:
            asked.append([n for n in places if int(first) <= n <= int(last or length)])
        elif length == 0 and int(last):
            return None
        else:
            asked.append([n for n in places if n >= length - int(last)])
    counted = [n for each in asked for n in each]
    if len(asked) > 16 or len(counted) != len(set(counted)):
        return None
    return [(each[0], each[-1]) for each in asked if each]


NUMBER = st.just("") | st.integers(0, 24).map(str) | st.sampled_from(["00", "007", "9" * 25])
FIELD = st.lists(st.builds("{}-{}".format, NUMBER, NUMBER), min_size=1, max_size=3).map(",".join)


@given(FIELD, st.integers(0, 20))
@settings(max_examples=500)
def test_ranges_are_those_of_the_model(text: str, length: int) -> None:
    assert parse_range(f"bytes={text}", length) == model(text, length)


NOISE = st.text(st.characters(max_codepoint=255), max_size=30) | st.lists(
    st.sampled_from(["bytes=", "-", "0", "5", "99", ",", " ", "\t", "=", "\xb2"]), max_size=12
).map("".join)


@given(st.just("bytes=") | NOISE, NOISE, st.sampled_from([1, 1, 65536]), st.integers(0, 100))
@settings(max_examples=200, deadline=None)
def test_no_text_makes_it_raise(start: str, noise: str, times: int, length: int) -> None:
    found = parse_range(start + (noise * times)[:65536], length)
    assert found is None or all(0 <= first <= last < length for first, last in found)
    assert found is None or len(found) <= 16


def test_content_range_says_where() -> None:
    assert content_range(0, 499, 1234) == "bytes 0-499/1234"
    assert unsatisfied(47022) == "bytes */47022"


@pytest.mark.parametrize(
    ("kind", "line"),
    [("a/b", b"Content-Type: a/b\r\n"), ("\xe9", b"Content-Type: \xe9\r\n"), (None, b"")],
)
def test_parts_say_what_they_are(kind: str | None, line: bytes) -> None:
    assert multipart([(0, 1), (3, 3)], b"abcd", kind, "SEP") == (
        b"--SEP\r\n" + line + b"Content-Range: bytes 0-1/4\r\n\r\nab\r\n"
        b"--SEP\r\n" + line + b"Content-Range: bytes 3-3/4\r\n\r\nd\r\n"
        b"--SEP--\r\n"
    )


@given(st.binary(min_size=1, max_size=60), FIELD)
def test_parts_come_apart_again(content: bytes, text: str) -> None:
    parts = parse_range(f"bytes={text}", len(content)) or [(0, len(content) - 1)]
    boundary = boundary_for(content, "salt")
    delimiter = f"\r\n--{boundary}".encode()
    body = b"\r\n" + multipart(parts, content, "a/b", boundary)
    preamble, *pieces, end = body.split(delimiter)
    assert (preamble, end) == (b"", b"--\r\n")
    for (first, last), piece in zip(parts, pieces, strict=True):
        head, _, chunk = piece.partition(b"\r\n\r\n")
        assert chunk == content[first : last + 1]
        assert content_range(first, last, len(content)).encode() in head


@given(st.binary(max_size=60), st.text(max_size=10), st.text(max_size=10))
def test_a_boundary_depends_on_content_and_salt_alone(
    content: bytes, salt: str, other: str
) -> None:
    boundary = boundary_for(content, salt)
    assert re.fullmatch("[0-9a-f]{40}", boundary)
    assert boundary_for(content, salt) == boundary
    assert boundary_for(content + b".", salt) != boundary
    assert (boundary_for(content, other) == boundary) == (salt == other)


def test_any_salt_will_do() -> None:
    assert boundary_for(b"", "\ud800") != boundary_for(b"", "\udfff")
