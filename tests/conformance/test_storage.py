"""What may be stored: nothing but what is harmless. Every refusal has its benign twin."""

from typing import Any

import pytest

from regionware.policies import Cache, Route
from tests.conformance.application import Response, Seen, counting, text
from tests.conformance.conftest import World
from tests.conformance.harness import Site


def is_cached(site: Site, first: dict[str, Any], second: dict[str, Any] | None = None) -> bool:
    """Whether the second request is answered from what the first one left behind."""
    site.get(**first)
    calls = len(site.app.calls)
    site.get(**(second or first))
    return len(site.app.calls) == calls


X = {"path": "/x"}

RESPONSES = [
    # id, fields, stored
    ("silent", [], True),
    ("public", [("Cache-Control", "public, max-age=60")], True),
    ("unknown directive", [("Cache-Control", 'max-age=60, new="a, no-store", x=y')], True),
    ("private", [("Cache-Control", "private")], False),
    ("no-store", [("Cache-Control", "no-store")], False),
    ("no-cache", [("Cache-Control", "no-cache")], False),
    ("upper case", [("Cache-Control", "max-age=60, NO-STORE")], False),
    ("white space", [("Cache-Control", "max-age=60 ,\t Private ")], False),
    ("two lines", [("Cache-Control", "max-age=60"), ("Cache-Control", "no-store")], False),
    ("two lines, first", [("Cache-Control", "private"), ("Cache-Control", "max-age=60")], False),
    ("with an argument", [("Cache-Control", 'private="x-user", max-age=60')], True),
    ("with and without", [("Cache-Control", 'private="x-user", private, max-age=60')], False),
    ("with no argument", [("Cache-Control", 'private="", max-age=60')], False),
    ("zero", [("Cache-Control", "max-age=0")], False),
    ("s-maxage first", [("Cache-Control", "max-age=60, s-maxage=0")], False),
    ("malformed age", [("Cache-Control", "max-age=sixty")], False),
    ("negative age", [("Cache-Control", "max-age=-1")], False),
    ("decimal age", [("Cache-Control", "max-age=1.5")], False),
    ("empty age", [("Cache-Control", "max-age=")], False),
    ("pragma", [("Pragma", "no-cache")], False),
    ("pragma loses", [("Pragma", "no-cache"), ("Cache-Control", "max-age=60")], True),
    ("expires", [("Expires", "Wed, 01 Jan 2090 00:00:00 GMT")], True),
    ("expires zero", [("Expires", "0")], False),
    ("expires long ago", [("Expires", "Wed, 01 Jan 2020 00:00:00 GMT")], False),
    ("expires garbage", [("Expires", "soon")], False),
    ("a cookie", [("Set-Cookie", "sid=1")], False),
    ("public and a cookie", [("Cache-Control", "public"), ("Set-Cookie", "a=1")], False),
    ("two cookies", [("Set-Cookie", "theme=1"), ("Set-Cookie", "sid=1")], False),
    ("vary", [("Vary", "Accept-Language")], True),
    ("vary *", [("Vary", "*")], False),
    ("vary * among others", [("Vary", "Accept"), ("Vary", "X-A, *")], False),
    ("vary malformed", [("Vary", "Accept Language")], False),
    ("vary cookie", [("Vary", "Cookie")], False),
    ("vary authorization", [("Vary", "Authorization")], False),
    ("old already", [("Cache-Control", "max-age=60"), ("Age", "61")], False),
    ("young enough", [("Cache-Control", "max-age=60"), ("Age", "10")], True),
    ("a range", [("Content-Range", "bytes 0-1/2")], False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "stored"), [each[1:] for each in RESPONSES], ids=[each[0] for each in RESPONSES]
)
def test_the_fields_of_a_response_decide(
    world: World, fields: list[tuple[str, str]], stored: bool
) -> None:
    site = world.site(lambda _: Response([b"x"], headers=fields))
    assert is_cached(site, X) is stored


@pytest.mark.parametrize("status", [200, 203, 204, 301, 404, 410])
def test_final_answers_are_stored(world: World, status: int) -> None:
    assert is_cached(world.site(lambda _: Response((), status)), X)


@pytest.mark.parametrize("status", [201, 202, 206, 302, 303, 307, 400, 401, 403, 429, 500, 503])
def test_other_statuses_are_not_stored(world: World, status: int) -> None:
    assert not is_cached(world.site(lambda _: text("x", status)), X)


def test_the_policy_lists_the_statuses(world: World) -> None:
    route = Route("/{code}", cache=Cache(ttl=60, statuses=[302]))
    site = world.site(lambda seen: text("x", int(seen.path[1:])), route)
    assert is_cached(site, {"path": "/302"})
    assert not is_cached(site, {"path": "/200"})


def test_an_error_that_passes_leaves_no_trace(world: World) -> None:
    """P6: one 500, then well again."""
    answers = iter([text("broken", 500)])
    site = world.site(lambda _: next(answers, text("well")))
    assert site.bodies["/x", "/x", "/x"] == [b"broken", b"well", b"well"]
    assert len(site.app.calls) == 2


@pytest.mark.parametrize("field", ["Set-Cookie", "Cache-Control", "Vary"])
def test_a_key_that_once_was_personal_is_stored_as_soon_as_it_can_be(
    world: World, field: str
) -> None:
    value = {"Set-Cookie": "sid=1", "Cache-Control": "private", "Vary": "*"}[field]
    answers = iter([Response([b"personal"], headers=[(field, value)])])
    site = world.site(lambda _: next(answers, text("for all")))
    assert site.bodies["/x", "/x", "/x"] == [b"personal", b"for all", b"for all"]
    assert len(site.app.calls) == 2


def test_a_cookie_that_the_policy_names_does_not_prevent_storage(world: World) -> None:
    cache = Cache(ttl=60, allow_set_cookie=["theme"])
    site = world.site(
        lambda seen: text("x", Set_Cookie=f"{seen.path[1:]}=1; Path=/"), Route("/{n}", cache=cache)
    )
    assert is_cached(site, {"path": "/theme"})
    assert site.get("/theme").all("set-cookie") == []
    assert not is_cached(site, {"path": "/sid"})


@pytest.mark.parametrize("public", [True, False])
def test_an_authorized_answer_is_for_nobody_else(world: World, public: bool) -> None:
    """L1, from both sides: nothing is stored for others, nothing stored is given to a stranger."""

    def greet(seen: Seen) -> Response:
        name = seen.headers.get("authorization", "nobody")
        return text(name, Cache_Control="public, max-age=60") if public else text(name)

    site = world.site(greet)
    alice = {"path": "/x", "headers": {"Authorization": "Bearer alice"}}
    bob = {"path": "/x", "headers": {"Authorization": "Bearer bob"}}
    answers = [site.get(**ask) for ask in (alice, bob, X, alice, X)]
    assert [answer.body for answer in answers] == [
        b"Bearer alice", b"Bearer bob", b"nobody", b"Bearer alice", b"nobody",
    ]  # fmt: skip
    assert answers[0].cache_status == {"fwd": "bypass", "detail": "authorization"}
    assert answers[4].hit


@pytest.mark.parametrize("shared", [True, False])
def test_authorization_may_be_allowed(world: World, shared: bool) -> None:
    by = () if shared else "authorization"
    cache = Cache(ttl=60, allow_authorization=True, shared=shared, by=by)
    site = world.site(counting(), Route("/x", cache=cache))
    one, other = ({"path": "/x", "headers": {"Authorization": f"Bearer {n}"}} for n in "ab")
    assert is_cached(site, one)
    assert is_cached(site, one, other) is shared


def test_authorize_is_asked_on_every_hit(world: World) -> None:
    allowed = {"alice"}
    cache = Cache(
        ttl=60, allow_authorization=True, shared=True,
        authorize=lambda request: (request.header("authorization") or "") in allowed,
    )  # fmt: skip
    site = world.site(lambda seen: text(seen.headers["authorization"]), Route("/x", cache=cache))
    alice: dict[str, Any] = {"path": "/x", "headers": {"Authorization": "alice"}}
    eve: dict[str, Any] = {"path": "/x", "headers": {"Authorization": "eve"}}
    assert is_cached(site, alice)
    assert site.get(**eve).body == b"eve"
    assert site.get(**alice).body == b"alice"
    allowed.clear()
    assert not is_cached(site, alice)


# Vary: several variants of one key (RFC 9111, section 4.1)


def test_the_application_s_vary_makes_variants(world: World) -> None:
    def hello(seen: Seen) -> Response:
        return text(f"{seen.headers.get('x-a')}/{seen.headers.get('x-b')}", Vary="X-B, x-a")

    site = world.site(hello)
    asks = [{"X-A": a, "X-B": b} for a in "12" for b in "34"] + [{"X-A": "1"}, {}]
    answers = [[site.get("/x", headers=ask).body for ask in asks] for _ in range(2)]
    assert answers[0] == answers[1] == [b"1/3", b"1/4", b"2/3", b"2/4", b"1/None", b"None/None"]
    assert len(site.app.calls) == len(asks)


def test_the_policy_s_vary_makes_variants_and_says_so(world: World) -> None:
    cache = Cache(ttl=60, vary=["X-A"])
    site = world.site(lambda seen: text(seen.headers.get("x-a", "-"), Vary="Accept"),
                      Route("/x", cache=cache))  # fmt: skip
    answers = [site.get("/x", headers={"X-A": value}) for value in ("1", "2", "1", "2")]
    assert [answer.body for answer in answers] == [b"1", b"2", b"1", b"2"]
    assert len(site.app.calls) == 2
    for answer in answers:
        assert {name.strip().lower() for name in answer["vary"].split(",")} == {"accept", "x-a"}


def test_a_vary_that_changes_never_mixes_variants(world: World) -> None:
    """An answer stored under fewer names must not be given to whom the newer ones tell apart."""

    def hello(seen: Seen) -> Response:
        vary = "X-A" if len(site.app.calls) < 2 else "X-A, X-B"
        return text(f"{seen.headers['x-a']}{seen.headers['x-b']}", Vary=vary)

    site = world.site(hello)
    asks = [{"X-A": a, "X-B": b} for a, b in ("13", "24", "25", "14", "24", "25", "14")]
    for ask in asks[1:]:
        site.get("/x", headers=ask)
    for ask in asks[4:]:
        assert site.get("/x", headers=ask).body == f"{ask['X-A']}{ask['X-B']}".encode()


def test_a_redis_hit_is_as_good_as_a_memory_hit(world: World) -> None:
    site = world.site(
        lambda seen: Response(
            [b"b\xc3\xb6dy"], 203, [("X-Own", "1"), ("X-Own", "2"), ("Vary", "x-a")]
        )
    )
    first = site.get("/x", headers={"X-A": "1"})
    site.rw.memory.clear()
    second = site.get("/x", headers={"X-A": "1"})
    assert second.cache_status.get("detail") == ("redis" if world.tier == "redis" else None)
    assert (second.status, second.body, second.all("x-own")) == (203, first.body, ["1", "2"])
    assert site.get("/x", headers={"X-A": "1"}).cache_status["detail"] == "memory"
    assert len(site.app.calls) == (1 if world.tier == "redis" else 2)


@pytest.mark.parametrize(
    "field", ["Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade", "X-Hop"]
)
def test_fields_of_one_hop_are_not_stored(world: World, field: str) -> None:
    fields = [("Connection", "X-Hop"), ("X-Kept", "1")]
    fields += [(field, "value")] if field != "Connection" else []
    site = world.site(lambda _: Response([b"x"], headers=fields))
    site.get("/x")
    answer = site.get("/x")
    assert answer["x-kept"] == "1"
    assert answer.hit
    assert answer.all(field.lower()) == []
