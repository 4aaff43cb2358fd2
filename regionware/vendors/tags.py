"""Tags as an edge can carry them: the same form in a response and in a purge. No I/O here."""

import re
from base64 import b32encode
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b, sha1

from regionware.errors import ConfigurationError
from regionware.vendors.catalogue import vendor_of
from regionware.vendors.model import TagField, Vendor

#: Characters of a hashed tag: 60 bits. Two tags with one hash are purged together, no more.
HASHED = 12
#: Characters: see `_fenced`.
_LONGEST = 255


def edge_tags(vendor: str | None, tags: Iterable[str]) -> tuple[str, ...]:
    """The forms in which a vendor may know these tags, each once.

    A tag that the vendor's field cannot carry, for its characters or its length, is replaced by a
    hash of 12 characters (`a-z2-7`). Whoever purges by these forms reaches what was sent with them.

    Args:
        vendor: a word of `Cdn(vendor=...)`, or `None`.
        tags: as the application names them.

    Raises:
        ConfigurationError: there is no such vendor, or it has no tags.
    """
    known = vendor_of(vendor)
    if known.tags is None:
        raise ConfigurationError(f"{known.title} has no tags")
    anyone = vendor_of(None).tags
    named = tuple(tags)
    found = forms(known.tags, named)
    if anyone is None or anyone.name != known.tags.name:
        return found
    # A route that names no vendor has told this edge of tags too.
    return tuple(dict.fromkeys((*found, *forms(anyone, named))))


def forms(field: TagField, tags: Iterable[str]) -> tuple[str, ...]:
    """The forms of tags that a field can carry, in order and each once."""
    carries = _pattern(field.marks, field.longest).fullmatch
    return tuple(dict.fromkeys(tag if carries(tag) else hashed(tag) for tag in map(_fenced, tags)))


def tag_fields(vendors: Iterable[Vendor], tags: Sequence[str]) -> list[tuple[str, str]] | None:
    """The fields, in lower case, that tell each of these vendors the tags; none without tags.

    Vendors that share a field, and not the characters of its tags, find the forms of each in it.

    Returns:
        `None` if one of them could not take them all.
    """
    known: dict[str, dict[str, None]] = {}
    readers = [vendor.tags for vendor in vendors if vendor.tags is not None] if tags else []
    for field in readers:
        known.setdefault(field.name.lower(), {}).update(dict.fromkeys(forms(field, tags)))
    found: dict[str, str] = {}
    for field in readers:
        name = field.name.lower()
        text = field.separator.join(known[name])
        if len(text) > field.total or len(known[name]) > (field.count or len(known[name])):
            return None
        found[name] = text
    return list(found.items())


def hashed(tag: str) -> str:
    """A tag in twelve characters that every vendor can carry."""
    # A path may hold octets that are no UTF-8.
    digest = blake2b(tag.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return b32encode(digest).decode("ascii")[:HASHED].lower()


def _fenced(tag: str) -> str:
    """A tag as a purge still has it: fences know a long one by a digest (`coherence.bounded`)."""
    if len(tag) <= _LONGEST:
        return tag
    return sha1(f"t{tag}".encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()


@lru_cache(maxsize=32)
def _pattern(marks: str, longest: int) -> re.Pattern[str]:
    return re.compile(rf"[A-Za-z0-9{re.escape(marks)}]{{1,{longest}}}")
