"""The examples of the pages on database layers run, over a real primary and its replica."""

import asyncio
import os
import re
import subprocess
import sys
import types
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from regionware import Regionware
from regionware.context import Current, bind, unbind
from regionware.parts.postgres import Cluster
from regionware.policies import Database
from tests.conformance.harness import Flavour, Loop
from tests.layers.conftest import Replay, Work
from tests.layers.site import AsgiSite, Customer, Site, WsgiSite, stranger
from tests.sessions.conftest import ready

ROOT = Path(__file__).resolve().parent.parent.parent

pytestmark = pytest.mark.tree


def blocks(page: str, cluster: Cluster) -> list[str]:
    """Every Python block of a page, with the URLs of the cluster."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    text = text.replace("postgresql://primary/app", cluster.url)
    text = text.replace("postgresql://fra-replica/app", cluster.replicas["fra"].url)
    return re.findall(r"^```python(?: notest)?\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def products(postgres: Cluster) -> str:
    """The table of the pages, with one row of stock 0 on every host."""
    postgres.primary.query("CREATE TABLE IF NOT EXISTS products (id int PRIMARY KEY, stock int)")
    postgres.primary.query(
        "INSERT INTO products VALUES (7, 0) ON CONFLICT (id) DO UPDATE SET stock = 0"
    )
    postgres.settle()
    return "/products/7"


def test_sqlalchemy(  # noqa: PLR0917 - fixtures
    postgres: Cluster,
    products: str,
    replay: Replay,
    flavour: Flavour,
    loop: Loop,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REGIONWARE_SECRET", "a secret of the tests, long enough")
    names: dict[str, Any] = {"__name__": "shop"}
    # Annotations of mapped classes are looked up in their module.
    monkeypatch.setitem(sys.modules, "shop", types.ModuleType("shop"))
    for source in blocks("sqlalchemy.md", postgres):
        exec(source, names)
    rw: Regionware = names["rw"]
    ready(rw)
    wsgi = flavour == "wsgi"
    site: Site = WsgiSite(names["wsgi_app"]) if wsgi else AsgiSite(names["asgi_app"], loop)
    replay.pause()
    customer = Customer(site)
    customer.put(products + "?stock=5")
    assert customer.ask("GET", products).json == {"stock": 5}
    assert stranger(site).ask("GET", products).json == {"stock": 0}
    engines = names["Session"].kw["engines"], names["AsyncSession"].kw["engines"]
    engines[0].dispose()
    if not wsgi:
        asyncio.run_coroutine_threadsafe(engines[1].dispose(), loop.loop).result(20)
        asyncio.run_coroutine_threadsafe(rw.aclose(), loop.loop).result(20)
    rw.close()


DRIVE = """
import asyncio, sys
from shop.served import wsgi_app, asgi_app
from django.conf import settings
from tests.conformance.harness import Loop
from tests.layers.site import AsgiSite, Customer, WsgiSite, stranger
from tests.sessions.conftest import ready
ready(settings.REGIONWARE)
loop = Loop()
for stock, site in ((5, WsgiSite(wsgi_app)), (6, AsgiSite(asgi_app, loop))):
    customer = Customer(site)
    customer.put(f"/products/7?stock={stock}")
    assert customer.ask("GET", "/products/7").json == {"stock": stock}
    assert stranger(site).ask("GET", "/products/7").json == {"stock": 0}
asyncio.run_coroutine_threadsafe(settings.REGIONWARE.aclose(), loop.loop).result(20)
loop.stop()
print("done")
"""


def test_django(postgres: Cluster, products: str, replay: Replay, tmp_path: Path) -> None:
    settings, served, urls = blocks("django.md", postgres)
    shop = tmp_path / "shop"
    shop.mkdir()
    more = "\nROOT_URLCONF = 'shop.urls'\nSECRET_KEY = 'x'\nALLOWED_HOSTS = ['*']\n"
    files = {"__init__": "", "settings": settings + more, "served": served, "urls": urls}
    for name, text in files.items():
        (shop / f"{name}.py").write_text(text)
    replay.pause()
    done = subprocess.run(
        [sys.executable, "-c", DRIVE],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": f"{ROOT}:{tmp_path}",
            "DJANGO_SETTINGS_MODULE": "shop.settings",
            "REGIONWARE_SECRET": "a secret of the tests, long enough",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


class Pool:
    """As much of asyncpg as the page uses, over psycopg."""

    def __init__(self, url: str, settings: dict[str, str]) -> None:
        self._url = url
        self._options = " ".join(f"-c {name}={value}" for name, value in settings.items())

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Any]:
        async with await psycopg.AsyncConnection.connect(
            self._url, options=self._options, autocommit=True
        ) as connection:

            class Transaction:
                async def start(self) -> None:
                    await connection.execute("BEGIN")

                async def commit(self) -> None:
                    await connection.execute("COMMIT")

                async def rollback(self) -> None:
                    await connection.execute("ROLLBACK")

            connection.transaction = Transaction  # type: ignore[assignment,method-assign] # asyncpg's
            yield connection


@pytest.fixture
def asyncpg(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of this name."""
    module = types.ModuleType("asyncpg")

    async def create_pool(url: str, server_settings: dict[str, str]) -> Pool:
        return Pool(url, server_settings)

    module.create_pool = create_pool  # type: ignore[attr-defined] # made here
    monkeypatch.setitem(sys.modules, "asyncpg", module)


def test_the_protocol(
    worker: Work,
    postgres: Cluster,
    item: int,
    replay: Replay,
    asyncpg: None,
) -> None:
    rw = worker()
    (source,) = [block for block in blocks("database.md", postgres) if "asyncpg" in block]
    names: dict[str, Any] = {"rw": rw}
    exec(source, names)
    here = rw.topology.here
    state = Current(
        region=here, here=here, method="GET", route="/", access="read", database=Database.session()
    )
    replay.pause()
    asyncio.run(_shown(names, state, item))


async def _shown(names: dict[str, Any], state: Current, item: int) -> None:
    read = f"SELECT value, pg_is_in_recovery() FROM goods WHERE id = {item}"
    token = bind(state)
    try:
        async with names["reading"]() as connection:
            assert await (await connection.execute(read)).fetchone() == (0, True)
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                await connection.execute("UPDATE goods SET value = 1")
        (use,) = state.hosts
        assert (use.host, use.position is not None) == ("fra/replica-1", True)
        with pytest.raises(ZeroDivisionError):  # noqa: PT012 - it must leave the block
            async with names["writing"]() as connection:
                await connection.execute(f"UPDATE goods SET value = 1 WHERE id = {item}")
                raise ZeroDivisionError
        assert (state.writes, state.deferred) == (0, [])
        async with names["writing"]() as connection:
            assert len(state.deferred) == 1
            await connection.execute(f"UPDATE goods SET value = 2 WHERE id = {item}")
        assert (state.writes, state.unasked, state.lost) == (1, True, True)
        # Nobody has asked yet, so only the primary is certain.
        async with names["reading"]() as connection:
            assert await (await connection.execute(read)).fetchone() == (2, False)
        assert state.lower is None
    finally:
        unbind(token)


FORK = """
import os, sys
from sqlalchemy import text
from regionware import Region, Regionware, Topology
from regionware.adapters.sqlalchemy import Engines, RoutedSession
region = Region("iad", primary=True, database=sys.argv[1])
rw = Regionware(topology=Topology(here="iad", regions=[region]), secret="long enough for a test")
engines = Engines(rw.selector)
def backend():
    with RoutedSession(engines=engines, access="write") as session:
        return session.execute(text("SELECT pg_backend_pid()")).scalar()
mine = backend()
child = os.fork()
if child == 0:
    other = backend()
    engines.dispose()
    os._exit(0 if other != mine else 1)
status = os.waitpid(child, 0)[1]
print(status, backend() == mine)
engines.dispose()
rw.close()
"""


@pytest.mark.parametrize("guarded", [True, False])
def test_a_child_has_connections_of_its_own(postgres: Cluster, guarded: bool) -> None:
    """With its positive control: a child that goes on with the parent's is noticed."""
    off = "" if guarded else "Engines.abandon = lambda self: None\n"
    script = FORK.replace("region = ", off + "region = ", 1)
    done = subprocess.run(
        [sys.executable, "-c", script, postgres.url],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout == "0 True\n") is guarded, done.stderr
