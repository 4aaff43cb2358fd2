"""What a 304 leaves out holds on: the tags of the entry, and what it varies on."""

import pytest

from regionware import heads
from regionware.caching.freshness import Values
from regionware.exchange import Exchange
from regionware.heads import HeadEdits
from regionware.policies import Cache, Cdn, Route
from tests.conformance.application import Response, Seen
from tests.conformance.conftest import Clock, World
from tests.conformance.harness import Answer, Site
from tests.conformance.oracle import settle

CACHE = Cache(ttl=10, stale_while_revalidate=0, consistency="eventual")


def asked(world: World, clock: Clock, vendor: str, **fields: str) -> tuple[Answer, Answer, Answer]:
    """A miss, what a 304 without a word renews, and a hit on that."""
    made = {"n": 0}

    def handle(seen: Seen) -> Response:
        made["n"] += 1
        if "if-none-match" in seen.headers:
            return Response([], 304, [("ETag", '"1"')])
        assert seen.state is not None
        seen.state.tag("own")
        named = [(name.replace("_", "-"), value) for name, value in fields.items()]
        return Response([b"x"], 200, [("ETag", '"1"'), *named])

    route = Route("/x", cache=CACHE, cdn=Cdn(max_age=5, shared_max_age=60, vendor=vendor))
    site: Site = world.site(handle, route, clock=clock)
    first = site.get("/x")
    clock.now += 15
    renewed = site.get("/x")
    settle(site)
    clock.now += 1
    hit = site.get("/x")
    assert (made["n"], hit.hit) == (2, True)
    return first, renewed, hit


def test_tags_are_still_there(world: World, clock: Clock) -> None:
    for answer in asked(world, clock, "fastly"):
        assert answer["surrogate-key"] == "own"
        assert answer["surrogate-control"] == "max-age=60"


@pytest.mark.parametrize("vary", ["Accept-Language", "Accept, X-A"])
def test_what_an_edge_would_mix_up_stays_private(world: World, clock: Clock, vary: str) -> None:
    for answer in asked(world, clock, "cloudflare", Vary=vary):
        assert answer["cache-control"] == "private, no-store"
        assert not answer["cloudflare-cdn-cache-control"]
        assert vary in answer["vary"]


def test_without_the_entry_it_would_be_given_to_everybody(
    world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control."""
    real = heads._for_edge

    def forgetful(
        exchange: Exchange, edits: HeadEdits, status: int, values: Values, _: object
    ) -> None:
        real(exchange, edits, status, values, None)

    monkeypatch.setattr(heads, "_for_edge", forgetful)
    _, renewed, _ = asked(world, clock, "cloudflare", Vary="Accept-Language")
    assert "public" in renewed["cache-control"]
