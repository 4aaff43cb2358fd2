"""Parts of a response (206), kept for requests of what is in them (RFC 9111, 3.3). No I/O here.

A part is never completed: it takes a strong validator and a further request to the application,
which will hardly be cheaper than the whole.
"""

from regionware.caching.entry import Entry, Key
from regionware.http.conditions import range_applies
from regionware.http.ranges import parse_content_range, parse_range
from regionware.http.request import Request


def part_key(key: Key) -> Key:
    """Where memory keeps the latest part of a key's response."""
    return (*key, "\0", "part")


def within(part: Entry, request: Request, wall: float) -> tuple[int, int, int] | None:
    """The bytes of the whole that a request asks for, and its length, if all are in this part."""
    known = parse_content_range(part.field(b"content-range") or "")
    if known is None or request.method != "GET" or len(part.body) != known[1] - known[0] + 1:
        return None
    etag, modified, date = map(part.field, (b"etag", b"last-modified", b"date"))
    applies = range_applies(
        request.special.get("if-range"), etag=etag, last_modified=modified, date=date, now=wall
    )
    asked = parse_range(request.special.get("range", ""), known[2]) if applies else None
    if not asked or len(asked) != 1:
        return None
    first, last = asked[0]
    return (first, last, known[2]) if known[0] <= first and last <= known[1] else None
