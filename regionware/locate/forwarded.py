"""`Forwarded` (RFC 7239), read strictly: a field that is not well-formed says nothing at all.

Proxies append to what a client sent. So a parser that repairs, or that goes on behind an error, can
be made to read across the border between the two; an unfinished quoted string is enough. Stricter
than the grammar: no empty elements or parameters, since RFC 9110 (section 5.6.1) lets nobody send
them, and no parameter twice in an element (section 4 of RFC 7239 forbids it, the grammar does not).
"""

import re
from dataclasses import dataclass
from typing import Final

from regionware.locate.addresses import Address, hop

#: Characters of a field, and elements in it; a chain of proxies is far shorter.
LONGEST: Final = 4096
MOST: Final = 32

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - the grammar's word
# Octets above ASCII are allowed in a quoted string (`obs-text`), and are in no address or host.
_QUOTED = r'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'
_PAIR = re.compile(rf"({_TOKEN})=({_TOKEN}|{_QUOTED})")
_NEXT = re.compile(r"[ \t]*,[ \t]*|;")
_ESCAPE = re.compile(r"\\(.)")
_HIDDEN_PORT = re.compile(r":_[0-9A-Za-z._-]+\Z")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,15}")
_HOST = re.compile(
    r"[A-Za-z0-9._~-]{1,255}(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](?::[0-9]{1,5})?"
)


@dataclass(frozen=True, slots=True)
class Element:
    """What one proxy says.

    Attributes:
        client: from where it was asked; `None` if it does not say, says `unknown`, or `_hides` it.
        proto: the scheme by which it was asked, in lower case, or an empty string.
        host: the `Host` that it was asked for, in lower case, or an empty string.
    """

    client: Address | None
    proto: str = ""
    host: str = ""

    def __str__(self) -> str:
        """The element, as it is written in a field."""
        parts = []
        if self.client is not None:
            parts.append(
                f"for={self.client}" if self.client.version == 4 else f'for="[{self.client}]"'
            )
        if self.proto:
            parts.append(f"proto={self.proto}")
        if self.host:
            parts.append(f'host="{self.host}"' if ":" in self.host else f"host={self.host}")
        return ";".join(parts)


def parse(text: str) -> tuple[Element, ...] | None:
    """The elements in their order, `None` for a field that is not well-formed, or too long."""
    text = text.strip(" \t")
    if not text or len(text) > LONGEST:
        return None
    elements: list[Element] = []
    pairs: dict[str, str] = {}
    place = 0
    while True:
        found = _PAIR.match(text, place)
        if found is None or found[1].lower() in pairs:
            return None
        pairs[found[1].lower()] = _value(found[2])
        if found.end() == len(text):
            elements.append(_element(pairs))
            return tuple(elements) if len(elements) <= MOST else None
        between = _NEXT.match(text, found.end())
        if between is None:
            return None
        if between[0] != ";":
            elements.append(_element(pairs))
            pairs = {}
        place = between.end()


def _value(text: str) -> str:
    return _ESCAPE.sub(r"\1", text[1:-1]) if text.startswith('"') else text


def _element(pairs: dict[str, str]) -> Element:
    proto, host = pairs.get("proto", ""), pairs.get("host", "")
    return Element(
        client=_node(pairs.get("for", "")),
        proto=proto.lower() if _SCHEME.fullmatch(proto) else "",
        host=host.lower() if _HOST.fullmatch(host) else "",
    )


def _node(text: str) -> Address | None:
    """An address (section 6): of IPv6 always in brackets; an `_obfuscated` name is none."""
    text = _HIDDEN_PORT.sub("", text)
    return None if text.count(":") > 1 and not text.startswith("[") else hop(text)
