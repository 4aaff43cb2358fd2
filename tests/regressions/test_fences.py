"""Fences are forgotten in time, and never a newer one instead of an older."""

from collections.abc import Callable

import pytest

from regionware.caching.coherence import Fence, Fences
from regionware.policies import Cache, Route
from tests.conformance.application import counting
from tests.conformance.conftest import World


@pytest.mark.parametrize("tier", ["memory"])
@pytest.mark.parametrize("flavour", ["wsgi"])
def test_fences_do_not_pile_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many tags were purged, a process keeps a bounded number, and no promise is lost."""
    monkeypatch.setattr("regionware.fencing._MANY", 100)
    route = Route("/{path:path}", cache=Cache(ttl=60, tags=["t"]))
    site = world.site(counting(), route)
    assert site.get("/a").body == b"1"
    site.rw.purge(tags=["t"])
    for number in range(1000):
        site.rw.purge(tags=[str(number)])
    assert len(site.rw._parts.prepared.fences) <= 102
    assert site.bodies["/a", "/a"] == [b"2", b"2"]


class Late:
    """A lock that somebody else has just released, having raised a fence."""

    def __init__(self) -> None:
        self.first: Callable[[], None] | None = None

    def __enter__(self) -> None:
        first, self.first = self.first, None
        if first is not None:
            first()

    def __exit__(self, *_: object) -> None:
        pass


def test_a_fence_raised_while_old_ones_are_forgotten() -> None:
    """What is forgotten is decided under the lock, so that a newer fence of the name stays."""
    late = Late()
    fences = Fences(alone=True, writing=late)
    fences.raise_to({"ht:x": Fence(1, None), "ht:y": Fence(1, None)})
    late.first = lambda: fences.raise_to({"ht:x": Fence(9, None)})
    fences.prune(5)
    assert fences._table == {"ht:x": Fence(9, None)}
