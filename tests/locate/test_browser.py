"""The script in a real browser: it measures two regions, and is pinned to the nearer one.

It needs Debian's `chromium-headless-shell` (or `chromium`), which `.ci/install-parts` installs.
"""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import pytest

from regionware import Region, Regionware, Topology
from regionware.locate import Latency, Pin, Probe, RegionMap
from tests.conformance.harness import until

#: Seconds that a browser may take to start on a machine that is short of time.
PATIENCE = 90.0
#: Seconds that the far region takes to answer.
FAR = 0.15
BROWSERS = ("chromium-headless-shell", "chromium")

HOME = b"""<!doctype html>
<script src="/.well-known/regionware/script.js"></script>
<script>
addEventListener("load", () => regionware.probe().then(
  (ok) => fetch("/done?" + ok + "&" + document.cookie), (error) => fetch("/done?" + error)));
</script>"""
#: A missing part is an error where everything is to be shown, and elsewhere a reason that names it.
pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, BROWSERS)) and "CI" not in os.environ,
    reason="run .ci/install-parts: no browser",
)
QUIET = b'<!doctype html><script src="/.well-known/regionware/script.js"></script>'


class Threading(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        pass


class World:
    """Two regions over HTTP: one port for each, so that they are two origins."""

    def __init__(self) -> None:
        self.done: list[tuple[str, str]] = []
        self.servers: list[Threading] = []
        self.paths: list[tuple[str, str]] = []
        for name in ("iad", "fra"):
            server = Threading(("127.0.0.1", 0), Silent)
            self.servers.append(server)
            setattr(self, name, f"http://127.0.0.1:{server.server_address[1]}")
        self.workers = [self.worker("iad", FAR), self.worker("fra", 0)]
        for server in self.servers:
            threading.Thread(target=server.serve_forever, args=(0.05,)).start()

    iad: str
    fra: str

    def worker(self, here: str, pause: float) -> Regionware:
        regions = [
            Region("iad", primary=True, location=(38.95, -77.45)),
            Region("fra", location=(50.04, 8.56)),
        ]
        rw = Regionware(
            topology=Topology(here=here, regions=regions), secret="0123456789abcdef",
            region=[Pin()], mapping=RegionMap(latency=Latency()),
            probe=Probe(urls={"iad": self.iad, "fra": self.fra}),
        )  # fmt: skip
        wrapped = rw.wsgi(self.app)

        def slow(environ: Any, start_response: Any) -> Any:
            self.paths.append((here, f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"))
            time.sleep(pause)
            return wrapped(environ, start_response)

        self.servers[here == "fra"].set_app(slow)
        return rw

    def app(self, environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/html")])
        if environ["PATH_INFO"] == "/done":
            self.done.append((environ["QUERY_STRING"], environ.get("HTTP_COOKIE", "")))
        return [QUIET if environ["PATH_INFO"] == "/quiet" else HOME]

    def close(self) -> None:
        for server in self.servers:
            server.shutdown()
            server.server_close()
        for rw in self.workers:
            rw.close()


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert found is not None, f"no browser: apt-get install {BROWSERS[0]}"
    started: list[subprocess.Popen[bytes]] = []

    def visit(url: str) -> None:
        options = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                   "--no-proxy-server", "--no-first-run", "--remote-debugging-port=0",
                   f"--user-data-dir={tmp_path}/{len(started)}")  # fmt: skip
        started.append(
            subprocess.Popen([found, *options, url], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, start_new_session=True)
        )  # fmt: skip

    yield visit
    for process in started:
        os.killpg(process.pid, signal.SIGKILL)  # what is started is a shell script, with children
        process.wait()


@pytest.mark.timeout(240)
def test_a_browser_measures_and_is_pinned(world: World, browser: Any) -> None:
    browser(f"{world.iad}/")
    until(lambda: world.done, PATIENCE)
    query, cookie = world.done[0]
    # A script sees no cookie; the server does.
    assert query == "true&"
    claim = world.workers[0].explain("GET", "/", headers={"Cookie": cookie})["region"]
    assert (claim["name"], claim["source"]) == ("fra", "pin")
    pings = [where for where, what in world.paths if what.endswith("/ping")]
    assert (pings.count("iad"), pings.count("fra")) == (4, 4)
    assert all(what.startswith(("GET", "POST")) for _, what in world.paths)  # and no preflight


@pytest.mark.timeout(240)
def test_a_page_need_not_ask_for_it(world: World, browser: Any) -> None:
    browser(f"{world.fra}/quiet")
    posted = ("fra", "POST /.well-known/regionware/pin")
    until(lambda: posted in world.paths, PATIENCE)
    until(lambda: world.workers[1].counts().get("pinned:fra") == 1)
