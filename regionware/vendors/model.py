"""How the behaviour of a CDN is written down. No decisions."""

from dataclasses import dataclass
from typing import Final, Literal

Window = Literal["stale-while-revalidate", "stale-if-error"]
Evidence = Literal["documentation", "source", "measured", "unverified"]
Purge = Literal["tag", "url", "prefix", "host", "everything", "soft", "ban"]
#: How an answer can differ by region at an edge: by a list of values in a response field, by a
#: request field in `Vary`, by a key that must be configured, or not at all.
Variance = Literal["values", "vary", "configured", "impossible"]

BOTH: Final[tuple[Window, Window]] = ("stale-while-revalidate", "stale-if-error")


@dataclass(frozen=True, slots=True)
class Statement:
    """One thing that is said of a vendor.

    Attributes:
        topic: what it is about, such as `lifetime` or `tags`.
        text: the statement.
        source: where it comes from: a page, a file, or a test run.
        evidence: how it is known; what is `unverified` is common knowledge that nobody has checked.
        checked: year and month of the last comparison with the source.
    """

    topic: str
    text: str
    source: str
    evidence: Evidence = "documentation"
    checked: str = "2026-11"


@dataclass(frozen=True, slots=True, kw_only=True)
class TagField:
    """The field that names what an answer can be purged by, and what it can hold.

    Attributes:
        name: in the documented spelling.
        separator: stands between two tags.
        marks: the characters that a tag may hold besides ASCII letters and digits.
        longest: octets of one tag, at most; longer ones are hashed.
        total: octets of the whole value, at most.
        count: tags of one answer, at most; `None` for any number.
        folds: letters of both cases are the same.
    """

    name: str
    separator: str
    marks: str
    longest: int
    total: int
    count: int | None = None
    folds: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """What one CDN obeys.

    Attributes:
        name: the word for `Cdn(vendor=...)`.
        title: the name that people know.
        reads: the fields it takes a lifetime from; of those that are there the first counts.
        targeted: the field that this edge alone obeys, by which we loosen; empty if there is none,
            and `s-maxage` must do.
        form: how its value is written: cache directives, Akamai's own, or a number of seconds.
        stale: the stale windows (RFC 5861) that it takes from `targeted`.
        unsaid: the stale windows that it grants by itself, unless `Cache-Control` says zero.
        tags: `None` if it has none.
        ignores_vary: an answer is kept for everybody, whatever `Vary` says, unless the edge is
            configured; `Accept-Encoding` is looked at everywhere.
        variance: how an answer can differ by region.
        variance_field: the request field by which the edge keeps regions apart: the name of a
            region that the edge has been configured to send, or its own word for a country.
        by_country: that field tells the country, not the region.
        strips: the fields of ours that clients do not see.
        purges: what it can be asked to purge.
        caches: whether it keeps responses at all.
        statements: where all this comes from, and what else is to be known.
    """

    name: str
    title: str
    reads: tuple[str, ...]
    targeted: str = ""
    form: Literal["directives", "edge-control", "seconds"] = "directives"
    stale: tuple[Window, ...] = ()
    unsaid: tuple[Window, ...] = ()
    tags: TagField | None = None
    ignores_vary: bool = False
    variance: Variance = "impossible"
    variance_field: str = ""
    by_country: bool = True
    strips: tuple[str, ...] = ()
    purges: tuple[Purge, ...] = ()
    caches: bool = True
    statements: tuple[Statement, ...] = ()
