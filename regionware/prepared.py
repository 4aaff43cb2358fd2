"""Everything a request needs, prepared at start. No I/O here."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from regionware.caching.coherence import Fences
from regionware.caching.entry import Entry, Key, Record
from regionware.caching.keys import LOOKUP, REWRITING, KeyPlan
from regionware.caching.seal import CHECKSUM, Seal
from regionware.database.position import Position
from regionware.edge import Edge
from regionware.effects import Flight
from regionware.forwarding.ways import Ways
from regionware.http.hosts import Hosts
from regionware.http.paths import is_ambiguous
from regionware.http.request import Request, RequestEdits
from regionware.locate.border import Admitted, Border, spelled
from regionware.locate.forgeable import STEERING, TELLING
from regionware.locate.probe import Endpoint
from regionware.locate.resolver import Resolver
from regionware.observe import Event, Events
from regionware.policies.database import at_least
from regionware.policies.route import Mode
from regionware.policies.table import Compiled, Table
from regionware.policies.write import Write
from regionware.session import FIELD, Sessions
from regionware.topology import Topology
from regionware.variance import Variance

#: The request field that opens the debug fields, with the value given as `debug=`.
DEBUG_FIELD = "regionware-debug"
_WARNED = 100

logger = logging.getLogger("regionware")


class MemoryTier(Protocol):
    """What the exchange asks of this process's tier."""

    @property
    def largest(self) -> int:
        """The largest record that is kept, in accounted bytes."""

    def lookup(self, key: Key, /) -> Record | None:
        """The record of a key."""

    def put(self, record: Record, /) -> bool:
        """Keep a record."""

    def discard(self, record: Record, /) -> None:
        """Drop a record, unless another has taken its place."""


class FlightBoard(Protocol):
    """What the exchange asks of the fills in progress; neither call blocks."""

    def join(
        self, key: Key, need: Position | None, floor: int, stamp: int, /
    ) -> tuple[Flight | None, bool]:
        """Join the fill of a key, if it was begun after `floor`, or lead one, begun at `stamp`."""

    def land(self, key: Key, flight: Flight, outcome: str, result: Entry | None = None, /) -> None:
        """End a fill."""

    def spill(self, key: Key, /) -> bool:
        """Whether one who would go to the application beside a fill may do that now."""

    def unspill(self, key: Key, /) -> None:
        """One of those has come back."""

    def nudge(self, flight: Flight, /) -> None:
        """Let those who wait look again."""

    def is_busy(self, key: Key, /) -> bool:
        """Whether a fill of a key is in progress."""


class Plan:
    """One route, prepared."""

    __slots__ = (
        "cdn_tags",
        "compiled",
        "edge",
        "idle",
        "idle_head",
        "is_standard",
        "keys",
        "mode",
        "raises",
        "repeats",
        "sees",
        "sessions",
        "strong_sessions",
        "tags",
        "variance",
        "write",
        "yields",
    )

    def __init__(
        self,
        compiled: Compiled,
        keys: KeyPlan | None,
        *,
        has_database: bool,
        goes_back: bool = True,
        variance: Variance | None = None,
    ) -> None:
        """Prepare a route's parts.

        Args:
            compiled: the route.
            keys: the rules of its cache policy.
            has_database: whether the topology names a database.
            goes_back: whether anything could show a session less than it has seen.
            variance: how edges keep regions apart; `None` where answers do not differ by region.
        """
        route = compiled.route
        self.compiled = compiled
        self.keys = keys
        self.mode = route.mode
        self.variance = variance
        self.edge = None if route.cdn is None else Edge(route.cdn, varies=variance is not None)
        self.tags = tuple(route.cache.tags) if route.cache is not None else ()
        self.cdn_tags = (
            self.tags if route.cdn is None or route.cdn.tags is None else tuple(route.cdn.tags)
        )
        cached = route.cache is not None and at_least(route.cache.consistency, "own-writes")
        #: How writes travel, where that is another way than to run the application here.
        self.write: Write | None = (
            None if route.write is None or route.write.strategy == "direct" else route.write
        )
        #: Entries of this route are compared with the session's writes.
        self.sessions = has_database and cached
        #: Reads of this route see the session's writes.
        self.strong_sessions = has_database and (
            cached or at_least(compiled.database.consistency, "own-writes")
        )
        word = compiled.database.consistency if route.cache is None else route.cache.consistency
        closed = has_database and goes_back and not (route.cdn is not None and route.cdn.is_public)
        #: Answers of this route are never older than what the session has seen, and raise that.
        self.sees = closed and word == "session"
        #: Answers raise what a session with a token has seen.
        self.raises = self.sees or (closed and route.cache is None and word == "strong")
        #: A response that the application gives to everybody is none of a session's.
        self.yields = route.database is None and route.cache is None
        if self.sees and keys is not None:
            keys.quick = False
        #: By the book: the application's own fields decide, and stand.
        self.is_standard = route.cache is not None and route.cache.is_standard
        #: Like heads are edited alike: nothing is made from the path, or from tags.
        self.repeats = self.edge is None
        #: The route says nothing of who may keep a response.
        self.idle_head = keys is None and self.edge is None
        #: Responses here are never touched.
        self.idle = self.idle_head and not has_database

    @property
    def is_public(self) -> bool:
        """Whether the route lets a cache in front keep its answers."""
        cdn = self.compiled.route.cdn
        return self.is_standard if cdn is None else cdn.is_public


@dataclass(slots=True)
class Prepared:
    """The parts that decisions are made from; one for each `Regionware`.

    Attributes:
        clock: monotonic seconds.
        wall: seconds since the epoch.
        random: a number in [0, 1).
        token: a lease's token, different each time, in every process.
        probe: where browsers measure the regions, if they do.
        ways: how writes travel.
        complained: what is wrong with the regions, and was said once.
    """

    topology: Topology
    table: Table
    plans: dict[int, Plan]
    resolver: Resolver
    sessions: Sessions
    memory: MemoryTier
    flights: FlightBoard
    fences: Fences
    events: Events
    clock: Callable[[], float]
    wall: Callable[[], float]
    random: Callable[[], float]
    token: Callable[[], str]
    mode: Mode
    debug: str | None
    has_redis: bool
    has_database: bool
    has_caches: bool
    hosts: Hosts
    ways: Ways
    seal: Seal = CHECKSUM
    probe: Endpoint | None = None
    warned: set[str | None] = field(default_factory=set)
    #: What is removed from requests on every route; `None` where nobody asks who is believed.
    border: Border | None = None
    #: No key of a route that names no fields depends on these.
    harmless: frozenset[str] = frozenset({"host"})
    strangers: int = 0
    complained: set[str] = field(default_factory=set)

    def names(self) -> frozenset[str]:
        """The request fields, in lower case, that the adapters hand over in `Request.special`."""
        return LOOKUP | self._forgeable() | self.resolver.headers | {FIELD, DEBUG_FIELD}

    def spellings(self) -> frozenset[str]:
        """The same, with `_` for `-`, of those that are removed from strangers."""
        return spelled(self._forgeable())

    def _forgeable(self) -> frozenset[str]:
        if self.border is not None:
            return self.border.names
        return REWRITING | TELLING | STEERING if self.has_caches else REWRITING

    def admit(self, request: Request, mode: Mode) -> RequestEdits | None:
        """Remove from a request, before anything is decided, what nobody vouches for.

        Returns:
            What the application must not see either; nothing unless the mode is `on`.
        """
        admitted = None if self.border is None else self.border.admit(request)
        if admitted is None:
            return None
        if admitted.told:
            self._tell_stripped(request.peer, admitted, mode)
        edits = admitted.edits
        return edits if mode == "on" and (edits.remove or edits.put) else None

    def _tell_stripped(self, peer: str | None, admitted: Admitted, mode: Mode) -> None:
        removed = mode == "on"
        if not admitted.way and not admitted.replaced and removed:
            self.distrusted(peer, admitted.told, removed=True)
            return
        detail = "ingress" if admitted.way else "server" if admitted.replaced else ""
        self.events.emit(Event("stripped", detail=detail, observed=not removed))
        about = f"ingress {admitted.way}" if admitted.way else "server"
        if about in self.warned or not detail:
            return
        self.warned.add(about)
        names = ", ".join(sorted(admitted.told))
        if admitted.way:
            logger.warning("%s does not set %s, which came through it: removed", about, names)
        else:
            logger.warning(
                "removed %s: the server in front has put %s in the place of the peer's address, so"
                " nobody is authenticated; start uvicorn with --no-proxy-headers, or name an"
                " Ingress(rewritten=True)", names, peer,
            )  # fmt: skip

    def distrusted(self, peer: str | None, names: Iterable[str], *, removed: bool) -> None:
        """Fields that rewrite a request came from a peer that is not trusted: say so once."""
        self.events.emit(Event("stripped" if removed else "distrusted"))
        if peer not in self.warned and len(self.warned) < _WARNED:
            self.warned.add(peer)
            logger.warning(
                "%s %s sent by %s, which is not trusted; name your proxy in trusted=",
                "removed" if removed else "nothing is cached because of",
                ", ".join(sorted(names)), peer,
            )  # fmt: skip

    def unlisted(self, request: Request) -> None:
        """A request names a host that is not listed, or none at all: say so once, count all."""
        self.events.emit(Event("unlisted-host"))
        if not self.strangers:
            logger.warning(
                "nothing is cached for the host %.100r, which is malformed or not in hosts=; "
                "said once, counted as unlisted-host", self.origin(request)[1],
            )  # fmt: skip
        self.strangers += 1

    def is_suspect(self, request: Request) -> bool:
        """Whether nobody may keep an answer: the path is ambiguous, or the host none of ours."""
        scheme, host = self.origin(request)
        return is_ambiguous(request) or self.hosts.canonical(host, scheme) is None

    def origin(self, request: Request) -> tuple[str, str]:
        """The scheme and host under which answers to a request are stored."""
        for plan in self.plans.values():
            if plan.keys is not None:
                return plan.keys.origin(request)
        return request.scheme, request.host

    def keys_of(self, host: str, path: str) -> KeyPlan | None:
        """How keys are made of what is answered to a GET here; `None` if nothing is stored."""
        return self.plan_of(host, path).keys

    def plan_of(self, host: str, path: str) -> Plan:
        """The plan of what is answered to a GET here."""
        return self.plans[self.table.match("GET", host, path).index]

    def plan(self, request: Request) -> Plan:
        """The plan of the first route that matches."""
        return self.plans[self.table.match(request.method, request.host, request.path).index]
