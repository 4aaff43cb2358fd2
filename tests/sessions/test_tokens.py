"""A token's life on the wire: how it is given, and that nothing but a true one is believed."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from regionware import Region, Topology
from regionware.database.position import Position
from regionware.database.token import Signer, Token, cluster_name
from regionware.parts.postgres import Cluster
from regionware.policies import Cache, Cdn, Database, Route
from tests.conformance.harness import Answer, Site
from tests.rig import Rig
from tests.sessions.conftest import Open, ready, stranger
from tests.sessions.shop import ROUTES, SECRET, Customer, Shop, Work

ASK = {"Regionware_Session": ""}


def cookie(answer: Answer) -> tuple[str, str, dict[str, str]]:
    """The name, the value and the attributes of the one cookie that is set."""
    (line,) = answer.all("set-cookie")
    pair, *parts = line.split("; ")
    name, _, value = pair.partition("=")
    split = (part.partition("=") for part in parts)
    return name, value, {key.lower(): text for key, _, text in split}


@pytest.mark.parametrize(
    ("scheme", "option", "expected"),
    [
        ("http", "regionware-session", "regionware-session"),
        ("https", "regionware-session", "__Host-regionware-session"),
        ("http", "s", "s"),
        ("https", "s", "__Host-s"),
        ("http", ("s", "shop.test"), "s"),
        ("https", ("s", "shop.test"), "s"),
    ],
)
def test_the_cookie(
    open_shop: Open, item: int, scheme: str, option: str | tuple[str, str], expected: str
) -> None:
    site = open_shop(session_cookie=option)
    customer = Customer(site, scheme=scheme)
    name, value, attributes = cookie(customer.put(f"/items/{item}", 1))
    assert name == expected
    assert value
    assert int(attributes.pop("max-age")) >= 300 + 300
    assert attributes.pop("samesite") == "Lax"
    secure = {"secure": ""} if scheme == "https" else {}
    domain = {"domain": "shop.test"} if isinstance(option, tuple) else {}
    assert attributes == {"httponly": "", "path": "/", **secure, **domain}
    # It is of use, too.
    stranger(site).see(f"/items/{item}")
    assert customer.see(f"/items/{item}") == 1


def test_a_header_for_those_who_ask(open_shop: Open, item: int) -> None:
    site, path = open_shop(), f"/items/{item}"
    assert stranger(site).see(path) == 0
    answer = stranger(site).ask("PUT", path, "value=1", **ASK)
    assert answer.all("set-cookie") == []
    token = answer["regionware-session"]
    assert token
    # The positive control first: without it, the old entry.
    assert stranger(site).see(path) == 0
    assert b'"value": 1' in stranger(site).ask("GET", path, Regionware_Session=token).body
    # A writer who has one gets the next the same way.
    again = stranger(site).ask("PUT", path, "value=2", Regionware_Session=token)
    assert again.all("set-cookie") == []
    assert again["regionware-session"] not in {"", token}


@pytest.mark.parametrize("way", ["cookie", "header"])
def test_an_answer_with_a_token_is_for_nobody_else(open_shop: Open, item: int, way: str) -> None:
    """Neither where a cache policy covers it, nor a public lifetime for the edge."""
    site = open_shop(routes=[
        Route("/items/{id}", cache=Cache(ttl=300)),
        Route("/edge/{id}", cdn=Cdn(max_age=60, shared_max_age=600)),
    ])  # fmt: skip
    fields = ASK if way == "header" else {}
    for kind, method in (("items", "GET"), ("edge", "GET"), ("items", "PUT"), ("plain", "PUT")):
        path = f"/{kind}/{item}"
        answer = stranger(site).ask(method, path, "access=write&value=5", **fields)
        assert answer.status == 200
        given = answer["regionware-session"] if way == "header" else answer["set-cookie"]
        assert given
        assert {each.strip() for each in answer["cache-control"].split(",")} == {
            "private", "no-store",
        }  # fmt: skip
        for name in ("cdn-cache-control", "surrogate-control", "expires"):
            assert answer.all(name) == []
        again = stranger(site).ask(method, path, "access=write&value=5", **fields)
        assert "age" not in dict(again.headers)
        assert again["set-cookie"] or again["regionware-session"]


def test_the_same_answer_without_a_write_is_public(open_shop: Open, item: int) -> None:
    """The positive control: it is the token that forbids it."""
    site = open_shop(routes=[Route("/edge/{id}", cdn=Cdn(max_age=60))])
    answer = stranger(site).ask("GET", f"/edge/{item}")
    assert "public" in answer["cache-control"]
    assert answer.all("set-cookie") == []


@pytest.mark.parametrize("more", ["&rollback=1", None])
def test_what_was_not_committed_is_not_owed(open_shop: Open, item: int, more: str | None) -> None:
    site = open_shop()
    customer = Customer(site)
    if more is None:
        answer = customer.ask("GET", f"/plain/{item}", "access=write")
        assert answer.status == 200
    else:
        answer = customer.ask("PUT", f"/plain/{item}", "value=1" + more)
        assert answer.status == 422
    token = opened(answer)
    assert token.write is None
    # What it was shown it has seen, though.
    assert token.seen is not None
    assert customer.see(f"/strong/{item}") == 0


def opened(answer: Answer) -> Token:
    """The token that a response sets."""
    found = Signer(SECRET).verify(cookie(answer)[1], now=0, max_age=60)
    assert isinstance(found, Token)
    return found


def test_readers_get_a_token_where_sessions_are_promised(open_shop: Open, item: int) -> None:
    site = open_shop()
    for kind in ("items", "lag", "strong"):
        assert stranger(site).ask("GET", f"/{kind}/{item}").all("set-cookie") == []
    answer = stranger(site).ask("GET", f"/plain/{item}")
    token = opened(answer)
    assert token.write is None
    assert token.seen is not None
    assert token.pin
    assert answer["cache-control"] == "private, no-store"


# What is not a token of ours


def altered(token: str) -> list[str]:
    """The token, changed in one character, at many places."""
    return [
        token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        for at in range(0, len(token), 7)
    ]


def refusals(site: Site) -> int:
    counts = site.rw.counts()
    return sum(number for name, number in counts.items() if name.startswith("token-refused"))


def ignored(site: Site, path: str, token: str) -> None:
    """The token counts as absent: the old entry is served, as to everybody, and it is counted."""
    for fields in ({"Cookie": f"regionware-session={token}"}, {"Regionware-Session": token}):
        before = refusals(site)
        answer = site.get(path, headers=fields)
        assert answer.status == 200
        assert answer.hit
        assert b'"value": 0' in answer.body
        assert refusals(site) == before + 1


@pytest.fixture
def believed(open_shop: Open, item: int) -> tuple[Site, str, str]:
    """A site with an old entry of a path, and a token that makes it look for a newer one."""
    site, path = open_shop(), f"/items/{item}"
    assert stranger(site).see(path) == 0
    customer = Customer(site)
    customer.put(path, 1)
    assert stranger(site).look(path)[::2] == (0, True)
    return site, path, customer.cookies["regionware-session"]


def test_a_true_token_is_believed(believed: tuple[Site, str, str]) -> None:
    """The positive control for all of the following."""
    site, path, token = believed
    answer = site.get(path, headers={"Cookie": f"regionware-session={token}"})
    assert b'"value": 1' in answer.body
    assert refusals(site) == 0


def test_forged_tokens(believed: tuple[Site, str, str]) -> None:
    site, path, token = believed
    for each in [*altered(token), token[:-1], token + "A", token[1:], token[:40], token * 2]:
        ignored(site, path, each)


GARBAGE = ["x", "0", "null", "A" * 5000, "%00", "\xff\xfe", "....", "-" * 94, "=", "{}", "e30.e30."]


@pytest.mark.parametrize("text", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage(believed: tuple[Site, str, str], text: str) -> None:
    site, path, _ = believed
    ignored(site, path, text)


def far_ahead(cluster: str = "", issued: float | None = None) -> Token:
    """A token that no entry satisfies."""
    when = int(time.time() if issued is None else issued)
    return Token(cluster=cluster, write=Position(1, 1 << 40), issued=when)


Make = Callable[[str], tuple[str, Token]]


@pytest.mark.parametrize(
    "make",
    [
        lambda own: ("somebody else's secret", far_ahead(own)),
        lambda own: (SECRET, far_ahead("0123456789abcdef")),
        lambda own: (SECRET, far_ahead(own, issued=1_000_000_000)),
    ],
    ids=["signed by others", "of another cluster", "expired"],
)
def test_foreign_and_expired_tokens(
    believed: tuple[Site, str, str], postgres: Cluster, make: Make
) -> None:
    site, path, _ = believed
    secret, token = make(own_cluster(postgres))
    ignored(site, path, Signer(secret).sign(token))


def own_cluster(postgres: Cluster) -> str:
    ((identifier,),) = postgres.primary.query(
        "SELECT system_identifier::text FROM pg_control_system()"
    )
    return cluster_name(identifier)


def test_the_age_of_a_token_is_what_expires(
    believed: tuple[Site, str, str], postgres: Cluster
) -> None:
    """The positive control: what these tests sign themselves is believed, if it is young."""
    site, path, _ = believed
    token = Signer(SECRET).sign(far_ahead(own_cluster(postgres)))
    answer = site.get(path, headers={"Cookie": f"regionware-session={token}"})
    assert b'"value": 1' in answer.body
    assert refusals(site) == 0


def test_a_token_expires_with_the_time_that_its_cookie_says(open_shop: Open, item: int) -> None:
    now = time.time()
    site, path = open_shop(wall=lambda: now), f"/items/{item}"
    assert stranger(site).see(path) == 0
    customer = Customer(site)
    life = int(cookie(customer.put(path, 1))[2]["max-age"])
    now += life - 5
    assert customer.see(path) == 1
    assert refusals(site) == 0
    now += 10
    customer.see(path)
    assert refusals(site) == 1


@pytest.mark.parametrize("way", ["cookie", "header"])
def test_an_expired_token_is_retired_where_sessions_are_promised(
    open_shop: Open, item: int, way: str
) -> None:
    """Not on a route that promises none, whose answers others may keep; and a young one is not."""
    now = time.time()
    site = open_shop(shop=Idle(), wall=lambda: now, routes=[
        Route("/static/{id}", cdn=Cdn(max_age=60)),
        Route("/own/{id}", database=Database.session()),
    ])  # fmt: skip
    fields = ASK if way == "header" else {}
    answer = stranger(site).ask("PUT", f"/own/{item}", "value=1", **fields)
    token = answer["regionware-session"] if way == "header" else cookie(answer)[1]
    field, value = "Cookie", f"regionware-session={token}"
    sent = {"Regionware_Session": token} if way == "header" else {field: value}
    assert not retired(stranger(site).ask("GET", "/own/0", **sent), way)
    now += 365 * 86_400
    assert not retired(stranger(site).ask("GET", "/static/0", **sent), way)
    answer = stranger(site).ask("GET", "/own/0", **sent)
    assert retired(answer, way)
    assert answer["cache-control"] == "private, no-store"
    # Whoever reads gets the next one instead.
    answer = stranger(site).ask("GET", f"/own/{item}", **sent)
    assert not retired(answer, way)
    assert answer["regionware-session"] or answer.all("set-cookie")
    # What is garbage, or somebody else's, is none of ours to end.
    assert stranger(site).ask("GET", "/own/0", Cookie="regionware-session=x")["set-cookie"] == ""


class Idle(Shop):
    """A shop that reads nothing for item 0."""

    def _work(self, work: Work) -> Any:
        return None if work.values == (0,) else super()._work(work)

    async def _awork(self, work: Work) -> Any:
        return None if work.values == (0,) else await super()._awork(work)


def test_where_nothing_can_go_back_readers_get_no_token(
    rig: Rig, postgres: Cluster, item: int
) -> None:
    """The primary alone, and no entry that is compared with what was seen."""
    for routes, given in ((ROUTES, False), ([Route("/seen/{id}", cache=SESSION), *ROUTES], True)):
        shop = Shop()
        only = [Region("iad", primary=True, database=postgres.url)]
        shop.rw = rig.worker(Topology(here="iad", regions=only), *routes, secret=SECRET)
        answer = stranger(rig.site(ready(shop.rw), shop)).ask("GET", f"/plain/{item}")
        assert bool(answer.all("set-cookie")) is given


SESSION = Cache(ttl=60, consistency="session")


def retired(answer: Answer, way: str) -> bool:
    """Whether the answer ends the client's token."""
    if way == "header":
        return answer.all("regionware-session") == [""]
    return any("Max-Age=0;" in line for line in answer.all("set-cookie"))


NEWER = "a newer secret of the tests"


@pytest.mark.parametrize(("secrets", "known"), [([NEWER, SECRET], True), ([NEWER], False)])
def test_secrets_rotate(open_shop: Open, item: int, secrets: list[str], known: bool) -> None:
    old, new, path = open_shop(), open_shop(secret=secrets), f"/items/{item}"
    assert stranger(new).see(path) == 0
    customer = Customer(old)
    customer.put(path, 1)
    assert (customer.at(new).see(path) == 1) is known


def test_a_token_raises_no_route_that_compares_nothing(open_shop: Open, item: int) -> None:
    """Bounded reads neither check nor raise; a token that is refused there is no error either."""
    site = open_shop(routes=[*ROUTES, Route("/far/{id}", database=Database.replica(max_lag=60))])
    answer = site.get(f"/far/{item}", headers={"Regionware-Session": "garbage"})
    assert answer.status == 200
