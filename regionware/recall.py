"""The second moment of an exchange: an answer from Redis, or from another's fill. No I/O here."""

from typing import TYPE_CHECKING

from regionware.caching.coherence import Verdict
from regionware.caching.entry import ALWAYS, Entry, Key
from regionware.caching.filling import Filling
from regionware.caching.frame import decode
from regionware.caching.fresh import is_fresh
from regionware.caching.storing import from_frame
from regionware.caching.variants import fields_of, names_in, select, variant_key
from regionware.effects import Flight, Found, Lookup, Plan, Wait
from regionware.serving import Reply, not_cached

if TYPE_CHECKING:
    from regionware.exchange import Exchange

#: Seconds for which a request waits for another's fill of the same key.
PATIENCE = 10.0


def recall(exchange: "Exchange") -> Plan[Reply | None]:
    """Answer without the application, if Redis or another's fill allows it."""
    filling, stale = exchange.filling, exchange.stale
    if filling is None or exchange.bypass or exchange.mode != "on":
        return None
    deadline = exchange.prepared.clock() + PATIENCE
    filling.heed((*exchange.tags(), *(stale.tags if stale is not None else ())))
    if exchange.alone:
        return (yield from _peek(exchange, filling))
    while not filling.join():
        if filling.flight is None:
            return None
        if exchange.stale_for("revalidate"):
            return exchange.serve_stale()
        left = deadline - exchange.prepared.clock()
        outcome = ""
        if left > 0 and not filling.insists:
            outcome = yield from Wait(filling.flight, left)
        if (
            outcome == "entry"
            and (shared := _shared(exchange, filling, filling.flight)) is not None
        ):
            return exchange.reply(shared, "regionware; fwd=miss; collapsed")
        if outcome != "abandoned":
            filling.go_alone()
            return None
    try:
        return (yield from _ask_redis(exchange, filling))
    except BaseException:
        filling.land("abandoned")
        raise


def _shared(exchange: "Exchange", filling: Filling, flight: Flight) -> Entry | None:
    """The entry of another's fill, if it is one for this request."""
    entry = flight.result
    if entry is None or not exchange.may_see():
        return None
    record = exchange.recollect(filling.key) if entry.key != filling.key else entry
    if not isinstance(record, Entry):
        return None
    if exchange.fits(record, filling.need):
        return record
    exchange.consider(record, filling.need)
    return None


def _ask_redis(exchange: "Exchange", filling: Filling) -> Plan[Reply | None]:
    found = Found(available=False)
    if exchange.prepared.has_redis:
        found, entry = yield from _look_up(exchange, filling)
        if entry is not None and (reply := _from_redis(exchange, filling, found, entry)):
            return reply
        if exchange.rejected and not (found.lease or filling.insists or exchange.bypass):
            # Fresh, and not what this request asks for: what comes will be for everybody.
            filling.insist()
            found, _ = yield from _look_up(exchange, filling)
    if exchange.bypass or not exchange.stale_for("revalidate"):
        return None
    if found.available and not found.lease:
        filling.land("abandoned")
        return exchange.serve_stale()
    return exchange.serve_stale(exchange)


def _peek(exchange: "Exchange", filling: Filling) -> Plan[Reply | None]:
    """Look in Redis for one who will not fill it: without a lease, and nobody waits."""
    known = exchange.known
    if exchange.prepared.has_redis and not (known is not None and known.flags & ALWAYS):
        found, entry = yield from _look_up(exchange, filling, leases=False)
        if entry is not None and (reply := _from_redis(exchange, filling, found, entry)):
            return reply
    if exchange.stale_for("revalidate") or exchange.stale_for("wanted"):
        return exchange.serve_stale()
    if exchange.wants is not None and exchange.wants.only_if_cached:
        return not_cached(exchange.request)
    return None


def _from_redis(exchange: "Exchange", filling: Filling, found: Found, entry: Entry) -> Reply | None:
    """The answer that an entry makes, if it may; else it may do for a validation."""
    prepared = exchange.prepared
    if is_fresh(prepared.fences, entry, filling.need, prepared.clock()):
        filling.remember(entry, names_in(found.vary))
        filling.land("entry", entry)
    if not exchange.fits(entry, filling.need):
        exchange.consider(entry, filling.need)
        return None
    if exchange.may_see():
        fields = f"regionware; hit; ttl={exchange.ttl(entry)}; detail=redis"
        return exchange.reply(entry, fields)
    exchange.bypass, exchange.filling = "authorize", None
    return None


def _look_up(
    exchange: "Exchange", filling: Filling, *, leases: bool = True
) -> Plan[tuple[Found, Entry | None]]:
    name, material = filling.ask()
    fields = fields_of(exchange.request)
    fences = exchange.prepared.fences
    found = yield from Lookup(name, filling.need, filling.floor, fields, fences.stamp, leases)
    entry = _unpack(exchange, found, filling.key, material)
    if leases and entry is not None and not found.lease and _purged(exchange, entry):
        # The store cannot know the tags that only the application gave; say it again.
        floor = max(filling.floor, entry.created)
        found = yield from Lookup(name, filling.need, floor, fields, fences.stamp)
    filling.found(found, exchange.request)
    return found, entry


def _purged(exchange: "Exchange", entry: Entry) -> bool:
    fences = exchange.prepared.fences
    version = fences.version
    if fences.judge(entry) is not Verdict.GOOD:
        return True
    entry.checked = version
    return False


def _unpack(exchange: "Exchange", found: Found, key: Key, material: bytes) -> Entry | None:
    frame = decode(found.frame, material) if found.frame else None
    if frame is None:
        return None
    if found.vary:
        names = names_in(found.vary)
        key = variant_key(key, names, select(names, exchange.request))
    # It may have been stored when the policy gave other tags: a purge of today's reaches it too.
    frame.tags = tuple(dict.fromkeys((*frame.tags, *exchange.tags())))
    return from_frame(frame, key, stamp=found.stamp, now=exchange.prepared.clock())
