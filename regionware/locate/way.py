"""How one way into the application works: who comes in there, what it sets, who is behind it."""

import hmac
from collections.abc import Callable
from typing import Final

from regionware.http.request import Request
from regionware.locate.addresses import Address, bare
from regionware.locate.claim import Trust
from regionware.locate.client import Chain, Client, Walk, read
from regionware.locate.peers import Peers

#: The headers to which proxies append; all others that give an address hold one.
LISTS: Final = frozenset({"x-forwarded-for", "forwarded"})
#: Nothing gives the client's address but the connection itself.
PEER: Final = "peer"


class Way:
    """One way in. Of the conditions that it has, all must hold.

    Attributes:
        name: for people, and for metrics.
        source: the one header that gives the client's address, in lower case; or `peer`.
        platforms: the platforms whose headers it sets.
        believed: the lower-case names of all headers that it, or one behind it, sets; `None` for
            any.
        proto: it says by which scheme it was asked, in `X-Forwarded-Proto` or `Forwarded`.
        host: it says for which host, in `X-Forwarded-Host` or `Forwarded`.
        secrets: the lower-case names of the headers that hold a secret.
        behind: the way between this one and the application.
        rewritten: the server replaces the peer's address, and checks whose word it takes for it.
    """

    __slots__ = (
        "_hops", "_peers", "_proofs", "_single", "_skip", "behind", "believed", "host", "name",
        "platforms", "proto", "rewritten", "secrets", "source",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        *,
        peers: Peers,
        hops: Peers,
        proofs: tuple[tuple[str, tuple[bytes, ...]], ...],
        source: str,
        single: Callable[[str], Address | None],
        skip: int,
        platforms: frozenset[str],
        believed: frozenset[str] | None,
        proto: bool,
        host: bool,
        behind: "Way | None" = None,
        rewritten: bool = False,
    ) -> None:
        """Keep what was checked.

        Args:
            name: see `Way`, as for the others that it has.
            peers: who may ask; nobody in particular where it is empty.
            hops: whose addresses are a proxy's and not a client's; the peers are part of them.
            proofs: headers, each with the secrets of which it must hold one.
            source: see `Way`.
            single: reads the address in a header that holds one.
            skip: how many elements it appends behind the one that is its client's.
            platforms: see `Way`.
            believed: see `Way`.
            proto: see `Way`.
            host: see `Way`.
            behind: see `Way`.
            rewritten: see `Way`.
        """
        self.name, self.source, self.platforms = name, source, platforms
        self.believed, self.behind, self.rewritten = believed, behind, rewritten
        self.proto, self.host = proto, host
        self.secrets = frozenset(header for header, _ in proofs)
        if behind is not None and believed is not None:
            # What is nearer sets its own headers. Only one of the two says who the client is.
            self.believed = believed | ((behind.believed or frozenset()) - LISTS)
            self.secrets |= behind.secrets
        self._peers, self._hops, self._proofs = peers, hops, proofs
        self._single, self._skip = single, skip

    # Is it this one?

    def admits(self, request: Request, *, replaced: bool) -> bool:
        """Whether a request came in here.

        Args:
            request: with all of its headers.
            replaced: its peer is not the socket's, but what a server has put there.
        """
        if replaced and not self.rewritten:
            return False
        if self.behind is not None:
            if not self.behind.admits(request, replaced=replaced):
                return False
            near = self.behind.walk(request, self.behind.chain(request), replaced=replaced).client
            certain = near.trust is Trust.PLATFORM and near.address is not None
            if self._peers and not (certain and self._peers.trusts(str(near))):
                return False
        elif self._peers and not replaced and not self._peers.trusts(request.peer):
            return False
        return all(_proves(request.special.get(name), secrets) for name, secrets in self._proofs)

    # Who is behind it?

    def chain(self, request: Request) -> Chain:
        """The field to which it appends; an empty one where it does no such thing."""
        if self.source not in LISTS:
            return Chain(self.source, broken="absent")
        return read(self.source, request.header(self.source))

    def walk(self, request: Request, chain: Chain, *, replaced: bool) -> Walk:
        """The client of a request that came in here; and where in the field that was found.

        Args:
            request: whose.
            chain: the field to which this way appends.
            replaced: see `admits`.
        """
        near, place = peer_of(request), len(chain.hops)
        if self.behind is not None:
            same = self.behind.source == self.source
            its = chain if same else self.behind.chain(request)
            walk = self.behind.walk(request, its, replaced=replaced)
            near, place = walk.client, walk.left if same else place
            if near.trust is Trust.UNKNOWN:
                return Walk(near, place)
        elif replaced and (self.source in LISTS or self.source == PEER):
            return Walk(Client(near.address, "server", Trust.PLATFORM), place)
        if self.source in LISTS:
            return chain.walk(near.address, max(0, place - self._skip), self._hops.hold)
        if self.source == PEER:
            return Walk(Client(near.address, near.source, Trust.PLATFORM), place)
        return Walk(self._told(request.header(self.source), near), place)

    def _told(self, text: str | None, near: Client) -> Client:
        found = None if text is None else self._single(text)
        if found is not None:
            return Client(found, self.source, Trust.PLATFORM)
        reason = "absent" if text is None else "malformed"
        return Client(near.address, PEER, Trust.UNKNOWN, reason)


def peer_of(request: Request) -> Client:
    """What is known of the client without any header."""
    address = bare(request.peer.partition("%")[0]) if request.peer else None
    if address is None:
        return Client(None, PEER, Trust.UNKNOWN)
    return Client(address, PEER, Trust.LOCAL)


def _proves(value: str | None, secrets: tuple[bytes, ...]) -> bool:
    """Whether a value is one of the secrets; how long that takes tells nothing of them."""
    given = b"" if value is None else value.encode("utf-8", "replace")
    found = False
    for secret in secrets:
        found |= hmac.compare_digest(given, secret)
    return found
