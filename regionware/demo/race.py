"""The purge race: a purge comes to the far region before the change that it speaks of.

The far region's replica replays late for a moment. Editors in the primary region change products
and purge them; readers in the far region ask for these all the time. A purge arrives, the next
reader fills the cache again, and what he fills it with decides: with the coupling a host that has
reached the purge's position, without it the replica, and the old row then stays for its lifetime.

Both kinds of purges are sent to the same servers, for different products. They differ in one thing:
the ones name a position that every host has reached long ago. They run one after the other, because
purges that are relayed together all get the latest position among them.
"""

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from regionware.demo.workload import Result

#: Products of each kind, and how many read each of them at once.
PRODUCTS: Final = 2
READERS: Final = 2
#: The share of the time before the answers are judged for which the replica replays late.
LATE: Final = 0.75
#: Seconds for which answers are judged, and between two requests of a reader.
JUDGED: Final = 0.5
PAUSE: Final = 0.01


@dataclass
class Share:
    """How many of the judged answers were older than the write."""

    stale: int = 0
    requests: int = 0

    def __str__(self) -> str:
        """For the table."""
        return f"{self.stale / max(self.requests, 1):.0%} of {self.requests:,}"


@dataclass
class Race:
    """What came of it.

    Attributes:
        after: seconds after a write's answer, from which on an older answer counts as stale.
        coupled: where purges carry their position.
        blind: where they do not.
    """

    after: float
    coupled: Share = field(default_factory=Share)
    blind: Share = field(default_factory=Share)

    @property
    def lag(self) -> float:
        """Seconds by which the far replica replays late: it is up to date when it is judged."""
        return LATE * self.after


@dataclass(frozen=True, slots=True)
class Written:
    """What a product became, and when its editor was told."""

    version: int
    told: float


@dataclass(frozen=True, slots=True)
class Track:
    """One product in the race, and where what comes of it goes."""

    number: int
    race: Race
    share: Share
    coupled: bool
    result: Result
    wrote: asyncio.Future[Written | None]


async def run(far: str, near: str, race: Race, result: Result) -> None:
    """Let both kinds race, one after the other.

    Args:
        far: the URL that readers use, in the far region, whose replica replays late.
        near: the URL that editors use, in the primary region.
        race: what there is to do; what comes of it is added.
        result: of this deployment.
    """
    result.race, tracks = race, _tracks(race, result)
    async with (
        httpx.AsyncClient(base_url=far, timeout=30, trust_env=False) as readers,
        httpx.AsyncClient(base_url=near, timeout=30, trust_env=False) as editors,
    ):
        for track in tracks:
            await _version(readers, track)
        for kind in (tracks[:PRODUCTS], tracks[PRODUCTS:]):
            reading = [_read(readers, track) for track in kind for _ in range(READERS)]
            await asyncio.gather(*reading, *(_write(editors, track) for track in kind))


def _tracks(race: Race, result: Result) -> list[Track]:
    loop = asyncio.get_running_loop()
    kinds = [(race.coupled, True)] * PRODUCTS + [(race.blind, False)] * PRODUCTS
    return [
        Track(number, race, share, coupled, result, loop.create_future())
        for number, (share, coupled) in enumerate(kinds, 1)
    ]


async def _write(http: httpx.AsyncClient, track: Track) -> None:
    # Not under the product's own URL: what that ends would bring a position along.
    asked = http.put(f"/race/{track.number}", json={"coupled": track.coupled})
    body = await _ask(asked, track.result)
    told = time.monotonic()
    track.wrote.set_result(None if body is None else Written(body["version"], told))


async def _read(http: httpx.AsyncClient, track: Track) -> None:
    """Ask over and over; judge what is asked for late enough."""
    while True:
        sent = time.monotonic()
        version = await _version(http, track)
        await asyncio.sleep(PAUSE)
        if not track.wrote.done():
            continue
        if (written := track.wrote.result()) is None:
            return
        late = sent - written.told - track.race.after
        if late >= 0 and version is not None:
            track.share.requests += 1
            track.share.stale += version < written.version
        if late > JUDGED:
            return


async def _version(http: httpx.AsyncClient, track: Track) -> int | None:
    body = await _ask(http.get(f"/products/{track.number}"), track.result)
    return None if body is None else int(body["version"])


async def _ask(asked: Awaitable[httpx.Response], result: Result) -> Any:
    """The body of a good answer, else `None` and a failure."""
    try:
        response = (await asked).raise_for_status()
    except httpx.HTTPError as error:
        result.failures.append(f"purge race: {error!r}")
        return None
    return response.json()
