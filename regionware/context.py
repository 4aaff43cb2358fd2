"""The state of the request that is being answered, as application code sees it.

One `ContextVar` holds one mutable object for each request. Only the adapters set the variable;
everybody else mutates the object, so that a change made in a task or a worker thread that copied
the context is seen by all of them.
"""

import logging
from collections.abc import Callable
from contextvars import ContextVar, Token
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any, Protocol

from regionware.database.position import Position, lower, merge
from regionware.database.seen import NOTHING, Seen
from regionware.database.token import Token as SessionToken
from regionware.errors import ConfigurationError, Unavailable
from regionware.locate.claim import Located, Trust
from regionware.locate.client import NOBODY, Client
from regionware.policies.database import Access, Database
from regionware.topology import Region

_MAX_TAG = 1024

logger = logging.getLogger("regionware")


@dataclass(frozen=True, slots=True)
class HostRead:
    """One use of a database host by a request.

    Attributes:
        host: the host's name in the topology, such as `fra/replica-1`.
        role: `primary` or `replica`.
        access: `read` or `write`.
        reason: why this host was chosen.
        lag: seconds of replication lag known when it was chosen, `None` if unknown.
        position: the lower bound of what was visible there, `None` if unknown.
    """

    host: str
    role: str
    access: Access
    reason: str
    lag: float | None
    position: Position | None


@dataclass(frozen=True, slots=True)
class Provenance:
    """What the answer of the request in progress is made from, so far.

    Attributes:
        rule: the template of the route, or an empty string.
        region: the name of the region nearest to the client.
        here: the name of the region that answers.
        tier: `application`: while it runs, nothing was answered from memory or Redis.
        hosts: every use of a database host, in order, with role, reason, lag and position.
        position: the lower bound of all reads; `None` while there are none, or one is unknown.
        written: the position of the last committed write.
    """

    rule: str
    region: str
    here: str
    tier: str
    hosts: tuple[HostRead, ...]
    position: Position | None
    written: Position | None


class Reads(Protocol):
    """The connection of an open handle."""

    #: Something was read that no upper bound was asked behind.
    unbounded: bool


class Current:
    """What a request is, where it is answered, and what its answer is made from.

    Attributes:
        here: the region that answers.
        method: the request's method.
        route: the template of the matching route, or an empty string.
        access: what the route and the method say about the database.
        database: the route's database policy.
        need: what a read must have reached: the session's writes, and fences of purged tags.
        observing: decisions are made and reported, and nothing is changed.
        token: what the session was owed when this began, `None` for nothing.
        outer: the state that was bound when this one was, by `rw.bind()` inside of a request: it
            is told of everything that happens here.
        watching: what the session is shown is noted.
        fills: and the answer may become an entry that is compared with what others have seen.
        seen: what it has seen.
    """

    __slots__ = (
        "_client",
        "_inherited",
        "_located",
        "_lock",
        "_open",
        "_reads",
        "_tags",
        "_unbounded",
        "_unknown",
        "_upper",
        "_written",
        "access",
        "database",
        "deferred",
        "fills",
        "here",
        "joining",
        "lost",
        "lower",
        "method",
        "need",
        "observing",
        "orphaned",
        "outer",
        "recovered",
        "route",
        "seen",
        "sent",
        "token",
        "unasked",
        "unavailable",
        "watching",
        "writes",
    )

    def __init__(
        self,
        *,
        region: Region | Callable[[], Located],
        here: Region,
        method: str,
        route: str,
        access: Access,
        database: Database,
        need: Position | None = None,
        observing: bool = False,
        token: SessionToken | None = None,
        outer: "Current | None" = None,
        watching: bool = False,
        fills: bool = False,
        seen: Seen = NOTHING,
        lost: bool = False,
        client: Callable[[], Client] | None = None,
    ) -> None:
        """Begin with nothing read, written or tagged."""
        self._located: Located | Callable[[], Located] = (
            Located(region, "default", Trust.UNKNOWN, None)
            if isinstance(region, Region)
            else region
        )
        self._client: Client | Callable[[], Client] = NOBODY if client is None else client
        self.here = here
        self.method = method
        self.route = route
        self.access = access
        self.database = database
        self.need = need
        self.observing = observing
        self.token = token
        self.outer = outer
        self.watching = watching
        self.fills = fills
        self.seen = seen
        #: What waits for the commits of this request's open write handles; the latest last.
        self.deferred: list[list[Any]] = []
        #: Of another layer: the open transaction that a purge made here and now is part of, if any.
        self.joining: Callable[[], Any] | None = None
        #: Something was committed whose position must be asked before the head goes out.
        self.unasked = False
        #: The head of the response is out, or `rw.bind()` is over: no token can travel any more.
        self.sent = False
        self.writes = 0
        #: A commit whose outcome is unknown: reads stay on the primary.
        self.lost = self._inherited = lost
        #: What covers a commit of unknown outcome of an earlier request.
        self.recovered: Position | None = None
        #: Writes of the session were lost in a failover: it is told by a new token.
        self.orphaned = False
        #: The lower bound of all reads so far; `None` while there are none, or one is unknown.
        self.lower: Position | None = None
        #: The guarantee that could not be met, if a framework turns the exception into a 500.
        self.unavailable: Unavailable | None = None
        self._unknown = self._unbounded = False
        self._upper: Position | None = None
        self._open: list[Reads] = []
        self._lock = Lock()
        self._reads: list[HostRead] = []
        self._tags: set[str] = set()
        self._written: Position | None = None

    @property
    def region(self) -> Region:
        """The region nearest to the client, found when somebody first asks."""
        return self.located.region

    @property
    def located(self) -> Located:
        """The same, with who said so, and how far that can be believed."""
        if not isinstance(self._located, Located):
            self._located = self._located()
        return self._located

    @property
    def client(self) -> Client:
        """The client's address, and how it was found; looked for when somebody first asks.

        It is nobody's where an answer may be for others too, and outside of a request.
        """
        if not isinstance(self._client, Client):
            self._client = self._client()
        return self._client

    @property
    def state(self) -> "Current":
        """Itself: a state can be bound directly."""
        return self

    def open(self) -> "Current":
        """Itself."""
        return self

    def tag(self, *tags: str) -> None:
        """Add tags to the entry that this response may become.

        Raises:
            ConfigurationError: a tag is empty, longer than 1,024 characters or not printable.
        """
        for tag in tags:
            if not tag or len(tag) > _MAX_TAG or not tag.isprintable():
                raise ConfigurationError(f"not a tag: {tag!r}")
        with self._lock:
            self._tags.update(tags)
        if self.outer is not None:
            self.outer.tag(*tags)

    @property
    def tags(self) -> frozenset[str]:
        """The tags added so far by `tag`."""
        with self._lock:
            return frozenset(self._tags)

    def read(self, use: HostRead) -> None:
        """Record that a read handle was opened: the answer can be no newer than its bound."""
        with self._lock:
            first = not self._reads and not self._unknown
            self._reads.append(use)
            if use.position is None:
                self._unknown = True
            self.lower = use.position if first else lower(self.lower, use.position)
            if self._unknown:
                self.lower = None
        if self.outer is not None:
            self.outer.read(use)

    def saw(self, upper: Position | None, name: str) -> None:
        """Record what a read has shown; `None` if that is not known.

        Args:
            upper: nothing later was shown.
            name: the pin of the replica that has shown it, an empty string for the primary.
        """
        with self._lock:
            if upper is None:
                # Only the primary is certain to be no older.
                self._unbounded = self.lost = True
                self._inherited = False
            else:
                self._upper = merge(self._upper, upper)
                self.seen = self.seen.after(upper, name)
                self.need = merge(self.need, upper)
                if self._inherited and not name:
                    # What the earlier request did not hear of has happened, or nobody was told.
                    self._inherited, self.lost, self.recovered = False, False, upper
        if self.outer is not None and self.outer.watching:
            self.outer.saw(upper, name)

    def opened(self, link: Reads) -> None:
        """Note an open handle: some of what it shows is told only when it closes."""
        with self._lock:
            self._open.append(link)
        if self.outer is not None:
            self.outer.opened(link)

    def closed(self, link: Reads) -> None:
        """All that it has shown is told."""
        with self._lock:
            self._open.remove(link)
        if self.outer is not None:
            self.outer.closed(link)

    @property
    def reading(self) -> bool:
        """Whether something was shown that the upper bound does not cover yet."""
        with self._lock:
            return any(link.unbounded for link in self._open)

    @property
    def upper(self) -> Position | None:
        """The upper bound of all reads so far; `None` while there are none, or one is unknown."""
        with self._lock:
            return None if self._unbounded else self._upper

    @property
    def pin(self) -> str:
        """The replica that has what is needed, whatever is known of it; see `Seen`."""
        with self._lock:
            return self.seen.pin if self.seen.covers(self.need) else ""

    def wrote(self, use: HostRead, position: Position | None, *, later: bool = False) -> None:
        """Record a committed write and its position; `None` when the outcome is unknown.

        Args:
            use: where it was.
            position: covers the commit.
            later: it is committed, and the position is asked before the head goes out; until then
                it counts as unknown.
        """
        if self.sent:
            logger.warning(
                "%s: a write after the head of the response: the session cannot be told",
                self.route or "rw.bind(), which is over",
            )
        with self._lock:
            self._reads.append(use)
            self.writes += 1
            # A later commit covers whatever became of an earlier one, and not the other way round.
            self.lost = position is None
            self.unasked = later and self.lost
            self._inherited = False
            if position is not None:
                self._written = merge(self._written, position)
                self.seen = self.seen.written()
                self.need = merge(self.need, position)
        if self.outer is not None:
            self.outer.wrote(use, position, later=later)

    def owed(self) -> SessionToken:
        """What the session is owed now: what its token said, and what it did and saw since then.

        A transaction that is still open may become a commit that no position is known of yet, so
        it counts as a commit whose outcome is unknown.
        """
        known = self.token or SessionToken()
        with self._lock:
            lost = self.lost if self.writes or self.watching else known.lost
            write = merge(merge(known.write, self._written), self.recovered)
            seen = self.seen if self.seen.position else Seen(known.seen, known.pin)
            own = replace(
                known, write=write, seen=seen.position, pin=seen.pin,
                lost=lost or bool(self.deferred),
            )  # fmt: skip
        if self.outer is None:
            return own
        around = self.outer.owed()
        both = seen.joined(Seen(around.seen, around.pin))
        return replace(
            own, cluster=own.cluster or around.cluster, write=merge(own.write, around.write),
            seen=both.position, pin=both.pin, lost=own.lost or around.lost,
        )  # fmt: skip

    def learnt(self, position: Position) -> None:
        """Record where the primary was after the commits that nobody had asked about."""
        with self._lock:
            if self.unasked:
                self.unasked = self.lost = False
                self._written = merge(self._written, position)
                self.seen = self.seen.written()
                self.need = merge(self.need, position)

    @property
    def written(self) -> Position | None:
        """The position of this request's last committed write."""
        with self._lock:
            return self._written

    @property
    def provenance(self) -> Provenance:
        """What the answer is made from, so far."""
        return Provenance(
            rule=self.route, region=self.region.name, here=self.here.name, tier="application",
            hosts=self.hosts, position=self.lower, written=self.written,
        )  # fmt: skip

    @property
    def hosts(self) -> tuple[HostRead, ...]:
        """Every database host this request used, in order."""
        with self._lock:
            return tuple(self._reads)


#: Purges that wait for the commit of an open write handle; the innermost handle last.
open_writes: ContextVar[tuple[list[Any], ...]] = ContextVar("regionware.writes", default=())


class Opening(Protocol):
    """Something that has, or can make, a request's state: an exchange, or a state itself."""

    @property
    def state(self) -> Current | None:
        """The state, once it was made."""

    def open(self) -> Current:
        """Make it."""


_CURRENT: ContextVar[Opening | None] = ContextVar("regionware.current", default=None)
_opening = Lock()


def renew_lock() -> None:
    """After a fork: nobody holds the lock in the child."""
    global _opening  # noqa: PLW0603 - one for each process
    _opening = Lock()


#: Bind a request's state, and undo it: for the adapters alone.
bind: Callable[[Opening | None], Token[Opening | None]] = _CURRENT.set
unbind: Callable[[Token[Opening | None]], None] = _CURRENT.reset


def current() -> Current | None:
    """This request's state, or `None` outside a request."""
    opening = _CURRENT.get()
    if opening is None:
        return None
    if opening.state is None:
        # Many handlers never ask, so the state is made for the first who does: once.
        with _opening:
            made: Current | None = opening.state
            return opening.open() if made is None else made
    return opening.state
