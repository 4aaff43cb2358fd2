"""What the region's Redis holds, read; and removed where it cannot be read. No I/O here.

A record that looks fresh to the store is not filled again before it expires. So one that cannot be
read is removed, if it is still the same, and the look-up is made once more: it grants the lease as
where nothing is stored. Two kinds stay, for somebody else may well read them: a record of a later
version, and one that is compressed where nothing here can unpack it. For them the lease is asked
for as well, and the fill, being newer, takes their place.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from regionware.caching.entry import Entry, Key
from regionware.caching.frame import Unreadable, read, stamp_of
from regionware.caching.keys import canonical
from regionware.caching.storing import from_frame
from regionware.caching.variants import names_in, select, variant_key, variant_name
from regionware.effects import Found, Lookup, Plan, Repair

if TYPE_CHECKING:
    from regionware.exchange import Exchange

#: Microseconds. No record is begun later than now; but a server that has taken over may be behind.
_AHEAD = 3_600_000_000


def read_out(
    exchange: "Exchange", ask: Lookup, key: Key, material: bytes
) -> Plan[tuple[Found, Entry | None]]:
    """Look in Redis; what comes is never garbled."""
    found = yield from ask
    entry, flaw = _unpack(exchange, found, key, material)
    if flaw:
        ask = yield from _mend(exchange, found, ask, flaw)
        if found.garbled or not (found.lease or flaw == "later"):
            found = yield from ask
            entry, _ = _unpack(exchange, found, key, material)
    return Found(available=False) if found.garbled else found, entry


def _mend(exchange: "Exchange", found: Found, ask: Lookup, flaw: str) -> Plan[Lookup]:
    """Have a record removed, or find out how to ask for one that is newer."""
    if flaw == "later":
        exchange.tell("unreadable", flaw)
    elif flaw == "packed":
        exchange.tell("unreadable", flaw)
        stamp = stamp_of(found.frame)
        return replace(ask, floor=max(ask.floor, stamp), gone=max(ask.gone, stamp))
    else:
        exchange.tell("damaged", flaw)
        if (yield from _repair(exchange, found, ask)):
            exchange.tell("repaired", flaw)
    return ask


def _repair(exchange: "Exchange", found: Found, ask: Lookup) -> Plan[bool]:
    if found.garbled:
        return (yield from Repair(ask.digest, "vary", found.vary.encode("latin-1")))
    names = names_in(found.vary)
    variant = variant_name(names, select(names, exchange.request))
    return (yield from Repair(ask.digest, f"e{variant}", found.frame))


def _unpack(
    exchange: "Exchange", found: Found, key: Key, material: bytes
) -> tuple[Entry | None, str]:
    """The entry, or why it cannot be read; neither where there is none."""
    if found.garbled:
        return None, "vary"
    if not found.frame:
        return None, ""
    prepared, names = exchange.prepared, names_in(found.vary)
    if names:
        key = variant_key(key, names, select(names, exchange.request))
        material = canonical(key)
    try:
        frame = read(found.frame, material, prepared.seal)
    except Unreadable as error:
        return None, _judged(error.flaw, found)
    if frame.created > found.clock:
        # By a clock that has gone back since: no purge of today's would reach it, and nobody knows
        # how old it is.
        return None, ""
    # It may have been stored when the policy gave other tags: a purge of today's reaches it too.
    frame.tags = tuple(dict.fromkeys((*frame.tags, *exchange.tags())))
    cache = exchange.plan.compiled.route.cache
    return from_frame(frame, key, stamp=found.clock, now=prepared.clock(), cache=cache), ""


def _judged(flaw: str, found: Found) -> str:
    """A record from the future is garbage: nothing could ever take its place."""
    ahead = flaw == "later" and stamp_of(found.frame) > found.stamp + _AHEAD
    return "damaged" if ahead else flaw
