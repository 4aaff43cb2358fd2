"""What a plan may ask of the world.

A *plan* is a generator that yields effects and is driven by `regionware.drive`. An effect is
data: nothing here performs I/O. `reply = yield from Effect(...)` is fully typed, because the
effect's own iterator yields the effect and returns the reply.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from regionware.caching.entry import Entry
from regionware.database.position import Position

R = TypeVar("R")


class Effect(Generic[R]):
    """A request to the rim, answered with an `R`."""

    __slots__ = ()

    def __iter__(self) -> Generator["Effect[Any]", Any, R]:
        """Yield this effect, return the reply."""
        reply: R = yield self
        return reply


Plan = Generator[Effect[Any], Any, R]


@dataclass(slots=True)
class Capture(Effect[Position | None]):
    """Where the primary is now, after commits that other layers made; `None` if it cannot say."""


#: Why no lease was granted: another holds it, answers cannot be stored, or refreshes fail.
Verdict = Literal["", "held", "uncacheable", "failing"]

#: The variant of a lease whose holder does not know it.
ANY = "*"


@dataclass(slots=True)
class Found:
    """The reply to `Lookup`.

    Attributes:
        available: Redis answered.
        stamp: the region's clock, microseconds.
        frame: the stored frame, fresh or not; empty if there is none.
        vary: the names that select the variant, joined by commas, as the store knows them.
        lease: the token of the lease, empty if it was not granted.
        verdict: why it was not granted, where there is something to say.
        left: for how many seconds that holds.
        heard: how many wake-ups had been heard when the look-up was sent.
        garbled: the names are none, or the key holds something else than entries.
        late: Redis has not answered in time; it may have granted the lease all the same.
        clock: the server's clock, microseconds, which measures how long something lasts. Where it
            has gone back, the stamp is later, and stands still.
    """

    available: bool
    stamp: int = 0
    frame: bytes = b""
    vary: str = ""
    lease: str = ""
    verdict: Verdict = ""
    left: float = 0.0
    heard: int = 0
    garbled: bool = False
    late: bool = False
    clock: int = 0


@dataclass(slots=True)
class Lookup(Effect[Found]):
    """Find an entry in Redis, or be granted the lease: one round trip.

    Attributes:
        digest: the key's digest.
        need: the position an entry must have reached.
        floor: entries begun at or before this stamp are overtaken by a purge.
        fields: request fields, normalised, "name:value" lines sorted by name.
        stamp: the latest of a fence that the region's Redis has given. A look-up is later than
            that, and never later than the next purge; counted on from what look-ups have read
            before, it would be, where a server takes over whose clock is behind.
        token: the lease's, if one is wanted where nothing is found; else empty.
        gone: entries begun at or before this stamp may not even be served stale.
        waits: the caller will wait for another holder of the lease.
        barred: also where something could be served while it is refreshed: not to this caller.
    """

    digest: str
    need: Position | None
    floor: int
    fields: str
    stamp: int
    token: str = ""
    gone: int = 0
    waits: bool = False
    barred: bool = False


@dataclass(slots=True)
class Fill(Effect[bool | None]):
    """Store a frame, as the holder of the lease or beside it: one round trip.

    Attributes:
        digest: the key's digest.
        lease: the token, empty beside the holder.
        leased: the variant for which it was granted.
        vary: the names that select the variant, joined by commas.
        variant: the variant of this frame.
        frame: the frame.
        life: milliseconds for which anybody may still want it.
    """

    digest: str
    lease: str
    leased: str
    vary: str
    variant: str
    frame: bytes
    life: int


@dataclass(slots=True)
class Release(Effect[None]):
    """Give a lease back, and say why nothing was stored.

    Attributes:
        digest: the key's digest.
        lease: the token; empty if it is only known that answers can be stored after all.
        leased: the variant for which it was granted; `ANY` if unknown.
        uncacheable: seconds for which the region remembers that answers here cannot be stored, if
            somebody waits for one.
        failed: seconds without another attempt after the first failure, and at most.
    """

    digest: str
    lease: str
    leased: str
    uncacheable: float = 0.0
    failed: tuple[float, float] | None = None


@dataclass(slots=True)
class Hold(Effect[None]):
    """Keep a lease for as long as its request lives; nothing is asked of Redis now.

    Attributes:
        digest: the key's digest.
        lease: the token.
        leased: the variant for which it was granted.
    """

    digest: str
    lease: str
    leased: str


@dataclass(slots=True)
class Park(Effect[None]):
    """Wait until another worker gives its lease of a key back.

    Attributes:
        digest: the key's digest.
        heard: how many wake-ups had been heard when the look-up was sent.
        timeout: seconds after which to look again anyhow.
    """

    digest: str
    heard: int
    timeout: float


@dataclass(slots=True)
class Repair(Effect[bool]):
    """Remove what cannot be read, unless it has been replaced meanwhile: one round trip.

    Attributes:
        digest: the key's digest.
        field: the field of the entry's hash: one variant's frame, or `vary`, without which none of
            the others can be found.
        held: what was found in it.
    """

    digest: str
    field: str
    held: bytes


@dataclass(slots=True)
class Invalidate(Effect[None]):
    """Raise fences in every region; what is not confirmed in time is queued.

    Attributes:
        names: the fences' names.
        position: what a refill must have reached.
        digests: keys that are known to be meant: their entries end at once, for workers too that
            have not heard of the fences yet.
        edges: caches in front may keep what they are about.
    """

    names: tuple[str, ...]
    position: Position | None
    digests: tuple[str, ...] = ()
    edges: bool = True


class Flight:
    """One fill in progress that others may wait for; the rim's flights subclass it.

    Attributes:
        need: the position that the fill certainly reaches.
        begun: the stamp of its beginning, or an earlier one.
        result: the entry, once there is one.
        outcome: `""` while under way, then `"entry"`, `"uncacheable"`, `"stale"` (refreshes fail,
            and the result may be served stale), `"failed"` (the application did) or `"abandoned"`.
    """

    __slots__ = ("begun", "need", "outcome", "result")

    def __init__(self, need: Position | None, begun: int = 0) -> None:
        """Begin under way."""
        self.need = need
        self.begun = begun
        self.result: Entry | None = None
        self.outcome = ""


@dataclass(slots=True)
class Wait(Effect[str]):
    """Wait until a flight has an outcome, at most `timeout` seconds; the reply is the outcome.

    It is empty when the time is over, and when there is room for one more who goes himself.

    Attributes:
        flight: what is waited for.
        timeout: seconds.
        keen: the caller would go himself, and is woken first when there is room.
    """

    flight: Flight
    timeout: float
    keen: bool = False
