"""L1 to L6: an answer for one is given to nobody else."""

import time
from urllib.parse import urlencode

import pytest

from regionware.adapters import asgi, wsgi
from regionware.exchange import Exchange
from regionware.policies import Cache, Route
from tests.conformance.conftest import World
from tests.conformance.harness import until
from tests.security import switches as off
from tests.security.stage import CACHED, STANDARD, Asked, Case, Stage, ask, cookie

ALICE = {"Authorization": "Bearer alice"}
BOB = {"Authorization": "Bearer bob"}
#: For everybody, by the book: it says so itself.
OPEN = ask("/hdr/open", query="Cache-Control=public%2C+max-age%3D60", headers=ALICE)


def told(path: str, **fields: str) -> Asked:
    """A page whose answer has these fields."""
    return ask(path, query=urlencode({n.replace("_", "-"): v for n, v in fields.items()}))


def forbidden(word: str, routes: tuple[Route, ...]) -> Case:
    """L3: the application's own word, beside a lifetime."""
    asked = told("/hdr", Cache_Control=f"max-age=60, {word}")
    plain = told("/hdr/2", Cache_Control="max-age=60")
    return Case([asked], [asked], off.rule(word), (plain, plain), routes=routes, calls=2)


CASES = {
    "L1 a policy": Case(
        attacks=[ask("/rule/x", headers=ALICE)],
        victims=[ask("/rule/x"), ask("/rule/x", headers=BOB), ask("/rule/x")],
        off=off.bypasses,
        benign=(ask("/rule/y"), ask("/rule/y")),
        calls=3,
    ),
    "L1 by the book": Case(
        attacks=[{**told("/hdr", Cache_Control="max-age=60"), "headers": ALICE}],
        victims=[
            told("/hdr", Cache_Control="max-age=60"),
            {**told("/hdr", Cache_Control="max-age=60"), "headers": BOB},
        ],
        off=off.rule("authorization"),
        benign=(OPEN, OPEN),
        routes=STANDARD,
    ),
    "L2": Case(
        attacks=[told("/hdr", Set_Cookie="sid=1", Cache_Control="public, max-age=60")],
        victims=[told("/hdr", Set_Cookie="sid=1", Cache_Control="public, max-age=60")],
        off=off.rule("set-cookie"),
        benign=(told("/hdr", Cache_Control="public"), told("/hdr", Cache_Control="public")),
        calls=2,
        private=True,
    ),
    **{
        f"L3 {word}, {name}": forbidden(word, routes)
        for word in ("private", "no-store")
        for name, routes in (("a policy", CACHED), ("by the book", STANDARD))
    },
    "L3 no-cache": forbidden("no-cache", CACHED),
    "L4": Case(
        attacks=[ask("/rule/x", headers=cookie("sid=1"))],
        victims=[ask("/rule/x", headers=cookie("sid=2")), ask("/rule/x")],
        off=off.cookies,
        benign=(ask("/rule/y"), ask("/rule/y", headers=cookie("_ga=1"))),
        calls=3,
        private=True,
    ),
    "L5": Case(
        attacks=[told("/hdr", Vary="*")],
        victims=[told("/hdr", Vary="*")],
        off=off.rule("vary"),
        benign=(told("/hdr", Vary="Accept"), told("/hdr", Vary="Accept")),
        calls=2,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_holds(world: World, name: str) -> None:
    CASES[name].check(world)


@pytest.mark.parametrize("name", CASES)
def test_without_the_protection_it_does_not(
    world: World, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    CASES[name].control(world, monkeypatch)


def test_l2_no_cookie_is_given_away_even_where_it_is_allowed(world: World) -> None:
    """`allow_set_cookie` stores the answer, without the cookie."""
    routes = (Route("/{path:path}", cache=Cache(ttl=60, allow_set_cookie=["theme"])),)
    stage = Stage(world, routes)
    asked = told("/hdr", Set_Cookie="theme=dark")
    assert stage.attack(**asked).all("set-cookie") == ["theme=dark"]
    given = stage.victim(**asked)
    assert given.hit
    assert given.all("set-cookie") == []


# L6: a refresh in the background is nobody's

REFRESHED = (
    Route("/{path:path}", cache=Cache(ttl=1, stale_while_revalidate=60, cookies="ignore")),
)
#: By a cookie, and by what a proxy might say.
LOGGED_IN = {"X-User": "alice", **cookie("sid=alice")}


def refreshed(world: World) -> bytes:
    """What is stored once somebody who has logged in has triggered a refresh."""
    stage = Stage(world, REFRESHED)
    stage.attack("/rule/x")
    time.sleep(1.2)  # longer than it is fresh, by the clock of Redis too
    stage.origin.version = 2
    assert b"v1" in stage.attack("/rule/x", headers=LOGGED_IN).body
    until(lambda: stage.calls == 2)
    until(lambda: b"v2" in stage.attack("/rule/x").body)
    assert stage.victim("/rule/x").hit
    return stage.victim("/rule/x").body


def test_l6_a_refresh_carries_no_identity(world: World) -> None:
    assert refreshed(world) == b"v2 nobody /rule/x  "


def test_l6_without_the_protection(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Exchange, "impersonal", lambda _: frozenset())
    monkeypatch.setattr(asgi, "impersonal", lambda scope, *_: scope)
    monkeypatch.setattr(wsgi, "impersonal", lambda environ, *_: environ)
    assert b"alice" in refreshed(world)
