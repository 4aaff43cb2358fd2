"""`Cdn` compiled at start into the response fields that browsers and edges obey. No I/O here.

`Cache-Control` always carries the most restrictive policy; the targeted field of RFC 9213 may
only loosen it, since most CDNs ignore that field.
"""

from collections.abc import Sequence
from urllib.parse import quote

from regionware.http.directives import CacheControl
from regionware.policies.cdn import DIALECTS, Cdn

#: What nobody may keep. Both words: some edges look only for `private`.
NOBODY = "private, no-store"

#: Where the application is silent on a route that regionware caches: a browser asks each time.
ASK = "private, no-cache"

#: Every field by which some edge might be told to keep a response, or to purge it.
TARGETED = frozenset(
    {name.lower() for dialect in DIALECTS.values() for name in (dialect.targeted, dialect.tags)}
    | {"cdn-cache-control", "surrogate-control", "surrogate-key", "edge-control", "x-accel-expires"}
)

_LONG_LIVED = frozenset({200, 203, 204, 206, 300, 301, 304, 308})
_TAGS_LIMIT = 1024
NO_CONTROL = CacheControl({})
#: Each of these words keeps a response from shared caches that do not ask.
FORBIDDING = ("no-store", "private", "no-cache")
_KEPT = ("must-revalidate", "proxy-revalidate", "no-transform")

FieldList = list[tuple[str, str]]


class Edge:
    """The fields of one route's `Cdn`, prepared."""

    __slots__ = ("_control", "_dialect", "_targeted", "cdn")

    def __init__(self, cdn: Cdn) -> None:
        """Prepare the fields for an application that is silent."""
        self.cdn = cdn
        self._control = control_of(cdn, cdn.max_age, cdn.shared_max_age)
        self._targeted = _targeted(cdn, cdn.shared_max_age)
        self._dialect = cdn.dialect

    def fields(
        self,
        status: int,
        control: CacheControl | None,
        tags: Sequence[str],
        lifetime: float | None = None,
    ) -> FieldList:
        """The fields to set in place of every other caching field; none if those stand.

        Args:
            status: the status code; errors are never given a public lifetime.
            control: the application's own `Cache-Control`, `None` if it sent none.
            tags: the rendered tags.
            lifetime: the application's explicit lifetime in seconds, however it said it.
        """
        if self.cdn.visibility != "public":
            return [("cache-control", self._personal(status, control or NO_CONTROL, lifetime))]
        if status not in _LONG_LIVED:
            silent = control is None and lifetime is None
            return [("cache-control", NOBODY)] if silent else []
        if control is None and lifetime is None:
            return self._dressed(self._control, self._targeted, tags)
        return self._narrowed(control or NO_CONTROL, tags, lifetime)

    def _personal(self, status: int, control: CacheControl, lifetime: float | None) -> str:
        if control.malformed or "no-store" in control:
            return NOBODY
        own = control.seconds("max-age") if "max-age" in control else lifetime
        browser = self.cdn.max_age if own is None else min(self.cdn.max_age, own)
        if "no-cache" in control or status not in _LONG_LIVED:
            browser = 0
        return _keeping(control_of(self.cdn, browser, None), control)

    def _narrowed(
        self, control: CacheControl, tags: Sequence[str], lifetime: float | None
    ) -> FieldList:
        if control.malformed:
            return [("cache-control", NOBODY)]
        if any(name in control for name in FORBIDDING):
            return []
        browser, shared = _tightened(self.cdn, control, lifetime)
        strict = "must-revalidate" in control or "proxy-revalidate" in control
        targeted = "" if strict else _targeted(self.cdn, shared)
        text = _keeping(control_of(self.cdn, browser, shared), control)
        return self._dressed(text, targeted, tags)

    def _dressed(self, control: str, targeted: str, tags: Sequence[str]) -> FieldList:
        fields = [("cache-control", control)]
        if not self.cdn.is_public:
            return fields
        if targeted:
            fields.append((self._dialect.targeted.lower(), targeted))
        text = self._dialect.separator.join(
            quote(tag, safe="!#$'()*+-./:;=?@^_`|~") for tag in tags
        )
        if len(text) > _TAGS_LIMIT:
            # An edge that does not know all tags of a response could not purge it.
            return [("cache-control", NOBODY)]
        if text:
            fields.append((self._dialect.tags.lower(), text))
        return fields


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
    """The `Cache-Control` field (RFC 9111, section 5.2.2) for these lifetimes in seconds."""
    if cdn.visibility == "no-store":
        return NOBODY
    if cdn.visibility == "private":
        return f"private, max-age={int(browser)}" if browser else ASK
    if not browser and not shared:
        return "no-cache"
    control = f"public, max-age={int(browser)}" if browser else "public, max-age=0, must-revalidate"
    if shared is not None and shared < browser:
        control += f", s-maxage={int(shared)}"
    return control + (", immutable" if cdn.is_immutable else "")


def _targeted(cdn: Cdn, shared: float | None) -> str:
    lifetime = cdn.max_age if shared is None else shared
    longer = shared is not None and shared > cdn.max_age
    if not lifetime or not (longer or cdn.stale_while_revalidate or cdn.stale_if_error):
        return ""
    parts = [f"max-age={int(lifetime)}"]
    if cdn.stale_while_revalidate:
        parts.append(f"stale-while-revalidate={int(cdn.stale_while_revalidate)}")
    if cdn.stale_if_error:
        parts.append(f"stale-if-error={int(cdn.stale_if_error)}")
    return ", ".join(parts)
