"""The words of locating a client: what a provider claims, and how far it can be believed."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol, Self

from regionware.errors import InsufficientTrust
from regionware.http.request import Request
from regionware.topology import Point, Region


class Trust(IntEnum):
    """How far a claim can be believed; a greater one is worth more.

    None of this is a proof of where somebody lives: only `LOCAL` and `PLATFORM` are beyond the
    client's reach.
    """

    #: Nobody said anything.
    UNKNOWN = 0
    #: The client says so: a hint, good for speed alone.
    ASSERTED = 1
    #: Worked out from the client's address.
    DERIVED = 2
    #: An authenticated peer says so.
    PLATFORM = 3
    #: This deployment's own knowledge.
    LOCAL = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What one provider says about a client; `mapping` says which part decides.

    Attributes:
        region: the name of a region.
        location: latitude and longitude in degrees.
        country: an ISO 3166-1 code of two upper-case letters.
        subdivision: an ISO 3166-2 code, such as `US-CA`.
        zone: a time zone's name, one of `regionware.locate.zones.ZONES`.
        round_trip: milliseconds from here to the client and back, where the edge has measured it.
        source: who says so, such as `platform:fly`; for people and metrics.
        trust: how far it can be believed.
    """

    region: str | None = None
    location: Point | None = None
    country: str | None = None
    subdivision: str | None = None
    zone: str | None = None
    round_trip: float | None = None
    source: str = "provider"
    trust: Trust = Trust.ASSERTED


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of asking one provider.

    Attributes:
        provider: which.
        outcome: `accepted`, or why not, in words.
    """

    provider: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Located:
    """The region nearest to a client, and why.

    There are few that differ, whatever clients send: regions, times sources, times four. So it is
    safe as a part of a key, and `label` as that of a metric. What was said takes no part in that.

    Attributes:
        region: one of the topology's regions.
        source: who said so; `default` where nobody did.
        trust: how far it can be believed.
        claim: what was said, `None` where nobody said anything.
        by: what the region was chosen by: `name`, `override`, `latency`, `location`, `country`,
            `subdivision`, `zone`, or `default`.
        chain: what became of every provider, in `rw.explain()` alone.
    """

    region: Region
    source: str
    trust: Trust
    claim: Claim | None = field(compare=False)
    by: str = field(default="default", compare=False)
    chain: tuple[Tried, ...] = field(default=(), compare=False, repr=False)

    @property
    def label(self) -> str:
        """The region, the source and the trust in one text, such as `fra/platform:fly/platform`."""
        return f"{self.region.name}/{self.source}/{self.trust.name.lower()}"

    def require(self, least: Trust) -> Self:
        """Itself, if it can be believed as far as that.

        Not even `Trust.LOCAL` is a proof of where somebody lives: see `Trust`.

        Raises:
            InsufficientTrust: it cannot.
        """
        if self.trust < least:
            raise InsufficientTrust(
                f"the client's region is known from {self.source}, with trust"
                f" {self.trust.name.lower()}, not {least.name.lower()}",
                source=self.source,
            )
        return self


class Provider(Protocol):
    """Any callable from a request to a claim, or to nothing.

    One that reads headers which anybody can send may say so in two attributes, as `Header` and
    `Platform` do: `forgeable = True`, and it is asked only when the peer is trusted; and `headers`,
    the lower-case names that it reads. One with `yields = True` makes a claim only where no other
    provider says anything.
    """

    def __call__(self, request: Request, /) -> Claim | None:
        """What this provider knows about the client."""
