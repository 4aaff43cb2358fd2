"""A request as it is sent to another region's application. No I/O here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from regionware.errors import RegionwareError, Unavailable
from regionware.forwarding.decision import Way
from regionware.forwarding.fields import LOOP, LOOP_NAME, Pair, end_to_end, loops
from regionware.forwarding.hop import FIELD, Hop
from regionware.policies.write import Write
from regionware.topology import Region

if TYPE_CHECKING:
    from regionware.exchange import Exchange

_OURS: Final = (b"host", FIELD.encode(), b"content-length")


class ForwardFailed(Unavailable):
    """A forward came to nothing; answered with 503, and never tried again.

    Attributes:
        reason: a word: `closed`, `connect`, `pool`, `unsendable`, `timeout`, `broken`, `status`.
        sent: some of the request may have arrived, and may have been carried out.
    """

    def __init__(self, reason: str, *, sent: bool, retry_after: int = 1) -> None:
        """Keep what has happened."""
        super().__init__(f"the primary's region: {reason}", retry_after=retry_after)
        self.reason = reason
        self.sent = sent


class ContentFailed(Exception):
    """The content of a request does not come to its end.

    Attributes:
        reason: a word: `gone`, the client; or `limit`, there is more than the policy allows.
    """

    def __init__(self, reason: str) -> None:
        """Keep why."""
        super().__init__(reason)
        self.reason = reason


class Truncated(RegionwareError):
    """A response from another region broke off: the client's connection must break, too."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What is sent, but for its content.

    Attributes:
        region: where to.
        write: the policy: deadlines and limits.
        scheme: of the region's `url`.
        host: its host.
        port: its port, `None` for that of the scheme.
        method: as sent.
        target: the request target.
        headers: all fields, framing included.
        length: octets of the content; `None` where only its end tells.
    """

    region: Region
    write: Write
    scheme: bytes
    host: bytes
    port: int | None
    method: bytes
    target: bytes
    headers: list[Pair]
    length: int | None


def outgoing(
    exchange: "Exchange",
    way: Way,
    *,
    target: bytes,
    headers: Sequence[Pair],
    outer: Sequence[Pair],
    client: tuple[str | None, int],
    length: int | None,
) -> Outgoing | None:
    """The request as it goes to another region; `None` where its fields are too much to carry.

    Args:
        exchange: the request.
        way: where it goes.
        target: path and query as they were sent.
        headers: its fields as octets, names in lower case, without what nobody vouches for.
        outer: all of its fields, as they came; see `signed`.
        client: address and port of the peer.
        length: octets of its content; `None` where only its end tells.
    """
    region = way.region
    hop = signed(exchange, region, headers, outer, client)
    if hop is None:
        return None
    parts = urlsplit(region.url or "")
    sent = [(b"host", parts.netloc.encode("ascii"))]
    sent += end_to_end(headers, _OURS)
    if exchange.prepared.resolver.admits(exchange.request):
        secrets = exchange.prepared.ways.secrets
        sent += [pair for pair in outer if pair[0].decode("latin-1") in secrets]
    # The count goes on, also where a stranger's was removed.
    told = loops(value.decode("latin-1") for name, value in headers if name == LOOP.encode())
    round_ = ", ".join([LOOP_NAME] * (max(way.loops - told, 0) + 1))
    sent += [(FIELD.encode(), hop.encode("ascii")), (LOOP.encode(), round_.encode())]
    if length is None:
        sent.append((b"transfer-encoding", b"chunked"))
    elif length or any(name == b"content-length" for name, _ in headers):
        sent.append((b"content-length", b"%d" % length))
    return Outgoing(
        region, way.write,
        parts.scheme.encode(), (parts.hostname or "").encode("ascii"), parts.port,
        exchange.request.method.encode("latin-1"), parts.path.rstrip("/").encode() + target, sent,
        length,
    )  # fmt: skip


def signed(
    exchange: "Exchange",
    region: Region,
    headers: Sequence[Pair],
    outer: Sequence[Pair],
    client: tuple[str | None, int],
) -> str | None:
    """The hop of a request that goes to a region; `None` where it says too much.

    Args:
        exchange: the request.
        region: where it goes.
        headers: its fields, without what nobody vouches for.
        outer: all of its fields, as they came. Of a request that came through an ingress, or whose
            peer is not the socket's, the hop has these: the primary's region judges them as if it
            had come in there.
        client: address and port of the peer.
    """
    prepared, request = exchange.prepared, exchange.request
    ways = prepared.ways
    if ways.hops is None:
        return None
    entrance = prepared.resolver.ingresses.of(request)
    known = outer if entrance.way is not None or entrance.replaced else headers
    pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in known]
    hop = Hop(
        origin=prepared.topology.here.name,
        target=region.name,
        scheme="https" if request.scheme == "https" else "http",
        host=next((value for name, value in pairs if name == "host"), ""),
        client=client[0],
        port=0 if entrance.replaced else client[1],
        fields=tuple(pair for pair in pairs if pair[0] in ways.changed),
    )
    path = request.root + request.path
    return ways.hops.sign(hop, request.method, path, request.query, now=prepared.wall())
