"""The demo's application in real server processes, with its databases, behind real edges.

What an edge keeps is what it still answers while the application is frozen.
"""

import os
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import httpx
import pytest

from regionware.demo import assets, fleet, policies, schema
from regionware.parts.edge import Edge
from regionware.parts.postgres import Cluster
from regionware.parts.process import ServerProcess, free_port
from regionware.parts.redis import RedisServer
from tests.conformance.harness import until
from tests.edges import configuration
from tests.edges.conftest import Kind
from tests.edges.rig import LIMIT, parts_of_edges

pytestmark = [parts_of_edges, pytest.mark.timeout(300)]

#: Seconds after which a page that a frozen application would have to answer does not come.
GONE = 1.5

CONFIG, PRODUCT = "/tenants/acme/config", "/products/7"
PRIVATE = ["/products", PRODUCT, f"{PRODUCT}/stock", "/me", "/report"]


@dataclass
class Site:
    """The far region's deployment.

    Attributes:
        process: the application's server.
        edge: what stands in front of it.
    """

    process: ServerProcess
    edge: Edge

    def client(self) -> httpx.Client:
        """A client of the edge, with a cookie jar of its own."""
        return httpx.Client(base_url=self.edge.url, timeout=LIMIT, trust_env=False)

    def frozen(self, paths: list[str]) -> set[str]:
        """Which of these pages come while the application is frozen."""
        self.process.pause()
        try:
            with ThreadPoolExecutor(len(paths)) as threads:
                came = threads.map(self.comes, paths)
            return {path for path, comes in zip(paths, came, strict=True) if comes}
        finally:
            self.process.resume()

    def comes(self, path: str, patience: float = GONE) -> bool:
        """Whether a page comes, to a stranger."""
        # Not by httpx: to make its client takes as long as a lifetime on a loaded machine.
        connection = HTTPConnection("127.0.0.1", self.edge.port, timeout=patience)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except TimeoutError:
            return False
        finally:
            connection.close()


@pytest.fixture(scope="module")
def catalogue(postgres: Cluster) -> Iterator[Cluster]:
    """The demo's tables, on the primary and on its replica."""
    postgres.primary.query(schema.CREATE)
    postgres.settle()
    yield postgres
    postgres.primary.query("DROP TABLE stock, products, tenants, logins, users")


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def site(
    request: pytest.FixtureRequest,
    kind: Kind,
    catalogue: Cluster,
    redis_server: RedisServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """The application of the far region behind an edge; purges reach Varnish."""
    edge_port, port = free_port(), free_port()
    second: RedisServer = request.getfixturevalue("second_redis_server")
    environ = {
        "REGIONWARE_REGION": policies.FAR,
        "REGIONWARE_REGIONS": f"{policies.NEAR},{policies.FAR}",
        "REGIONWARE_PRIMARY": policies.NEAR,
        "REGIONWARE_SECRET": "s" * 32,
        "REGIONWARE_IAD_DATABASE": catalogue.url,
        "REGIONWARE_FRA_REPLICAS": catalogue.replicas["fra"].url,
        "REGIONWARE_IAD_REDIS": second.url,
        "REGIONWARE_FRA_REDIS": redis_server.url,
    }
    if kind == "varnish":
        environ["DEMO_EDGE"] = f"http://127.0.0.1:{edge_port}"
    folder = tmp_path_factory.mktemp("demo")
    command = fleet._uvicorn if request.param == "asgi" else fleet._granian
    process = start(command(port, 1), environ, folder)
    try:
        fleet._await(process, f"http://127.0.0.1:{port}")
        make = {"varnish": configuration.varnish, "nginx": configuration.nginx}[kind]
        edge = make(port, policies.middleware(environ))
        edge.port = edge_port
        with edge:
            yield Site(process, edge)
    finally:
        process.end(timeout=10)


def start(arguments: list[str], environ: Mapping[str, str], folder: Path) -> ServerProcess:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("REGIONWARE_", "DEMO_"))}
    return ServerProcess(
        [sys.executable, *arguments], log=folder / "log", environ={**clean, **environ}
    )


def test_the_edge_keeps_what_the_policies_say(kind: Kind, site: Site) -> None:
    paths = [CONFIG, assets.PATH, *PRIVATE]

    def kept() -> set[str]:
        for path in reversed(paths):  # What has a short lifetime comes last.
            site.comes(path, LIMIT)  # By a stranger: whoever has a session is passed by.
        if (found := site.frozen(paths)) != {CONFIG, assets.PATH}:
            # What regionware has kept for a second already nginx does not keep: until that is over.
            time.sleep(policies.CONFIG_TTL + policies.CONFIG_STALE + 0.5)
        return found

    # A loaded machine may need more than the two seconds of one lifetime to look.
    until(lambda: kept() == {assets.PATH, CONFIG}, 120)


def test_everybody_is_somebody_else(site: Site) -> None:
    names = ["user1", "user2", "user3"]
    clients = {name: site.client() for name in names}
    try:
        for name, client in clients.items():
            client.post("/login", json={"name": name}).raise_for_status()
        for _ in range(4):
            for name, client in clients.items():
                assert client.get("/me").json()["name"] == name
                assert client.get(CONFIG).json()["id"] == "acme"
                assert httpx.get(f"{site.edge.url}/me", trust_env=False).status_code == 401
    finally:
        for client in clients.values():
            client.close()


def test_everybody_reads_what_they_wrote(site: Site) -> None:
    with site.client() as writer, site.client() as reader:
        for number in range(1, 6):
            reader.get(PRODUCT)
            price = f"{number}.00"
            writer.put(PRODUCT, json={"price": price}).raise_for_status()
            assert writer.get(PRODUCT).json()["price"] == price
            assert "private" in writer.get(PRODUCT).headers["cache-control"]


def test_a_change_reaches_everybody(kind: Kind, site: Site) -> None:
    """By a purge, long before the edge's lifetime is over; or when that is over."""
    with site.client() as writer, site.client() as reader:
        for theme in ("dark", "sepia"):
            reader.get(CONFIG)
            assert writer.put(CONFIG, json={"theme": theme}).json()["theme"] == theme

            def shown(theme: str = theme) -> bool:
                return bool(reader.get(CONFIG).json()["theme"] == theme)

            until(shown, policies.EDGE_TTL / 2)


def test_a_head_and_a_condition(site: Site) -> None:
    with site.client() as client:
        whole = client.get(assets.PATH)
        head = client.head(assets.PATH)
        assert whole.content == assets.BODY
        assert head.content == b""
        for name in ("cache-control", "content-type", "content-length"):
            assert head.headers[name] == whole.headers[name]
