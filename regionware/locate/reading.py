"""How the headers of an edge are read: from a request to a claim, remembered by their values.

What tells no point may tell a state or a time zone: those headers are read only then.
"""

from typing import Final

from regionware.http.request import Request
from regionware.locate import decode
from regionware.locate.claim import Claim, Trust
from regionware.locate.platforms import Vendor
from regionware.region import Point, is_name

# Clients of one city send the same values again and again; these bound what is kept of them.
_REMEMBERED: Final = 2048
_LONGEST_REMEMBERED: Final = 512

#: Stands for a claim that depends on the other headers as well.
_MORE: Final = Claim(source="more")

_FIRST: Final = ("region", "packed", "country", "latitude", "longitude", "pair")
_REST: Final = ("subdivision", "zone")

#: What was sent, by the attribute of `Vendor`.
_Sent = dict[str, str | None]


class Reading:
    """What a table of headers tells; asked of trusted peers.

    Attributes:
        forgeable: anybody can send them, so they are asked only when the peer is trusted.
        headers: the lower-case names that it reads.
        vendor: the headers in detail.
    """

    __slots__ = ("_claims", "_first", "_rest", "_source", "headers", "vendor")

    forgeable: Final = True

    def __init__(self, vendor: Vendor, source: str) -> None:
        """Prepare.

        Args:
            vendor: the headers.
            source: who says so, for claims.
        """
        self.vendor = vendor
        self.headers = vendor.headers
        self._source = source
        self._first = _named(vendor, _FIRST)
        self._rest = _named(vendor, _REST)
        self._claims: dict[tuple[str | None, ...], Claim | None] = {}

    @property
    def by_distance(self) -> bool:
        """Whether what it tells is of no use where no region has a location."""
        return not self.vendor.region

    def __call__(self, request: Request, /) -> Claim | None:
        """What the headers tell, `None` where that is nothing."""
        values = tuple([request.header(name) for _, name in self._first])
        try:
            claim = self._claims[values]
        except KeyError:
            claim = self._remember(values, self._claim(values, ()))
        if claim is not _MORE:
            return claim
        rest = tuple([request.header(name) for _, name in self._rest])
        try:
            return self._claims[values + rest]
        except KeyError:
            return self._remember(values + rest, self._claim(values, rest))

    def _remember(self, values: tuple[str | None, ...], claim: Claim | None) -> Claim | None:
        if sum([len(value or "") for value in values]) <= _LONGEST_REMEMBERED:
            if len(self._claims) >= _REMEMBERED:
                self._claims.clear()
            self._claims[values] = claim
        return claim

    def _claim(self, values: tuple[str | None, ...], rest: tuple[str | None, ...]) -> Claim | None:
        sent = dict(zip([kind for kind, _ in self._first], values, strict=True))
        region, place, country = self._told(sent)
        packed = sent.get("packed")
        area = zone = None
        if place is None and region is None:
            if self._rest and not rest:
                return _MORE
            if packed is not None:
                area, zone = decode.RESTS[self.vendor.form](packed)
            for (kind, _), value in zip(self._rest, rest, strict=False):
                if kind == "zone":
                    zone = decode.zone(value)
                else:
                    area = decode.subdivision(country, value)
        if (region, place, country, zone) == (None, None, None, None):
            return None
        return Claim(
            region=region,
            location=place,
            country=country,
            subdivision=area,
            zone=zone,
            round_trip=self._round_trip(packed),
            source=self._source,
            trust=Trust.PLATFORM,
        )

    def _told(self, sent: _Sent) -> tuple[str | None, Point | None, str | None]:
        """The region's name, the point and the country."""
        packed, region = sent.get("packed"), sent.get("region")
        if packed is not None:
            country, place = decode.FORMS[self.vendor.form](packed)
            return None, place, country
        country = decode.country(sent.get("country"))
        if region is not None and is_name(region):
            return region, self.vendor.places.get(region), country
        if "pair" in sent:
            return None, decode.pair(sent["pair"]), country
        return None, decode.point(sent.get("latitude"), sent.get("longitude")), country

    def _round_trip(self, packed: str | None) -> float | None:
        if packed is None or self.vendor.form != "template":
            return None
        return decode.template_round_trip(packed)


def _named(vendor: Vendor, kinds: tuple[str, ...]) -> list[tuple[str, str]]:
    """The attributes that are given, each with the lower-case name of its header."""
    given = ((kind, getattr(vendor, kind)) for kind in kinds)
    return [(kind, name.lower()) for kind, name in given if name]
