"""Which parts of a query count (No-Vary-Search, draft-ietf-httpbis-no-vary-search). No I/O here."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self, cast
from urllib.parse import quote_plus, unquote_to_bytes

import http_sf

_KEYS = frozenset({"key-order", "params", "except"})


@dataclass(frozen=True, slots=True)
class SearchRules:
    """A URL search variance (section 3 of the draft); by default everything counts.

    Names are decoded: what `%C3%A9+x` stands for, not how it is spelled.

    Attributes:
        key_order: the order of parameters with different names does not count.
        ignored: the names that do not count.
        kept: the only names that count; `None` for all but the ignored ones.
    """

    key_order: bool = False
    ignored: frozenset[str] = frozenset()
    kept: frozenset[str] | None = None

    def __post_init__(self) -> None:
        """Refuse what no field could say."""
        if self.ignored and self.kept is not None:
            raise ValueError("a query has either names that count or names that do not")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a `No-Vary-Search` value; an empty one lets everything count.

        Raises:
            ValueError: the value is not valid. What a cache must ignore in a response, unknown
                members among it, is a mistake in a declaration.
        """
        members = _members(text)
        key_order, params = members.get("key-order", False), members.get("params", False)
        if key_order is not True and key_order is not False:
            raise ValueError("No-Vary-Search: key-order is a boolean")
        if "except" in members and params is not True:
            raise ValueError("No-Vary-Search: except needs params without names")
        if params is True:
            return cls(bool(key_order), kept=_names("except", members.get("except", [])))
        return cls(bool(key_order), frozenset() if params is False else _names("params", params))

    @classmethod
    def of_names(cls, names: Iterable[str]) -> Self:
        """Only parameters with these decoded names count; their order counts too."""
        return cls(kept=frozenset(names))

    def normalise(self, query: str) -> str:
        """The query, without `?`, reduced to what counts; equal texts are equal queries.

        What counts keeps its spelling and, among parameters of one name, its order. Where
        anything may be removed or sorted, so are empty parts, which are no parameters
        (section 5 of the draft). `;` separates nothing.
        """
        if not (self.key_order or self.ignored or self.kept is not None):
            return query
        named = [(_decoded(part.partition("=")[0]), part) for part in query.split("&") if part]
        if self.kept is not None:
            named = [each for each in named if each[0] in self.kept]
        elif self.ignored:
            named = [each for each in named if each[0] not in self.ignored]
        if self.key_order:
            named.sort(key=lambda each: each[0])
        return "&".join([part for _, part in named])

    def field(self) -> str:
        """The `No-Vary-Search` value that says the same; empty where everything counts."""
        members: dict[str, http_sf.ItemType | http_sf.InnerListType] = {}
        if self.key_order:
            members["key-order"] = True
        if self.kept is not None:
            members["params"] = True
        if self.ignored:
            members["params"] = _listed(self.ignored)
        if self.kept:
            members["except"] = _listed(self.kept)
        return http_sf.ser(members) if members else ""


def _members(text: str) -> dict[str, object]:
    parsed = http_sf.parse(text.encode("ascii"), tltype="dictionary")
    found = cast("http_sf.DictionaryType", parsed)
    unknown = found.keys() - _KEYS
    if unknown:
        raise ValueError(f"No-Vary-Search: unknown members: {', '.join(sorted(unknown))}")
    return {name: each[0] if isinstance(each, tuple) else each for name, each in found.items()}


def _names(member: str, listed: object) -> frozenset[str]:
    """The decoded names of an inner list (section 4.3 of the draft)."""
    items = [each[0] for each in listed] if isinstance(listed, list) else [None]
    names = [_decoded(item) for item in items if isinstance(item, str)]
    if len(names) != len(items):
        raise ValueError(f"No-Vary-Search: {member} is a list of strings")
    return frozenset(names)


def _listed(names: frozenset[str]) -> http_sf.InnerListType:
    return [quote_plus(name) for name in sorted(names)]


def _decoded(name: str) -> str:
    """A name as application/x-www-form-urlencoded decodes it; its octets are UTF-8."""
    if name.isascii() and "%" not in name and "+" not in name:
        return name
    octets = name.encode("latin-1", "xmlcharrefreplace").replace(b"+", b" ")
    return unquote_to_bytes(octets).decode("utf-8", "replace")
