"""The endpoint where browsers measure the regions, and are pinned to one. No I/O here.

Under its path are `ping`, `regions`, `script.js` and `pin`. Nothing of it depends on a session, and
nothing but `script.js` may be kept by anybody. It answers before the routes of the application.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from typing import Final
from urllib.parse import urlsplit

from regionware.errors import ConfigurationError
from regionware.http.request import Request
from regionware.kinds import Kind, check_all, matching, maybe
from regionware.locate import decode
from regionware.locate.address import address_of
from regionware.locate.claim import Claim
from regionware.locate.latency import SLOWEST, Latency
from regionware.locate.pin import Pinned
from regionware.locate.resolver import Resolver
from regionware.locate.script import SCRIPT
from regionware.observe import Event, Events
from regionware.region import Region
from regionware.serving import Reply

#: Candidates: more would keep a phone's radio awake for little.
MOST: Final = 4
#: Bytes of a measurement that is posted.
LIMIT: Final = 1024
#: Networks that are remembered as having measured, and seconds for which.
_NETWORKS: Final = 8192
_ONCE: Final = 3600.0
#: Names that are of no use outside.
_INSIDE: Final = (".internal", ".local", ".localhost", ".svc", ".lan", ".home.arpa", ".flycast")


def _is_url(value: object) -> bool:
    if not isinstance(value, str) or not value.startswith(("https://", "http://")):
        return False
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        return False
    return bool(parts.hostname) and not (parts.query or parts.fragment or "@" in parts.netloc)


_PATH: Final = matching(r"(/[A-Za-z0-9._~-]+)+", "a path such as /.well-known/regionware")
_KINDS: Final = {
    "path": _PATH,
    "urls": maybe(
        Kind(
            "a mapping of names to http:// or https:// URLs",
            lambda value: isinstance(value, Mapping) and all(map(_is_url, value.values())),
        )
    ),
}

_PARTS: Final = frozenset({"ping", "regions", "script.js", "pin"})

_NO_STORE: Final = (b"cache-control", b"no-store")
_SNIFFLESS: Final = (b"x-content-type-options", b"nosniff")
#: Anybody may ask how far a region is, and see how long the parts of a request took.
_PING: Final = [
    _NO_STORE,
    (b"access-control-allow-origin", b"*"),
    (b"timing-allow-origin", b"*"),
    (b"cross-origin-resource-policy", b"cross-origin"),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """Where browsers measure.

    Attributes:
        path: where the endpoint is, below the application's own prefix; without a slash at the end.
        urls: the public URL of each region that can be measured, by its name. By default the `url`
            of each region, where that is `https` and a public name: others are never told.
    """

    path: str = "/.well-known/regionware"
    urls: Mapping[str, str] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            ConfigurationError: naming the attribute.
        """
        check_all("probe: ", self, _KINDS)


class Endpoint:
    """`Probe`, compiled for one `Regionware`.

    Attributes:
        marker: what the path of every request for it has in it.
    """

    __slots__ = (
        "_better",
        "_events",
        "_host",
        "_pinned",
        "_placing",
        "_resolver",
        "_urls",
        "_voted",
        "marker",
    )

    def __init__(
        self, probe: Probe, resolver: Resolver, *, regions: Sequence[Region],
        pinned: Pinned | None, better: Latency, events: Events, host: Callable[[Request], str],
    ) -> None:  # fmt: skip
        """Compile.

        Args:
            probe: the options.
            resolver: knows the client, and takes what was measured.
            regions: all of them.
            pinned: gives out pins; `None` where nobody reads them.
            better: what is clearly faster.
            events: where pins are counted.
            host: the host that a client has asked, as far as a trusted peer says.

        Raises:
            ConfigurationError: nothing could be measured, or it would be of no use.
        """
        self.marker = f"{probe.path}/"
        self._resolver = resolver
        self._placing = resolver.placing
        self._pinned = pinned
        self._better = better
        self._events = events
        self._host = host
        self._urls = _urls(probe, regions)
        if len(self._urls) < 2:
            raise ConfigurationError(
                "probe: fewer than two regions have a public https url; name them: "
                'probe=Probe(urls={"fra": "https://fra.example.com", …})'
            )
        if pinned is None and self._placing.ranker.measured is None:
            raise ConfigurationError(
                "probe: nothing uses it; add Pin() to region, or latency=Latency() to mapping"
            )
        self._voted: dict[str, float] = {}

    def wants(self, request: Request) -> bool:
        """Whether a request is for this endpoint, and not for the application."""
        marker = self.marker
        return request.path.startswith(marker) and request.path[len(marker) :] in _PARTS

    def answer(self, request: Request, body: bytes, now: float) -> Reply:
        """The answer to a request that it wants.

        Args:
            request: for one of its parts.
            body: its content, of at most `LIMIT` + 1 bytes.
            now: monotonic seconds.
        """
        part = request.path[len(self.marker) :]
        if part == "pin":
            return self._pin(request, body, now) if request.method == "POST" else _not(b"POST")
        if request.method not in {"GET", "HEAD"}:
            return _not(b"GET, HEAD")
        known = {"ping": self._ping, "regions": self._regions, "script.js": self._script}
        reply = known[part](request)
        if request.method == "HEAD":
            reply.body = b""
        return reply

    @staticmethod
    def _ping(_: Request) -> Reply:
        return Reply(204, list(_PING), b"")

    def _regions(self, request: Request) -> Reply:
        told = [
            {"name": each.name, "url": self._urls[each.name],
             "ping": f"{self._urls[each.name]}{self.marker}ping"}
            for each in self._placing.candidates(self._resolver.knowledge(request))
            if each.name in self._urls
        ]  # fmt: skip
        text = json.dumps({"regions": told[:MOST]}, separators=(",", ":")).encode()
        return _full(200, b"application/json", text, _NO_STORE)

    @staticmethod
    def _script(_: Request) -> Reply:
        kept = (b"cache-control", b"public, max-age=3600")
        return _full(200, b"text/javascript; charset=utf-8", SCRIPT.encode(), kept)

    def _pin(self, request: Request, body: bytes, now: float) -> Reply:
        """Take a measurement from a page of our own origin, and pin its client."""
        if not self._is_ours(request):
            return self._refuse(403, "origin")
        if (request.header("content-type") or "").partition(";")[0].strip() != "application/json":
            return self._refuse(415, "type")
        if len(body) > LIMIT:
            return self._refuse(413, "size")
        told = _told(body)
        if told is None:
            return self._refuse(400, "malformed")
        rtts, zone = told
        self._count(request, rtts, now)
        region = self._choose(request, rtts, zone)
        headers = [_NO_STORE]
        if self._pinned is not None and region is not None:
            headers.append((b"set-cookie", self._pinned.cookie(request, region.name).encode()))
            self._events.emit(Event("pinned", detail=region.name))
        return Reply(204, headers, b"")

    def _refuse(self, status: int, why: str) -> Reply:
        self._events.emit(Event("pin-refused", detail=why))
        return _full(status, b"text/plain; charset=utf-8", f"{why}\n".encode(), _NO_STORE)

    def _is_ours(self, request: Request) -> bool:
        """Whether a page of this very origin has sent it: browsers say so with every POST."""
        if (request.header("sec-fetch-site") or "same-origin") != "same-origin":
            return False
        host = self._host(request)
        origin = (request.header("origin") or "").lower()
        return bool(host) and any(
            origin in {f"{scheme}{host}", f"{scheme}{host.removesuffix(port)}"}
            for scheme, port in (("https://", ":443"), ("http://", ":80"))
        )

    def _count(self, request: Request, rtts: Mapping[str, float], now: float) -> None:
        """Let a measurement count for the client's country, once an hour for each network."""
        claim = self._resolver.knowledge(request)
        network = _network(address_of(request))
        if claim is None or network is None or now - self._voted.get(network, -_ONCE) < _ONCE:
            return
        if len(self._voted) >= _NETWORKS:
            self._voted.clear()
        self._voted[network] = now
        for name, milliseconds in rtts.items():
            if name in self._urls:
                self._placing.ranker.measure(claim, name, milliseconds)

    def _choose(
        self, request: Request, rtts: Mapping[str, float], zone: str | None
    ) -> Region | None:
        """The fastest region, or the one that we would have chosen, where that is about as fast."""
        claim = self._resolver.knowledge(request)
        if claim is None and zone is not None:
            claim = Claim(zone=zone)
        near = self._placing.candidates(claim)
        known = {each.name: each for each in near}
        valid = {name: rtt for name, rtt in rtts.items() if name in known and name in self._urls}
        if not valid:
            return near[0] if zone is not None and near else None
        fastest = min(valid, key=lambda name: valid[name])
        usual = None if claim is None else valid.get(near[0].name)
        if usual is not None and not self._better.clearly(valid[fastest], usual):
            return near[0]
        return known[fastest]


def _told(body: bytes) -> tuple[dict[str, float], str | None] | None:
    """The measurements and the time zone; `None` for what is no such object."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    rtts = found.get("rtt") if isinstance(found, dict) else None
    if not isinstance(found, dict) or not isinstance(rtts, dict) or len(rtts) > MOST:
        return None
    if not all(map(_is_round_trip, rtts.values())):
        return None
    zone = found.get("zone")
    return rtts, decode.zone(zone) if isinstance(zone, str) else None


def _is_round_trip(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return 0 < value <= SLOWEST


def _network(address: str | None) -> str | None:
    """Whose measurement it is: one household or office has many addresses."""
    try:
        found = ip_address(address or "")
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    found = found if mapped is None else mapped
    length = 24 if found.version == 4 else 48
    return f"{found.version}/{int(found) >> (found.max_prefixlen - length):x}"


def _urls(probe: Probe, regions: Sequence[Region]) -> dict[str, str]:
    if probe.urls is None:
        given = ((each.name, each.url) for each in regions)
        return {name: url.rstrip("/") for name, url in given if url is not None and _public(url)}
    known = {each.name for each in regions}
    for name in probe.urls:
        if name not in known:
            raise ConfigurationError(f"probe: urls: {name!r} is not one of the regions")
    return {name: url.rstrip("/") for name, url in probe.urls.items()}


def _public(url: str) -> bool:
    """Whether anybody outside can use a URL: what is inside is nobody's business there."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    try:
        ip_address(host)
    except ValueError:
        return parts.scheme == "https" and "." in host and not host.endswith(_INSIDE)
    return False


def _full(status: int, kind: bytes, body: bytes, kept: tuple[bytes, bytes]) -> Reply:
    length = (b"content-length", b"%d" % len(body))
    return Reply(status, [(b"content-type", kind), length, kept, _SNIFFLESS], body)


def _not(allowed: bytes) -> Reply:
    return Reply(405, [(b"allow", allowed), (b"content-length", b"0"), _NO_STORE], b"")
