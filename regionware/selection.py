"""The selector for database layers that bring connections of their own. No I/O here.

`rw.connection()` gives psycopg's connections. Whoever has others (an ORM, asyncpg) asks
`rw.selector` where to go, and tells it what came of that: `Selector` is all that passes between
the two, and `adapters/sqlalchemy.py` and `adapters/django.py` know nothing else of us.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from regionware.database.position import Position
from regionware.database.selector import Role
from regionware.policies.database import Access, Consistency

#: What became of a transaction. `unknown`: it was lost while it was being committed.
Outcome = Literal["committed", "rolled-back", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Where to go.

    Attributes:
        host: the host's name in the topology, such as `fra/replica-1`.
        role: `primary` or `replica`.
        access: a `read` connection must be read-only by the server's own enforcement.
        reason: why this host.
        position: of a replica, what it had certainly replayed before it was chosen; `None` where
            that is unknown, and for the primary.
        lag: seconds of replication lag, `None` if unknown.
        url: how to connect; it may hold a password, and is not shown.
    """

    host: str
    role: Role
    access: Access
    reason: str
    position: Position | None
    lag: float | None
    url: str = field(repr=False)


class Writing(Protocol):
    """A write transaction that is open: purges made meanwhile wait for its commit."""

    def end(
        self, outcome: Outcome, choice: Choice | None = None, position: Position | None = None
    ) -> None:
        """Say once what became of it, after COMMIT has returned; later calls do nothing.

        What waits is sent after a commit, also after one of unknown outcome, and dropped on
        rollback.

        Args:
            outcome: what became of it.
            choice: where it was; `None` where nothing was sent, so nothing was committed.
            position: covers the commit: the primary's insert position, read strictly after COMMIT,
                never inside of the transaction. `None`: it is asked, at once for purges that wait,
                else once for the whole request, before the head of its response goes out.
        """

    async def aend(
        self, outcome: Outcome, choice: Choice | None = None, position: Position | None = None
    ) -> None:
        """The async twin of `end`."""


class Selector(Protocol):
    """What a database layer asks, and tells. Nothing here connects to the host that is chosen."""

    @property
    def hosts(self) -> Mapping[str, str]:
        """Every host's URL by its name."""

    def access(self, access: Access | None = None) -> Access:
        """What this word means here: without one, what the route and the method say."""

    def choose(
        self,
        *,
        access: Access | None = None,
        consistency: Consistency | None = None,
        without: Collection[str] = (),
    ) -> Choice:
        """A host for this request.

        What the prober last heard must prove that a replica has what is needed: no host is asked,
        and none is waited for.

        Args:
            access: overrides what the route and the method say.
            consistency: strengthens what the route promises.
            without: names of hosts that have just failed.

        Raises:
            ConfigurationError: the words are unknown, or weaker than the route's policy.
            ConsistencyUnavailable: no host gives what is wanted, and the policy says to fail.
            PrimaryUnavailable: only the primary would do, and it is among `without`.
        """

    def read(self, choice: Choice, position: Position | None = None) -> None:
        """Say that something is read there, or will be.

        Args:
            choice: where.
            position: of the primary, the lower bound of what is visible to the read, if it was
                learnt before it. An answer that was made without one is kept by no cache of a
                route that has a database.
        """

    def escalate(self, query: str, host: str, *, first: bool) -> bool:
        """Whether a write where the request only reads goes to the primary instead.

        Where the route does not say so (`Database(on_write=...)`), and outside of a request, it
        does not: the server refuses it. If it does, the request is a write from now on.

        Args:
            query: the statement, for people.
            host: where it would be refused, or was.
            first: it was not sent, and nothing else was in this transaction. Otherwise it was
                refused: that is counted, and the answer is no.
        """

    def begin(self, waiting: Iterable[Any] = ()) -> Writing:
        """Say that a write transaction is open.

        Args:
            waiting: what `Current.joining` has collected for it before.
        """
