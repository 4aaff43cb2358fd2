"""A guarantee that cannot be met is a 503 with `Retry-After`, whatever a framework makes of it."""

from collections.abc import Callable
from typing import Any

import flask
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route as Path
from werkzeug.wrappers import Request as WsgiRequest
from werkzeug.wrappers import Response as WsgiResponse

from regionware import ConsistencyUnavailable, PrimaryUnavailable, Region, Regionware, Topology
from regionware.database.position import Position
from regionware.database.token import Signer, Token
from regionware.parts.postgres import Cluster
from regionware.policies import Cache, Database, Route
from tests.conformance.application import Application, Receive, Scope, Send
from tests.conformance.harness import Answer, Site, until
from tests.rig import Rig
from tests.sessions.conftest import Open, Replay, ready
from tests.sessions.shop import SECRET, Customer, Shop

UNAVAILABLE = (ConsistencyUnavailable, PrimaryUnavailable)

ROUTES = [
    Route("/strong", database=Database.primary()),
    Route("/fail", database=Database.session(unmet="fail", wait=0)),
    Route("/cached", cache=Cache(ttl=60), database=Database.primary()),
]


class Bare(Application):
    """No framework: the exception reaches the adapter."""

    def __init__(self) -> None:
        super().__init__(lambda _: (_ for _ in ()).throw(NotImplementedError))
        self.rw: Regionware | None = None

    async def read(self) -> str:
        assert self.rw is not None
        async with self.rw.connection() as connection:
            await connection.execute("SELECT 1")
        return "fine"

    def read_here(self) -> str:
        assert self.rw is not None
        with self.rw.connection() as connection:
            connection.execute("SELECT 1")
        return "fine"

    async def asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(await self.read())(scope, receive, send)

    def wsgi(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        return WsgiResponse(self.read_here())(environ, start_response)


class Framework(Bare):
    """Starlette and Flask, which turn an exception into their own 500."""

    def __init__(self) -> None:
        super().__init__()
        self._starlette = Starlette(routes=[Path("/{path:path}", self._endpoint)])
        self._flask = flask.Flask("shop")
        self._flask.add_url_rule("/<path:path>", view_func=lambda path: self.read_here())

    async def _endpoint(self, request: Request) -> PlainTextResponse:
        return PlainTextResponse(await self.read())

    async def asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._starlette(scope, receive, send)

    def wsgi(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        return self._flask(environ, start_response)


class Werkzeug(Framework):
    """Werkzeug's own kind of application, and Starlette's streams."""

    async def _endpoint(self, request: Request) -> PlainTextResponse:
        text = await self.read()
        return StreamingResponse(iter([text]))  # type: ignore[return-value]

    def wsgi(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        @WsgiRequest.application
        def application(_: WsgiRequest) -> WsgiResponse:
            return WsgiResponse(self.read_here())

        return application(environ, start_response)


class Handling(Bare):
    """It has something better to say."""

    async def asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.read()
        except UNAVAILABLE:
            headers = {"Retry-After": "77"}
            answer = PlainTextResponse("the shop's own words", 503, headers)
            await answer(scope, receive, send)

    def wsgi(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        try:
            self.read_here()
        except UNAVAILABLE:
            headers = {"Retry-After": "77"}
            return WsgiResponse("the shop's own words", 503, headers)(environ, start_response)


APPLICATIONS = [Bare, Framework, Werkzeug]


@pytest.fixture
def nowhere(rig: Rig, free_port: int) -> Callable[[Bare], Site]:
    """Puts an application before a primary that is not there."""

    def nowhere(app: Bare) -> Site:
        url = f"postgresql://postgres@127.0.0.1:{free_port}/postgres"
        topology = Topology(here="iad", regions=[Region("iad", primary=True, database=url)])
        app.rw = rig.worker(topology, *ROUTES, secret=SECRET)
        app.rw.start()
        databases = app.rw._parts.databases
        assert databases is not None
        # One that has never been asked is waited for longer.
        until(lambda: not databases.marks["iad/primary"].reachable)
        return rig.site(app.rw, app)

    return nowhere


def refused(answer: Answer) -> None:
    assert answer.status == 503
    assert int(answer["retry-after"]) > 0
    assert "no-store" in answer["cache-control"]
    assert int(answer["content-length"]) == len(answer.body)


@pytest.mark.parametrize("kind", APPLICATIONS)
@pytest.mark.parametrize("path", ["/strong", "/cached", "/anything"])
def test_without_a_primary(nowhere: Callable[[Bare], Site], kind: type[Bare], path: str) -> None:
    site = nowhere(kind())
    refused(site.get(path))
    refused(site.get(path))


@pytest.mark.parametrize(("takeover", "status"), [(0, 503), (100, 200)])
def test_how_much_the_primary_takes_over(
    rig: Rig, postgres: Cluster, free_port: int, takeover: float, status: int
) -> None:
    """The only replica is gone: its reads are as many as the option admits, at first one."""
    replica = f"postgresql://postgres@127.0.0.1:{free_port}/postgres"
    regions = [
        Region("iad", primary=True, database=postgres.url),
        Region("fra", replicas=[replica]),
    ]
    app = Bare()
    topology = Topology(here="fra", regions=regions)
    app.rw = rig.worker(topology, *ROUTES, secret=SECRET, takeover=takeover)
    app.rw.start()
    databases = app.rw._parts.databases
    assert databases is not None
    until(lambda: not databases.marks["fra/replica-1"].reachable)
    until(lambda: databases.marks["iad/primary"].fresh is not None)
    site = rig.site(app.rw, app)
    assert site.get("/anything").status == 200
    assert {site.get("/anything").status for _ in range(3)} == {status}


def owed(rig: Rig) -> dict[str, str]:
    """A token that no host satisfies."""
    token = Token(write=Position(1, 1 << 40), issued=2_000_000_000)
    return {"Regionware-Session": Signer(SECRET).sign(token)}


@pytest.mark.parametrize("kind", APPLICATIONS)
def test_without_a_replica_that_has_it(open_shop: Open, rig: Rig, kind: type[Bare]) -> None:
    shop = open_shop()
    app = kind()
    app.rw = ready(rig.worker(shop.rw.topology, *ROUTES, secret=SECRET))
    site = rig.site(app.rw, app)
    refused(site.get("/fail", headers=owed(rig)))
    # The positive control: without the obligation the replica does.
    assert site.get("/fail").body == b"fine"


def test_an_own_write_that_no_replica_has(open_shop: Open, item: int, replay: Replay) -> None:
    path, writer = f"/fail/{item}", Customer(open_shop())
    replay.pause()
    writer.put(path, 1)
    refused(writer.ask("GET", path))
    replay.resume()
    assert writer.look(path)[:2] == (1, True)


def test_an_application_may_handle_it(nowhere: Callable[[Bare], Site]) -> None:
    answer = nowhere(Handling()).get("/strong")
    assert (answer.status, answer.body) == (503, b"the shop's own words")
    assert answer["retry-after"] == "77"


def test_other_errors_stay_what_they_are(open_shop: Open, rig: Rig) -> None:
    """The positive control: only what is unavailable is answered for the application."""

    class Failing(Framework):
        async def read(self) -> str:
            raise LookupError

        def read_here(self) -> str:
            raise LookupError

    app = Failing()
    app.rw = ready(rig.worker(open_shop().rw.topology, *ROUTES, secret=SECRET))
    call = rig.site(app.rw, app).start("/strong")
    call.finished.wait()
    assert call.status == 500


@pytest.mark.parametrize("kind", ["plain", "strong", "items", "lag"])
def test_a_read_handle_takes_no_write(open_shop: Open, item: int, kind: str) -> None:
    """By the server's own word (25006), on the replica and on the primary."""
    site = open_shop()
    role = Customer(site).look(f"/{kind}/{item}")[1]
    assert role is (kind != "strong")
    answer = Customer(site).ask("GET", f"/{kind}/{item}", "value=1")
    assert (answer.status, answer.body) == (409, b"25006")
    assert answer.all("set-cookie") == []
    # The positive control: the same statement on a write handle.
    answer = Customer(site).ask("GET", f"/{kind}/{item}", "value=1&access=write")
    assert answer.status == 200


def test_a_strong_read_takes_no_write_outside_a_request(open_shop: Open, item: int) -> None:
    shop = Shop()
    open_shop(shop=shop)
    from psycopg.errors import ReadOnlySqlTransaction  # noqa: PLC0415 - needs libpq

    with pytest.raises(ReadOnlySqlTransaction), shop.layer.connection() as connection:
        connection.execute("INSERT INTO goods VALUES (-1, 1)")
    with shop.layer.connection(access="write") as connection:
        connection.execute("UPDATE goods SET value = 9 WHERE id = %s", (item,))
