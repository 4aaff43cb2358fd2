"""The second moment of an exchange: an answer from Redis, or from another's fill. No I/O here."""

from typing import TYPE_CHECKING

from regionware.caching.coherence import Verdict
from regionware.caching.entry import ALWAYS, Entry
from regionware.caching.filling import Filling
from regionware.caching.fresh import is_fresh
from regionware.caching.variants import fields_of, names_in
from regionware.effects import Found, Plan
from regionware.serving import Reply, not_cached
from regionware.unpacking import read_out
from regionware.waiting import follow, landed, outwait

if TYPE_CHECKING:
    from regionware.exchange import Exchange

#: What is said whatever the frame is worth.
_SETTLED = frozenset({"held", "uncacheable"})


def recall(exchange: "Exchange") -> Plan[Reply | None]:
    """Answer without the application, if Redis or another's fill allows it."""
    filling, stale = exchange.filling, exchange.stale
    if filling is None or exchange.bypass or exchange.mode != "on":
        return None
    began = exchange.prepared.clock()
    filling.heed((*exchange.tags(), *(stale.tags if stale is not None else ())))
    if exchange.alone:
        return (yield from _peek(exchange, filling))
    leads, reply = yield from follow(exchange, filling, began)
    if leads:
        try:
            reply = yield from _ask_redis(exchange, filling, began)
            filling.fallback = _fallback(exchange)
        except GeneratorExit:  # nobody drives this plan any more
            filling.land("abandoned")
            raise
        except BaseException:
            yield from filling.give_up()
            raise
    return reply


def _fallback(exchange: "Exchange") -> Entry | None:
    """What may be served stale should the application fail, without asking it again at once.

    By the book each use is another attempt.
    """
    if (
        exchange.plan.is_standard
        or exchange.rejected
        or not (exchange.stale_for("error") or exchange.stale_for("revalidate"))
    ):
        return None
    return exchange.stale


def _ask_redis(exchange: "Exchange", filling: Filling, began: float) -> Plan[Reply | None]:
    found = Found(available=False)
    if exchange.prepared.has_redis:
        found, reply = yield from _find(exchange, filling)
        while found.verdict == "held" and not exchange.stale_for("revalidate"):
            # Another worker fills: what it stores is for this one too.
            if (yield from outwait(exchange, filling, found, began)):
                return None
            if (flight := filling.flight) is not None and flight.outcome:
                # One who went beside us has brought what this waits for.
                return landed(exchange, filling, flight)
            found, reply = yield from _find(exchange, filling)
        if reply is not None or exchange.bypass:
            return reply
    if found.verdict == "uncacheable":
        exchange.pass_by(filling, found.left)
        return None
    if found.verdict == "failing" or (not found.available and exchange.resting):
        reply = exchange.serve_throttled()
        filling.land("abandoned" if reply is None else "stale", exchange.stale)
        return reply
    if not exchange.stale_for("revalidate"):
        return None
    if found.available and not found.lease:
        filling.land("abandoned")
        return exchange.serve_stale()
    return exchange.serve_stale(exchange)


def _find(exchange: "Exchange", filling: Filling) -> Plan[tuple[Found, Reply | None]]:
    """Look in Redis, for this request and to fill; what is fresh may not be what it asks for."""
    found, entry = yield from look_up(exchange, filling)
    if entry is not None and (reply := _from_redis(exchange, filling, found, entry)):
        return found, reply
    if entry is not None and _is_barred(exchange, filling, found, entry):
        filling.barred = True
        return (yield from _find(exchange, filling))
    if exchange.rejected and not (found.lease or filling.insists or exchange.bypass):
        # Fresh, and not what this request asks for: what comes will be for everybody.
        filling.insist()
        found, _ = yield from look_up(exchange, filling)
    return found, None


def _is_barred(exchange: "Exchange", filling: Filling, found: Found, entry: Entry) -> bool:
    """Whether it was told not to wait for a refresh, because of what it may not be given."""
    if not found.available or found.lease or found.verdict:
        return False
    if filling.barred or filling.insists or exchange.bypass:
        return False
    now = exchange.prepared.clock()
    stands = entry.fresh_until <= now < entry.revalidate_until
    # Whom `authorize` refuses what is stored, waits for nothing that will be.
    return stands and exchange.may_see() and not exchange.stale_for("revalidate")


def _peek(exchange: "Exchange", filling: Filling) -> Plan[Reply | None]:
    """Look in Redis for one who will not fill it: without a lease, and nobody waits."""
    known = exchange.known
    if exchange.prepared.has_redis and not (known is not None and known.flags & ALWAYS):
        found, entry = yield from look_up(exchange, filling, leases=False)
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
    if not exchange.fits(entry, filling.need, leased=bool(found.lease)):
        exchange.consider(entry, filling.need)
        if exchange.stale is entry and exchange.stale_for("revalidate"):
            # For the others too, who would wait for whoever refreshes it.
            filling.share(entry, names_in(found.vary))
        return None
    if exchange.may_see():
        fields = f"regionware; hit; ttl={exchange.ttl(entry)}; detail=redis"
        return exchange.reply(entry, fields, refresh=exchange.begin_early(filling.key, entry))
    exchange.bypass, exchange.filling = "authorize", None
    return None


def look_up(
    exchange: "Exchange", filling: Filling, *, leases: bool = True
) -> Plan[tuple[Found, Entry | None]]:
    """Look in Redis once, or twice where only the application's own tags tell of a purge."""
    found, entry = yield from _look_up(exchange, filling, leases=leases)
    if not leases or entry is None or found.lease or found.verdict in _SETTLED:
        return found, entry
    verdict = _judged(exchange, entry)
    if verdict is Verdict.GOOD or (verdict is Verdict.STALE and found.verdict):
        return found, entry
    # The store cannot know the tags that only the application gave; say it again.
    filling.floor = max(filling.floor, entry.created)
    if verdict is Verdict.GONE:
        filling.gone = max(filling.gone, entry.created)
    found, again = yield from _look_up(exchange, filling)
    return found, again or entry


def _look_up(
    exchange: "Exchange", filling: Filling, *, leases: bool = True
) -> Plan[tuple[Found, Entry | None]]:
    waits = not (exchange.early or filling.insists or exchange.stale_for("revalidate"))
    filling.barred = filling.barred or "authorization" in exchange.request.special
    ask, material = filling.lookup(fields_of(exchange.request), leases=leases, waits=waits)
    try:
        found, entry = yield from read_out(exchange, ask, filling.key, material)
    except GeneratorExit:
        raise
    except BaseException:
        if leases and (release := filling.interrupted()) is not None:
            yield from release
        raise
    filling.found(found, exchange.request)
    if (hold := filling.hold()) is not None:
        yield from hold
    return found, entry


def _judged(exchange: "Exchange", entry: Entry) -> Verdict:
    fences = exchange.prepared.fences
    version = fences.version
    verdict = fences.judge(entry)
    if verdict is Verdict.GOOD:
        entry.checked = version
    return verdict
