"""Header fields that decisions read: cookies, names, what a response varies on. No I/O here."""

import re
from collections.abc import Iterable
from functools import lru_cache

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
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
