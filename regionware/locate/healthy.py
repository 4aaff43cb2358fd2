"""Which regions can be chosen. Marks of this process, and whatever the application knows. No I/O.

A region that is down is skipped, by every provider; nothing is forgotten for it, and no pin is
rewritten: when it is back, clients return to it.
"""

import logging
from collections.abc import Callable
from typing import Final, Protocol

from regionware.kinds import number
from regionware.observe import Event, Events
from regionware.topology import Topology

#: Seconds for which one mark may hold: what is longer is a change of the topology.
LONGEST: Final = 86_400
_SECONDS: Final = number("seconds", 0, LONGEST, above=True)

_log = logging.getLogger("regionware.locate")


class Health(Protocol):
    """What is known of the regions elsewhere; asked for each request, so it only looks it up."""

    def __call__(self, region: str, /) -> bool:
        """Whether a region can take requests; where it raises, it can."""


class Marks:
    """Regions that this process was told are down, each for a while.

    Attributes:
        any: something may be down, so that it is worth asking.
    """

    __slots__ = ("_also", "_clock", "_complained", "_events", "_topology", "_until", "any")

    def __init__(
        self,
        topology: Topology,
        clock: Callable[[], float] = lambda: 0.0,
        events: Events | None = None,
        also: Health | None = None,
    ) -> None:
        """Begin with every region up.

        Args:
            topology: the regions.
            clock: monotonic seconds; without one a mark holds until it is taken back.
            events: where marks are counted.
            also: who is asked besides.
        """
        self._topology = topology
        self._clock = clock
        self._events = Events() if events is None else events
        self._also = also
        self._until: dict[str, float] = {}
        self._complained = False
        self.any = also is not None

    def down(self, region: str, seconds: float) -> None:
        """Mark a region as down for so many seconds from now; a later mark replaces it.

        Raises:
            ConfigurationError: there is no such region, or the seconds are not above 0 and at most
                86,400.
        """
        _SECONDS.check("mark_down: seconds", seconds)
        name = self._topology.region(region).name
        self._until[name] = self._clock() + seconds
        self.any = True
        self._events.emit(Event("region-down", detail=name))

    def up(self, region: str) -> None:
        """Take a mark back.

        Raises:
            ConfigurationError: there is no such region.
        """
        name = self._topology.region(region).name
        if self._until.pop(name, None) is not None:
            self._events.emit(Event("region-up", detail=name))

    def check(self, region: str) -> None:
        """Refuse a name that is none of a region's.

        Raises:
            ConfigurationError: there is no such region.
        """
        self._topology.region(region)

    def healthy(self, region: str) -> bool:
        """Whether a region, by its name, can be chosen now."""
        until = self._until.get(region)
        if until is not None and self._clock() < until:
            return False
        if self._also is None:
            return True
        try:
            return bool(self._also(region))
        except Exception:  # noqa: BLE001 - a far region is slow, a failed request is worse
            if not self._complained:
                self._complained = True
                _log.warning("%r failed; when it does, regions are up", self._also, exc_info=True)
            return True
