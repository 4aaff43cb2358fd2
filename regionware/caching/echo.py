"""What one worker tells others of an entry, and how they find it. No I/O here.

A *mention* is the digest of an entry's key; where the entry is one of several variants, the request
fields that select it follow, as lines. Its key is not told: the frame in Redis repeats it.
"""

import re
from ast import literal_eval
from collections.abc import Callable

from regionware.caching.entry import ALWAYS, Entry, Key
from regionware.caching.frame import decode, material_of
from regionware.caching.keys import canonical, digest
from regionware.caching.seal import Seal
from regionware.caching.storing import from_frame
from regionware.caching.variants import names_in
from regionware.effects import Found
from regionware.policies.cache import Cache

Policy = tuple[Cache, tuple[str, ...]]

#: Characters; what varies on longer fields is not worth a mention.
LONGEST = 1024
_DIGEST = re.compile(r"[0-9a-f]{32}\Z")
_TEXT = r"""(?:'(?:[^'\\\n]|\\[^\n])*'|"(?:[^"\\\n]|\\[^\n])*")"""
#: A tuple of texts as `canonical` writes it, and nothing nested.
_TUPLE = re.compile(rf"\({_TEXT}(?:, {_TEXT}){{3,255}}\)\Z")


def key_of(material: bytes) -> Key | None:
    """The inverse of `canonical`; `None` for what it has not written."""
    try:
        text = material.decode("ascii")
        found = literal_eval(text) if _TUPLE.match(text) else None
    except (ValueError, SyntaxError):
        return None
    if not isinstance(found, tuple) or canonical(found) != material:
        return None
    return found


def base_of(key: Key) -> tuple[Key, tuple[str, ...], tuple[str, ...]] | None:
    """A request's key, and the names and values that select the variant; `None` for a part."""
    if "\0" not in key:
        return key, (), ()
    at = key.index("\0")
    rest = key[at + 1 :]
    half = len(rest) // 2
    return None if len(rest) % 2 else (key[:at], rest[:half], rest[half:])


def mention(entry: Entry) -> str:
    """How to find an entry in Redis; an empty string if it is not there, or not worth it."""
    based = None if entry.flags & ALWAYS else base_of(entry.key)
    if based is None:
        return ""
    key, names, values = based
    pairs = [(name, value) for name, value in zip(names, values, strict=True) if value]
    if any("\n" in value for _, value in pairs):
        return ""
    told = digest(canonical(key)) + "".join(f"\n{name}:{value}" for name, value in pairs)
    return told if len(told) <= LONGEST else ""


def asked(told: str) -> tuple[str, str] | None:
    """The digest and the request fields of a mention; `None` for anything else."""
    name, _, fields = told.partition("\n")
    if len(told) > LONGEST or not _DIGEST.match(name):
        return None
    return name, f"{fields}\n" if fields else ""


def found_entry(
    told: str, found: Found, now: float, seal: Seal, policy_of: Callable[[Key], Policy | None]
) -> tuple[Entry, tuple[str, ...]] | None:
    """The entry that a look-up of a mention has found, and the names that select it.

    Args:
        told: the mention.
        found: what Redis has said.
        now: monotonic seconds.
        seal: how frames end here.
        policy_of: how a key is cached today, and with which tags.
    """
    material = material_of(found.frame)
    key = key_of(material) if material else None
    frame = decode(found.frame, material, seal) if key is not None else None
    based = base_of(key) if key is not None else None
    if key is None or frame is None or based is None or digest(canonical(based[0])) != told[:32]:
        return None
    names, policy = names_in(found.vary), policy_of(based[0])
    if policy is None or names != based[1] or frame.created > found.clock:
        return None
    cache, today = policy
    # As at any hit in Redis: a purge of today's tags reaches what was stored without them.
    frame.tags = tuple(dict.fromkeys((*frame.tags, *today)))
    return from_frame(frame, key, stamp=found.clock, now=now, cache=cache), names
