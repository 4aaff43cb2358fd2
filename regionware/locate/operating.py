"""What an application can say of its regions while it runs: `rw.regions`. No I/O here."""

from regionware.errors import ConfigurationError
from regionware.locate.claim import Claim, Trust
from regionware.locate.countries import POINTS
from regionware.locate.resolver import Resolver


class Regions:
    """Which regions are up, and how far they are. It holds for this process alone."""

    __slots__ = ("_marks", "_ranker")

    def __init__(self, resolver: Resolver) -> None:
        """Speak for those that are asked."""
        self._ranker = resolver.placing.ranker
        self._marks = resolver.placing.marks

    def mark_down(self, region: str, *, seconds: float = 30.0) -> None:
        """Let no client belong to a region for a while; who is pinned to it returns afterwards.

        Args:
            region: its name.
            seconds: above 0, at most 86,400; a later mark replaces an earlier one.

        Raises:
            ConfigurationError: there is no such region, or the seconds are out of range.
        """
        self._marks.down(region, seconds)

    def mark_up(self, region: str) -> None:
        """Take a mark back before its time.

        Raises:
            ConfigurationError: there is no such region.
        """
        self._marks.up(region)

    def is_up(self, region: str) -> bool:
        """Whether clients can belong to a region, as far as this process knows."""
        return self._marks.healthy(region)

    def measured(self, country: str, region: str, milliseconds: float) -> None:
        """Count a round trip that the application has measured: for `RegionMap(latency=…)`.

        Args:
            country: an ISO 3166-1 code of two upper-case letters.
            region: its name.
            milliseconds: above 0; what is slower than 5,000, or faster than light, is not counted.

        Raises:
            ConfigurationError: there is no such country or region, or no latency is wanted.
        """
        if self._ranker.measured is None:
            raise ConfigurationError("measured: say mapping=RegionMap(latency=Latency())")
        if country not in POINTS:
            raise ConfigurationError(f"measured: {country!r} is not a country")
        self._marks.check(region)
        claim = Claim(country=country, source="application", trust=Trust.LOCAL)
        self._ranker.measure(claim, region, milliseconds)

    def latency(self) -> dict[str, dict[str, tuple[float, int]]]:
        """The milliseconds and the number of measurements, by country and region."""
        measured = self._ranker.measured
        return {} if measured is None else measured.table()
