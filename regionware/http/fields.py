"""Header fields that decisions read: cookies, names, what a response varies on. No I/O here."""

import re
from collections.abc import Iterable
from functools import lru_cache

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_COMMA = re.compile(r" ?, ?")
_QVALUE = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
#: Lists with weights (RFC 9110, section 12.5).
_WEIGHTED = frozenset({"accept", "accept-charset", "accept-language"})
#: Longer values are not worth the memory of a memo.
_LONGEST = 512
_BLANK = re.compile(r"[ \t\r\n\f\v]+")


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


def is_token(text: str) -> bool:
    """Whether the text is a token (RFC 9110, section 5.6.2), such as a field's name."""
    return _TOKEN.match(text) is not None


def vary_value(name: str, value: str | None) -> str:
    """A request field's value in the form in which variants are compared (RFC 9111, section 4.1).

    White space is folded, and removed around commas, so that several lines are the same as one
    list. Of what a client accepts, the place of a weighted member does not count, nor the case of
    languages and charsets (RFC 9110, section 12.5); the order of members of one weight does, since
    applications take it for a preference. Of content codings order and weights are dropped.
    """
    if value is None:
        return ""
    short = len(name) + len(value) <= _LONGEST
    return _known(name, value) if short else _normal(name, value)


def _normal(name: str, value: str) -> str:
    if '"' in value:
        return value.strip(" \t")
    folded = _BLANK.sub(" ", value).strip(" ")
    if name == "accept-encoding":
        return _codings(folded)
    if name in _WEIGHTED:
        return _weighted(folded if name == "accept" else folded.lower())
    return _COMMA.sub(",", folded) if "," in folded else folded


# Clients send the same fields again and again.
_known = lru_cache(maxsize=4096)(_normal)


def _weighted(value: str) -> str:
    """Members by their weight, the heaviest first (RFC 9110, section 12.4.2)."""
    members = []
    for part in value.split(","):
        member, *parameters = (each.strip(" ") for each in part.split(";"))
        weight = next((each[2:] for each in parameters if each.startswith("q=")), "1")
        kept = [each for each in parameters if not each.startswith("q=")]
        if member:
            members.append((_weight(weight), ";".join((member, *kept))))
    members.sort(key=lambda each: -each[0])
    return ",".join(text if weight == 1 else f"{text};q={weight:g}" for weight, text in members)


def _weight(text: str) -> float:
    return float(text) if _QVALUE.fullmatch(text) else 1.0


def _codings(value: str) -> str:
    accepted = set()
    for part in value.lower().split(","):
        coding, _, weight = part.partition(";")
        refused = weight.replace(" ", "").rstrip("0") in {"q=", "q=0."}
        if coding.strip():
            accepted.add(f"-{coding.strip()}" if refused else coding.strip())
    return ",".join(sorted(accepted))
