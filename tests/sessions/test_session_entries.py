"""Entries and what sessions have seen: `Cache(consistency="session")`."""

import json
import time

import pytest

from regionware import answers
from regionware.caching.entry import Entry
from regionware.database.token import Signer, Token
from regionware.errors import ConfigurationError
from regionware.parts.postgres import Cluster
from regionware.policies import Cache, Cdn, Database, Route
from tests.conformance.harness import Answer, Site
from tests.sessions.conftest import Open, Replay, stranger
from tests.sessions.shop import ROUTES, SECRET, Customer

SESSION = Cache(ttl=300, consistency="session", tags=["item:{id}"])
OTHERS = [
    Route("/seen/{id}", cache=SESSION),
    Route("/stale/{id}", cache=Cache(ttl=1, stale_while_revalidate=300, consistency="session")),
    *ROUTES,
]


@pytest.fixture
def site(open_shop: Open) -> Site:
    return open_shop(routes=OTHERS)


def forget(site: Site) -> None:
    """A mutant: what was seen is neither noted nor compared."""
    for plan in site.rw._parts.prepared.plans.values():
        plan.sees = plan.raises = False


def token_of(customer: Customer) -> Token:
    found = Signer(SECRET).verify(customer.cookies["regionware-session"], now=0, max_age=60)
    assert isinstance(found, Token)
    return found


def sold(postgres: Cluster, item: int, value: int = 1) -> None:
    """Somebody else writes."""
    postgres.primary.query(f"UPDATE goods SET value = {value} WHERE id = {item}")
    postgres.settle()


def test_what_is_stored_shows_nobody_s_token(site: Site, item: int) -> None:
    path = f"/seen/{item}"
    first, second = Customer(site), Customer(site)
    made = first.ask("GET", path)
    assert made.all("set-cookie")
    assert made["cache-control"] == "private, no-store"
    hit = second.ask("GET", path)
    assert hit.hit
    # The second one's own, which names the entry; it was stored without the first one's.
    assert len(hit.all("set-cookie")) == 1
    assert hit["cache-control"] == "private, no-store"
    assert token_of(second).pin.startswith("e")
    assert token_of(first).pin != token_of(second).pin
    # It is set only when it changes, and without that the answer is private all the same.
    again = second.ask("GET", path)
    assert again.hit
    assert again.all("set-cookie") == []
    assert again["cache-control"] == "private, no-cache"


def test_from_redis_too(site: Site, item: int) -> None:
    path = f"/seen/{item}"
    Customer(site).see(path)
    site.rw.memory.clear()
    reader = Customer(site)
    answer = reader.ask("GET", path)
    assert answer.cache_status["detail"] == "redis"
    assert len(answer.all("set-cookie")) == 1
    in_memory = reader.ask("GET", path)
    assert in_memory.cache_status["detail"] == "memory"
    assert in_memory.all("set-cookie") == []


@pytest.mark.parametrize("mutant", [False, True], ids=["tokens", "none"])
@pytest.mark.parametrize("tier", ["memory", "redis"])
def test_an_entry_older_than_what_was_seen_is_not_served(
    site: Site, postgres: Cluster, item: int, tier: str, mutant: bool
) -> None:
    path, reader = f"/seen/{item}", Customer(site)
    assert stranger(site).see(path) == 0
    sold(postgres, item)
    if mutant:
        forget(site)
    assert reader.see(f"/plain/{item}") == 1
    if tier == "redis":
        site.rw.memory.clear()
    if mutant:
        assert reader.look(path)[::2] == (0, True)
        return
    # Nobody else is asked for more; and what is made for this one is everybody's.
    assert stranger(site).look(path)[::2] == (0, True)
    assert reader.look(path)[::2] == (1, False)
    assert stranger(site).look(path)[::2] == (1, True)


@pytest.mark.parametrize("mutant", [False, True], ids=["named", "not named"])
def test_the_entry_that_was_seen_last_is_served_again(
    site: Site, postgres: Cluster, item: int, monkeypatch: pytest.MonkeyPatch, mutant: bool
) -> None:
    """What is certainly in it is less than what it may have shown: its name says that it is it."""
    path, reader = f"/seen/{item}", Customer(site)
    with_gap(site, postgres, path)
    assert reader.look(path)[::2] == (0, True)
    assert token_of(reader).seen is not None
    if mutant:
        monkeypatch.setattr(answers, "again", lambda *_: False)
    assert reader.look(path)[::2] == (0, not mutant)


def with_gap(site: Site, postgres: Cluster, path: str) -> None:
    """Have an entry whose bounds differ: the mark was old when it was made."""
    databases = site.rw._parts.databases
    assert databases is not None
    prober = databases._rim.prober
    assert prober is not None
    # A connection that the last mark speaks of, so that the replica itself is not asked.
    assert stranger(site).ask("GET", "/plain/0").status == 200
    prober.interval = 3600
    time.sleep(0.6)  # one more answer may be on its way
    again = "INSERT INTO goods VALUES (-1, 0) ON CONFLICT (id) DO UPDATE SET value = 0"
    postgres.primary.query(again)
    postgres.settle()
    assert stranger(site).see(path) == 0
    entry = next(r for r in records(site) if r.key[2] == path)
    assert entry.lower is not None
    assert entry.upper is not None
    assert entry.upper.lsn > entry.lower.lsn


def records(site: Site) -> list[Entry]:
    """The entries in memory."""
    memory = site.rw._parts.rim.memory
    return [each for each in memory._table.values() if isinstance(each, Entry)]


def test_another_entry_clears_the_name(site: Site, postgres: Cluster, item: int) -> None:
    path, reader = f"/seen/{item}", Customer(site)
    with_gap(site, postgres, path)
    assert reader.look(path)[::2] == (0, True)
    sold(postgres, item)
    assert reader.see(f"/strong/{item}") == 1
    assert token_of(reader).pin == ""
    assert reader.look(path)[::2] == (1, False)


def test_an_own_write_is_seen(site: Site, item: int, replay: Replay) -> None:
    path, writer = f"/seen/{item}", Customer(site)
    assert writer.see(path) == 0
    replay.pause()
    writer.put(path, 1)
    assert stranger(site).look(path)[::2] == (0, True)
    assert writer.look(path) == (1, False, False)
    assert writer.look(path)[::2] == (1, True)


def test_other_routes_neither_check_nor_raise(site: Site, postgres: Cluster, item: int) -> None:
    reader = Customer(site)
    for kind in ("items", "lag", "eventual"):
        assert stranger(site).see(f"/{kind}/{item}") == 0
    sold(postgres, item)
    assert reader.see(f"/plain/{item}") == 1
    token = dict(reader.cookies)
    for kind in ("items", "lag", "eventual"):
        assert reader.look(f"/{kind}/{item}")[::2] == (0, True)
    assert reader.cookies == token


def test_strong_reads_raise_what_a_session_has_seen(
    site: Site, postgres: Cluster, item: int
) -> None:
    reader = Customer(site)
    assert reader.see(f"/plain/{item}") == 0
    before = token_of(reader)
    assert stranger(site).see(f"/seen/{item}") == 0
    sold(postgres, item)
    assert reader.see(f"/strong/{item}") == 1
    assert token_of(reader).seen != before.seen
    assert reader.see(f"/seen/{item}") == 1


def test_an_edge_is_told_of_no_session(open_shop: Open, item: int) -> None:
    """Where the application, or a policy, gives an answer to everybody, no reader gets a token."""
    site = open_shop(routes=[
        Route("/edge/{id}", cdn=Cdn(max_age=60)),
        Route("/own/{id}", database=Database.session()),
    ])  # fmt: skip
    public = ("cache-control", "public, max-age=60")
    shop = site.app
    answer = Customer(site).ask("GET", f"/edge/{item}")
    assert answer.all("set-cookie") == []
    assert "public" in answer["cache-control"]
    shop.fields.append(public)  # type: ignore[attr-defined] # the shop's
    answer = Customer(site).ask("GET", f"/plain/{item}")
    assert answer.all("set-cookie") == []
    assert answer["cache-control"] == public[1]
    # Where sessions are promised in so many words, they are.
    answer = Customer(site).ask("GET", f"/own/{item}")
    assert answer.all("set-cookie")
    assert answer["cache-control"] == "private, no-store"


def test_promises_that_contradict_each_other(open_shop: Open) -> None:
    for route in (
        {"cache": SESSION, "cdn": Cdn(max_age=60)},
        {"database": Database.session(), "cdn": Cdn(max_age=60)},
    ):
        with pytest.raises(ConfigurationError, match="know no sessions"):
            open_shop(routes=[Route("/x/{id}", **route)])  # type: ignore[arg-type] # either
    with pytest.raises(ConfigurationError, match="by the book"):
        Cache.standard(consistency="session")


def test_one_session_s_requests_at_once(site: Site, item: int) -> None:
    """Each answer's token covers the one that its request came with: none is lowered."""
    writer = Customer(site)
    writer.put(f"/plain/{item}", 1)
    first = token_of(writer)
    reader = Customer(site, cookies=dict(writer.cookies))
    writer.put(f"/plain/{item}", 2)
    assert reader.see(f"/plain/{item}") == 2
    for each in (token_of(reader), token_of(writer)):
        assert first.write is not None
        assert each.write is not None
        assert each.write.reached(first.write)


def test_secrets_rotate_with_what_was_seen(
    open_shop: Open, postgres: Cluster, item: int, replay: Replay
) -> None:
    old = open_shop(routes=OTHERS)
    new = open_shop(routes=OTHERS, secret=["a newer secret of the tests", SECRET])
    other = open_shop(routes=OTHERS, secret=["a newer secret of the tests"])
    for each in (new, other):
        assert stranger(each).see(f"/seen/{item}") == 0
    sold(postgres, item)
    reader = Customer(old)
    assert reader.see(f"/plain/{item}") == 1
    answer: Answer = reader.at(other).ask("GET", f"/seen/{item}")
    assert json.loads(answer.body)["value"] == 0
    reader = Customer(old)
    assert reader.see(f"/plain/{item}") == 1
    assert reader.at(new).see(f"/seen/{item}") == 1
