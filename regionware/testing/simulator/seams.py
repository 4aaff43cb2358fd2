"""Where a real `Regionware` is held: its lines, its log, and its relays, which use threads else.

Everything that the simulator knows of the inside of a `Regionware` is here. The decisions stay
those of the real classes: only the waiting is done by tasks of a simulated process.
"""

import asyncio
from contextlib import nullcontext

from regionware.caching.breaker import STEP, Breaker, State
from regionware.caching.leases import Leases
from regionware.caching.prober import FIRST, LAST
from regionware.caching.redis import DEADLINE, RedisTier
from regionware.caching.replies import TROUBLE
from regionware.caching.scripts import RENEW
from regionware.caching.servers import _EVENTS, _SOLE, PATIENT
from regionware.effects import Hold
from regionware.errors import ConfigurationError
from regionware.middleware import Regionware
from regionware.testing.simulator.network import SimulatedLines
from regionware.testing.simulator.tasks import (
    BACKGROUND,
    Confirmed,
    Connect,
    SimulatedOutbox,
    SimulatedReader,
    SimulatedRelay,
    Told,
)
from regionware.testing.simulator.world import ProcessLoop


def attach(
    rw: Regionware,
    loop: ProcessLoop,
    connect: Connect,
    sent: Told,
    delivered: Told,
    *,
    confirmed: Confirmed,
) -> None:
    """Put a worker into a simulated process.

    Args:
        rw: the worker, not started.
        loop: the process.
        connect: makes its lines.
        sent: told of each order that is given to a relay.
        delivered: told when one has been applied.
        confirmed: told how far another region has confirmed the outbox.

    Raises:
        ConfigurationError: its region has no Redis.
    """
    parts = rw._parts
    rim, purger = parts.rim, parts.purger
    tier, log = rim.tier, rim._log
    here = purger._here
    if tier is None or log is None or here is None:
        raise ConfigurationError("every simulated region has a Redis")
    url = log._url
    breaker = _breaker(tier, loop, connect(url, DEADLINE, background=False))
    tier._breakers = {_SOLE: breaker}
    lines = connect(url, DEADLINE, background=False, breaker=breaker)
    tier._alines = lines  # type: ignore[assignment] # in its place
    tier._apatient = connect(url, PATIENT, background=False)  # type: ignore[assignment] # in its place
    rim._log = SimulatedReader(log, loop, connect(url, BACKGROUND, background=True))
    far = [SimulatedRelay(relay, loop, connect, sent, delivered) for relay in purger._relays]
    own = SimulatedRelay(here, loop, connect, sent, delivered)
    purger._relays, purger._here = far, own
    rim.relays = [*far, own]
    keep_renewing(rim.leases, tier, loop)
    outboxes = [SimulatedOutbox(each, loop, connect, confirmed) for each in rim.outboxes]
    rim.outboxes = purger._outboxes = outboxes


def _breaker(tier: RedisTier, loop: ProcessLoop, lines: SimulatedLines) -> Breaker:
    """The breaker of a region's Redis, by a simulated clock; a task probes, not a thread."""

    async def revive(breaker: Breaker) -> None:
        pause = FIRST
        while breaker.state != "closed":
            await asyncio.sleep(pause)
            if breaker.state == "half-open":
                breaker.tick()
                continue
            try:
                await lines.ask((b"UNLINK", b"probe"))
            except TROUBLE:
                pause = min(pause * 2, LAST)
            else:
                breaker.probed()
                pause = STEP

    def changed(breaker: Breaker, state: State, why: str) -> None:
        tier._on_event(_EVENTS[state], why)
        if state == "open" and not (probing and not probing[-1].done()):
            probing[:] = [loop.create_task(revive(breaker))]

    probing: list[asyncio.Task[None]] = []
    return Breaker(loop.time, nullcontext(), changed)


def keep_renewing(leases: Leases, tier: RedisTier, loop: ProcessLoop) -> None:
    """Have a task of a simulated process renew leases, in place of the thread."""
    renewing: list[asyncio.Task[None]] = []

    async def renew() -> None:
        while leases._held:
            await asyncio.sleep(leases.life / 3)
            for ask, _ in list(leases._held.values()):
                reply = await tier._atry(RENEW, *tier._renew(ask))
                if reply is not None and reply == 0:
                    leases._lost(ask)

    def hold(ask: Hold) -> None:
        leases._held[ask.lease] = ask, 0.0
        if not any(not task.done() for task in renewing):
            renewing[:] = [loop.create_task(renew())]

    leases.hold = hold  # type: ignore[method-assign] # the thread's place is taken
