"""What is true, what was promised, and whether an answer keeps it."""

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, field

from regionware.testing.simulator.world import World

#: Seconds in addition to the bound: for clocks that run a little fast or slow.
SLACK = 0.02


class Promises:
    """Versions of one item that were promised, and when."""

    def __init__(self) -> None:
        """Begin with none."""
        self._times: list[float] = []
        self._versions: list[int] = []

    def add(self, now: float, version: int) -> None:
        """Promise a version; times never go back."""
        self._times.append(now)
        self._versions.append(max(version, self._versions[-1] if self._versions else 0))

    def due(self, when: float) -> int:
        """The version that was promised at this time or before; 0 for none."""
        at = bisect_right(self._times, when)
        return self._versions[at - 1] if at else 0


@dataclass(eq=False, slots=True)
class Purge:
    """One purge of one item, on its way through the regions.

    Attributes:
        item: which.
        version: what the origin had when it was ordered.
        worker: who ordered it.
        region: where it was acknowledged.
        stamp: and when, by that region's clock; 0 if not.
        ordered: when, seconds of the world.
        waiting: the regions that have not applied it, and still may.
        queued: those for which it is queued in its process.
        applied: those that have.
    """

    item: str
    version: int
    worker: str
    waiting: set[str]
    ordered: float
    region: str = ""
    stamp: int = 0
    queued: set[str] = field(default_factory=set)
    applied: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was broken.

    Attributes:
        at: seconds of the world.
        kind: `bound`, `own` (read-your-purge), `rest`, or `error`.
        text: who, what, and what was due.
        item: which item; empty for an error.
    """

    at: float
    kind: str
    text: str
    item: str = ""


class History:
    """The origin's versions, and the judge of answers.

    Attributes:
        versions: what the origin has now, for each item.
        violations: promises that were broken.
        reads: how many answers were judged.
    """

    def __init__(self, world: World, regions: list[str], bound: float) -> None:
        """Begin with version 1 of everything.

        Args:
            world: for the time.
            regions: their names.
            bound: the exported bound, seconds.
        """
        self.world = world
        self.regions = regions
        self.versions: dict[str, int] = defaultdict(lambda: 1)
        self.violations: list[Violation] = []
        self.reads = 0
        self.purges: list[Purge] = []
        self._bound = bound + SLACK
        self._lost: dict[str, float] = {}
        self._promises: dict[tuple[str, str], Promises] = defaultdict(Promises)
        self._own: dict[tuple[str, str], Promises] = defaultdict(Promises)

    def write(self, item: str) -> int:
        """A commit at the origin; the new version."""
        self.versions[item] += 1
        return self.versions[item]

    def order(self, item: str, worker: str) -> Purge:
        """A worker is about to purge what the origin has now."""
        purge = Purge(item, self.versions[item], worker, set(self.regions), self.world.now)
        self.purges.append(purge)
        return purge

    def applied(self, purge: Purge, region: str) -> None:
        """A region has confirmed a purge: from now on it is a promise there."""
        purge.waiting.discard(region)
        purge.region = purge.region or region
        purge.applied.add(region)
        self._promises[region, purge.item].add(self.world.now, purge.version)
        self.world.tell(region, f"has applied the purge of {purge.item} v{purge.version}")

    def acknowledged(self, purge: Purge, region: str, stamp: int) -> None:
        """The call of a worker has returned: other regions hear of it from that region's Redis."""
        purge.stamp = stamp
        self.applied(purge, region)
        if purge.ordered < self._lost.get(region, 0.0):
            purge.waiting.clear()

    def relayed(self, source: str, region: str, stamp: int) -> None:
        """A region has confirmed all that stands in another's outbox up to a stamp."""
        for purge in self.purges:
            if purge.region == source and region in purge.waiting and 0 < purge.stamp <= stamp:
                self.applied(purge, region)

    def lost(self, region: str) -> None:
        """A Redis has lost its outbox: what stood there need not arrive."""
        self._lost[region] = self.world.now
        for purge in self.purges:
            if purge.stamp and purge.region == region:
                purge.waiting.clear()

    @property
    def settled(self) -> bool:
        """Whether every acknowledged purge has arrived wherever it has to."""
        return not any(purge.stamp and purge.waiting for purge in self.purges)

    def returned(self, purge: Purge) -> None:
        """The call of a worker has returned, or failed: it reads its own purge from now on."""
        self._own[purge.worker, purge.item].add(self.world.now, purge.version)

    def died(self, worker: str) -> None:
        """What a process had queued died with it."""
        for purge in self.purges:
            if purge.worker == worker and not purge.stamp:
                purge.waiting.clear()

    def judge(self, region: str, worker: str, item: str, began: float, version: int) -> None:
        """Compare an answer with every promise."""
        self.reads += 1
        due = self._promises[region, item].due(began - self._bound)
        if version < due:
            self._broken("bound", f"{worker} answered v{version}, v{due} was due", item)
        own = self._own[worker, item].due(began)
        if version < own:
            self._broken("own", f"{worker} answered v{version}, has itself purged v{own}", item)

    def judge_rest(self, region: str, worker: str, item: str, version: int) -> None:
        """Compare an answer at rest with what every purge that survived has asked for."""
        asked = [p.version for p in self.purges if p.item == item and region in p.applied]
        due = max(asked, default=0)
        if version < due:
            self._broken("rest", f"{worker} answered v{version} at rest, not v{due}", item)

    def failed(self, text: str) -> None:
        """Something else that must not be."""
        self._broken("error", text, "")

    def _broken(self, kind: str, text: str, item: str) -> None:
        self.world.tell("VIOLATION", f"{kind}: {item} {text}")
        self.violations.append(Violation(self.world.now, kind, text, item))
