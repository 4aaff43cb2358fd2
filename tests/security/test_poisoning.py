"""P1 to P8: what one client sends must not change what others are answered."""

import pytest

from regionware.policies import Cache, Route
from tests.conformance.application import Gate, Response, Seen
from tests.conformance.conftest import World
from tests.conformance.harness import until
from tests.security import switches as off
from tests.security.stage import STANDARD, Case, Stage, ask, cookie

TRACKED = (Route("/q/{x}", cache=Cache(ttl=60, ignore_query=["utm_*"])),)


def reflected(name: str, value: str) -> Case:
    """P1, by one field."""
    return Case(
        attacks=[ask("/reflect", headers={name: value})],
        victims=[ask("/reflect"), ask("/reflect")],
        off=off.distrust,
        benign=(ask("/reflect/2"), ask("/reflect/2")),
        calls=1,
    )


CASES = {
    "P1 X-Forwarded-Host": reflected("X-Forwarded-Host", "evil"),
    "P1 X-Forwarded-Scheme": reflected("X-Forwarded-Scheme", "evil"),
    "P1 X-Forwarded-Proto": reflected("X-Forwarded-Proto", "evil"),
    "P1 X-Forwarded-Prefix": reflected("X-Forwarded-Prefix", "/evil"),
    "P1 X-Original-URL": reflected("X-Original-URL", "/evil"),
    "P1 by the book": Case(
        attacks=[ask("/reflect", headers={"X-Forwarded-Host": "evil"})],
        victims=[ask("/reflect")],
        off=off.distrust,
        routes=STANDARD,
        # By the book the request is left as it is, and what it brings is not stored.
        calls=2,
        benign=(ask("/reflect/2"), ask("/reflect/2")),
    ),
    "P2 a GET with a form": Case(
        attacks=[ask("/rule/a", body=b"x=evil")],
        victims=[ask("/rule/a")],
        off=off.bypasses,
        benign=(ask("/rule/b"), ask("/rule/b")),
        calls=2,
    ),
    "P3 a parameter that does not count": Case(
        attacks=[ask("/q/a", query="utm_x=1;x=evil")],
        victims=[ask("/q/a", query="utm_x=2")],
        off=off.queries,
        routes=TRACKED,
        benign=(ask("/q/b", query="utm_x=1"), ask("/q/b", query="utm_y=2")),
        calls=1,
    ),
    "P4 another method": Case(
        attacks=[ask("/form", headers={"X-HTTP-Method-Override": "DELETE"})],
        victims=[ask("/form")],
        off=off.distrust,
        benign=(ask("/form/2"), ask("/form/2")),
        calls=1,
    ),
    "P5 a field of 9 kB": Case(
        attacks=[ask("/strict", headers={"X-Long": "x" * 9000})],
        victims=[ask("/strict")],
        off=off.rule("status"),
        benign=(ask("/strict/2"), ask("/strict/2")),
        calls=2,
    ),
    "P6 one error": Case(
        attacks=[ask("/st/500")],
        victims=[ask("/st/500")],
        off=off.rule("status"),
        prepare=lambda origin: setattr(origin, "broken", 1),
        benign=(ask("/st/200"), ask("/st/200")),
        calls=2,
    ),
    "P7 half an answer": Case(
        attacks=[ask("/drop", query="after=100")],
        victims=[ask("/drop", query="after=100")],
        off=off.wholeness,
        benign=(ask("/drop", query="after=1000"), ask("/drop", query="after=1000")),
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


def collapsed(world: World) -> list[str]:
    """P8: twenty at once, each with a cookie; the answer takes its time, and is private."""
    stage, gate = Stage(world, STANDARD), Gate()

    def mine(seen: Seen) -> Response:
        control = [("Cache-Control", "private, max-age=60")]
        return Response([seen.headers["cookie"].encode()], headers=control, hold=gate)

    stage.app.handler = mine
    site = stage.sites[0]
    asked = [f"sid={number}" for number in range(20)]
    calls = [site.start("/x", headers=cookie(each)) for each in asked]
    until(lambda: site.parked == 19)
    gate.open()
    bodies = [call.result().body.decode() for call in calls]
    return [body for body, mine in zip(bodies, asked, strict=True) if body != mine]


def test_p8_who_waited_for_a_private_answer_gets_an_own_one(world: World) -> None:
    assert collapsed(world) == []
    assert Stage(world, STANDARD).is_cached(ask("/p/x"))


def test_p8_without_the_protection(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    off.rule("private")(monkeypatch)
    assert len(collapsed(world)) == 19
