"""Requests and databases of addresses for the tests of this folder."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmdb_writer import MMDBWriter
from netaddr import IPSet

from regionware.http.request import Request
from regionware.topology import Region, Topology

IAD = Region("iad", primary=True, location=(38.95, -77.45))
FRA = Region("fra", location=(50.04, 8.56))
SIN = Region("sin", location=(1.36, 103.99))
TOPOLOGY = Topology(here="iad", regions=[IAD, FRA, SIN])

PROXY = "10.0.0.7"
TRUSTED = ("10.0.0.0/8",)
STRANGER = "203.0.113.9"


class Asked(Request):
    """A request, as far as a provider may look."""

    def __init__(self, peer: str | None = PROXY, **fields: str) -> None:
        self.peer = peer
        self.path = "/"
        self.scheme = "http"
        self.special = {}
        self.fields = {name.lower().replace("_", "-"): value for name, value in fields.items()}

    def header(self, name: str) -> str | None:
        return self.fields.get(name)

    def headers(self) -> Iterator[tuple[str, str]]:
        return iter(self.fields.items())


def city(
    code: str, place: tuple[float, float] | None = None, part: str = "", zone: str = ""
) -> dict[str, Any]:
    """A record as a City database has it."""
    record: dict[str, Any] = {"country": {"iso_code": code, "names": {"en": code}}}
    if place is not None:
        record["location"] = {"latitude": place[0], "longitude": place[1], "accuracy_radius": 20}
    if zone:
        record.setdefault("location", {})["time_zone"] = zone
    if part:
        record["subdivisions"] = [{"iso_code": part}, {"iso_code": "X"}]
    return record


def write(path: Path, networks: Mapping[str, Any], version: int = 6) -> Path:
    """A database; it takes the place of the file by a rename, as `geoipupdate` does it."""
    database = MMDBWriter(version, "GeoLite2-City", ipv4_compatible=version == 6)
    for network, record in networks.items():
        database.insert_network(IPSet([network]), record)
    fresh = path.with_suffix(".new")
    database.to_db_file(str(fresh))
    return fresh.replace(path)
