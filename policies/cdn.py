"""`Cdn`: what browsers and edges may keep.

The restrictive policy is always in `Cache-Control`, since most CDNs ignore `CDN-Cache-Control`
(RFC 9213); the targeted field only ever loosens it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Self

from regionware.errors import ConfigurationError
from regionware.kinds import (
    BOOLEAN,
    TEXT,
    Kind,
    any_of,
    check_all,
    instance,
    list_of,
    maybe,
    number,
    one_of,
)
from regionware.policies.cache import YEAR
from regionware.policies.hashed import Hashed, Test
from regionware.vendors.catalogue import VENDORS
from regionware.vendors.model import Vendor

Visibility = Literal["public", "private", "no-store"]

_SECONDS: Final = number("seconds", 0, YEAR)

_KINDS: Final[dict[str, Kind]] = {
    "max_age": _SECONDS,
    "shared_max_age": maybe(_SECONDS),
    "stale_while_revalidate": _SECONDS,
    "stale_if_error": _SECONDS,
    "tags": maybe(list_of(TEXT, "tags")),
    "vendor": any_of(
        "the name of a vendor, a list of these, or None",
        maybe(TEXT),
        list_of(TEXT, "names of vendors", least=1, ordered=True),
    ),
    "is_immutable": BOOLEAN,
    "visibility": one_of("public", "private", "no-store"),
    "by": maybe(one_of("region")),
    "attested": BOOLEAN,
    "hashed": maybe(instance(Hashed)),
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
        vendor: whose fields to write, one of `regionware.vendors.catalogue.VENDORS`; several, as a
            list, where edges stand one behind the other; `None` for fields that any CDN may read.
        is_immutable: the bytes under this URL never change (RFC 8246).
        visibility: `"public"`, `"private"` or `"no-store"`; see the three constructors.
        by: `"region"`: answers differ by the client's region. The vendor must be able to keep them
            apart; what it cannot is kept by nobody.
        attested: the explicit word that the edge is configured to keep apart what differs by
            region, or by a field in `Vary`, where it does not do so by itself; see
            `regionware cdn-config`.
        hashed: which names carry a hash of their content; see `static`.
        vendors: what is known of each vendor.
    """

    max_age: float = 0
    shared_max_age: float | None = None
    stale_while_revalidate: float = 0
    stale_if_error: float = 0
    tags: Sequence[str] | None = None
    vendor: str | Sequence[str] | None = None
    is_immutable: bool = False
    visibility: Visibility = "public"
    by: Literal["region"] | None = None
    attested: bool = False
    hashed: Hashed | None = None
    vendors: tuple[Vendor, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what cannot be expressed.

        Raises:
            ConfigurationError: a value is out of range, or the vendor has no dialect here.
        """
        check_all("Cdn: ", self, _KINDS)
        names: tuple[str | None, ...]
        if self.vendor is None or isinstance(self.vendor, str):
            names = (self.vendor,)
        else:
            names = tuple(self.vendor)
        if unknown := [name for name in names if name not in VENDORS]:
            known = ", ".join(sorted(name for name in VENDORS if name))
            raise ConfigurationError(
                f"Cdn: no dialect for vendor {unknown[0]!r} in this version; there is {known}"
            )
        if len(set(names)) < len(names):
            raise ConfigurationError("Cdn: a vendor is named twice")
        object.__setattr__(self, "vendors", tuple(VENDORS[name] for name in names))

    @classmethod
    def immutable(cls, *, vendor: str | Sequence[str] | None = None) -> Self:
        """For URLs that all contain a hash of their content: a year, everywhere (RFC 8246).

        The path is trusted. `static` looks at each name.
        """
        return cls(max_age=YEAR, is_immutable=True, vendor=vendor)

    @classmethod
    def static(
        cls,
        *,
        max_age: float = 60,
        hashed: Test | None = None,
        tags: Sequence[str] | None = None,
        vendor: str | Sequence[str] | None = None,
    ) -> Self:
        """For files, some of which carry a hash of their content in their name.

        Those are immutable: a year, everywhere. All others are kept for `max_age`, and then
        revalidated with the validators that the application sends. The idea is WhiteNoise's
        (`immutable_file_test`): what is in the name decides, not where the file lies.

        Only a 200, 203, 206 or 304 is immutable; a redirection gets `max_age`, and an error is
        kept by nobody, whatever the application says of it.

        Args:
            max_age: seconds for names without a hash, 0..31,536,000.
            hashed: which names have one. By default a last part such as `app.0123abcd.min.css` or
                `app-0123abcd.js`: 8 to 64 lower-case hexadecimal digits, among them a letter and a
                number, so that neither a date nor a word is one. Otherwise a pattern that is
                searched for in the path, a function of the path, or the names of the files, with
                their folders, such as `regionware.manifest.names_in(path)` finds them.
            tags: as above.
            vendor: as above.

        Raises:
            ConfigurationError: a value is of another kind, or the pattern is none.
        """
        return cls(max_age=max_age, hashed=Hashed.of(hashed), tags=tags, vendor=vendor)

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
        if self.visibility != "public":
            return False
        return bool(self.max_age or self.shared_max_age or self.hashed)
