"""How often a request goes to Redis: counted by a proxy, so this is asserted."""

import time
from collections.abc import Callable

from bench.drivers import Ask, Side
from bench.subject import PAGE, Subject
from regionware import Regionware
from regionware.caching.log import _WORD, BLOCK
from regionware.parts.proxy import DelayProxy

_REQUESTS = 10


def check(proxy: DelayProxy, work: Callable[[], None], round_trips: int, told: int = 0) -> None:
    """Assert how many round trips `work` takes, and that it opens no connection.

    The background reader of the region's log asks too: now and then it says that it is there, and
    reads on; and each time that it is `told` something, it says that it has heard and reads on.
    """
    _after_a_poll(proxy)
    proxy.counters.reset()
    begin = time.monotonic()
    work()
    spoken = 1 + int((time.monotonic() - begin) / _WORD)
    assert round_trips <= proxy.counters.round_trips <= round_trips + 2 * (told + spoken)
    assert proxy.counters.connections == 0


def _after_a_poll(proxy: DelayProxy) -> None:
    """Wait until the reader, which alone is awake now, has asked again."""
    before, limit = proxy.counters.round_trips, time.monotonic() + 3 * BLOCK / 1000
    while proxy.counters.round_trips == before and time.monotonic() < limit:
        time.sleep(0.01)


def test_round_trips(side: Side, distant: Regionware, proxy: DelayProxy) -> None:
    subject = Subject(side, distant, PAGE)
    warm = Ask(f"/tagged/{subject.number}-warm")
    subject.batch([warm])  # connects, and teaches the scripts to Redis
    distant.memory.clear()
    subject.batch([warm])

    asks = [Ask(f"/tagged/{subject.number}-{number}") for number in range(_REQUESTS)]
    check(proxy, lambda: subject.batch(asks), 2 * _REQUESTS)
    subject.answered("fwd=miss", calls=_REQUESTS)

    distant.memory.clear()
    check(proxy, lambda: subject.batch(asks), _REQUESTS)
    subject.answered("; detail=redis", calls=0)

    check(proxy, lambda: subject.batch(asks), 0)
    subject.answered("; detail=memory", calls=0)

    changes = [Ask(f"/{subject.number}-{number}", "POST") for number in range(_REQUESTS)]
    subject.batch(changes[:1])  # teaches its script to Redis
    check(proxy, lambda: subject.batch(changes), 2 * _REQUESTS, told=_REQUESTS)
    subject.answered("fwd=method", calls=_REQUESTS)
