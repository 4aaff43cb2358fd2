"""Header fields that decisions read: Cache-Control, cookies, entity tags. No I/O here."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

_DIRECTIVE = re.compile(
    r"""[\s,]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*(?:=\s*("(?:[^"\\]|\\.)*"|[^\s,"]*))?\s*(?=,|\Z)""",
    re.VERBOSE,
)
_SECONDS = re.compile(r"\d+\Z")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_BLANK = re.compile(r"[ \t\r\n\f\v]+")
_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')

#: RFC 9111, section 1.2.2: a recipient may treat anything larger as 2^31.
FOREVER = 2**31


@dataclass(frozen=True, slots=True)
class CacheControl:
    """A parsed `Cache-Control` field (RFC 9111, section 5.2).

    Attributes:
        directives: lower-case names and arguments; of a repeated one, the most restrictive.
        malformed: a part could not be read; what depends on it counts as stale.
    """

    directives: Mapping[str, str | None]
    malformed: bool = False

    def __contains__(self, name: str) -> bool:
        """Whether a directive is present."""
        return name in self.directives

    def seconds(self, name: str) -> int | None:
        """A directive's argument in seconds; 0 where it is malformed, `None` where absent."""
        if name not in self.directives:
            return None
        return delta_seconds(self.directives[name])


def delta_seconds(text: str | None) -> int:
    """RFC 9111, section 1.2.2; malformed counts as 0, that is, stale."""
    found = None if text is None else text.strip('"')
    return (
        min(int(found), FOREVER)
        if found and len(found) < 20 and _SECONDS.match(found) and found.isascii()
        else 0
    )


def parse_cache_control(values: Iterable[str]) -> CacheControl:
    """Read all lines of a `Cache-Control` field; never raises.

    A repeated directive with different seconds keeps the smaller one, which is the more
    restrictive reading of RFC 9111, section 4.2.1.
    """
    return _parse(",".join(values))


# An application sends few different texts; a client could send many, so the memo is bounded.
@lru_cache(maxsize=1024)
def _parse(text: str) -> CacheControl:
    directives: dict[str, str | None] = {}
    at = 0
    malformed = False
    while at < len(text):
        found = _DIRECTIVE.match(text, at)
        if found is None:
            malformed = malformed or bool(text[at:].strip(" \t,"))
            comma = text.find(",", at + 1)
            at = len(text) if comma < 0 else comma + 1
            continue
        name, argument, at = found[1].lower(), found[2], found.end()
        if name in directives and directives[name] != argument:
            argument = str(min(delta_seconds(directives[name]), delta_seconds(argument)))
        directives[name] = argument
    return CacheControl(directives, malformed)


def parse_cookies(value: str) -> list[tuple[str, str]]:
    """The name and value pairs of a `Cookie` field (RFC 6265, section 5.4), in order."""
    pairs = []
    for part in value.split(";"):
        name, _, content = part.strip(" \t").partition("=")
        if name or content:
            pairs.append((name.strip(" \t"), content.strip(" \t")))
    return pairs


def cookie_name(set_cookie: str) -> str:
    """The name that a `Set-Cookie` field sets."""
    return set_cookie.partition("=")[0].strip(" \t")


def field_names(values: Iterable[str]) -> tuple[str, ...] | None:
    """The lower-case names in a `Vary` field, sorted; `None` for `*` or anything unreadable."""
    names: set[str] = set()
    for name in ",".join(values).split(","):
        text = name.strip(" \t").lower()
        if not text:
            continue
        if text == "*" or not _TOKEN.match(text):
            return None
        names.add(text)
    return tuple(sorted(names))


def etag_matches(if_none_match: str, etag: str) -> bool:
    """Weak comparison of `If-None-Match` with an entity tag (RFC 9110, section 13.1.2)."""
    if if_none_match.strip() == "*":
        return True
    opaque = etag.removeprefix("W/")
    return any(tag.removeprefix("W/") == opaque for tag in _ETAG.findall(if_none_match))


def is_token(text: str) -> bool:
    """Whether the text is a token (RFC 9110, section 5.6.2), such as a field's name."""
    return _TOKEN.match(text) is not None


@lru_cache(maxsize=4096)
def vary_value(name: str, value: str | None) -> str:
    """A request field's value in the form in which variants are compared.

    White space is folded (RFC 9111, section 4.1); of content codings the order and the weights are
    dropped, so that browsers that spell the same preference differently share a variant.
    """
    if value is None:
        return ""
    folded = _BLANK.sub(" ", value).strip(" ")
    return _codings(folded) if name == "accept-encoding" else folded


def _codings(value: str) -> str:
    accepted = set()
    for part in value.lower().split(","):
        coding, _, weight = part.partition(";")
        refused = weight.replace(" ", "").rstrip("0") in {"q=", "q=0."}
        if coding.strip():
            accepted.add(f"-{coding.strip()}" if refused else coding.strip())
    return ",".join(sorted(accepted))
