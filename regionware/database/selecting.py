"""`rw.selector`: what is behind `regionware.selection`.

The position of a commit is asked on a connection of ours, after the layer has said that COMMIT has
returned: an insert position read later, on whichever connection, covers it.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from regionware.context import Current, HostRead, current, open_writes
from regionware.database.escalating import escalates
from regionware.database.position import Position
from regionware.database.selector import Reason
from regionware.errors import Unavailable
from regionware.policies.database import Access, Consistency
from regionware.selection import Choice, Outcome

if TYPE_CHECKING:
    from regionware.database.connection import Databases
    from regionware.database.hands import ACommitted, Committed


class HostSelector:
    """Chooses hosts for the request in progress, and notes what is done there."""

    __slots__ = ("_acommitted", "_committed", "_databases")

    def __init__(
        self, databases: "Databases", committed: "Committed", acommitted: "ACommitted"
    ) -> None:
        """Know the hosts, and what to do with purges that waited for a commit."""
        self._databases = databases
        self._committed = committed
        self._acommitted = acommitted

    @property
    def hosts(self) -> Mapping[str, str]:
        """Every host's URL by its name."""
        return self._databases.urls

    def access(self, access: Access | None = None) -> Access:
        """What this word means here: without one, what the route and the method say."""
        return self._databases.demand(current(), access, None).access

    def choose(
        self,
        *,
        access: Access | None = None,
        consistency: Consistency | None = None,
        without: Collection[str] = (),
    ) -> Choice:
        """A host for this request; see `regionware.selection.Selector`."""
        state, tried = current(), dict.fromkeys(without, Reason.FAILED)
        try:
            granted, found = self._databases.settled(state, access, consistency, tried)
        except Unavailable as error:
            if state is not None:
                # A framework may turn the exception into a 500; the adapters know better.
                state.unavailable = error
            raise
        return Choice(
            host=found.host.name, role=found.host.role, access=granted, reason=found.reason.value,
            position=found.position, lag=found.lag, url=self.hosts[found.host.name],
        )  # fmt: skip

    def read(self, choice: Choice, position: Position | None = None) -> None:
        """Say that something is read there; see `regionware.selection.Selector`."""
        state = current()
        if state is not None:
            bound = choice.position if choice.role == "replica" else position
            state.read(_use(choice, bound))

    def escalate(self, query: str, host: str, *, first: bool) -> bool:
        """Whether a write goes to the primary instead; see `regionware.selection.Selector`."""
        state = current()
        if first and (state is None or state.database.on_write == "error"):
            return False  # It will be refused, and counted then.
        return escalates(state, query, host, self._databases.tell, first=first)

    def begin(self, waiting: Iterable[Any] = ()) -> "OpenWrite":
        """Say that a write transaction is open; see `regionware.selection.Selector`."""
        return OpenWrite(
            waiting,
            self._databases.primary_position, self._databases.aprimary_position,
            self._committed, self._acommitted,
        )  # fmt: skip


class OpenWrite:
    """A write transaction of another layer, until it ends."""

    __slots__ = (
        "_acommitted",
        "_aposition",
        "_committed",
        "_items",
        "_open",
        "_position",
        "_state",
    )

    def __init__(
        self,
        waiting: Iterable[Any],
        position: Callable[[], Position],
        aposition: Callable[[], Any],
        committed: "Committed",
        acommitted: "ACommitted",
    ) -> None:
        """Let purges wait for it from now on."""
        self._position, self._aposition = position, aposition
        self._committed, self._acommitted = committed, acommitted
        self._state: Current | None = current()
        self._items: list[Any] = list(waiting)
        self._open = True
        if self._state is not None:
            # Frameworks open sessions in another copy of the context than they use them in.
            self._state.deferred.append(self._items)
        else:
            open_writes.set((*open_writes.get(), self._items))

    def end(
        self, outcome: Outcome, choice: Choice | None = None, position: Position | None = None
    ) -> None:
        """Say what became of it; see `regionware.selection.Writing`."""
        if not self._leave():
            return
        if self._asks(outcome, position):
            try:
                position = self._position()
            except Unavailable:
                position = None
        self._report(outcome, choice, position)
        if self._items and outcome != "rolled-back":
            self._committed(self._items, position)

    async def aend(
        self, outcome: Outcome, choice: Choice | None = None, position: Position | None = None
    ) -> None:
        """The async twin of `end`."""
        if not self._leave():
            return
        try:
            if self._asks(outcome, position):
                try:
                    position = await self._aposition()
                except Unavailable:
                    position = None
        finally:
            # Whatever interrupts this: the commit stands, and so must its purges.
            self._report(outcome, choice, position)
            if self._items and outcome != "rolled-back":
                await self._acommitted(self._items, position)

    def _leave(self) -> bool:
        """Let nothing more wait for it; whether it was open."""
        was, self._open = self._open, False
        # By identity: transactions need not end in the order they began.
        open_writes.set(tuple(i for i in open_writes.get() if i is not self._items))
        if self._state is not None:
            self._state.deferred[:] = [i for i in self._state.deferred if i is not self._items]
        return was

    def _asks(self, outcome: Outcome, position: Position | None) -> bool:
        """Whether purges wait, which must not be followed by a refill from before the commit."""
        return bool(self._items) and outcome == "committed" and position is None

    def _report(self, outcome: Outcome, choice: Choice | None, position: Position | None) -> None:
        if self._state is None or choice is None or outcome == "rolled-back":
            return
        known = position if outcome == "committed" else None
        self._state.wrote(_use(choice, known), known, later=outcome == "committed")


def _use(choice: Choice, position: Position | None) -> HostRead:
    return HostRead(choice.host, choice.role, choice.access, choice.reason, choice.lag, position)
