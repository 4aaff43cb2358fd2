"""What a `Cdn` says holds whatever the application says, and contradictions are found at start."""

from collections.abc import Callable
from typing import Any

import pytest

from regionware import ConfigurationError, Regionware
from regionware.http.request import Request
from regionware.policies import Cache, Cdn, Database, Route
from tests.conformance.application import Response
from tests.conformance.conftest import World

NOBODY = "private, no-store"
ASK = "private, no-cache"
FAR = "Fri, 31 Dec 2098 23:59:59 GMT"

Fields = list[tuple[str, str]]


@pytest.fixture
def tier() -> str:
    """What an edge is told does not depend on the tiers."""
    return "memory"


def says(control: str) -> Fields:
    return [("Cache-Control", control)]


# What the application answers, and the `Cache-Control` that goes out.
NO_STORE: list[tuple[int, Fields, str]] = [
    (200, [], NOBODY),
    (200, [("Expires", FAR)], NOBODY),
    (200, [("Pragma", "no-cache")], NOBODY),
    (200, says("no-cache"), NOBODY),
    (200, says("public, max-age=600, =bad"), NOBODY),
    (200, says("public, max-age=3600"), NOBODY),
    (404, says("public, max-age=3600"), NOBODY),
    (500, [], NOBODY),
]
PRIVATE: list[tuple[int, Fields, str]] = [
    (200, [], "private, max-age=60"),
    (200, [("Expires", FAR)], "private, max-age=60"),
    (200, says("public, max-age=10"), "private, max-age=10"),
    (200, says("max-age=10, must-revalidate"), "private, max-age=10, must-revalidate"),
    (200, says("no-cache"), ASK),
    (200, says("no-store"), NOBODY),
    (200, says("no-store, =bad"), NOBODY),
    (200, says("private, =bad"), NOBODY),
    (200, says('private, max-age="x'), NOBODY),
    (404, says("public, max-age=3600"), ASK),
    (500, [], ASK),
]
PUBLIC: list[tuple[int, Fields, str]] = [
    (200, [("Expires", FAR)], "public, max-age=30"),
    (200, says("no-store, =bad"), NOBODY),
    (200, says("public, max-age=600, =bad"), NOBODY),
    (200, says("no-store"), "no-store"),
    (500, [], NOBODY),
]
CASES = [
    (cdn, *case)
    for cdn, cases in (
        (Cdn.no_store(), NO_STORE), (Cdn.private(max_age=60), PRIVATE), (Cdn(max_age=30), PUBLIC),
    )
    for case in cases
]  # fmt: skip


@pytest.mark.parametrize(("cdn", "status", "fields", "expected"), CASES)
def test_the_policy_holds(
    world: World, cdn: Cdn, status: int, fields: Fields, expected: str
) -> None:
    """No status and no field of the application's loosens what the route declares."""
    site = world.site(lambda _: Response([b"x"], status, fields), Route("/a", cdn=cdn))
    answer = site.get("/a")
    assert (answer.status, answer["cache-control"]) == (status, expected)
    assert answer["expires"] == ""


def tenant(request: Request) -> str:
    return request.header("x-tenant") or ""


@pytest.mark.parametrize(
    "words",
    [
        {"by": tenant}, {"by": "x-tenant"}, {"by": ["region"]}, {"cookies": ["lang"]},
        {"authorize": lambda _: True},
    ],
    ids=["callable", "field", "region", "cookie", "authorize"],
)  # fmt: skip
def test_an_edge_cannot_choose(words: dict[str, Any]) -> None:
    """A public lifetime is refused where answers differ by what no edge looks at."""
    cache = Cache(ttl=60, consistency="eventual", **words)
    Regionware(routes=[Route("/bad/{id}", cache=cache, cdn=Cdn.private(max_age=60))])
    with pytest.raises(ConfigurationError, match=r"/bad/\{id\}.*public Cdn lifetime"):
        Regionware(routes=[Route("/bad/{id}", cache=cache, cdn=Cdn(max_age=60))])


@pytest.mark.parametrize("make", [Database.session, Database.primary])
def test_an_edge_knows_no_sessions(make: Callable[[], Database]) -> None:
    """A public lifetime is refused where the database policy promises more than an edge keeps."""
    with pytest.raises(ConfigurationError, match=r"/bad/\{id\}.*public Cdn lifetime"):
        Regionware(routes=[Route("/bad/{id}", database=make(), cdn=Cdn(max_age=60))])
