"""The platform in front sends a request again, if it is really there and really can."""

from typing import Any

import pytest

from regionware import Region
from regionware.errors import ConfigurationError
from regionware.parts.nginx import Nginx
from regionware.parts.process import free_port
from regionware.policies import Cache, Route, Write
from tests.conformance.application import DEADLINE
from tests.conformance.harness import until
from tests.writes.served import FORWARDS, Answer, Place, Told, Worlds

FLY = Write.replay("fly")
ON_FLY = ("Fly-Request-Id", "01J-x")


def _routes(write: Write = FLY) -> list[Route]:
    return [Route("/plain", write=Write.direct()), Route("/{path:path}", write=write)]


def _far(worlds: Worlds, write: Write = FLY, **options: Any) -> Place:
    return worlds.far(free_port(), _routes(write), **{"trusted": ["127.0.0.1"], **options})


def test_fly_is_told_to_replay(worlds: Worlds) -> None:
    far = _far(worlds)
    answer = far.ask(headers=[ON_FLY], body=b"x")
    assert answer["fly-replay"].startswith("region=iad;state=regionware")
    assert "fallback=prefer_self" in answer["fly-replay"]
    # Nobody who reads this takes it for success, or keeps it.
    assert (answer.status, answer["cache-control"]) == (421, "private, no-store")
    assert far.app.seen == []
    assert far.rw.counts()["replayed:iad"] == 1


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ([], "platform"),
        ([ON_FLY, ("Fly-Replay-Src", "instance=a;region=ams;t=1;state=regionware")], "replayed"),
        ([ON_FLY, ("Fly-Replay-Failed", "reason=timeout")], "replayed"),
        ([ON_FLY, ("Content-Length", "1000001")], "body"),
        ([ON_FLY, ("Content-Length", "many")], "body"),
        ([ON_FLY, ("Transfer-Encoding", "chunked")], "body"),
        ([ON_FLY, ("Upgrade", "websocket")], "upgrade"),
    ],
)
def test_fly_is_not_told_where_it_cannot(
    worlds: Worlds, headers: list[tuple[str, str]], why: str
) -> None:
    far = _far(worlds)
    said = far.rw.explain("POST", "/things", dict(headers))["write"]
    assert said == {"decision": "direct", "region": "fra", "reason": why}


def test_what_fly_has_replayed_is_carried_out(worlds: Worlds) -> None:
    far = _far(worlds)
    answer = far.ask(headers=[ON_FLY, ("Fly-Replay-Src", "state=regionware")])
    assert (answer.status, answer["fly-replay"], len(far.app.seen)) == (200, "", 1)


def test_nobody_else_is_fly(worlds: Worlds) -> None:
    far = _far(worlds, trusted=["10.0.0.0/8"])
    answer = far.ask(headers=[ON_FLY])
    assert (answer.status, answer["fly-replay"], len(far.app.seen)) == (200, "", 1)


def test_the_fallback_of_a_replay_may_be_a_forward(worlds: Worlds) -> None:
    routes = _routes(Write.replay("fly", fallback=FORWARDS))
    far, near = worlds.pair(routes, trusted=["127.0.0.1"])
    assert far.ask(body=b"x" * 10).status == 200
    assert (len(far.app.seen), len(near.app.seen)) == (0, 1)
    assert "fly-replay" in {name for name, _ in far.ask(headers=[ON_FLY]).headers}


# Fields by which an application could have somebody send the request again

ORDERS = [
    ("Fly-Replay", "region=iad"), ("Fly-Replay-Cache", "/*"), ("X-Accel-Redirect", "@primary"),
]  # fmt: skip


@pytest.mark.parametrize("path", ["/plain", "/things"])
def test_an_application_cannot_have_a_request_replayed(worlds: Worlds, path: str) -> None:
    routes = [
        Route("/fly", write=FLY),
        Route("/nginx", write=Write.replay("nginx", location="@primary")),
        Route("/plain"),
        Route("/{path:path}", cache=Cache(ttl=60), write=FORWARDS),
    ]
    far = worlds.far(free_port(), routes, trusted=["127.0.0.1"])
    told = [*ORDERS, ("X-Accel-Buffering", "no"), ("X-Other", "1")]
    far.app.told = lambda _: Told(headers=told)
    for _ in range(3):
        answer = far.ask("GET", path)
        assert [answer[name] for name, _ in ORDERS] == ["", "", ""]
        assert (answer["x-accel-buffering"], answer["x-other"]) == ("no", "1")
    # A file that nginx is told to send is the application's own affair.
    far.app.told = lambda _: Told(headers=[("X-Accel-Redirect", "/protected/file")])
    assert far.ask("GET", path + "?other" if path == "/plain" else "/other")["x-accel-redirect"]


def test_where_the_route_asks_for_it_it_may(worlds: Worlds) -> None:
    far = _far(worlds)
    far.app.told = lambda _: Told(headers=[("Fly-Replay", "app=other")])
    assert far.ask("GET", "/things")["fly-replay"] == "app=other"
    assert far.ask("GET", "/plain")["fly-replay"] == ""


def test_who_never_asked_for_replays_keeps_all_fields(worlds: Worlds) -> None:
    far = worlds.far(free_port(), [Route("/{path:path}", cache=Cache(ttl=60), write=FORWARDS)])
    far.app.told = lambda _: Told(headers=ORDERS)
    answer = far.ask("GET")
    assert [answer[name] for name, _ in ORDERS] == [value for _, value in ORDERS]


# nginx

_SERVER = """
        client_max_body_size 10m;
        location / {{
            proxy_pass http://127.0.0.1:{far};
            proxy_set_header Host $http_host;
        }}
        location @primary {{
            set $hop $upstream_http_regionware_hop;
            proxy_pass http://127.0.0.1:{near};
            proxy_set_header Regionware-Hop $hop;
            {more}
        }}
"""


class Behind:
    """Both regions; an nginx in front of the far one replays in the primary's."""

    def __init__(self, worlds: Worlds, *, trusted: str = "127.0.0.1", more: str = "") -> None:
        routes = _routes(Write.replay("nginx", location="@primary"))
        _, self.near = worlds.pair(routes, trusted=[trusted])
        self.far = worlds.far(self.near.server.port, routes, trusted=[trusted])
        text = _SERVER.format(far=self.far.server.port, near=self.near.server.port, more=more)
        self._nginx = Nginx(text)
        worlds._ends.append(self._nginx.close)
        self._nginx.start()

    def ask(self, *words: Any, **ask: Any) -> Answer:
        place = Place("nginx", self.far.app, self.far.rw, self.far.server)
        place.server = type("Port", (), {"port": self._nginx.port})()
        return place.ask(*words, **ask)


def test_nginx_replays_method_and_content(worlds: Worlds) -> None:
    behind = Behind(worlds)
    headers = [("Host", "Shop.example"), ("X-Forwarded-For", "198.51.100.7"), ("Cookie", "a=1")]
    answer = behind.ask("PUT", "/things/a%2Fb?q=1", headers=headers, body=b"x" * 5000)
    assert (answer.status, answer.body) == (200, b"done")
    assert behind.far.app.seen == []
    seen = behind.near.app.seen[0]
    assert (seen.method, seen.query, seen.body) == ("PUT", "q=1", b"x" * 5000)
    assert seen.of("host") == ["Shop.example"]
    assert seen.of("x-forwarded-for") == ["198.51.100.7"]
    assert seen.of("cookie") == ["a=1"]
    assert "no-store" in answer["cache-control"]
    names = {name.lower() for name, _ in answer.headers}
    assert not names & {"regionware-hop", "x-accel-redirect"}


def test_nginx_replays_once(worlds: Worlds) -> None:
    """Two regions that take each other for the primary's: the second carries it out."""
    behind = Behind(worlds)
    behind.near.rw._parts.prepared.ways.primary().name  # noqa: B018 - it is asked of each request
    ways = behind.near.rw._parts.prepared
    ways.ways = ways.ways.__class__(ways.ways.hops, lambda: Region("fra"), ways.ways.changed)
    assert behind.ask("POST", "/things", body=b"x").status == 200
    assert len(behind.near.app.seen) == 1
    assert behind.near.rw.counts()["hop-refused:misdirected"] == 1


def test_only_a_trusted_nginx_is_told(worlds: Worlds) -> None:
    behind = Behind(worlds, trusted="10.0.0.0/8")
    assert behind.ask("POST", "/things", body=b"x").status == 200
    assert (len(behind.far.app.seen), len(behind.near.app.seen)) == (1, 0)


def test_what_only_reads_stays(worlds: Worlds) -> None:
    behind = Behind(worlds)
    until(lambda: behind.ask("GET", "/things").status == 200, DEADLINE)
    assert behind.near.app.seen == []


@pytest.mark.parametrize(
    "make",
    [
        lambda: Write.replay("heroku"),  # type: ignore[arg-type] # the point
        lambda: Write.replay("nginx"), lambda: Write.replay("nginx", location="/primary"),
        lambda: Write.replay("fly", location="@primary"), lambda: Write.replay("fly", fallback=FLY),
        lambda: Write.replay("fly", fallback="direct"),  # type: ignore[arg-type] # the point
        lambda: Write.forward(timeout=0), lambda: Write.forward(timeout=float("nan")),
        lambda: Write.forward(fallback="maybe"),  # type: ignore[arg-type] # the point
        lambda: Write.forward(body_limit=-1), lambda: Write.forward(connections=0),
        lambda: Write(strategy="teleport"),  # type: ignore[arg-type] # the point
    ],
)  # fmt: skip
def test_what_makes_no_sense(make: Any) -> None:
    with pytest.raises(ConfigurationError):
        make()


def test_a_replay_without_anybody_trusted_is_refused(worlds: Worlds) -> None:
    with pytest.raises(ConfigurationError, match="name it in trusted="):
        worlds.far(free_port(), _routes())


def test_the_inventory_tells_how_writes_travel(worlds: Worlds) -> None:
    far = _far(worlds)
    rows = {row["path"]: row["write"] for row in far.rw.inventory()}
    assert rows["/plain"] == rows["(everything else)"] == {"strategy": "direct"}
    assert (rows["/{path:path}"]["strategy"], rows["/{path:path}"]["fallback"]) == ("fly", "direct")
    assert far.rw.explain("GET", "/things")["write"] is None
