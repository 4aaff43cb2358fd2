"""Two requests that the application may answer differently never share an entry."""

import asyncio
from typing import Any

import pytest

from regionware.policies import Cache, Route
from tests.conformance.application import DEADLINE, Response, Seen, counting, text
from tests.conformance.conftest import World
from tests.conformance.harness import Ask, _scope

BY_TENANT = Route("/{path:path}", cache=Cache(ttl=60, by="x-tenant"))


@pytest.fixture
def tier() -> str:
    """Keys are made before any tier is asked."""
    return "memory"


@pytest.mark.parametrize(
    ("one", "other"), [("Å", "à"), ("a  b", "a b"), ("", None), ("a", "A"), ("a\tb", "a b")]
)
def test_identities_are_never_folded(world: World, one: str, other: str | None) -> None:
    """Two values of a key dimension are two entries, however alike they look."""
    site = world.site(counting(), BY_TENANT)
    tenants = [
        {} if name is None else {"x-tenant": name.encode().decode("latin-1")}
        for name in (one, other)
    ]
    bodies = [site.get("/a", headers=tenant).body for tenant in (*tenants, *tenants)]
    assert bodies == [b"1", b"2", b"1", b"2"]


@pytest.mark.parametrize("accepted", ["deflate", "identity;q=0", "x-own"])
def test_every_coding_selects(world: World, accepted: str) -> None:
    """A client is never given a coding that only another client has accepted."""

    def handler(seen: Seen) -> Response:
        coding = seen.headers.get("accept-encoding", "none")
        return text(coding, vary="Accept-Encoding")

    site = world.site(handler)
    assert site.get("/a", headers={"Accept-Encoding": accepted}).body == accepted.encode()
    assert site.get("/a").body == b"none"


@pytest.mark.parametrize("name", ["x-forwarded-host", "x-forwarded-proto"])
def test_every_member_of_a_forwarded_list_counts(world: World, name: str) -> None:
    """What one client put before a proxy's own member is not served to another."""
    site = world.site(
        lambda seen: text(seen.headers.get(name, "").partition(",")[0]), trusted=["192.0.2.0/24"]
    )
    site.get("/a", headers={name: "evil, https"})
    assert site.get("/a", headers={name: "https"}).body == b"https"


@pytest.mark.parametrize("flavour", ["asgi"])
def test_the_content_of_a_get_is_in_no_answer(world: World) -> None:
    """Content that HTTP/2 announces in no field never comes into an entry."""
    site = world.site(lambda seen: text(b"got " + seen.body))
    rest: list[Any] = [
        {"type": "http.request", "body": b"il", "more_body": False},
        {"type": "http.request", "body": b"ev", "more_body": True},
    ]

    async def receive() -> Any:
        return rest.pop() if rest else await asyncio.get_running_loop().create_future()

    async def send(_: Any) -> None:
        pass

    scope = {**_scope(Ask("/a")), "http_version": "2"}
    work = site._asgi(scope, receive, send)
    asyncio.run_coroutine_threadsafe(work, site._loop).result(DEADLINE)
    assert site.get("/a").body == b"got "
