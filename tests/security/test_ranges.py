"""R1 and R2: parts of an answer neither cost more than the whole, nor become it."""

import pytest

from regionware.http import ranges
from tests.conformance.conftest import World
from tests.security import switches as off
from tests.security.stage import Stage, ask

SIZE = 100_000
#: Bytes: the whole, and the heads of as many parts as are answered.
MOST = 110_000

HOSTILE = {
    "overlapping": ",".join(f"{n}-" for n in range(5000)),
    "the same": ",".join(["0-99999"] * 5000),
    "one byte each": ",".join(f"{n}-{n}" for n in range(0, 10_000, 2)),
    "suffixes": ",".join(f"-{n + 1}" for n in range(5000)),
    "overlapping, few": "0-99999,1-99999,2-99999,3-99999",
    "huge numbers": "0-" + "9" * 9000,
}


def answered(world: World, listed: str) -> tuple[int, int]:
    """Status and size of what a hit is answered with."""
    stage = Stage(world)
    stage.attack("/big", query=f"n={SIZE}")
    found = stage.attack("/big", query=f"n={SIZE}", headers={"Range": f"bytes={listed}"})
    assert stage.calls == 1, "it was to be answered from the cache"
    return found.status, len(found.body)


@pytest.mark.parametrize("name", HOSTILE)
def test_r1_many_ranges(world: World, name: str) -> None:
    status, size = answered(world, HOSTILE[name])
    assert status in {200, 206, 416}
    assert size <= MOST


@pytest.mark.parametrize("listed", ["0-9", "0-9,20-29", "-5"])
def test_r1_a_few_ranges_are_answered_as_such(world: World, listed: str) -> None:
    status, size = answered(world, listed)
    assert status == 206
    assert size < 1000


@pytest.mark.parametrize("name", ["overlapping", "the same"])
def test_r1_without_the_protection(
    world: World, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "_MOST", 10**6)
    monkeypatch.setattr(ranges, "pairwise", lambda _: ())
    listed = ",".join(HOSTILE[name].split(",")[:50])
    assert answered(world, listed)[1] > MOST


def partial(world: World) -> list[str]:
    """R2: the first ten bytes, before anybody has asked for the whole."""
    stage = Stage(world)
    part = stage.attack("/big", query="n=1000", headers={"Range": "bytes=0-9"})
    assert (part.status, len(part.body)) == (206, 10)
    return stage.wrong("/big", query="n=1000")


def test_r2_a_part_is_not_the_whole(world: World) -> None:
    assert partial(world) == []
    whole = ask("/big", query="n=2000")
    assert Stage(world).is_cached(whole)
    assert Stage(world).is_cached(whole, {**whole, "headers": {"Range": "bytes=5-9"}})


def test_r2_without_the_protection(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that is stored as if it were what it is a part of."""
    off.rule("status", "range")(monkeypatch)
    off.wholeness(monkeypatch)
    monkeypatch.setattr("regionware.caching.filling.parse_content_range", lambda _: None)
    monkeypatch.setattr("regionware.looking.Looking._goes_alone", lambda _: False)
    assert partial(world) != []
