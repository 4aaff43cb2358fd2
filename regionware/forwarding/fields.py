"""Which fields of a message go on to the next server, and which end here. No I/O here."""

import re
from collections.abc import Collection, Iterable
from typing import Final

Pair = tuple[bytes, bytes]

#: RFC 9110, section 7.6.1, and what is of the proxies between two servers.
HOP_BY_HOP: Final = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authentication-info",
        b"proxy-authorization", b"proxy-connection", b"te", b"trailer", b"transfer-encoding",
        b"upgrade",
    }
)  # fmt: skip
#: Whatever `Connection` names: these are no sender's to have removed.
_KEPT: Final = frozenset({b"content-length", b"cookie", b"authorization", b"content-type"})
#: Our server says these itself.
_OF_SERVERS: Final = frozenset({b"date", b"server"})
#: Fields that proxies between two regions add to or replace, besides those that say where a client
#: is; an origin reads in them who its client is.
CHANGED: Final = frozenset(
    {
        "cdn-loop", "forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port",
        "x-forwarded-prefix", "x-forwarded-proto", "x-forwarded-scheme", "x-forwarded-server",
        "x-forwarded-ssl", "x-original-forwarded-for", "x-real-ip",
    }
)  # fmt: skip
#: RFC 8586: a second way to notice a loop, where somebody removes our own field.
LOOP: Final = "cdn-loop"
LOOP_NAME: Final = "regionware"

_UNWRITABLE = re.compile(rb"[^\x21-\x7e]")


def end_to_end(headers: Iterable[Pair], drop: Collection[bytes] = ()) -> list[Pair]:
    """The fields that go on, in their order.

    Args:
        headers: all of them, as octets.
        drop: further lower-case names that end here.
    """
    headers = [(name.lower(), value) for name, value in headers]
    named = {
        name.strip(b" \t").lower()
        for field, value in headers if field == b"connection" for name in value.split(b",")
    } - _KEPT  # fmt: skip
    gone = HOP_BY_HOP | named | set(drop)
    return [pair for pair in headers if pair[0] not in gone]


def returned(headers: Iterable[Pair]) -> list[Pair]:
    """The fields of a response that go on to the client."""
    return end_to_end(headers, _OF_SERVERS)


def one_cookie(headers: list[Pair]) -> list[Pair]:
    """The same with one `Cookie` line, as HTTP/1.1 has it (RFC 9113, section 8.2.3)."""
    lines = [value for name, value in headers if name == b"cookie"]
    if len(lines) < 2:
        return headers
    rest = [pair for pair in headers if pair[0] != b"cookie"]
    return [*rest, (b"cookie", b"; ".join(lines))]


def length_of(text: str) -> int:
    """The octets that a `Content-Length` announces; negative where it is none."""
    return int(text) if text.isascii() and text.isdecimal() else -1


def loops(values: Iterable[str]) -> int:
    """How often a request has gone through one of us, as `CDN-Loop` tells."""
    members = ",".join(values).split(",")
    return sum(each.partition(";")[0].strip(" \t") == LOOP_NAME for each in members)


def request_target(path: bytes, query: bytes) -> bytes:
    """A request target (RFC 9112, section 3.2.1) of a path and a query as they were sent."""
    target = path + b"?" + query if query else path
    return _UNWRITABLE.sub(lambda found: b"%%%02X" % found[0][0], target)
