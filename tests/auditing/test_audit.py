"""The audit finds leaks of each kind, is quiet where there is none, and says what it cannot say."""

from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from regionware import Region, Regionware, Topology
from regionware.auditing.audit import Audited, Report, audit
from regionware.auditing.comparing import Steady
from regionware.auditing.inputs import inputs
from regionware.auditing.target import Target, rim_of
from regionware.policies import Cache, Route
from regionware.testing import Answer
from tests.auditing.shops import CLEAN, LEAKING, Shop, header, target
from tests.conformance.application import Seen, text
from tests.conformance.harness import Flavour
from tests.conformance.vault import Vault

ALICE = (("Authorization", "Bearer alice"),)
BOB = (("Authorization", "Bearer bob"),)


@pytest.fixture(params=["asgi", "wsgi"])
def flavour(request: pytest.FixtureRequest) -> Flavour:
    found: Flavour = request.param
    return found


def report(flavour: Flavour, shop: Shop, **options: Any) -> Report:
    words = {"identities": (ALICE, BOB), **options}
    with target(flavour, shop) as asked:
        return audit(asked, words.pop("paths", [shop.path]), **words)


def only(found: Report) -> Audited:
    (row,) = found.rows
    return row


@pytest.mark.parametrize("name", LEAKING)
def test_a_leak_is_found(flavour: Flavour, name: str) -> None:
    category, wanted, shop = LEAKING[name]
    row = only(report(flavour, shop))
    assert row.verdict == "leak"
    assert (category, wanted) in {(leak.category, leak.input) for leak in row.leaks}
    # What is named is what leaks: not everything is suspected.
    assert {leak.category for leak in row.leaks} <= {category, "header", "identity"}
    assert all(leak.difference and leak.consequence for leak in row.leaks)


@pytest.mark.parametrize("name", CLEAN)
def test_nothing_is_found_where_nothing_is(flavour: Flavour, name: str) -> None:
    row = only(report(flavour, CLEAN[name]))
    assert (row.verdict, row.leaks, row.reason) == ("clean", [], "")
    assert row.tried > 100
    assert row.shared > 0, "it would be quiet about anything"


def test_two_identities_are_compared_with_each_other(flavour: Flavour) -> None:
    """Nobody is anonymous here: what differs is whom one of them is."""
    cache = Cache(ttl=60, by=lambda r: str("authorization" in r.special), allow_authorization=True)

    def greet(seen: Seen) -> Any:
        return text(seen.headers.get("authorization", "nobody"))

    shop = Shop(greet, (Route("/page/{id}", cache=cache),))
    row = only(report(flavour, shop))
    assert {leak.input for leak in row.leaks} == {"identity B"}


def test_a_credential_is_in_no_report(flavour: Flavour) -> None:
    shop = Shop(lambda seen: text(str(len(seen.headers.get("authorization", "")))), SHARED_ROUTES)
    secret = (("Authorization", "Bearer of-a-secret"),)
    told = str(report(flavour, shop, identities=(secret,)).data())
    assert "identity A" in told
    assert "of-a-secret" not in told


SHARED_ROUTES = LEAKING["an identity"][2].routes


def test_the_repair_is_recognised(flavour: Flavour) -> None:
    """The control: the same application, once it says what it varies on."""
    leaking = LEAKING["a header that is negotiated"][2]
    mended = replace(leaking, handler=header("accept-language", ("Vary", "Accept-Language")))
    assert only(report(flavour, leaking)).leaks
    assert not only(report(flavour, mended)).leaks


_numbers = count()


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (lambda _: text("gone", 404), "status 404"),
        (lambda _: text("mine", Cache_Control="private"), "nothing is stored"),
        (lambda _: text("mine", Set_Cookie="a=1"), "nothing is stored"),
        (lambda _: text("x " * next(_numbers)), "another shape"),
        (lambda _: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_what_cannot_be_audited_is_told(flavour: Flavour, handler: Any, reason: str) -> None:
    row = only(report(flavour, Shop(handler)))
    assert row.verdict == "not audited"
    assert reason in row.reason


def test_every_cached_route_needs_an_example(flavour: Flavour) -> None:
    routes = (
        Route("/about", cache=Cache(ttl=60)),
        Route("/page/{id}", cache=Cache(ttl=60)),
        Route("/form", methods=["POST"]),
        Route("/plain/{id}"),
    )
    shop = Shop(lambda _: text("hello"), routes)
    found = report(flavour, shop, paths=["/plain/1"])
    told = {row.route: (row.path, row.verdict, row.reason) for row in found.rows}
    assert told == {
        "/about": ("/about", "clean", ""),
        "/page/{id}": ("", "not audited", "no example"),
        "/plain/{id}": ("/plain/1", "not audited", "the route has no cache policy"),
    }
    assert len(found.unaudited) == 2


def test_the_same_seed_tries_the_same(flavour: Flavour) -> None:
    shop = LEAKING["a header"][2]
    one, again, other = (report(flavour, shop, seed=seed).data() for seed in (1, 1, 2))
    assert one == again
    assert one != other


def test_inputs_name_the_route_s_own() -> None:
    tried = inputs(7, ["pk_*"], "a=1&b=2")
    names = {each.name for each in tried if each.category == "query"}
    assert {"a", "b", "utm_source"} <= names
    assert any(name.startswith("pk_rw") for name in names)
    assert {each.name for each in inputs(8)} != {each.name for each in inputs(9)}


def test_nothing_is_left_in_a_redis(flavour: Flavour, redis_url: str) -> None:
    """An audit must not poison what it examines, whatever it finds."""
    here = Region("here", primary=True, redis=redis_url)
    shop = LEAKING["a header"][2]
    with target(flavour, shop, topology=Topology(here="here", regions=[here])) as asked:
        assert audit(asked, [shop.path]).leaks
    vault = Vault(redis_url)
    assert vault.client.keys("*") == []
    vault.close()


def test_an_application_is_started_and_ended() -> None:
    heard: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for _ in range(2):
                message = await receive()
                heard.append(message["type"])
                await send({"type": f"{message['type']}.complete"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x"})

    rw = Regionware(routes=[Route("/x", cache=Cache(ttl=60))])
    with Target(rw.asgi(app), rim_of(None, None, rw), host="h") as asked:
        assert heard == ["lifespan.startup"]
        assert only(audit(asked)).verdict == "clean"
    assert heard == ["lifespan.startup", "lifespan.shutdown"]


def answers(body: bytes, **fields: str) -> Answer:
    return Answer(200, tuple(fields.items()), body)


def test_what_differs_each_time_is_masked() -> None:
    steady = Steady(answers(b"a 1 c", id="1", other="x"))
    steady.learn(answers(b"a 22 c", id="2", other="x"))
    assert steady.differences(answers(b"a 3 c", id="3", other="x")) == []
    assert steady.differences(answers(b"a 3 d", id="3", other="x")) == ["body: 'd' instead of 'c'"]
    assert steady.differences(answers(b"a 3 c", other="y")) == ["other: 'y' instead of 'x'"]
    assert steady.differences(answers(b"a 3 c more", id="3", other="x")) == ["body: ' more' more"]
    assert steady.differences(answers(b"a 3", id="3", other="x")) == ["body: 2 words less"]
