"""From a response to an entry, from an entry to a frame, and back. No I/O here."""

from collections.abc import Iterable
from math import ceil

from regionware.caching import compression
from regionware.caching.coherence import BOUND
from regionware.caching.compression import for_clients
from regionware.caching.entry import Entry, Fields, Key
from regionware.caching.frame import DEAREST, Frame
from regionware.caching.storability import Lifetime
from regionware.policies.cache import Cache

_MICROSECONDS = 1_000_000

#: Fields of one hop, never stored (RFC 9110, section 7.6.1; RFC 9111, section 3.1), and those that
#: are made anew.
_UNSTORED = frozenset(
    {
        b"age",
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"proxy-connection",
        b"regionware-provenance",
        b"regionware-session",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)

#: Fields that a 304 or a HEAD says nothing about: they belong to the stored content
#: (RFC 9111, section 3.2).
OF_CONTENT = frozenset({b"content-encoding", b"content-length", b"content-range", b"content-type"})


def stored_fields(
    headers: Iterable[tuple[bytes, bytes]], length: int | None, dropped: Iterable[str]
) -> Fields:
    """The fields that are stored: without those of one hop, and with a length.

    Args:
        headers: the response's fields.
        length: octets of the content; `None` where a length must not be told.
        dropped: further names, among them those in `Connection`, which are fields of one hop too.
    """
    unwanted = _UNSTORED | {name.encode("latin-1") for name in dropped}
    kept = [
        (name.lower(), value)
        for name, value in headers
        if name.lower() not in unwanted and not _is_ours(name, value)
    ]
    if length is not None and not any(name == b"content-length" for name, _ in kept):
        kept.append((b"content-length", b"%d" % length))
    return tuple(kept)


def _is_ours(name: bytes, value: bytes) -> bool:
    """Whether a field is our own member of `Cache-Status`; other caches' members are kept."""
    return name.lower() == b"cache-status" and value.startswith(b"regionware;")


def updated_fields(
    stored: Fields,
    headers: Iterable[tuple[bytes, bytes]],
    dropped: Iterable[str],
    taken: Iterable[str] = (),
) -> Fields:
    """Stored fields, updated by those of a 304 or of a HEAD (RFC 9111, section 3.2).

    Args:
        stored: the fields so far.
        headers: the response's fields.
        dropped: names that are not to be stored.
        taken: names that are not to stay either.
    """
    new = [pair for pair in stored_fields(headers, None, dropped) if pair[0] not in OF_CONTENT]
    replaced = {name for name, _ in new} | {name.encode("latin-1") for name in taken}
    return (*(pair for pair in stored if pair[0] not in replaced), *new)


def to_frame(entry: Entry, material: bytes, lifetime: Lifetime) -> Frame:
    """An entry for the store: its times relative to the region's clock, its text compressed."""
    fresh = max(entry.created + int((lifetime.ttl - lifetime.age) * _MICROSECONDS), 0)
    return Frame(
        material=material,
        status=entry.status,
        headers=entry.headers,
        body=entry.body,
        tags=entry.tags,
        created=entry.created,
        fresh_until=fresh,
        revalidate=int(lifetime.revalidate),
        error=int(lifetime.error),
        age=ceil(lifetime.age),
        lower=entry.lower,
        upper=entry.upper,
        host=entry.host,
        flags=entry.flags,
        cost=min(round(entry.cost * 1000), DEAREST),
        packed=entry.packed or compression.pack(entry.headers, entry.body),
    )


def from_frame(
    frame: Frame, key: Key, *, stamp: int, now: float, cache: Cache | None = None
) -> Entry:
    """A frame for this process: its times by this process's monotonic clock.

    Args:
        frame: what the store had.
        key: the request's key, or its variant's.
        stamp: the server's clock at the look-up, microseconds.
        now: monotonic seconds, at the same moment.
        cache: the policy that says whether clients are sent it compressed.
    """
    packed = b""
    if cache is not None:
        packed = for_clients(cache, frame.headers, frame.body, frame.flags, frame.packed)
    return Entry(
        key,
        status=frame.status,
        headers=frame.headers,
        body=frame.body,
        tags=frame.tags,
        created=frame.created,
        born=now - max(stamp - frame.created, 0) / _MICROSECONDS - frame.age,
        fresh_until=now + (frame.fresh_until - stamp) / _MICROSECONDS,
        revalidate=frame.revalidate,
        error=frame.error,
        lower=frame.lower,
        upper=frame.upper,
        host=frame.host,
        flags=frame.flags,
        cost=frame.cost / 1000,
        packed=packed,
    )


def life(lifetime: Lifetime) -> int:
    """Milliseconds for which anybody may still want a frame."""
    after = max(lifetime.revalidate, lifetime.error, lifetime.keep)
    return int(max(lifetime.ttl - lifetime.age + after, lifetime.keep) * 1000) + 1


def verified(entry: Entry, began: float) -> Entry:
    """An entry that this process made itself: it has missed no purge up to when it began."""
    entry.verify(began + BOUND)
    return entry
