"""From a claim to a region that can be chosen, remembered by the claim. No I/O here."""

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from regionware.locate.claim import Claim, Located, Trust
from regionware.locate.healthy import Marks
from regionware.locate.mapping import Ranker, RegionMap
from regionware.region import Region
from regionware.topology import Topology

# Providers that remember their claims are answered from here; others only pass through.
_REMEMBERED: Final = 4096
#: Different sources, of providers of somebody's own; what is above counts as `provider`.
_SOURCES: Final = 64
_SOURCE: Final = re.compile(r"[a-z0-9][a-z0-9._:-]{0,63}")


class Placing:
    """Places clients.

    Attributes:
        ranker: which region is best for whom.
        marks: which regions can be chosen.
    """

    __slots__ = ("_edge", "_placed", "_sources", "_topology", "_version", "marks", "ranker")

    def __init__(self, topology: Topology, mapping: RegionMap | None, marks: Marks | None) -> None:
        """Prepare.

        Args:
            topology: the regions to choose from.
            mapping: how clients are sent to them; by default to the nearest.
            marks: which can be chosen; by default all of them.

        Raises:
            ConfigurationError: `mapping` names what is not there.
        """
        self._topology = topology
        self.ranker = Ranker(topology, mapping)
        self.marks = Marks(topology) if marks is None else marks
        latency = None if mapping is None else mapping.latency
        self._edge = latency is not None and latency.edge
        self._placed: dict[int, tuple[Located, tuple[Region, ...]]] = {}
        self._sources: set[str] = set()
        self._version = 0

    def place(self, claim: Claim) -> Located | None:
        """The best region that can be chosen; `None` where the claim tells of none."""
        measured = self.ranker.measured
        if measured is not None:
            self._hear(claim)
            if measured.version != self._version:
                self._version = measured.version
                self._placed.clear()
        known = self._placed.get(id(claim))
        # What is kept keeps its claim alive, so a claim of the same identity is the same one.
        if known is None or known[0].claim is not claim:
            known = self._decide(claim)
            if known is None:
                return None
            if len(self._placed) >= _REMEMBERED:
                self._placed.clear()
            self._placed[id(claim)] = known
        return self._up(*known) if self.marks.any else known[0]

    def candidates(self, claim: Claim | None) -> tuple[Region, ...]:
        """The regions that can be chosen, the best for a client first."""
        ranked = () if claim is None else self.ranker.rank(claim)[0]
        others = (each for each in self._topology.regions if each not in ranked)
        return self.up((*ranked, *others))

    def up(self, regions: Iterable[Region]) -> tuple[Region, ...]:
        """Those that can be chosen."""
        return tuple(each for each in regions if self.marks.healthy(each.name))

    def _decide(self, claim: Claim) -> tuple[Located, tuple[Region, ...]] | None:
        regions, by = self.ranker.rank(claim)
        if not regions:
            return None
        source = self._bounded(claim.source)
        return Located(regions[0], source, Trust(claim.trust), claim, by), regions

    def _bounded(self, source: str) -> str:
        """A source that can be a label: a provider of somebody's own may put anything into it."""
        if source in self._sources:
            return source
        if len(self._sources) >= _SOURCES or not _SOURCE.fullmatch(source):
            return "provider"
        self._sources.add(source)
        return source

    def _up(self, best: Located, regions: tuple[Region, ...]) -> Located | None:
        """The first region that can be chosen, `None` if none can: then the next is asked."""
        for region in regions:
            if self.marks.healthy(region.name):
                return best if region is best.region else replace(best, region=region)
        return None

    def _hear(self, claim: Claim) -> None:
        """Count the round trip that the edge has measured, if it is one to this region."""
        if self._edge and claim.round_trip is not None and claim.trust > Trust.ASSERTED:
            self.ranker.measure(claim, self._topology.here.name, claim.round_trip)
