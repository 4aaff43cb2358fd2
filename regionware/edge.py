"""`Cdn` compiled at start into the response fields that browsers and edges obey. No I/O here.

`Cache-Control` always carries the most restrictive policy; the targeted field of RFC 9213 may
only loosen it, since most CDNs ignore that field.
"""

from collections.abc import Iterable, Sequence

from regionware.http.directives import CacheControl
from regionware.policies.cache import YEAR
from regionware.policies.cdn import Cdn
from regionware.vendors.catalogue import VENDORS
from regionware.vendors.dialect import (
    FieldList,
    Lifetimes,
    denied,
    loosening,
    shared_in_common,
)
from regionware.vendors.tags import tag_fields

#: What nobody may keep. Both words: some edges look only for `private`.
NOBODY = "private, no-store"

#: Where the application is silent on a route that regionware caches: a browser asks each time.
ASK = "private, no-cache"

_TAG_FIELDS = {vendor.tags.name for vendor in VENDORS.values() if vendor.tags is not None}
#: Every field by which some edge might be told to keep a response, or to purge it.
TARGETED = frozenset(
    {vendor.targeted.lower() for vendor in VENDORS.values() if vendor.targeted}
    | {name.lower() for name in _TAG_FIELDS}
    | {"cdn-cache-control", "surrogate-control", "surrogate-key", "edge-control", "x-accel-expires"}
    | {"akamai-cache-control"}
)

_LONG_LIVED = frozenset({200, 203, 204, 206, 300, 301, 304, 308})
#: Statuses with the content that a name with a hash stands for (RFC 8246).
_UNCHANGING = frozenset({200, 203, 206, 304})
NO_CONTROL = CacheControl({})
#: Each of these words keeps a response from shared caches that do not ask.
FORBIDDING = ("no-store", "private", "no-cache")
_KEPT = ("must-revalidate", "proxy-revalidate", "no-transform")
#: All edges keep content codings apart.
_NEGOTIATED = frozenset({"", "accept-encoding"})
_PERSONAL = frozenset({"*", "cookie", "authorization"})
_REFUSED: FieldList = [("cache-control", NOBODY)]


class Edge:
    """The fields of one route's `Cdn`, prepared.

    Attributes:
        cdn: the policy.
        varies: what is kept by an edge must be kept for each region apart.
    """

    __slots__ = ("_control", "_immutable", "_loosened", "cdn", "varies")

    def __init__(self, cdn: Cdn, *, varies: bool = False) -> None:
        """Prepare the fields for an application that is silent.

        Args:
            cdn: the policy.
            varies: answers differ by region, as `Cdn` or `Cache` say.
        """
        self.cdn = cdn
        self.varies = varies and cdn.is_public
        life = self._life(cdn.max_age, cdn.shared_max_age)
        self._control = control_of(cdn, cdn.max_age, cdn.shared_max_age)
        self._loosened = loosening(cdn.vendors, life)
        self._immutable: Edge | None = None
        if cdn.hashed is not None:
            fixed = Cdn(max_age=YEAR, is_immutable=True, vendor=cdn.vendor, tags=cdn.tags)
            self._immutable = Edge(fixed)

    def fields(
        self,
        status: int,
        control: CacheControl | None,
        tags: Sequence[str],
        lifetime: float | None = None,
        *,
        path: str = "",
        variance: FieldList | None = None,
    ) -> FieldList:
        """The fields to set in place of every other caching field; none if those stand.

        Args:
            status: the status code; errors are never given a public lifetime.
            control: the application's own `Cache-Control`, `None` if it sent none.
            tags: the rendered tags.
            lifetime: the application's explicit lifetime in seconds, however it said it.
            path: the request's path, decoded.
            variance: the fields by which the edge keeps regions apart; `None` if it cannot.
        """
        if self.cdn.visibility != "public":
            return [("cache-control", self._personal(status, control or NO_CONTROL, lifetime))]
        if self._immutable is not None and status in _UNCHANGING and self._is_hashed(path):
            return self._immutable.fields(status, control, tags, lifetime)
        if status not in _LONG_LIVED:
            silent = control is None and lifetime is None
            named = self.cdn.is_immutable or self.cdn.hashed is not None
            return _REFUSED if silent or (named and status >= 400) else []
        if self.varies and variance is None:
            return _REFUSED
        if control is None and lifetime is None:
            return self._dressed(self._control, self._loosened, tags, variance)
        return self._narrowed(control or NO_CONTROL, tags, lifetime, variance)

    def beside(self, tags: Sequence[str], variance: FieldList | None) -> FieldList | None:
        """The fields beside a lifetime that is the application's own, such as that of an error.

        It too must be found by a purge, and be for its region alone.

        Returns:
            `None` if an edge could not do as they say.
        """
        if self.varies and variance is None:
            return None
        known = tag_fields(self.cdn.vendors, tags)
        return None if known is None else [*known, *(variance or ())]

    def mixes(self, names: Iterable[str]) -> bool:
        """Whether some edge would give an answer that varies on these fields to others too.

        What varies on who asks is for nobody else, even where an edge does as `Vary` says.
        """
        if self.cdn.visibility != "public":
            return False
        varying = {name.strip().lower() for name in names} - _NEGOTIATED
        if varying & _PERSONAL:
            return True
        blind = any(vendor.ignores_vary and vendor.caches for vendor in self.cdn.vendors)
        return bool(varying) and blind and not self.cdn.attested

    def _is_hashed(self, path: str) -> bool:
        return self.cdn.hashed is not None and self.cdn.hashed(path)

    def _life(self, browser: float, shared: float | None) -> Lifetimes:
        cdn = self.cdn
        return Lifetimes(
            browser,
            browser if shared is None else shared,
            cdn.stale_while_revalidate,
            cdn.stale_if_error,
        )

    def _personal(self, status: int, control: CacheControl, lifetime: float | None) -> str:
        if control.malformed or "no-store" in control:
            return NOBODY
        own = control.seconds("max-age") if "max-age" in control else lifetime
        browser = self.cdn.max_age if own is None else min(self.cdn.max_age, own)
        if "no-cache" in control or status not in _LONG_LIVED:
            browser = 0
        return _keeping(control_of(self.cdn, browser, None), control)

    def _narrowed(
        self,
        control: CacheControl,
        tags: Sequence[str],
        lifetime: float | None,
        variance: FieldList | None,
    ) -> FieldList:
        if control.malformed:
            return _REFUSED
        if any(control.bare(name) for name in FORBIDDING):
            return []
        if any(name in control for name in FORBIDDING):
            # Some edges keep the rest of an answer whose named fields are private (Cloudflare),
            # for as long as the application says; no other would leave these fields out.
            return _REFUSED
        browser, shared = _tightened(self.cdn, control, lifetime)
        if "must-revalidate" in control or "proxy-revalidate" in control:
            # Not all edges obey these words beside a targeted field: nothing is loosened.
            shared = browser if shared is None else min(shared, browser)
            loosened: FieldList = []
        else:
            loosened = loosening(self.cdn.vendors, self._life(browser, shared))
        text = _keeping(control_of(self.cdn, browser, shared), control)
        return self._dressed(text, loosened, tags, variance)

    def _dressed(
        self, control: str, loosened: FieldList, tags: Sequence[str], variance: FieldList | None
    ) -> FieldList:
        fields = [("cache-control", control)]
        if not self.cdn.is_public:
            return fields
        known = tag_fields(self.cdn.vendors, tags)
        if known is None:
            # An edge that does not know all tags of a response could not purge it.
            return _REFUSED
        # X-Accel-Expires stands first: before version 1.23 nginx does not look at it any more once
        # it has read `max-age=0`.
        return [*loosened, *fields, *known, *(variance or ())]


def _keeping(text: str, control: CacheControl) -> str:
    """What the application forbids beside a lifetime, added to our field."""
    known = text.split(", ")
    return ", ".join([*known, *(name for name in _KEPT if name in control and name not in known)])


def _tightened(
    cdn: Cdn, control: CacheControl, lifetime: float | None
) -> tuple[float, float | None]:
    """The smaller of each lifetime: the application may always tighten."""
    own = control.seconds("max-age") if "max-age" in control else lifetime
    shared = control.seconds("s-maxage")
    browser = cdn.max_age if own is None else min(cdn.max_age, own)
    declared = cdn.max_age if cdn.shared_max_age is None else cdn.shared_max_age
    limit = own if shared is None else shared
    return browser, declared if limit is None else min(declared, limit)


def control_of(cdn: Cdn, browser: float, shared: float | None) -> str:
    """The `Cache-Control` field (RFC 9111, section 5.2.2) for these lifetimes in seconds.

    `s-maxage` is in it where an edge may keep less than a browser; or more, and the vendor has no
    targeted field to say so.
    """
    if cdn.visibility == "no-store":
        return NOBODY
    if cdn.visibility == "private":
        return f"private, max-age={int(browser)}" if browser else ASK
    if not browser and not shared:
        return "no-cache"
    control = f"public, max-age={int(browser)}" if browser else "public, max-age=0, must-revalidate"
    if shared is not None and (
        shared < browser or (shared > browser and shared_in_common(cdn.vendors))
    ):
        control += f", s-maxage={int(shared)}"
    for window in denied(cdn.vendors):
        control += f", {window}=0"
    return control + (", immutable" if cdn.is_immutable else "")
