"""What browsers and edges are told: the restrictive policy is always in Cache-Control."""

from collections.abc import Callable
from typing import Any

import pytest

from regionware.http.directives import parse_cache_control
from regionware.policies import Cache, Cdn, Route
from tests.conformance.application import Response, Seen, counting, text
from tests.conformance.conftest import World
from tests.conformance.harness import Answer
from tests.conformance.test_requests import ODD

TARGETED = ["cdn-cache-control", "surrogate-control", "cloudflare-cdn-cache-control",
            "vercel-cdn-cache-control", "netlify-cdn-cache-control"]  # fmt: skip

Ask = Callable[..., Answer]


@pytest.fixture
def tier() -> str:
    """What an edge is told does not depend on the tiers."""
    return "memory"


@pytest.fixture
def answer(world: World) -> Ask:
    """The answer to `/items/7` of a route with a `Cdn`, and perhaps a `Cache`."""

    def ask(
        handler: Callable[[Seen], Response],
        cdn: Cdn,
        cache: Cache | None = None,
        path: str = "/items/7",
        template: str = "/{kind}/{item}",
        **ask: Any,
    ) -> Answer:
        route = Route(template, cache=cache, cdn=cdn)
        return world.site(handler, route).get(path, **ask)

    return ask


def seconds(answer: Answer, name: str = "cache-control") -> int | None:
    return parse_cache_control(answer.all(name)).seconds("max-age")


def is_private(answer: Answer) -> bool:
    control = parse_cache_control(answer.all("cache-control"))
    loosened = [name for name in TARGETED if answer.all(name)]
    return "private" in control and "no-store" in control and not loosened


def test_one_lifetime_for_everybody(answer: Ask) -> None:
    given = answer(counting(), Cdn(max_age=30))
    assert "public" in given["cache-control"]
    assert seconds(given) == 30
    assert not [name for name in TARGETED if answer(counting(), Cdn(max_age=30)).all(name)]


def test_a_longer_lifetime_at_the_edge_is_in_the_targeted_field_alone(answer: Ask) -> None:
    given = answer(counting(), Cdn(max_age=10, shared_max_age=300))
    assert seconds(given) == 10
    assert "s-maxage" not in given["cache-control"]
    assert seconds(given, "cdn-cache-control") == 300


def test_a_shorter_lifetime_at_the_edge_is_in_cache_control(answer: Ask) -> None:
    given = answer(counting(), Cdn(max_age=300, shared_max_age=10))
    control = parse_cache_control(given.all("cache-control"))
    assert (control.seconds("max-age"), control.seconds("s-maxage")) == (300, 10)


def test_an_edge_lifetime_alone_leaves_browsers_asking(answer: Ask) -> None:
    given = answer(counting(), Cdn(shared_max_age=300))
    assert seconds(given) == 0
    assert seconds(given, "cdn-cache-control") == 300


def test_stale_windows_are_for_the_edge(answer: Ask) -> None:
    given = answer(counting(), Cdn(max_age=10, stale_while_revalidate=20, stale_if_error=30))
    assert "stale" not in given["cache-control"]
    control = parse_cache_control(given.all("cdn-cache-control"))
    assert control.seconds("stale-while-revalidate") == 20
    assert control.seconds("stale-if-error") == 30


def test_immutable(answer: Ask) -> None:
    given = answer(counting(), Cdn.immutable())
    assert "immutable" in parse_cache_control(given.all("cache-control"))
    assert seconds(given) == 31_536_000


def test_private_and_no_store(answer: Ask) -> None:
    given = answer(counting(Cache_Control="public, max-age=60"), Cdn.private(max_age=30))
    assert "private" in given["cache-control"]
    assert "public" not in given["cache-control"]
    assert seconds(given) == 30
    assert "no-store" in answer(counting(), Cdn.no_store())["cache-control"]


def test_tags_come_from_the_policy_and_from_the_application(answer: Ask) -> None:
    def tagging(seen: Seen) -> Response:
        assert seen.state is not None
        seen.state.tag("own")
        return text("x")

    own = answer(tagging, Cdn(max_age=30, tags=["item:{item}"]))
    assert {tag.strip() for tag in own["cache-tag"].split(",")} == {"item:7", "own"}
    cache = Cache(ttl=60, tags=["{kind}"], consistency="eventual")
    assert answer(counting(), Cdn(max_age=30), cache)["cache-tag"] == "items"
    assert (
        answer(counting(), Cdn(max_age=30, tags=["a", "b"], vendor="fastly"))["surrogate-key"]
        == "a b"
    )


def test_a_tag_cannot_inject_a_field_or_another_tag(answer: Ask) -> None:
    """H1."""
    given = answer(counting(), Cdn(max_age=30, tags=["item:{item}"]), path="/items/7,evil%20x")
    assert "," not in given["cache-tag"]
    assert not any("\r" in value or "\n" in value for _, value in given.headers)


def test_an_entry_from_the_cache_says_the_same_as_the_first_answer(world: World) -> None:
    cache = Cache(ttl=60, tags=["t"], consistency="eventual", vary=["X-A"])
    site = world.site(
        lambda _: text("x", Vary="Accept"),
        Route("/x", cache=cache, cdn=Cdn(max_age=30, shared_max_age=60)),
    )
    miss, hit = site.get("/x"), site.get("/x")
    assert hit.hit
    for name in ("cache-control", "cdn-cache-control", "cache-tag", "vary"):
        assert miss[name]
        assert hit[name] == miss[name]


# The application tightens

TIGHTENED = [
    ("max-age=5", 5), ("max-age=500", 30), ("public, s-maxage=5", 30), ("max-age=0", 0),
    ("no-transform", 30),
]  # fmt: skip


@pytest.mark.parametrize(("control", "expected"), TIGHTENED)
def test_an_application_shortens(answer: Ask, control: str, expected: int) -> None:
    given = answer(counting(Cache_Control=control), Cdn(max_age=30, shared_max_age=60))
    assert (seconds(given) or 0) <= expected
    edge = seconds(given, "cdn-cache-control")
    asked = parse_cache_control([control])
    said = asked.seconds("s-maxage") if "s-maxage" in asked else asked.seconds("max-age")
    assert edge is None or edge <= (60 if said is None else said)


@pytest.mark.parametrize("control", ["private", "no-store", "no-cache", "Private, max-age=60"])
def test_an_application_forbids(answer: Ask, control: str) -> None:
    given = answer(counting(Cache_Control=control, CDN_Cache_Control="max-age=60"), Cdn(max_age=30))
    assert given["cache-control"] == control
    assert not any(given.all(name) for name in TARGETED)


# Nothing public where something is personal


@pytest.mark.parametrize(
    "own",
    [[], [("Cache-Control", "public, max-age=600")], [("CDN-Cache-Control", "max-age=600")]],
    ids=["silent", "public", "targeted"],
)
@pytest.mark.parametrize("policy", ["cdn", "immutable", "cache"])
def test_whatever_sets_a_cookie_is_for_nobody_else(
    world: World, own: list[tuple[str, str]], policy: str
) -> None:
    """Law 5."""
    route = {
        "cdn": Route("/x", cdn=Cdn(max_age=30)),
        "immutable": Route("/x", cdn=Cdn.immutable()),
        "cache": Route("/x", cache=Cache(ttl=60)),
    }[policy]
    cookie = [*own, ("Set-Cookie", "sid=1")]
    given = world.site(lambda _: Response([b"x"], headers=cookie), route).get("/x")
    assert is_private(given)
    assert given.all("set-cookie") == ["sid=1"]
    control = world.site(lambda _: Response([b"x"], headers=own), Route("/x", cdn=Cdn(max_age=30)))
    assert not is_private(control.get("/x"))


def test_routes_without_a_policy_are_left_alone(world: World) -> None:
    site = world.site(
        counting(Cache_Control="public, max-age=600", Set_Cookie="a=1"), Route("/y", cdn=Cdn())
    )
    assert site.get("/x")["cache-control"] == "public, max-age=600"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 502, 503])
@pytest.mark.parametrize("cdn", [Cdn(max_age=30), Cdn.immutable(), Cdn(shared_max_age=30)])
def test_errors_never_get_a_public_lifetime(answer: Ask, status: int, cdn: Cdn) -> None:
    given = answer(counting(status=status), cdn)
    assert "public" not in given["cache-control"]
    assert not seconds(given)
    assert not any(given.all(name) for name in TARGETED)


@pytest.mark.parametrize("path", ODD)
@pytest.mark.parametrize("cached", [True, False])
def test_an_ambiguous_path_never_gets_a_public_lifetime(
    answer: Ask, path: str, cached: bool
) -> None:
    """D2, D3: a rule for `/static/` must not publish `/static/%2e%2e/account`."""
    cache = Cache(ttl=60, consistency="eventual") if cached else None
    cdn, rule = Cdn(max_age=86_400), "/{path:path}"
    assert is_private(answer(counting(), cdn, cache, path, rule))
    assert not is_private(answer(counting(), cdn, cache, "/a/b.css", rule))


@pytest.mark.parametrize("fields", [{"Cookie": "sid=1"}, {"Authorization": "Bearer a"}])
def test_what_bypasses_as_personal_is_not_public_either(
    answer: Ask, fields: dict[str, str]
) -> None:
    """D1: one policy drives both; what may depend on a user is not published at the edge."""
    cache = Cache(ttl=60, consistency="eventual")
    given = answer(counting(), Cdn(max_age=30), cache, headers=fields)
    assert given.cache_status["fwd"] == "bypass"
    assert "private" in given["cache-control"]
    assert "public" in answer(counting(), Cdn(max_age=30), cache)["cache-control"]


def test_where_an_application_is_silent_browsers_ask(world: World) -> None:
    """An own-writes route would otherwise be kept by a browser's guess (RFC 9111, 4.2.2)."""
    given = world.site(counting()).get("/x")
    assert "private" in given["cache-control"]
    assert "no-cache" in given["cache-control"]
