"""Waiting for another's fill: in this process for a flight, in the region for a lease. No I/O here.

Nobody waits for ever, and nobody fails for having waited: who has lost his patience goes to the
application, two at a time for each key, and after a few patiences anyhow. When a fill has failed,
those who waited for it go on in the same way: one leads, two go beside it, and so on, so that an
application that fails is not asked by all of them at once.
"""

from typing import TYPE_CHECKING

from regionware.caching.entry import Entry
from regionware.caching.filling import Filling
from regionware.caching.variants import names_of, select, variant_key
from regionware.effects import Flight, Found, Park, Plan, Wait
from regionware.observe import Event
from regionware.serving import Reply

if TYPE_CHECKING:
    from regionware.exchange import Exchange

#: Seconds for which a request waits for another's fill of the same key.
PATIENCE = 10.0
#: And how many times that until it goes to the application, whoever else is there.
PATIENCES = 3
#: Seconds by which a lease may end later than its holder's renewals make believe.
_MARGIN = 0.002
_COLLAPSED = "regionware; fwd=miss; collapsed"


def follow(exchange: "Exchange", filling: Filling, began: float) -> Plan[tuple[bool, Reply | None]]:
    """Lead the flight of a key, or wait for what its leader brings.

    Returns:
        Whether this request leads; else its answer, or `None` if it goes to the application.
    """
    keen = False
    while not filling.join():
        flight = filling.flight
        if flight is None:
            return False, None
        if exchange.stale_for("revalidate"):
            return False, exchange.serve_stale()
        outcome = ""
        if not filling.insists:
            outcome = yield from _wait(exchange, filling, flight, began, keen=keen)
        keen = keen or outcome == "failed"
        # What was purged meanwhile counts for what comes.
        filling.restart()
        filling.heed(exchange.tags())
        if outcome == "entry" and (reply := landed(exchange, filling, flight)) is not None:
            return False, reply
        if outcome == "stale" and (reply := _shared_stale(exchange, filling, flight)) is not None:
            return False, reply
        if outcome not in {"abandoned", "failed"}:
            if not filling.spills:
                filling.go_alone()
            return False, None
        if not filling.insists and (reply := _made_meanwhile(exchange, filling)) is not None:
            return False, reply
    return True, None


def _made_meanwhile(exchange: "Exchange", filling: Filling) -> Reply | None:
    """What one of those who have waited too has made before this one came to join again."""
    record = exchange.recollect(filling.key)
    if not isinstance(record, Entry) or not exchange.fits(record, filling.need):
        return None
    return exchange.reply(record, _COLLAPSED) if exchange.may_see() else None


def _wait(
    exchange: "Exchange", filling: Filling, flight: Flight, began: float, *, keen: bool
) -> Plan[str]:
    """Wait until the flight lands, or until there is room beside it for one without patience.

    Who is `keen` has waited for one that failed, and lost it with that.
    """
    clock, since = exchange.prepared.clock, exchange.prepared.clock()
    outcome = ""
    while not outcome:
        left = began + PATIENCE - clock()
        keen = keen or left <= 0
        if keen and not flight.outcome and _goes(exchange, filling, began):
            break
        outcome = yield from Wait(flight, left if left > 0 else PATIENCE, keen)
        if not outcome and _finds_stale(exchange, filling):
            outcome = "stale"
    _tell(exchange, "flight", outcome or "spill", clock() - since)
    return outcome


def outwait(exchange: "Exchange", filling: Filling, found: Found, began: float) -> Plan[bool]:
    """Wait until the holder of the lease has filled, or has died; whether to wait no more."""
    clock, since = exchange.prepared.clock, exchange.prepared.clock()
    if since - began >= PATIENCE and _goes(exchange, filling, began):
        _tell(exchange, "lease", "spill", 0.0)
        return True
    yield from Park(filling.ask()[0], found.heard, found.left + _MARGIN)
    filling.restart()
    filling.heed(exchange.tags())
    over = clock() - since >= found.left
    _tell(exchange, "lease", "over" if over else "woken", clock() - since)
    return False


def _goes(exchange: "Exchange", filling: Filling, began: float) -> bool:
    """Whether one who has lost his patience goes to the application now."""
    if not filling.spill() and exchange.prepared.clock() - began < PATIENCES * PATIENCE:
        return False
    exchange.tell("spill", "")
    return True


def landed(exchange: "Exchange", filling: Filling, flight: Flight) -> Reply | None:
    """The answer that another's fill makes, if it has brought one for this request."""
    entry = _shared(exchange, filling, flight)
    return None if entry is None else exchange.reply(entry, _COLLAPSED)


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


def _finds_stale(exchange: "Exchange", filling: Filling) -> bool:
    """Whether memory has meanwhile what may be served while it is refreshed."""
    record = exchange.recollect(filling.key)
    if isinstance(record, Entry):
        exchange.consider(record, filling.need)
    return exchange.stale_for("revalidate")


def _shared_stale(exchange: "Exchange", filling: Filling, flight: Flight) -> Reply | None:
    """What may be served stale while it is refreshed, or refreshes fail, if it is for this one."""
    entry = flight.result
    if entry is None:
        return exchange.serve_stale() if exchange.stale_for("revalidate") else None
    names = names_of(filling.key, entry.key)
    mine = (
        variant_key(filling.key, names, select(names, exchange.request)) if names else filling.key
    )
    if entry.key == mine:
        exchange.consider(entry, filling.need)
    return exchange.serve_throttled()


def _tell(exchange: "Exchange", detail: str, outcome: str, seconds: float) -> None:
    name = exchange.plan.compiled.name
    event = Event("wait", name, detail, seconds=max(seconds, 0.0), outcome=outcome)
    exchange.prepared.events.emit(event)
