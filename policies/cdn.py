"""`Cdn`: what browsers and edges may keep.

The restrictive policy is always in `Cache-Control`, since most CDNs ignore `CDN-Cache-Control`
(RFC 9213); the targeted field only ever loosens it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, Self

from regionware.errors import ConfigurationError
from regionware.kinds import BOOLEAN, TEXT, Kind, check_all, list_of, maybe, number, one_of
from regionware.policies.cache import YEAR

Visibility = Literal["public", "private", "no-store"]


class Dialect(NamedTuple):
    """What one vendor reads: its targeted field, its tag field, and what separates tags."""

    targeted: str
    tags: str
    separator: str


#: From the vendors' documentation, checked 2026-11; `None` is for any CDN.
DIALECTS: dict[str | None, Dialect] = {
    None: Dialect("CDN-Cache-Control", "Cache-Tag", ","),
    "cloudflare": Dialect("Cloudflare-CDN-Cache-Control", "Cache-Tag", ","),
    "fastly": Dialect("Surrogate-Control", "Surrogate-Key", " "),
    "netlify": Dialect("Netlify-CDN-Cache-Control", "Netlify-Cache-Tag", ","),
    "vercel": Dialect("Vercel-CDN-Cache-Control", "Vercel-Cache-Tag", ","),
}

_SECONDS: Final = number("seconds", 0, YEAR)

_KINDS: Final[dict[str, Kind]] = {
    "max_age": _SECONDS,
    "shared_max_age": maybe(_SECONDS),
    "stale_while_revalidate": _SECONDS,
    "stale_if_error": _SECONDS,
    "tags": maybe(list_of(TEXT, "tags")),
    "vendor": maybe(TEXT),
    "is_immutable": BOOLEAN,
    "visibility": one_of("public", "private", "no-store"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cdn:
    """What browsers (`max_age`) and edges (`shared_max_age`) may keep of a route's responses.

    Attributes:
        max_age: seconds in a browser, 0..31,536,000.
        shared_max_age: seconds at the edge; `None` for the same as `max_age`.
        stale_while_revalidate: further seconds, at the edge (RFC 5861).
        stale_if_error: further seconds, at the edge (RFC 5861).
        tags: literal tags, or templates over the path's parameters. `None` for the tags of `Cache`.
        vendor: one of `DIALECTS`; `None` for fields that any CDN may read.
        is_immutable: the bytes under this URL never change (RFC 8246).
        visibility: `"public"`, `"private"` or `"no-store"`; see the three constructors.
    """

    max_age: float = 0
    shared_max_age: float | None = None
    stale_while_revalidate: float = 0
    stale_if_error: float = 0
    tags: Sequence[str] | None = None
    vendor: str | None = None
    is_immutable: bool = False
    visibility: Visibility = "public"

    def __post_init__(self) -> None:
        """Refuse what cannot be expressed.

        Raises:
            ConfigurationError: a value is out of range, or the vendor has no dialect here.
        """
        check_all("Cdn: ", self, _KINDS)
        if self.vendor not in DIALECTS:
            known = ", ".join(sorted(name for name in DIALECTS if name))
            raise ConfigurationError(
                f"Cdn: no dialect for vendor {self.vendor!r} in this version; there is {known}"
            )

    @classmethod
    def immutable(cls, *, vendor: str | None = None) -> Self:
        """For URLs that contain a hash of their content: a year, everywhere (RFC 8246)."""
        return cls(max_age=YEAR, is_immutable=True, vendor=vendor)

    @classmethod
    def private(cls, *, max_age: float = 0) -> Self:
        """For one user: a browser may keep it, an edge never."""
        return cls(max_age=max_age, visibility="private")

    @classmethod
    def no_store(cls) -> Self:
        """Nobody may keep it (RFC 9111, section 5.2.2.5)."""
        return cls(visibility="no-store")

    @property
    def is_public(self) -> bool:
        """Whether an edge may keep a response for any time at all."""
        return self.visibility == "public" and bool(self.max_age or self.shared_max_age)

    @property
    def dialect(self) -> Dialect:
        """The fields that the vendor reads."""
        return DIALECTS[self.vendor]
