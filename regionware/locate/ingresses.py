"""Through which ingress a request came, found once for each request. No I/O here."""

from collections.abc import Iterable, Sequence
from typing import Final

from regionware.errors import ConfigurationError
from regionware.http.request import Request
from regionware.locate.addresses import Address, hop
from regionware.locate.claim import Trust
from regionware.locate.client import NOBODY, Chain, Client, Walk
from regionware.locate.ingress import Ingress
from regionware.locate.peers import Peers
from regionware.locate.way import Way, peer_of

_NOTHING: Final[frozenset[str]] = frozenset()


class Entrance:
    """How one request came in.

    Attributes:
        way: the ingress; `None` for a stranger.
        replaced: a server has put something else in the place of its peer, unasked.
        telling: what it sets that tells where the client is, or its address; see `locate.border`.
    """

    __slots__ = ("_client", "replaced", "telling", "way")

    def __init__(self, way: Way | None, *, replaced: bool) -> None:
        """Begin without having looked for the client."""
        self.way = way
        self.replaced = replaced
        self.telling = _NOTHING
        self._client: Client | None = None

    def walk(self, request: Request) -> tuple[Chain, Walk]:
        """The field to which the ingress appends, and how far it can be believed."""
        if self.way is None:
            return Chain("peer", broken="absent"), Walk(peer_of(request), 0)
        chain = self.way.chain(request)
        walk = self.way.walk(request, chain, replaced=self.replaced)
        self._client = walk.client
        return chain, walk

    def client(self, request: Request) -> Client:
        """The client's address; found when somebody first asks."""
        if self._client is None:
            unknown = self.way is None and self.replaced
            self._client = NOBODY if unknown else self.walk(request)[1].client
        return self._client

    def told(self, request: Request) -> str:
        """The same as text; empty where it is unknown, or only that of a proxy."""
        client = self.client(request)
        return "" if client.trust is Trust.UNKNOWN else str(client)


class Ingresses:
    """All ways into the application, in their order; peers that are believed anything come last.

    Attributes:
        ways: all of them.
        peers: those that are believed anything.
    """

    def __init__(self, trusted: Iterable[str | Ingress] | Peers = ()) -> None:
        """Read the option `trusted`.

        Raises:
            ConfigurationError: a network is malformed.
        """
        if isinstance(trusted, str):
            raise ConfigurationError("trusted is a list of networks and ingresses, not one text")
        if isinstance(trusted, Peers):
            own: Sequence[Ingress] = ()
            self.peers = trusted
        else:
            given = tuple(trusted)
            own = [each for each in given if isinstance(each, Ingress)]
            self.peers = Peers([each for each in given if not isinstance(each, Ingress)])
        last = (_believed_anything(self.peers),) if self.peers else ()
        self.ways: tuple[Way, ...] = (*own, *last)

    def __bool__(self) -> bool:
        """Whether anybody at all is believed."""
        return bool(self.ways)

    def of(self, request: Request) -> Entrance:
        """How a request came in; the first time it must have all of its headers."""
        known = getattr(request, "entrance", None)
        if isinstance(known, Entrance):
            return known
        return self.enter(request)

    def enter(self, request: Request) -> Entrance:
        """The same, where nobody has asked before."""
        replaced = request.replaced()
        for way in self.ways:
            if way.admits(request, replaced=replaced):
                break
        else:
            way = None
        found = request.entrance = Entrance(way, replaced=replaced)
        return found

    def speaks(self, request: Request, platform: str, headers: frozenset[str]) -> bool:
        """Whether whoever has sent this request sets a platform's headers, or those named."""
        way = self.of(request).way
        return way is not None and _speaks(way, platform, headers)

    def could_speak(self, platform: str, headers: frozenset[str]) -> bool:
        """Whether anybody could."""
        return any(_speaks(way, platform, headers) for way in self.ways)

    def differs(self, request: Request, told: Address | None) -> bool:
        """Whether a platform means another client than we do: the server of another CDN.

        Peers that are believed anything are not asked to agree.
        """
        entrance = self.of(request)
        if entrance.way is None or entrance.way.believed is None:
            return False
        known = entrance.client(request)
        return known.trust is Trust.PLATFORM and known.address != told


def _speaks(way: Way, platform: str, headers: frozenset[str]) -> bool:
    if way.believed is None:
        return True
    # One that does not say what it reads may read anything.
    return platform in way.platforms if platform else bool(headers) and headers <= way.believed


def _believed_anything(peers: Peers) -> Way:
    return Way(
        "trusted", peers=peers, hops=peers, proofs=(), source="x-forwarded-for", single=hop, skip=0,
        platforms=frozenset(), believed=None, proto=True, host=True,
    )  # fmt: skip
