"""The right to fill one key: a flight in this process, a lease in the region. No I/O here."""

from collections.abc import Iterable
from typing import Self

from regionware.caching.entry import Entry, Key
from regionware.caching.frame import LARGEST
from regionware.caching.keys import KeyPlan, canonical, digest
from regionware.caching.variants import names_in, select, variant_name
from regionware.database.position import Position, merge
from regionware.effects import ANY, Flight, Found, Hold, Lookup, Release
from regionware.http.request import Request
from regionware.prepared import Prepared

#: No entry is begun later: a look-up with this floor finds nothing fresh.
_NEVER = 2**63 - 1


class Claim:
    """The wish to fill a key, and what came of it.

    Attributes:
        key: the request's key, without variant.
        need: what the fill must have reached: the session's writes, and purges' positions.
        floor: entries begun at or before this stamp are overtaken by a purge.
        gone: entries begun at or before this stamp may not even be served stale.
        flight: the flight it leads or follows; `None` when it goes alone.
        leads: others may wait for it.
        spills: it has lost its patience, and goes beside the flight's leader.
        barred: it may not be given what could be served while it is refreshed.
    """

    __slots__ = (
        "_ahead", "_began", "_beside", "_created", "_late", "_lease", "_leased", "_names",
        "_observing", "_plan", "_prepared", "_stamped", "_token", "_unheard", "barred", "flight",
        "floor", "gone", "key", "leads", "need", "spills",
    )  # fmt: skip

    def __init__(
        self,
        prepared: Prepared,
        keys: KeyPlan,
        key: Key,
        need: Position | None,
        now: float,
        *,
        beside: bool = False,
        observing: bool = False,
    ) -> None:
        """Begin alone; the stamp is the latest that this process has heard of.

        Args:
            prepared: the parts.
            keys: the route's rules.
            key: the request's key.
            need: the session's last write.
            now: monotonic seconds.
            beside: it has neither flight nor lease, and says nothing of the key's other answers.
            observing: nothing is kept, not even the note that a key is uncacheable.
        """
        self._beside = beside
        self._observing = observing
        self._prepared = prepared
        self._plan = keys
        self._began = now
        self._created = prepared.fences.stamp + 1
        self._late = False
        self._lease = ""
        self._leased = ""
        self._token = ""
        self._stamped = self._ahead = False
        self._unheard = False
        self._names: tuple[str, ...] = ()
        self.key = key
        self.need = need
        self.floor = 0
        self.gone = 0
        self.flight: Flight | None = None
        self.leads = self.spills = self.barred = False

    @classmethod
    def late(cls, prepared: Prepared, keys: KeyPlan, key: Key, began: float, stamp: int) -> Self:
        """For a response that is storable after all, of a request that began at these times."""
        filling = cls(prepared, keys, key, None, began, beside=True)
        filling._created = stamp + 1
        filling._late = True
        return filling

    def heed(self, tags: Iterable[str]) -> None:
        """Ask for what the purges of this key have seen: a replica may lag behind them."""
        fences, tags = self._prepared.fences, tuple(tags)
        for fence in fences.standing(self.key, tags):
            self.need = merge(self.need, fence.position)
            self.floor = max(self.floor, fence.stamp)
        for fence in fences.standing(self.key, tags, "h"):
            self.gone = max(self.gone, fence.stamp)

    def insist(self) -> None:
        """Ask for an answer that is made after this request, whatever is stored."""
        self.floor = self.gone = _NEVER

    @property
    def insists(self) -> bool:
        """Whether nothing that is stored already will do."""
        return self.floor == _NEVER

    def join(self) -> bool:
        """Whether this fill leads; else `flight` is the one to follow, or `None` to go alone."""
        # Who insists follows nobody, and takes nobody's place.
        floor = -1 if self.insists else self.floor
        board = self._prepared.flights
        self.flight, self.leads = board.join(self.key, self.need, floor, self._created)
        return self.leads

    def go_alone(self) -> None:
        """Follow nobody any more."""
        self.flight = None

    def spill(self) -> bool:
        """Whether it may go to the application now, beside another's fill that takes too long."""
        self.spills = self.flight is not None and self._prepared.flights.spill(self.key)
        return self.spills

    def land(self, outcome: str, entry: Entry | None = None) -> None:
        """Tell those who wait."""
        flight, board = self.flight, self._prepared.flights
        if flight is None or not (self.leads or self.spills):
            return
        # The failure of one who went beside the leader is not the key's.
        if self.leads or outcome not in {"abandoned", "failed"}:
            board.land(self.key, flight, outcome, entry)
        if self.spills:
            board.unspill(self.key)
        self.leads = self.spills = False

    def ask(self) -> tuple[str, bytes]:
        """The key's digest, and the material that the frame must echo."""
        material = canonical(self.key)
        return digest(material), material

    def lookup(self, fields: str, *, leases: bool, waits: bool = False) -> tuple[Lookup, bytes]:
        """What to ask the store, and the material that the frame must echo.

        Args:
            fields: the request's, in normal form.
            leases: a lease is wanted if nothing is found.
            waits: and if another holds it, it will be waited for.
        """
        name, material = self.ask()
        if leases and not self._token:
            # Made here, so that it can be given back whatever becomes of the look-up.
            self._token = self._prepared.token()
        # Not the latest reading of the clock that is known here: see `Lookup.stamp`.
        token, stamp = self._token if leases else "", self._prepared.fences.told
        ask = Lookup(
            name, self.need, self.floor, fields, stamp, token, self.gone, waits, self.barred
        )
        return ask, material

    def restart(self) -> None:
        """It has waited: what comes is begun now."""
        self._began = self._prepared.clock()
        self._created = max(self._created, self._prepared.fences.stamp + 1)
        if self.leads and self.flight is not None:
            self.flight.begun = self._created

    def interrupted(self) -> Release | None:
        """What to say to the store after a look-up that did not end: it may have granted."""
        return Release(self.ask()[0], self._token, ANY) if self._token else None

    def disowned(self) -> Release | None:
        """The same, once, after a look-up whose reply has not come in time."""
        unheard, self._unheard = self._unheard, False
        return self.interrupted() if unheard else None

    def hold(self) -> Hold | None:
        """What keeps the lease that was granted."""
        if not self._lease:
            return None
        return Hold(self.ask()[0], self._lease, self._leased)

    def found(self, found: Found, request: Request) -> None:
        """Keep what the store said: a lease, and the region's clock."""
        self._unheard = found.late
        if found.available:
            self._created = found.stamp
            self._stamped = True
            # The region's clock has gone back: it reads no later than a purge that is known here.
            # Another, who does not know of it, may yet purge with an earlier stamp.
            self._ahead = found.stamp > found.clock
            # No entry of this process is later, so a purge that only it knows of reaches them all.
            self._prepared.fences.see(found.stamp)
            self._lease = found.lease
            self._names = names_in(found.vary)
            self._leased = variant_name(self._names, select(self._names, request))

    @property
    def lease(self) -> str:
        """The token of the lease that it holds; empty without one."""
        return self._lease

    @property
    def pending(self) -> bool:
        """Whether somebody waits for the end of this fill."""
        return self.leads or self.spills or self._unheard or bool(self._lease)

    @property
    def _fills_beside(self) -> bool:
        """Whether it may fill without the lease: the store keeps what was begun last."""
        return self._stamped and not self._ahead and (self._beside or self.insists)

    @property
    def limit(self) -> int:
        """How many bytes of a body are worth copying."""
        return LARGEST if self._lease or self._fills_beside else self._prepared.memory.largest
