"""RFC 9110, section 14: parts of a stored answer."""

from email import message_from_bytes
from email.message import Message

import pytest

from tests.conformance.application import Response, Seen, text
from tests.conformance.conftest import World
from tests.conformance.harness import Answer
from tests.conformance.standard import (
    KINDS,
    Kind,
    Lines,
    Sites,
    cached,
    fields,
    numbered,
    rows,
    verdict,
)

pytestmark = pytest.mark.volume

LETTERS = b"abcdefghijklmnopqrstuvwxyz"
TAG = 'ETag: "1"'
MINUTE = "Cache-Control: max-age=60"
DATE = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT"
STORED = ["Cache-Control: max-age=60", TAG, DATE, "Date: <0>"]


def alphabet(
    world: World, kind: Kind, lines: Lines = STORED, status: int = 200, content: bytes = LETTERS
) -> Sites:
    """A site whose only answer is stored: the alphabet, in three pieces."""
    response = Response([content[:7], content[7:9], content[9:]], status, fields(lines))
    site = cached(world, lambda _: response, kind)
    site.get()
    return site


RANGES = [
    # name, section, Range, the part (None: 416; "all": 200)
    ("the beginning", "RFC 9110, 14.1.2", "bytes=0-4", (0, 4)),
    ("the middle", "RFC 9110, 14.1.2", "bytes=5-9", (5, 9)),
    ("one byte", "RFC 9110, 14.1.2", "bytes=0-0", (0, 0)),
    ("the last byte", "RFC 9110, 14.1.2", "bytes=25-25", (25, 25)),
    ("all, with both ends", "RFC 9110, 14.1.2", "bytes=0-25", (0, 25)),
    ("all, without an end", "RFC 9110, 14.1.2", "bytes=0-", (0, 25)),
    ("up to the end", "RFC 9110, 14.1.2", "bytes=20-", (20, 25)),
    ("beyond the end", "RFC 9110, 14.1.2", "bytes=20-100", (20, 25)),
    ("far beyond the end", "RFC 9110, 14.1.2", "bytes=20-99999999999999999999999", (20, 25)),
    ("a suffix", "RFC 9110, 14.1.2", "bytes=-5", (21, 25)),
    ("a suffix of all", "RFC 9110, 14.1.2", "bytes=-26", (0, 25)),
    ("a suffix of more", "RFC 9110, 14.1.2", "bytes=-100", (0, 25)),
    ("leading zeros", "RFC 9110, 14.1.2", "bytes=005-009", (5, 9)),
    ("the unit in upper case", "RFC 9110, 14.1", "BYTES=0-4", (0, 4)),
    ("an empty member", "RFC 9110, 5.6.1", "bytes=,0-4,", (0, 4)),
    ("behind the end", "RFC 9110, 15.5.17", "bytes=26-", None),
    ("far behind the end", "RFC 9110, 15.5.17", "bytes=100-200", None),
    ("farther behind the end", "RFC 9110, 15.5.17", "bytes=99999999999999999999999-", None),
    ("an empty suffix", "RFC 9110, 14.1.2", "bytes=-0", None),
    ("several behind the end", "RFC 9110, 15.5.17", "bytes=26-30, 40-", None),
    ("backwards", "RFC 9110, 14.1.1", "bytes=5-4", "all"),
    ("one of two backwards", "RFC 9110, 14.1.1", "bytes=0-1, 5-4", "all"),
    ("no numbers", "RFC 9110, 14.2", "bytes=a-b", "all"),
    ("a sign", "RFC 9110, 14.2", "bytes=+0-4", "all"),
    ("two suffixes in one", "RFC 9110, 14.2", "bytes=--5", "all"),
    ("three numbers", "RFC 9110, 14.2", "bytes=0-1-2", "all"),
    ("one number", "RFC 9110, 14.2", "bytes=4", "all"),
    ("a dash", "RFC 9110, 14.2", "bytes=-", "all"),
    ("no ranges", "RFC 9110, 14.2", "bytes=", "all"),
    ("only commas", "RFC 9110, 14.2", "bytes=,", "all"),
    ("no sign of equality", "RFC 9110, 14.2", "bytes 0-4", "all"),
    ("another separator", "RFC 9110, 14.2", "bytes=0-4; 6-7", "all"),
    ("digits of another script", "RFC 9110, 14.2", "bytes=\xb2-\xb3", "all"),
    ("an underscore", "RFC 9110, 14.2", "bytes=1_0-2_0", "all"),
    ("another unit", "RFC 9110, 14.2", "items=0-4", "all"),
    ("no unit", "RFC 9110, 14.2", "0-4", "all"),
    ("empty", "RFC 9110, 14.2", "", "all"),
    ("overlapping", "RFC 9110, 14.2", "bytes=0-10, 5-15", "all"),
    ("the same twice", "RFC 9110, 14.2", "bytes=0-4, 0-4", "all"),
    ("more than sixteen", "RFC 9110, 17.15",
     "bytes=" + ",".join(f"{n}-{n}" for n in range(17)), "all"),
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("asked", "part"), rows(RANGES))
def test_a_range(world: World, kind: Kind, asked: str, part: tuple[int, int] | str | None) -> None:
    site = alphabet(world, kind)
    answer = site.get(lines=[f"Range: {asked}"])
    assert answer.hit
    assert len(site.app.calls) == 1
    if part == "all":
        assert (answer.status, answer.body) == (200, LETTERS)
        assert answer.all("content-range") == []
    elif isinstance(part, tuple):
        first, last = part
        assert (answer.status, answer.body) == (206, LETTERS[first : last + 1])
        assert answer.all("content-range") == [f"bytes {first}-{last}/26"]
        assert answer["content-type"] == "text/plain"
    else:
        assert answer.status == 416
        assert answer.all("content-range") == ["bytes */26"]
        assert answer.body != LETTERS
    assert answer["content-length"] in {"", str(len(answer.body))}
    assert verdict(site) == "reused"


def parts(answer: Answer) -> list[tuple[str, bytes, str]]:
    """`Content-Range`, content and type of each part."""
    assert answer.status == 206
    if not answer["content-type"].startswith("multipart/byteranges"):
        return [(answer["content-range"], answer.body, answer["content-type"])]
    assert answer.all("content-range") == []
    head = f"Content-Type: {answer['content-type']}\r\n\r\n".encode()
    message = message_from_bytes(head + answer.body)
    assert message.is_multipart()
    assert not message.defects
    found = []
    for part in message.get_payload():
        assert isinstance(part, Message)
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        found.append((str(part["content-range"]), content, part.get_content_type()))
    return found


SEVERAL = [
    # name, section, Range, the parts
    ("two", "RFC 9110, 15.3.7.2", "bytes=0-4, 10-14", [(0, 4), (10, 14)]),
    ("two without white space", "RFC 9110, 14.2", "bytes=0-4,10-14", [(0, 4), (10, 14)]),
    ("in another order", "RFC 9110, 14.2", "bytes=10-14,0-4", [(0, 4), (10, 14)]),
    ("a suffix too", "RFC 9110, 14.1.2", "bytes=0-0,-1", [(0, 0), (25, 25)]),
    ("empty members", "RFC 9110, 5.6.1", "bytes=0-4,, ,10-14", [(0, 4), (10, 14)]),
    ("one behind the end", "RFC 9110, 14.2", "bytes=0-4,100-", [(0, 4)]),
    ("three", "RFC 9110, 15.3.7.2", "bytes=0-1,10-11,20-", [(0, 1), (10, 11), (20, 25)]),
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("asked", "expected"), rows(SEVERAL))
def test_several_ranges(
    world: World, kind: Kind, asked: str, expected: list[tuple[int, int]]
) -> None:
    site = alphabet(world, kind)
    answer = site.get(lines=[f"Range: {asked}"])
    assert sorted(parts(answer)) == sorted(
        (f"bytes {first}-{last}/26", LETTERS[first : last + 1], "text/plain")
        for first, last in expected
    )
    assert answer["content-length"] in {"", str(len(answer.body))}
    assert len(site.app.calls) == 1


def test_sixteen_ranges(world: World) -> None:
    """The policy: that many are answered."""
    content = bytes(range(256)) * 4
    site = alphabet(world, "standard", content=content)
    wanted = ",".join(f"{start}-{start + 3}" for start in range(0, 16 * 60, 60))
    found = parts(site.get(lines=[f"Range: bytes={wanted}"]))
    assert len(found) == 16
    for content_range, part, _ in found:
        first, last = map(int, content_range.removeprefix("bytes ").split("/")[0].split("-"))
        assert part == content[first : last + 1]


def test_the_boundary_is_not_in_the_content(world: World) -> None:
    """RFC 2046, 5.1.1."""
    content = b"--\r\n--boundary\r\n\r\n--" * 10
    site = alphabet(world, "standard", content=content)
    found = parts(site.get(lines=["Range: bytes=0-59,100-159"]))
    assert [part for _, part, _ in found] == [content[:60], content[100:160]]


@pytest.mark.parametrize("kind", KINDS)
def test_the_fields_of_a_part(world: World, kind: Kind) -> None:
    """RFC 9110, 15.3.7."""
    lines = [*STORED, "Content-Location: /x.de", "Expires: <+60>", "Vary: Accept", "X-A: 1",
             "Content-Length: 26"]  # fmt: skip
    site = alphabet(world, kind, lines)
    whole, part = site.get(), site.get(lines=["Range: bytes=0-4"])
    assert part.status == 206
    for name in ("cache-control", "content-location", "date", "etag", "expires", "vary"):
        assert part.all(name) == whole.all(name) != []
    assert part.all("content-length") == ["5"]
    assert len(part.all("age")) == 1
    refused = site.get(lines=["Range: bytes=26-"])
    assert refused.status == 416
    assert refused.all("content-length") in ([], [str(len(refused.body))])


IF_RANGE = [
    # name, section, stored, If-Range, a part
    ("the entity tag", "RFC 9110, 13.1.5", STORED, '"1"', True),
    ("another entity tag", "RFC 9110, 13.1.5", STORED, '"2"', False),
    ("weak", "RFC 9110, 13.1.5", STORED, 'W/"1"', False),
    ("weak here", "RFC 9110, 13.1.5", [STORED[0], 'ETag: W/"1"'], '"1"', False),
    ("weak in both", "RFC 9110, 13.1.5", [STORED[0], 'ETag: W/"1"'], 'W/"1"', False),
    ("a list", "RFC 9110, 13.1.5", STORED, '"1", "2"', False),
    ("any", "RFC 9110, 13.1.5", STORED, "*", False),
    ("without quotes", "RFC 9110, 13.1.5", STORED, "1", False),
    ("empty", "RFC 9110, 13.1.5", STORED, "", False),
    ("the date", "RFC 9110, 13.1.5", STORED, DATE[15:], True),
    ("the date in another form", "RFC 9110, 5.6.7", STORED, "Sun Nov  6 08:49:37 1994", True),
    ("a later date", "RFC 9110, 13.1.5", STORED, "Sun, 06 Nov 1994 08:49:38 GMT", False),
    ("an earlier date", "RFC 9110, 13.1.5", STORED, "Sun, 06 Nov 1994 08:49:36 GMT", False),
    ("no date", "RFC 9110, 13.1.5", STORED, "now", False),
    ("an entity tag where there is a date", "RFC 9110, 13.1.5", [STORED[0], DATE], '"1"', False),
    ("a date where there is an entity tag", "RFC 9110, 13.1.5", [STORED[0], TAG], DATE[15:], False),
    ("the date of the moment", "RFC 9110, 8.8.2.2",
     [STORED[0], "Last-Modified: <0>", "Date: <0>"], "<0>", False),
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("stored", "asked", "part"), rows(IF_RANGE))
def test_if_range(world: World, kind: Kind, stored: Lines, asked: str, part: bool) -> None:
    site = alphabet(world, kind, stored)
    answer = site.get(lines=["Range: bytes=0-4", f"If-Range: {asked}"])
    assert answer.hit
    assert (answer.status, answer.body) == ((206, LETTERS[:5]) if part else (200, LETTERS))


@pytest.mark.parametrize("kind", KINDS)
def test_if_range_of_something_else_does_not_refuse_the_range(world: World, kind: Kind) -> None:
    """RFC 9110, 13.2.2: the whole is sent, also where the range could not be."""
    site = alphabet(world, kind)
    assert site.get(lines=["Range: bytes=26-", 'If-Range: "2"']).status == 200
    assert site.get(lines=["Range: bytes=26-", 'If-Range: "1"']).status == 416
    assert site.get(lines=['If-Range: "1"']).status == 200


PRECEDENCE = [
    # name, section, the request, status
    ("the entity tag", "RFC 9110, 13.2.2", ['If-None-Match: "1"'], 304),
    ("another entity tag", "RFC 9110, 13.2.2", ['If-None-Match: "2"'], 206),
    ("the date", "RFC 9110, 13.2.2", ["If-Modified-Since: " + DATE[15:]], 304),
    ("an earlier date", "RFC 9110, 13.2.2",
     ["If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT"], 206),
    ("the entity tag, and If-Range", "RFC 9110, 13.2.2",
     ['If-None-Match: "1"', 'If-Range: "2"'], 304),
    ("another entity tag, and If-Range", "RFC 9110, 13.2.2",
     ['If-None-Match: "2"', 'If-Range: "2"'], 200),
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("asked", "status"), rows(PRECEDENCE))
def test_a_condition_comes_before_a_range(
    world: World, kind: Kind, asked: Lines, status: int
) -> None:
    site = alphabet(world, kind)
    assert site.get(lines=["Range: bytes=0-4", *asked]).status == status


@pytest.mark.parametrize("kind", KINDS)
def test_a_range_is_for_get(world: World, kind: Kind) -> None:
    """RFC 9110, 14.2."""
    site = alphabet(world, kind)
    head = site.get(lines=["Range: bytes=0-4"], method="HEAD")
    assert (head.status, head.body, head["content-range"]) == (200, b"", "")


@pytest.mark.parametrize("status", [404, 410])
def test_a_range_is_for_what_is_ok(world: World, status: int) -> None:
    """RFC 9110, 14.2: as without the field, where that would not be 200."""
    site = alphabet(world, "standard", status=status)
    answer = site.get(lines=["Range: bytes=0-4"])
    assert (answer.status, answer.body, answer["content-range"]) == (status, LETTERS, "")


# Misses


def partial(seen: Seen) -> Response:
    """An application that knows ranges."""
    if "range" not in seen.headers:
        return text(LETTERS, Cache_Control="max-age=60", ETag='"1"')
    lines = ["Cache-Control: max-age=60", TAG, "Content-Range: bytes 0-4/26"]
    return Response([LETTERS[:5]], 206, fields(lines))


@pytest.mark.parametrize("kind", KINDS)
def test_a_range_that_misses_is_the_application_s(world: World, kind: Kind) -> None:
    """RFC 9111, 3.3: a part answers for nothing but itself."""
    site = cached(world, partial, kind)
    answer = site.get(lines=["Range: bytes=0-4", 'If-Range: "1"'])
    assert (answer.status, answer.body) == (206, LETTERS[:5])
    assert site.app.calls[-1].headers["range"] == "bytes=0-4"
    assert site.app.calls[-1].headers["if-range"] == '"1"'
    assert (site.get().body, site.get().body) == (LETTERS, LETTERS)
    assert len(site.app.calls) == 2
    assert site.get(lines=["Range: bytes=5-6"]).body == LETTERS[5:7]
    assert len(site.app.calls) == 2


AFTER_A_PART = [
    ("the same", "RFC 9111, 3.3", ["Range: bytes=0-4"], b"abcde"),
    ("less of it", "RFC 9111, 3.3", ["Range: bytes=1-3"], b"bcd"),
    ("from the end", "RFC 9111, 3.3", ["Range: bytes=-24"], None),
    ("from the end, within", "RFC 9111, 3.3", ["Range: bytes=-26", "X: 1"], None),
    ("more", "RFC 9111, 3.3", ["Range: bytes=3-6"], None),
    ("an open end", "RFC 9111, 3.3", ["Range: bytes=0-"], None),
    ("several", "the policy", ["Range: bytes=0-1,3-4"], None),
    ("of another version", "RFC 9110, 13.1.5", ["Range: bytes=0-4", 'If-Range: "2"'], None),
    ("of this version", "RFC 9110, 13.1.5", ["Range: bytes=0-4", 'If-Range: "1"'], b"abcde"),
    ("reloaded", "RFC 9111, 5.2.1.4", ["Range: bytes=0-4", "Cache-Control: no-cache"], None),
    ("with an identity", "RFC 9111, 3.5", ["Range: bytes=0-4", "Authorization: a"], None),
    ("all of it", "RFC 9111, 3.3", [], None),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "expected"), rows(AFTER_A_PART))
def test_a_part_is_kept_in_memory(world: World, lines: Lines, expected: bytes | None) -> None:
    site = cached(world, partial).all[0]
    site.get("/x", headers={"Range": "bytes=0-4"})
    answer = site.get("/x", headers=fields(lines))
    assert len(site.app.calls) == (1 if expected else 2)
    if expected is not None:
        assert (answer.status, answer.body, answer.hit) == (206, expected, True)
        assert answer["content-length"] == str(len(expected))
        first = LETTERS.index(expected)
        assert answer["content-range"] == f"bytes {first}-{first + len(expected) - 1}/26"
        assert answer["age"] == "0"


NO_PART = [
    ("no-store", "RFC 9111, 5.2.2.5", ["Cache-Control: no-store", "Content-Range: bytes 0-4/26"]),
    ("stale", "RFC 9111, 4", ["Cache-Control: max-age=0", "Content-Range: bytes 0-4/26"]),
    ("of another length", "RFC 9110, 14.4", [MINUTE, "Content-Range: bytes 0-5/26"]),
    ("of unknown length", "the policy", [MINUTE, "Content-Range: bytes 0-4/*"]),
    ("of another unit", "RFC 9111, 3.3", [MINUTE, "Content-Range: letters 0-4/26"]),
    ("without a place", "RFC 9110, 15.3.7", [MINUTE]),
    ("of a variant", "the policy", [MINUTE, "Vary: X", "Content-Range: bytes 0-4/26"]),
]  # fmt: skip


@pytest.mark.parametrize("lines", [each[2] for each in NO_PART], ids=[e[0] for e in NO_PART])
def test_no_part_is_kept(world: World, lines: Lines) -> None:
    """The control is the case before."""
    site = cached(world, lambda _: Response([LETTERS[:5]], 206, fields(lines))).all[0]
    for calls in (1, 2):
        assert site.get("/x", headers={"Range": "bytes=0-4"}).body == LETTERS[:5]
        assert len(site.app.calls) == calls


@pytest.mark.parametrize("tag", [True, False])
def test_a_part_ends_with_what_it_is_part_of(world: World, tag: bool) -> None:
    """RFC 9111, 4.4."""
    site = cached(world, partial).all[0]
    site.get("/x", headers={"Range": "bytes=0-4"})
    site.rw.purge(urls=["/x"]) if tag else site.get("/x", method="POST")
    site.get("/x", headers={"Range": "bytes=0-4"})
    assert len([each for each in site.app.calls if each.method == "GET"]) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_answer_to_a_range_is_stored(world: World, kind: Kind) -> None:
    """RFC 9110, 14.2: an application may ignore the field."""
    site = cached(world, lambda _: text(LETTERS, Cache_Control="max-age=60"), kind)
    answer = site.get(lines=["Range: bytes=0-4"])
    assert (answer.status, answer.body) in {(200, LETTERS), (206, LETTERS[:5])}
    assert verdict(site) == "reused"
    assert site.get().body == LETTERS


@pytest.mark.parametrize("kind", KINDS)
def test_a_refused_range_is_not_stored(world: World, kind: Kind) -> None:
    """RFC 9110, 15.5.17."""
    refused = Response((), 416, fields(["Content-Range: bytes */26"]))
    site = cached(world, lambda seen: refused if "range" in seen.headers else text(LETTERS), kind)
    assert site.get(lines=["Range: bytes=26-"]).status == 416
    assert site.get().body == LETTERS


@pytest.mark.parametrize("kind", KINDS)
def test_a_part_of_a_newer_answer_is_not_mixed_with_ours(world: World, kind: Kind) -> None:
    """RFC 9111, 3.4."""
    stale = ["Cache-Control: max-age=10", "Age: 20", TAG]

    def answer(seen: Seen) -> Response:
        if len(site.app.calls) == 1:
            return Response([LETTERS], headers=fields(stale))
        new = LETTERS.upper()
        if "range" in seen.headers:
            lines = ["Cache-Control: max-age=60", 'ETag: "2"', "Content-Range: bytes 0-4/26"]
            return Response([new[:5]], 206, fields(lines))
        return text(new, Cache_Control="max-age=60", ETag='"2"')

    site = cached(world, answer, kind)
    site.get()
    found = site.get(lines=["Range: bytes=0-4"])
    assert (found.status, found.body) in {(206, b"ABCDE"), (200, LETTERS.upper())}
    assert [site.get().body for _ in range(2)] == [LETTERS.upper()] * 2


def test_a_part_of_what_has_been_validated(world: World) -> None:
    """RFC 9111, 4.3.2."""
    lines = ["Cache-Control: max-age=10", "Age: 20", TAG]

    def answer(seen: Seen) -> Response:
        if "if-none-match" in seen.headers:
            return Response((), 304, fields(["Cache-Control: max-age=60", TAG]))
        return Response([LETTERS], headers=fields(lines))

    site = cached(world, answer)
    site.get()
    for _ in range(2):
        found = site.get(lines=["Range: bytes=0-4"])
        assert (found.status, found.body) == (206, LETTERS[:5])
        assert found["content-range"] == "bytes 0-4/26"
    assert len(site.app.calls) == 2


def test_a_part_in_stale_content(world: World) -> None:
    """RFC 9111, 5.2.1.2."""
    site = alphabet(world, "standard", ["Cache-Control: max-age=10", "Age: 20", TAG])
    answer = site.get(lines=["Range: bytes=0-4", "Cache-Control: max-stale"])
    assert (answer.status, answer.body, answer.hit) == (206, LETTERS[:5], True)


def test_every_variant_has_its_parts(world: World) -> None:
    """RFC 9111, 4.1."""
    site = cached(
        world, lambda seen: text(seen.headers["x-a"] * 9, Cache_Control="max-age=60", Vary="X-A")
    )
    for name in "12":
        site.get(lines=[f"X-A: {name}"])
    for name in "12":
        answer = site.get(lines=[f"X-A: {name}", "Range: bytes=0-1"])
        assert (answer.status, answer.body) == (206, name.encode() * 2)
    assert len(site.app.calls) == 2


def test_the_whole_of_nothing(world: World) -> None:
    """RFC 9110, 14.1.2 and 14.2: an empty answer has no bytes, or the field is ignored."""
    site = cached(world, numbered(["Cache-Control: max-age=60"], 200))
    site.app.handler = lambda _: Response((), headers=fields(["Cache-Control: max-age=60"]))
    site.get()
    answer = site.get(lines=["Range: bytes=0-"])
    assert answer.status in {200, 416}
    assert answer.body == b""
