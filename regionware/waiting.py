"""Waiting for another's fill: in this process for a flight, in the region for a lease. No I/O here.

Nobody waits for ever, and nobody fails for having waited: who has lost his patience goes to the
application, two at a time for each key, and after a few patiences anyhow.
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


def follow(exchange: "Exchange", filling: Filling, began: float) -> Plan[tuple[bool, Reply | None]]:
    """Lead the flight of a key, or wait for what its leader brings.

    Returns:
        Whether this request leads; else its answer, or `None` if it goes to the application.
    """
    while not filling.join():
        flight = filling.flight
        if flight is None:
            return False, None
        if exchange.stale_for("revalidate"):
            return False, exchange.serve_stale()
        outcome = "" if filling.insists else (yield from _wait(exchange, filling, flight, began))
        # What was purged meanwhile counts for what comes.
        filling.restart()
        filling.heed(exchange.tags())
        if outcome == "entry" and (reply := landed(exchange, filling, flight)) is not None:
            return False, reply
        if outcome == "stale" and (reply := _shared_stale(exchange, filling, flight)) is not None:
            return False, reply
        if outcome != "abandoned":
            if not filling.spills:
                filling.go_alone()
            return False, None
    return True, None


def _wait(exchange: "Exchange", filling: Filling, flight: Flight, began: float) -> Plan[str]:
    """Wait until the flight lands, or until there is room beside it for one without patience."""
    clock, since = exchange.prepared.clock, exchange.prepared.clock()
    outcome = ""
    while not outcome:
        left = began + PATIENCE - clock()
        if left <= 0 and _goes(exchange, filling, began):
            break
        outcome = yield from Wait(flight, left if left > 0 else PATIENCE)
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
    return None if entry is None else exchange.reply(entry, "regionware; fwd=miss; collapsed")


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
