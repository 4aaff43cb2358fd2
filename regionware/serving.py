"""Answers made from entries: the fields of a hit, and 304 (RFC 9110, section 15.4.5). No I/O."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from regionware.caching.entry import Entry, Fields
from regionware.errors import Unavailable
from regionware.http.fields import etag_matches
from regionware.http.request import Request

if TYPE_CHECKING:
    from regionware.exchange import Exchange

#: What a 304 repeats of the fields a 200 would have had; the rest describes content it lacks.
_NOT_IN_304 = frozenset(
    {b"content-length", b"content-type", b"content-encoding", b"content-language", b"content-range"}
)


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


def hit_headers(entry: Entry, now: float, detail: bytes = b"memory") -> list[tuple[bytes, bytes]]:
    """An entry's fields with its age and `Cache-Status` (RFC 9211), as of now."""
    return [
        *entry.headers,
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
    status_field: bytes,
    extra: Fields = (),
    refresh: "Exchange | None" = None,
) -> Reply:
    """Answer a request from an entry: its content, only its head, or 304.

    Args:
        entry: what is stored.
        request: whose `If-None-Match` decides (RFC 9110, section 13.2.2).
        now: monotonic seconds.
        status_field: the `Cache-Status` member.
        extra: further fields.
        refresh: see `Reply`.
    """
    headers = [
        *entry.headers,
        (b"age", b"%d" % max(now - entry.born, 0)),
        (b"cache-status", status_field),
        *extra,
    ]
    condition = request.special.get("if-none-match")
    if (
        condition is not None
        and entry.etag is not None
        and entry.status == 200
        and etag_matches(condition, entry.etag)
    ):
        return Reply(304, [pair for pair in headers if pair[0] not in _NOT_IN_304], b"", refresh)
    return Reply(entry.status, headers, b"" if request.method == "HEAD" else entry.body, refresh)
