"""What an application says to edges alone is said where all of them read it; errors too."""

import pytest

from regionware import heads
from regionware.caching.freshness import DECIDING
from regionware.edge import TARGETED
from regionware.policies import Cache, Cdn, Route
from regionware.vendors.catalogue import VENDORS
from tests.cdn.edges import EDGES, control
from tests.conformance.application import Fields, Response, Seen
from tests.conformance.conftest import World
from tests.conformance.harness import Answer

OWN = Cache(ttl=60, consistency="eventual")


def asked(
    world: World, route: Route, fields: Fields, status: int = 200, **headers: str
) -> list[Answer]:
    """A miss and, where it is kept, a hit."""

    def handle(_: Seen) -> Response:
        return Response([b"x"], status, fields)

    site = world.site(handle, route)
    return [site.get("/x", headers=headers) for _ in range(2)]


def kept(answer: Answer) -> int:
    """Seconds for which the edge keeps it that keeps it longest."""
    fields = {name.lower(): answer[name.lower()] for name, _ in answer.headers}
    return max((found.fresh for edge in EDGES.values() if (found := edge(fields))), default=0)


@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize(
    ("field", "value", "most"),
    [
        ("CDN-Cache-Control", "no-store", 0), ("CDN-Cache-Control", "No-Store", 0),
        ("CDN-Cache-Control", "max-age=5", 5), ("CDN-Cache-Control", "s-maxage=5", 5),
        ("Surrogate-Control", "max-age=5", 5), ("Surrogate-Control", "private", 0),
        ("Akamai-Cache-Control", "no-store", 0), ("Edge-Control", "cache-maxage=5s", 5),
        ("X-Accel-Expires", "5", 5), ("X-Accel-Expires", "0", 0),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["cache", "cdn"])
def test_what_is_said_to_one_edge_holds_for_all(  # noqa: PLR0917 - parameters
    world: World, status: int, field: str, value: str, most: int, kind: str
) -> None:
    policy = Route("/x", cache=OWN) if kind == "cache" else Route("/x", cdn=Cdn(max_age=600))
    for answer in asked(world, policy, [("Cache-Control", "max-age=60"), (field, value)], status):
        assert kept(answer) == most
        if kind == "cache":
            assert control(answer["cache-control"])["max-age"] == "60"  # The browser's own.


def test_by_the_book_the_fields_of_the_application_stand(world: World) -> None:
    fields = [("Cache-Control", "max-age=60"), ("CDN-Cache-Control", "no-store")]
    standard = Route("/x", cache=Cache.standard(consistency="eventual"))
    for answer in asked(world, standard, fields):
        assert answer["cache-control"] == "max-age=60"


def test_nothing_that_is_said_to_edges_alone_loosens(world: World) -> None:
    for vendor in ("cloudfront", "fastly", None):
        cdn = Cdn(max_age=10, shared_max_age=300, vendor=vendor)
        for route in (Route("/x", cdn=cdn), Route("/x", cache=OWN)):
            longer = [("Cache-Control", "max-age=5"), ("Netlify-CDN-Cache-Control", "durable")]
            said = [*longer, ("Surrogate-Control", "max-age=600")]
            for answer in asked(world, route, said):
                assert control(answer["cache-control"]).get("s-maxage", "5") == "5"
        for answer in asked(world, Route("/x", cdn=cdn), said):
            assert kept(answer) == 5


def test_an_answer_to_credentials_does_not_become_shared(world: World) -> None:
    """`s-maxage` would let edges keep it (RFC 9111, section 3.5)."""
    cache = Cache(ttl=60, by="Authorization", allow_authorization=True, consistency="eventual")
    fields = [("Cache-Control", "max-age=60"), ("CDN-Cache-Control", "max-age=5")]
    answers = asked(world, Route("/x", cache=cache), fields, Authorization="Basic YTpi")
    assert all(answer["cache-control"] == "private, max-age=60" for answer in answers)


def test_an_edge_that_must_not_serve_stale_answers_does_not(world: World) -> None:
    cdn = Cdn(max_age=30, stale_while_revalidate=60, stale_if_error=60)
    fields = [("CDN-Cache-Control", "max-age=20, must-revalidate")]
    for answer in asked(world, Route("/x", cdn=cdn), fields):
        assert "proxy-revalidate" in answer["cache-control"]
        assert not answer["cdn-cache-control"]


@pytest.mark.parametrize("value", ['no-cache="set-cookie"', 'private="x-user, x-plan"'])
def test_an_answer_without_some_fields_is_kept_no_longer(world: World, value: str) -> None:
    """Some edges keep it, and leave the fields out."""
    said = [("Cache-Control", f"max-age=600, {value}")]
    for answer in asked(world, Route("/x", cdn=Cdn(max_age=30)), said):
        assert answer["cache-control"] == "private, no-store"


@pytest.mark.parametrize(("status", "vendor"), [(404, "fastly"), (302, "cloudflare")])
def test_what_is_kept_of_an_error_can_be_purged(world: World, status: int, vendor: str) -> None:
    cdn = Cdn(max_age=30, tags=["product:7"], vendor=vendor)
    field = VENDORS[vendor].tags
    assert field is not None
    for answer in asked(world, Route("/x", cdn=cdn), [("Cache-Control", "max-age=9")], status):
        assert answer["cache-control"] == "max-age=9"
        assert answer[field.name.lower()] == "product:7"
    for answer in asked(world, Route("/x", cdn=cdn), [("Cache-Control", "no-store")], status):
        assert not answer[field.name.lower()]


def test_an_error_is_for_its_region_alone(world: World) -> None:
    """Nothing has said where the client is, as its edge would."""
    cdn = Cdn(max_age=30, by="region", vendor="vercel")
    for answer in asked(world, Route("/x", cdn=cdn), [("Cache-Control", "max-age=9")], 302):
        assert answer["cache-control"] == "private, no-store"


def learnt(world: World) -> Answer:
    """The last of several answers; the others, whose head is remembered, lack a field for edges."""
    made = {"n": 0}

    def handle(_: Seen) -> Response:
        made["n"] += 1
        alone = [("Surrogate-Control", "no-store")] if made["n"] > 6 else []
        said = [("Vary", "Cookie"), ("Cache-Control", "max-age=60"), *alone]
        return Response([b"x"], 200, said)

    site = world.site(handle, Route("/x", cache=OWN))
    return [site.get("/x") for _ in range(7)][-1]


def test_a_remembered_head_is_another_with_a_field_for_edges(world: World) -> None:
    assert learnt(world)["cache-control"] == "private, max-age=60"


def test_otherwise_the_first_would_decide(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control."""
    monkeypatch.setattr(heads, "_SIGNED", heads._SIGNED - {"surrogate-control"})
    assert learnt(world)["cache-control"] == "max-age=60"


def test_every_field_that_tells_edges_for_how_long_is_looked_at() -> None:
    tags = {vendor.tags.name.lower() for vendor in VENDORS.values() if vendor.tags is not None}
    assert TARGETED - tags - {"surrogate-key"} <= DECIDING
    assert TARGETED <= heads._SIGNED
