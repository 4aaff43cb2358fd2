"""The refresh of what is fresh yet, one for each region. No I/O here."""

from typing import TYPE_CHECKING

from regionware.caching.chance import is_early
from regionware.caching.entry import Entry, Key
from regionware.caching.filling import Filling
from regionware.caching.fresh import is_fresh
from regionware.caching.variants import names_in
from regionware.effects import Found, Plan
from regionware.recall import look_up

if TYPE_CHECKING:
    from regionware.exchange import Exchange


def begin_early(exchange: "Exchange", key: Key, entry: Entry) -> "Exchange | None":
    """An exchange again, for nobody, if chance has it that it refreshes what it has served.

    Args:
        exchange: the request that is answered from `entry`.
        key: the request's key.
        entry: what is fresh.
    """
    prepared, keys = exchange.prepared, exchange.plan.keys
    now = prepared.clock()
    if keys is None or now < entry.quiet_until or now < entry.retry_at:
        return None
    if prepared.flights.is_busy(key) or "authorization" in exchange.request.special:
        return None  # a refresh carries no identity, so it could not make this answer
    if not is_early(entry.fresh_until, entry.cost, now, prepared.random()):
        return None
    filling = Filling(prepared, keys, key, None, now)
    filling.heed((*exchange.tags(), *entry.tags))
    filling.floor = max(filling.floor, entry.created)
    if not filling.join():
        return None
    exchange.filling, exchange.early, exchange.alone = filling, True, False
    exchange.known = exchange.stale = filling.fallback = entry
    return exchange


def claim(exchange: "Exchange") -> Plan[bool]:
    """Whether the region grants the lease for an early refresh; without a Redis it is ours."""
    filling, entry = exchange.filling, exchange.known
    if filling is None or entry is None:
        return False
    if exchange.prepared.has_redis:
        try:
            found, newer = yield from look_up(exchange, filling)
        except GeneratorExit:  # nobody drives this plan any more
            filling.land("abandoned")
            raise
        except BaseException:
            yield from filling.give_up()
            raise
        if not _is_ours(exchange, filling, found, newer):
            # Somebody else refreshes, or that failed lately: not for as long as one would take.
            pause = exchange.prepared.clock() + max(found.left, entry.cost)
            entry.quiet_until = min(pause, entry.fresh_until)
            filling.land("abandoned")
            return False
    exchange.tell("early-refresh", "")
    return True


def _is_ours(exchange: "Exchange", filling: Filling, found: Found, newer: Entry | None) -> bool:
    """Whether it is for this process to refresh; what another has brought is kept."""
    if found.lease or not found.available:
        return True
    now = exchange.prepared.clock()
    if newer is not None and is_fresh(exchange.prepared.fences, newer, filling.need, now):
        filling.remember(newer, names_in(found.vary))
        filling.land("entry", newer)
    return False
