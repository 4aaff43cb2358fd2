"""Policies, what applications answer, and what both together allow: said without our code."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from regionware.policies import Cache, Cdn
from tests.cdn.edges import EDGES, FOREVER, Kept, browser

YEAR = 31_536_000
#: A hash of its content is in the name, or it is not.
HASHED, PLAIN = "app.0123abcd4567.css", "app.css"

Vendor = str | list[str] | None


@dataclass(frozen=True)
class Said:
    """What an application says of its answer, and what that allows at most.

    Attributes:
        fields: its fields.
        shared: seconds for edges.
        browser: seconds for browsers.
        forbidden: no edge may keep it.
        strict: nothing stale.
    """

    fields: dict[str, str] = field(default_factory=dict)
    shared: int = FOREVER
    browser: int = FOREVER
    forbidden: bool = False
    strict: bool = False


SAID = {
    "nothing": Said(),
    "max-age": Said({"Cache-Control": "max-age=5"}, 5, 5),
    "longer": Said({"Cache-Control": "public, max-age=99999999"}, 99999999, 99999999),
    "s-maxage": Said({"Cache-Control": "s-maxage=40"}, 40),
    "both": Said({"Cache-Control": "max-age=7, s-maxage=40"}, 40, 7),
    "zero": Said({"Cache-Control": "max-age=0"}, 0, 0),
    "must-revalidate": Said(
        {"Cache-Control": "max-age=50, must-revalidate"}, 50, 50, strict=True
    ),
    "proxy-revalidate": Said({"Cache-Control": "proxy-revalidate"}, strict=True),
    "own windows": Said(
        {"Cache-Control": "max-age=60, stale-while-revalidate=9999, stale-if-error=9999"}, 60, 60
    ),
    "immutable": Said({"Cache-Control": "max-age=31536000, immutable"}, YEAR, YEAR),
    "private": Said({"Cache-Control": "private, max-age=60"}, forbidden=True, browser=60),
    "no-store": Said({"Cache-Control": "no-store"}, forbidden=True, browser=0),
    "no-cache": Said({"Cache-Control": "no-cache"}, forbidden=True, browser=0),
    "Private": Said({"Cache-Control": "Private"}, forbidden=True),
    "malformed": Said({"Cache-Control": "max-age=soon"}, 0, 0),
    "expires": Said({"Expires": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0, 0),
    "pragma": Said({"Pragma": "no-cache"}, 0, 0),
    "targeted": Said({"CDN-Cache-Control": "max-age=7"}, 7),
    "targeted, forbidden": Said({"CDN-Cache-Control": "no-store"}, forbidden=True),
    "Cloudflare": Said({"Cloudflare-CDN-Cache-Control": "private"}, forbidden=True),
    "Vercel": Said({"Vercel-CDN-Cache-Control": "max-age=6"}, 6),
    "Netlify": Said({"Netlify-CDN-Cache-Control": "no-store"}, forbidden=True),
    "surrogate": Said({"Surrogate-Control": "max-age=6"}, 6),
    "surrogate, forbidden": Said({"Surrogate-Control": "no-store"}, forbidden=True),
    "Akamai": Said({"Edge-Control": "cache-maxage=6s"}, 6),
    "Akamai, forbidden": Said({"Edge-Control": "no-store"}, forbidden=True),
    "nginx": Said({"X-Accel-Expires": "6"}, 6),
    "nginx, forbidden": Said({"X-Accel-Expires": "0"}, 0),
    "looser than private": Said(
        {"Cache-Control": "private", "CDN-Cache-Control": "max-age=600",
         "Surrogate-Control": "max-age=600", "X-Accel-Expires": "600",
         "Edge-Control": "cache-maxage=600s"}, forbidden=True,
    ),
    "shorter at edges": Said({"Cache-Control": "max-age=60", "CDN-Cache-Control": "max-age=7"}, 7),
    "longer at edges": Said({"Cache-Control": "max-age=5", "Surrogate-Control": "max-age=600"}, 5),
    "some fields": Said({"Cache-Control": 'max-age=600, private="x"'}, 600, 600),
    "varies": Said({"Vary": "Accept-Language, Accept-Encoding"}),
    "varies by coding": Said({"Vary": "accept-encoding"}),
    "varies by cookie": Said({"Cache-Control": "max-age=60", "Vary": "Accept, Cookie"}, 60, 60),
    "varies by anything": Said({"Vary": "*"}),
    "every tag": Said({"Cache-Tag": "x", "Surrogate-Key": "x", "xkey": "x", "Edge-Cache-Tag": "x"}),
}  # fmt: skip

#: Enough to see that a `Cache` beside the `Cdn` makes nothing looser.
SOME = ("nothing", "max-age", "private", "targeted", "varies by cookie", "looser than private")

STATUSES = [200, 204, 206, 301, 302, 404, 500]
KEPT_STATUSES = {200, 203, 204, 206, 300, 301, 304, 308}


def cdns(vendor: Vendor) -> dict[str, Cdn]:
    """Lifetimes in every relation."""
    named = vendor if isinstance(vendor, list) else [vendor]
    tags = None if {"nginx", "azure", "fly"} & set(named) else ["t", "kind:{kind}"]
    return {
        "equal": Cdn(max_age=30, vendor=vendor),
        "long edge": Cdn(
            max_age=10, shared_max_age=300, stale_while_revalidate=20, stale_if_error=30,
            tags=tags, vendor=vendor,
        ),
        "short edge": Cdn(max_age=300, shared_max_age=10, tags=tags, vendor=vendor),
        "short edge, stale": Cdn(max_age=300, shared_max_age=9, stale_if_error=8, vendor=vendor),
        "edge alone": Cdn(shared_max_age=300, vendor=vendor),
        "stale alone": Cdn(max_age=10, stale_while_revalidate=20, vendor=vendor),
        "no edge": Cdn(max_age=30, shared_max_age=0, stale_if_error=60, vendor=vendor),
        "nothing": Cdn(vendor=vendor),
        "private": Cdn(max_age=30, visibility="private", vendor=vendor),
        "no-store": Cdn(visibility="no-store", vendor=vendor),
        "immutable": Cdn.immutable(vendor=vendor),
        "static": Cdn.static(vendor=vendor),
    }  # fmt: skip


def caches() -> dict[str, Cache | None]:
    return {
        "none": None,
        "declared": Cache(ttl=60, tags=["c"], consistency="eventual"),
        "standard": Cache.standard(consistency="eventual"),
    }


@dataclass(frozen=True)
class Case:
    """One answer."""

    cdn: Cdn
    cache: str
    said: Said
    status: int = 200
    sets_cookie: bool = False
    authorized: bool = False
    cookie: bool = False
    name: str = PLAIN

    @property
    def personal(self) -> bool:
        if self.sets_cookie or self.authorized:
            return True
        return self.cookie and self.cache == "declared"


def cases(cdn: Cdn, cache: str) -> Iterator[Case]:
    """Everything that an application says, with every status; and what makes it personal."""
    names = [PLAIN, HASHED] if cdn.hashed is not None else [PLAIN]
    for name in names:
        for said in SAID.values() if cache == "none" else map(SAID.__getitem__, SOME):
            for status in STATUSES if cache == "none" else (200, 404):
                yield Case(cdn, cache, said, status, name=name)
            yield Case(cdn, cache, said, sets_cookie=True, name=name)
            yield Case(cdn, cache, said, authorized=True, name=name)
            yield Case(cdn, cache, said, cookie=True, name=name)


def allowed(case: Case) -> tuple[Kept | None, Kept | None]:
    """The most that an edge and a browser may keep."""
    cdn, said = case.cdn, case.said
    if case.personal or cdn.visibility == "no-store":
        return None, None
    if cdn.visibility == "private":
        return None, Kept(min(int(cdn.max_age), said.browser))
    error = case.status >= 400
    if case.status not in KEPT_STATUSES:
        if (cdn.is_immutable or cdn.hashed is not None) and error:
            return None, None
        return _by_itself(case)
    never_changes = cdn.hashed is not None and case.name == HASHED
    if never_changes and case.status in {200, 203, 206, 304}:
        own, edge = YEAR, YEAR
    else:
        own = int(cdn.max_age)
        edge = own if cdn.shared_max_age is None else int(cdn.shared_max_age)
    at_browser = Kept(min(own, said.browser))
    if said.forbidden:
        return None, Kept(said.browser)
    windows = (0, 0) if said.strict else (cdn.stale_while_revalidate, cdn.stale_if_error)
    return Kept(min(edge, said.shared), int(windows[0]), int(windows[1])), at_browser


def _by_itself(case: Case) -> tuple[Kept | None, Kept | None]:
    """Of errors and redirections the application alone speaks, in fields that all edges read."""
    fields = {name.lower(): text for name, text in case.said.fields.items()}
    if case.said.forbidden or not {"cache-control", "expires", "pragma"} & fields.keys():
        return None, browser(fields)
    kept = [found for edge in EDGES.values() if (found := edge(fields)) is not None]
    most = Kept(
        max((each.fresh for each in kept), default=0),
        max((each.revalidate for each in kept), default=0),
        max((each.error for each in kept), default=0),
    )
    return most, browser(fields)
