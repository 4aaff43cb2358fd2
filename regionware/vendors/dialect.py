"""Lifetimes in the words that a vendor obeys. No I/O here."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from regionware.vendors.model import Vendor, Window

FieldList = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """What may be kept of one response, in seconds.

    Attributes:
        browser: in a browser.
        shared: at the edge.
        revalidate: further ones there, while it is refreshed (RFC 5861, section 3).
        error: further ones there, while the application fails (RFC 5861, section 4).
    """

    browser: float
    shared: float
    revalidate: float = 0
    error: float = 0

    def window(self, name: Window) -> float:
        """Seconds of a stale window."""
        return self.revalidate if name == "stale-while-revalidate" else self.error


_BOTH: Final[tuple[Window, Window]] = ("stale-while-revalidate", "stale-if-error")


def loosening(vendors: Iterable[Vendor], life: Lifetimes) -> FieldList:
    """The targeted fields, in lower case: what edges may do beyond `Cache-Control`.

    None of them says more than `life`, and none is there where `Cache-Control` says it all.
    """
    fields: dict[str, str] = {}
    for vendor in vendors:
        value = _targeted(vendor, life) if vendor.targeted else ""
        if value:
            fields[vendor.targeted.lower()] = value
    return list(fields.items())


def _targeted(vendor: Vendor, life: Lifetimes) -> str:
    shared, longer = int(life.shared), life.shared > life.browser
    if not shared:
        return ""
    if vendor.form == "seconds":
        return str(shared) if longer else ""
    if vendor.form == "edge-control":
        return f"cache-maxage={shared}s, downstream-ttl={int(life.browser)}s" if longer else ""
    stale = [
        f"{name}={int(seconds)}" for name in vendor.stale if (seconds := life.window(name)) >= 1
    ]
    return ", ".join([f"max-age={shared}", *stale]) if longer or stale else ""


def shared_in_common(vendors: Iterable[Vendor]) -> bool:
    """Whether a longer lifetime at the edge must be said to all shared caches, by `s-maxage`."""
    return any(vendor.caches and not vendor.targeted for vendor in vendors)


def denied(vendors: Iterable[Vendor]) -> tuple[Window, ...]:
    """The stale windows that must be said to be zero, since a vendor would grant them by itself."""
    unsaid = {name for vendor in vendors for name in vendor.unsaid}
    return tuple(name for name in _BOTH if name in unsaid)


def unobeyed(vendor: Vendor, life: Lifetimes) -> tuple[Window, ...]:
    """The stale windows that a policy wants and this vendor does not take from a response."""
    return tuple(name for name in _BOTH if life.window(name) and name not in vendor.stale)
