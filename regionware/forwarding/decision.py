"""Where a request is carried out, decided before the application runs. No I/O here."""

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from regionware.forwarding.hop import Hop
from regionware.policies.write import Write
from regionware.serving import Reply
from regionware.topology import Region

if TYPE_CHECKING:
    from regionware.exchange import Exchange

#: Octets: what Fly can replay (networking/dynamic-request-routing, read 2026-11).
_FLY_LIMIT: Final = 1_000_000
#: Gone through one of us so often, a request goes no further, whatever became of its hop.
_MOST_LOOPS: Final = 3
#: How Fly says that it stands in front, and that it has tried already.
_FLY, _FLY_TRIED = "fly-request-id", ("fly-replay-src", "fly-replay-failed")

logger = logging.getLogger("regionware")


@dataclass(frozen=True, slots=True)
class Way:
    """Where a request is carried out.

    Attributes:
        kind: `here`, `forward`, or the platform that replays it.
        reason: why here; else the region.
        write: the policy that holds.
        region: where it goes.
        loops: how often the request has gone through one of us, as it came.
    """

    kind: Literal["here", "forward", "fly", "nginx"]
    reason: str
    write: Write
    region: Region
    loops: int = 0


def decide(exchange: "Exchange", hop: Hop | None = None, went: int = 0) -> Way:
    """Where this request is carried out; nothing is changed.

    Args:
        exchange: the request, on a route with a policy for writes.
        hop: the one that it has made already.
        went: how often it has gone through one of us. What a stranger says of that nobody sees
            any more, and yet a circle has no other end where hops are not understood.
    """
    prepared, write = exchange.prepared, exchange.plan.write or Write.direct()
    here = prepared.topology.here
    reason = _stays(exchange)
    if not reason:
        primary = prepared.ways.primary()
        if primary.name != here.name:
            return _away(exchange, write, primary, hop, went)
        reason = "primary"
    return Way("here", reason, write, here)


def _stays(exchange: "Exchange") -> str:
    """Why a request is carried out here wherever the primary is."""
    request = exchange.request
    if exchange.plan.compiled.access(request.method) != "write":
        return "read"
    if request.method == "CONNECT":
        return "method"
    # What speaks another protocol afterwards cannot be carried over.
    return "upgrade" if request.header("upgrade") is not None else ""


def _away(exchange: "Exchange", write: Write, primary: Region, hop: Hop | None, went: int) -> Way:
    """A write whose primary is elsewhere."""
    here, request = exchange.prepared.topology.here, exchange.request
    if hop is not None:
        return Way("here", "hop", write, here)
    if went >= _MOST_LOOPS:
        return Way("here", "loop", write, here)
    if write.replays and write.otherwise is not None:
        reason = _cannot_replay(exchange, write)
        if not reason:
            return Way("fly" if write.strategy == "fly" else "nginx", primary.name, write, primary)
        write = write.otherwise
        if write.strategy != "forward" or reason == "replayed":
            return Way("here", reason, write, here)
    length = request.special.get("content-length") or request.header("content-length") or ""
    if write.body_limit is not None and length.isdecimal() and int(length) > write.body_limit:
        return Way("here", "body", write, here)
    return Way("forward", primary.name, write, primary, went)


def _cannot_replay(exchange: "Exchange", write: Write) -> str:
    request, prepared = exchange.request, exchange.prepared
    if not prepared.resolver.admits(request):
        return "peer"
    if write.strategy != "fly":
        return ""
    if any(request.header(name) is not None for name in _FLY_TRIED):
        return "replayed"
    if request.header(_FLY) is None:
        return "platform"
    length = request.header("content-length")
    if length is None:
        return "body" if request.header("transfer-encoding") is not None else ""
    return "" if length.isdecimal() and int(length) <= _FLY_LIMIT else "body"


def elsewhere(exchange: "Exchange", hop: Hop | None, went: int = 0) -> Way | None:
    """Where else this request is carried out, `None` for here; it is told where something is odd.

    Args:
        exchange: see `decide`.
        hop: see `decide`.
        went: see `decide`.
    """
    way = decide(exchange, hop, went)
    if way.kind == "here":
        if way.reason in {"hop", "loop"}:
            _misdirected(exchange, way, hop)
        return None
    if exchange.mode != "on":
        name = "forwarded" if way.kind == "forward" else "replayed"
        exchange.tell(name, way.reason, observed=True)
        return None
    exchange.away = way.kind
    return way


def _misdirected(exchange: "Exchange", way: Way, hop: Hop | None) -> None:
    """A write was sent here, where another region is held to be the primary's: it ends here."""
    exchange.tell("hop-refused", "misdirected" if hop is not None else "loop")
    prepared = exchange.prepared
    if way.reason not in prepared.complained:
        prepared.complained.add(way.reason)
        logger.error(
            "region %s was sent a write by %s, but takes %s for the primary's region: it is "
            "carried out here; see that all regions say the same of the primary",
            prepared.topology.here.name, hop.origin if hop is not None else "somebody",
            prepared.ways.primary().name,
        )  # fmt: skip


def replay(way: Way, hop: str | None) -> Reply:
    """What has a platform replay the request.

    To nobody else this says that it was carried out: 421 (RFC 9110, section 15.5.20) means that
    the request came to the wrong server. Neither platform looks at the status.

    Args:
        way: where to.
        hop: nginx hands it on, if it is told to.
    """
    text = b"This region cannot carry out the request\n"
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(text)),
    ]
    if way.kind == "fly":
        order = f"region={way.region.name};state=regionware"
        if way.write.otherwise is not None and way.write.otherwise.strategy == "direct":
            # It comes back, with `fly-replay-failed`, where nothing could be reached.
            order += ";timeout=5s;fallback=prefer_self"
        headers.append((b"fly-replay", order.encode()))
    else:
        headers.append((b"x-accel-redirect", way.write.location.encode()))
        if hop is not None:
            headers.append((b"regionware-hop", hop.encode()))
    return Reply(421, headers, text)
