"""Whoever has written through another region sees it in this one, while the replica is behind."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from regionware import Region, Regionware, Topology
from regionware.forwarding import returning
from regionware.parts.postgres import Cluster
from regionware.parts.process import free_port
from regionware.policies import Cache, Database, Route
from tests.conformance.application import Receive, Scope, Send
from tests.conformance.harness import Flavour, Site
from tests.rig import Rig
from tests.sessions.conftest import Replay, ready
from tests.sessions.shop import SECRET, Customer, Shop
from tests.writes.served import FORWARDS, Server

ROUTES = [
    Route("/items/{id}", cache=Cache(ttl=300, tags=["item:{id}"]), write=FORWARDS),
    Route("/session/{id}", database=Database.session(), write=FORWARDS),
    Route("/plain/{id}", write=FORWARDS),
]
KINDS = ["/items", "/session", "/plain"]


class Store(Shop):
    """The same, served by a real server."""

    async def asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await super().asgi(scope, receive, send)
            return
        for kind in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{kind}.complete"})


class Two:
    """Both regions: the far one in this process alone, the primary's behind a server."""

    def __init__(self, rig: Rig, postgres: Cluster, redis: tuple[str, str]) -> None:
        self.flavour: Flavour = rig.flavour
        self._rig, self._postgres, self._redis = rig, postgres, redis
        self._servers: list[Server] = []
        self.near = Store()
        self.near.rw = self._worker("iad", "http://iad.invalid")
        wrapped: Any = (
            self.near.rw.asgi(self.near.asgi)
            if self.flavour == "asgi"
            else self.near.rw.wsgi(self.near.wsgi)
        )
        self._servers.append(Server(self.flavour, wrapped))
        self.far = self.site(f"http://127.0.0.1:{self._servers[0].port}")

    def _worker(self, here: str, url: str) -> Regionware:
        far, near = self._redis
        regions = [
            Region("iad", primary=True, database=self._postgres.url, redis=near, url=url),
            Region(
                "fra", replicas=[self._postgres.replicas["fra"].url], redis=far, url="http://fra",
            ),
        ]  # fmt: skip
        topology = Topology(here=here, regions=regions)
        return ready(self._rig.worker(topology, *ROUTES, secret=SECRET))

    def site(self, url: str) -> Site:
        """The far region, which sends its writes there."""
        shop = Shop()
        shop.rw = self._worker("fra", url)
        return self._rig.site(shop.rw, shop)

    def close(self) -> None:
        for server in self._servers:
            server.close()


@pytest.fixture
def two(
    rig: Rig, postgres: Cluster, goods: str, redis_url: str, second_redis_url: str
) -> Iterator[Two]:
    postgres.settle()
    two = Two(rig, postgres, (redis_url, second_redis_url))
    yield two
    two.close()


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_own_write_is_seen_here(
    two: Two, item: int, replay: Replay, kind: str, scheme: str
) -> None:
    path, writer = f"{kind}/{item}", Customer(two.far, scheme=scheme)
    assert writer.see(path) == 0
    replay.pause()
    for value in range(1, 4):
        answer = writer.put(path, value)
        assert two.far.rw.counts()["forwarded:iad"] == value
        # The client hears one token, in our words, and nobody keeps the answer.
        names = [line.partition("=")[0] for line in answer.all("set-cookie")]
        prefix = "__Host-" if scheme == "https" else ""
        assert names == [f"{prefix}regionware-session"]
        assert ("; Secure" in answer["set-cookie"]) == (scheme == "https")
        assert answer["cache-control"] == "private, no-store"
        assert writer.look(path)[:2] == (value, False)
    # The positive control: the replica is behind, and others are shown that.
    assert Customer(two.far, keeps=False).see(path) in {0, 3}


@pytest.mark.parametrize("kind", KINDS)
def test_the_replica_is_read_again_once_it_has_it(
    two: Two, item: int, replay: Replay, kind: str
) -> None:
    path, writer = f"{kind}/{item}", Customer(two.far)
    replay.pause()
    writer.put(path, 1)
    replay.resume()
    assert writer.look(path)[:2] == (1, True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_that_is_not_issued_again_is_missed(
    two: Two, item: int, replay: Replay, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The positive control."""
    nothing: Callable[..., None] = lambda *_: None  # noqa: E731 - one argument after another
    monkeypatch.setattr(returning, "merge", nothing)
    path, writer = f"{kind}/{item}", Customer(two.far)
    replay.pause()
    writer.put(path, 1)
    assert writer.look(path)[:2] == (0, True)


def test_a_header_carries_it_as_well(two: Two, item: int, replay: Replay) -> None:
    path = f"/plain/{item}"
    replay.pause()
    answer = two.far.get(path, method="PUT", query="value=1", headers={"Regionware-Session": ""})
    token = answer["regionware-session"]
    assert token
    assert answer.all("set-cookie") == []
    seen = two.far.get(path, headers={"Regionware-Session": token})
    assert b'"value": 1' in seen.body


def test_what_may_have_been_written_is_read_from_the_primary(
    two: Two, postgres: Cluster, item: int, replay: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The write is carried out, and its answer is lost."""
    path, writer = f"/plain/{item}", Customer(two.far)
    replay.pause()
    from regionware.forwarding import client as clients  # noqa: PLC0415 - of this test alone
    from regionware.forwarding.outgoing import ForwardFailed  # noqa: PLC0415 - the same

    def lost(_: Any) -> Any:
        raise ForwardFailed("broken", sent=True)

    with monkeypatch.context() as patch:
        patch.setattr(clients, "_checked", lost)
        answer = writer.ask("PUT", path, "value=1")
    assert (answer.status, answer["retry-after"]) == (503, "1")
    assert postgres.primary.query(f"SELECT value FROM goods WHERE id = {item}") == [(1,)]
    assert writer.look(path)[:2] == (1, False)
    # The positive control: who was told nothing sees nothing.
    assert Customer(two.far, keeps=False).look(path)[:2] == (0, True)


@pytest.mark.parametrize("status", [502, 504])
def test_a_gateway_that_lost_sight_of_it_is_not_believed(
    two: Two, item: int, replay: Replay, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """The write is carried out, and a proxy before the region answers in its place."""
    path, writer = f"/plain/{item}", Customer(two.far)
    replay.pause()
    from regionware.forwarding import client as clients  # noqa: PLC0415 - of this test alone

    def gateway(response: Any) -> Any:
        ours = (b"set-cookie", b"regionware-session")
        response.headers = [pair for pair in response.headers if pair[0].lower() not in ours]
        response.status = status
        return response

    with monkeypatch.context() as patch:
        patch.setattr(clients, "_checked", gateway)
        assert writer.ask("PUT", path, "value=1").status == status
    assert writer.look(path)[:2] == (1, False)


def test_a_region_that_is_down_owes_nobody_anything(two: Two, item: int, replay: Replay) -> None:
    path, writer = f"/plain/{item}", Customer(two.site(f"http://127.0.0.1:{free_port()}"))
    replay.pause()
    answer = writer.ask("PUT", path, "value=1")
    assert (answer.status, answer.all("set-cookie")) == (503, [])
    assert writer.look(path)[:2] == (0, True)


def test_a_forward_that_purges_there_is_seen_by_the_writer_here(
    two: Two, item: int, replay: Replay
) -> None:
    path, writer = f"/items/{item}", Customer(two.far)
    assert [writer.look(path)[2] for _ in range(2)] == [False, True]
    replay.pause()
    writer.put(path, 1, "&purge=inside")
    assert writer.see(path) == 1
