"""Answers made from entries: the fields of a hit, and 304 (RFC 9110, section 15.4.5). No I/O."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from regionware.caching.entry import Entry, Fields
from regionware.errors import Unavailable
from regionware.http.codings import prefers
from regionware.http.conditions import not_modified, range_applies
from regionware.http.ranges import (
    boundary_for,
    content_range,
    multipart,
    parse_content_range,
    parse_range,
    unsatisfied,
)
from regionware.http.request import Request

if TYPE_CHECKING:
    from regionware.exchange import Exchange

#: What a 304 repeats of the fields a 200 would have had; the rest describes content it lacks.
_NOT_IN_304 = frozenset(
    {b"content-length", b"content-type", b"content-encoding", b"content-language", b"content-range"}
)


#: And what a 416 repeats; a cache on the way must not take it for an answer to other requests.
_IN_416 = frozenset({b"accept-ranges", b"age", b"cache-status", b"date", b"vary"})
_ORDERED = (b"etag", b"last-modified", b"date")
_VALIDATORS = frozenset(_ORDERED)
#: With its date a client could ask for a piece of the other form (RFC 9110, section 13.1.5).
_OF_IDENTITY = frozenset({b"accept-ranges", b"content-length", b"last-modified"})
_OF_PART = frozenset({b"content-length", b"content-range"})
_CONDITIONS = frozenset({"if-none-match", "if-modified-since", "range"})


@dataclass(slots=True)
class Reply:
    """A response that is complete; the application is not called for it.

    Attributes:
        status: the status code.
        headers: every field.
        body: the content.
        refresh: an exchange that is to be carried out in the background, for nobody.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    refresh: "Exchange | None" = None


def unavailable(error: Unavailable, request: Request) -> Reply:
    """What a client hears when a guarantee cannot be met (RFC 9110, section 15.6.4)."""
    text = b"Service Unavailable\n"
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(text)),
        (b"cache-control", b"no-store"),
        (b"retry-after", b"%d" % error.retry_after),
    ]
    return Reply(503, headers, b"" if request.method == "HEAD" else text)


def not_cached(request: Request) -> Reply:
    """What `only-if-cached` gets where nothing is stored (RFC 9111, section 5.2.1.7)."""
    text = b"Not in the cache\n"
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(text)),
        (b"cache-control", b"no-store"),
        (b"cache-status", b"regionware; detail=only-if-cached"),
    ]
    return Reply(504, headers, b"" if request.method == "HEAD" else text)


def hit_headers(entry: Entry, now: float, detail: bytes = b"memory") -> list[tuple[bytes, bytes]]:
    """An entry's fields with its age and `Cache-Status` (RFC 9211), as of now."""
    return [
        *entry.pairs(),
        (b"age", b"%d" % max(now - entry.born, 0)),
        (
            b"cache-status",
            b"regionware; hit; ttl=%d; detail=%b" % (entry.fresh_until - now, detail),
        ),
    ]


def reply_from(  # noqa: PLR0917 - each is another thing, and the call is frequent
    entry: Entry,
    request: Request,
    now: float,
    wall: float,
    status_field: bytes,
    extra: Fields = (),
    refresh: "Exchange | None" = None,
) -> Reply:
    """Answer a request from an entry: its content, a part of it, only its head, or 304.

    Args:
        entry: what is stored.
        request: its conditions and ranges decide (RFC 9110, section 13.2.2).
        now: monotonic seconds.
        wall: seconds since the epoch.
        status_field: the `Cache-Status` member.
        extra: further fields.
        refresh: see `Reply`.
    """
    stored: Iterable[tuple[bytes, bytes]] = entry.pairs()
    body = entry.body
    if entry.packed and _takes_packed(request):
        stored, body = packed_fields(entry.headers, len(entry.packed)), entry.packed
    headers = [
        *stored,
        (b"age", b"%d" % max(now - entry.born, 0)),
        (b"cache-status", status_field),
        *extra,
    ]
    if entry.status == 200 and request.special.keys() & _CONDITIONS:
        found = _conditional(entry, request, wall, headers)
        if found is not None:
            found.refresh = refresh
            return found
    return Reply(entry.status, headers, b"" if request.method == "HEAD" else body, refresh)


def _takes_packed(request: Request) -> bool:
    """Whether a client is sent the compressed form: it accepts it, and asks for no part of it.

    Ranges are cut from the content as it is; the validators of the two forms differ, so that no
    client puts pieces of both together. A client can forbid it too (RFC 9111, section 5.2.1.6).
    """
    special = request.special
    if "range" in special or "no-transform" in special.get("cache-control", "").lower():
        return False
    return prefers("zstd", request.header("accept-encoding"))


def packed_fields(stored: Fields, length: int) -> Fields:
    """An entry's fields for its compressed form (RFC 9110, sections 8.4 and 8.8.3).

    Its entity tag is weak: it says that both forms mean the same, not that they are the same. So
    a client that has either is told that it still holds, and none asks for ranges of one by the
    tag of the other.
    """
    kept = [_weakened(pair) for pair in stored if pair[0] not in _OF_IDENTITY]
    return (*kept, (b"content-encoding", b"zstd"), (b"content-length", b"%d" % length))


def _weakened(pair: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    name, value = pair
    return (name, b"W/" + value) if name == b"etag" and value[:1] == b'"' else pair


def _conditional(
    entry: Entry, request: Request, wall: float, headers: list[tuple[bytes, bytes]]
) -> Reply | None:
    """304, 206 or 416, by the precedence of RFC 9110, section 13.2.2; `None` for all of it."""
    special = request.special
    # In one pass; of several lines the first counts, as everywhere.
    found = {name: value for name, value in reversed(headers) if name in _VALIDATORS}
    etag, modified, date = (
        found[name].decode("latin-1") if name in found else None for name in _ORDERED
    )
    if not_modified(special, etag=etag, last_modified=modified, date=date, now=wall):
        return Reply(304, [pair for pair in headers if pair[0] not in _NOT_IN_304], b"")
    if request.method != "GET" or "range" not in special or entry.field(b"accept-ranges") == "none":
        return None
    applies = range_applies(
        special.get("if-range"), etag=etag, last_modified=modified, date=date, now=wall
    )
    ranges = parse_range(special["range"], len(entry.body)) if applies else None
    return None if ranges is None else _partial(entry, ranges, headers)


def _partial(
    entry: Entry, ranges: list[tuple[int, int]], headers: list[tuple[bytes, bytes]]
) -> Reply:
    """RFC 9110, sections 15.3.7 and 15.5.17."""
    length, kind = len(entry.body), entry.field(b"content-type")
    if not ranges:
        kept = [pair for pair in headers if pair[0] in _IN_416]
        kept.append((b"cache-control", b"no-store"))
        return _sized(416, [*kept, (b"content-range", unsatisfied(length).encode())], b"")
    kept = [pair for pair in headers if pair[0] != b"content-length"]
    if len(ranges) == 1:
        first, last = ranges[0]
        kept.append((b"content-range", content_range(first, last, length).encode()))
        return _sized(206, kept, entry.body[first : last + 1])
    boundary = boundary_for(entry.body, str(ranges))
    kept = [pair for pair in kept if pair[0] != b"content-type"]
    kept.append((b"content-type", f"multipart/byteranges; boundary={boundary}".encode()))
    return _sized(206, kept, multipart(ranges, entry.body, kind, boundary))


def part_of(
    part: Entry,
    place: tuple[int, int, int],
    now: float,
    status_field: bytes,
    extra: Fields = (),
) -> Reply:
    """Answer from a part that is stored.

    Args:
        part: what is stored.
        place: the first and the last byte that are asked for, and the length of the whole.
        now: monotonic seconds.
        status_field: the `Cache-Status` member.
        extra: further fields.
    """
    known = parse_content_range(part.field(b"content-range") or "") or (0, 0, 0)
    first, last, length = place
    headers = [
        *(pair for pair in part.headers if pair[0] not in _OF_PART),
        (b"content-range", content_range(first, last, length).encode()),
        (b"age", b"%d" % max(now - part.born, 0)),
        (b"cache-status", status_field),
        *extra,
    ]
    return _sized(206, headers, part.body[first - known[0] : last + 1 - known[0]])


def _sized(status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> Reply:
    return Reply(status, [*headers, (b"content-length", b"%d" % len(body))], body)
