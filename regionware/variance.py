"""How an edge is told that an answer is for one region alone. No I/O here.

An edge keys on what it knows: a country, or a field that it has set itself. So where it keys on
countries, a client belongs to the region of the country, and not to one that is nearer to its city:
the next client of that country is given the same answer. Whatever else placed the client, a cookie
or an address, the edge does not see: such an answer is kept by nobody.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from regionware.http.request import Request
from regionware.locate.claim import Located
from regionware.topology import Region
from regionware.vendors.dialect import FieldList
from regionware.vendors.model import Vendor

#: What stands behind a region's name in the key of an answer that no edge may keep.
APART: Final = "!"


class Variance:
    """Tells whether, and how, the edges of one route keep regions apart."""

    __slots__ = ("_countries", "_fields", "_vendors")

    def __init__(self, vendors: tuple[Vendor, ...], countries: Mapping[str, Region]) -> None:
        """Prepare the fields, which are the same for every answer.

        Args:
            vendors: whose edges stand before the application.
            countries: the region of each country; empty where no region has a location.
        """
        self._vendors = tuple(vendor for vendor in vendors if vendor.caches)
        self._countries = countries
        self._fields = list(dict.fromkeys(self._said()))

    def _said(self) -> Iterator[tuple[str, str]]:
        for vendor in self._vendors:
            if vendor.variance == "values":
                yield "netlify-vary", f"country={_groups(self._countries)}"
            elif vendor.variance == "vary" or not vendor.by_country:
                yield "vary", vendor.variance_field

    def region(self, located: Located) -> Region:
        """The region that the edges mean too, where they place the client by its country."""
        country = self._country(located)
        return self._countries.get(country, located.region) if country else located.region

    def located(self, located: Located) -> Located:
        """The same with that region."""
        return replace(located, region=self.region(located))

    def fields(self, request: Request, located: Located) -> FieldList | None:
        """The fields for an answer to this client; `None` if an edge could not keep it apart."""
        if all(self._leads(vendor, request, located) for vendor in self._vendors):
            return self._fields
        return None

    def key(self, request: Request, located: Located) -> str:
        """The part of a key that keeps apart what edges may keep and what not."""
        name = self.region(located).name
        return name if self.fields(request, located) is not None else name + APART

    def _leads(self, vendor: Vendor, request: Request, located: Located) -> bool:
        if vendor.variance == "impossible":
            return False
        if not vendor.by_country:
            return request.header(vendor.variance_field.lower()) == self.region(located).name
        return located.source == f"platform:{vendor.name}" and self._country(located) is not None

    def _country(self, located: Located) -> str | None:
        """The client's country, as one of the edges that key on it has said."""
        claim = located.claim
        if claim is None or claim.country not in self._countries:
            return None
        by_country = (vendor for vendor in self._vendors if vendor.by_country)
        said = any(located.source == f"platform:{vendor.name}" for vendor in by_country)
        return claim.country if said else None


def _groups(countries: Mapping[str, Region]) -> str:
    """Countries of one region in one group: `de+fr|us`."""
    groups: dict[str, list[str]] = {}
    for code, region in countries.items():
        groups.setdefault(region.name, []).append(code.lower())
    return "|".join("+".join(group) for group in groups.values())
