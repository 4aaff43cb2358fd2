"""Real servers with two worker processes: uvicorn for ASGI, granian for WSGI."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import httpx
import pytest

from regionware.parts.process import ServerProcess, free_port
from regionware.parts.redis import RedisServer
from tests.conformance.harness import Flavour, until

ROOT = Path(__file__).parents[2]
WORKERS = 2
_NAMES = count()


def command(flavour: Flavour, port: int) -> list[str]:
    common = ["--port", str(port), "--workers", str(WORKERS), "--log-level", "warning"]
    if flavour == "asgi":
        return ["uvicorn", "tests.servers.application:asgi", *common, "--no-proxy-headers"]
    return [
        "granian", "tests.servers.application:wsgi", *common,
        "--interface", "wsgi", "--blocking-threads", "4", "--no-ws",
    ]  # fmt: skip


@dataclass
class Server:
    """A running server, and the gates of its application."""

    url: str
    gates: Path
    process: ServerProcess

    def new(self, kind: str = "/cached") -> str:
        """The URL of something new."""
        return f"{self.url}{kind}/item-{next(_NAMES)}"

    def ask(self, url: str, method: str = "GET", **fields: str) -> httpx.Response:
        """One request, on a connection of its own: any worker may take it."""
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        return httpx.request(method, url, headers=headers, timeout=30, trust_env=False)

    def open(self, url: str) -> None:
        """Let the body of a URL go on."""
        (self.gates / url.rpartition("/")[2]).touch()

    def answers(self) -> bool:
        try:
            return self.ask(f"{self.url}/").status_code == 200
        except httpx.TransportError:
            assert self.process.running, self.process.tail()
            return False


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def server(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    redis_server: RedisServer,
) -> Iterator[Server]:
    port, folder = free_port(), tmp_path_factory.mktemp("server")
    environ = {**os.environ, "SERVERS_REDIS": redis_server.url, "SERVERS_GATES": str(folder)}
    argv = [sys.executable, "-m", *command(request.param, port)]
    process = ServerProcess(argv, log=folder / "log", environ=environ, directory=ROOT)
    server = Server(f"http://127.0.0.1:{port}", folder, process)
    try:
        until(server.answers, 60)
        yield server
    finally:
        process.end(timeout=10)


def test_a_miss_then_hits_from_every_worker(server: Server) -> None:
    url = server.new()
    first = server.ask(url)
    assert "fwd=miss" in first.headers["cache-status"]
    answers = [server.ask(url) for _ in range(20)]
    assert {answer.text for answer in answers} == {first.text}
    assert all("hit" in answer.headers["cache-status"] for answer in answers)
    assert all(int(answer.headers["age"]) >= 0 for answer in answers)


def test_what_is_not_cached_is_always_new(server: Server) -> None:
    """The positive control: the application never says the same twice."""
    url = server.new("/uncached")
    answers = {server.ask(url).text for _ in range(20)}
    assert len(answers) == 20
    assert len({answer.partition("/")[0] for answer in answers}) <= WORKERS


def test_not_modified(server: Server) -> None:
    url = server.new()
    etag = server.ask(url).headers["etag"]
    for _ in range(5):
        answer = server.ask(url, If_None_Match=etag)
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == etag
        assert server.ask(url, If_None_Match='"another"').status_code == 200


@pytest.mark.parametrize("kind", ["/cached", "/uncached"])
def test_head(server: Server, kind: str) -> None:
    url = server.new(kind)
    for _ in range(3):
        head = server.ask(url, "HEAD")
        assert (head.status_code, head.content) == (200, b"")
        assert int(head.headers["content-length"]) > 0
        whole = server.ask(url)
        assert int(whole.headers["content-length"]) == len(whole.content)


@pytest.mark.parametrize("kind", ["/cached/waiting", "/uncached/waiting"])
def test_the_first_byte_arrives_before_the_last_is_made(server: Server, kind: str) -> None:
    url = server.new(kind)
    with httpx.stream("GET", url, timeout=30, trust_env=False) as answer:
        chunks = answer.iter_raw()
        assert next(chunks) == b"first"
        server.open(url)
        assert b"".join(chunks) == b"last"
    assert server.ask(url).content == b"firstlast"


@pytest.mark.parametrize("kind", ["/cached/waiting", "/uncached/waiting"])
def test_a_client_that_leaves_in_the_middle(server: Server, kind: str) -> None:
    urls = [server.new(kind) for _ in range(4)]
    for url in urls:
        with httpx.stream("GET", url, timeout=30, trust_env=False) as answer:
            assert next(answer.iter_raw()) == b"first"
    for url in urls:
        server.open(url)
        for _ in range(3):
            assert server.ask(url).content == b"firstlast"
    assert server.ask(server.new()).status_code == 200


def test_a_purge_reaches_every_worker(server: Server) -> None:
    url = server.new()
    old = server.ask(url).text
    assert {server.ask(url).text for _ in range(10)} == {old}
    assert server.ask(f"{server.url}/purge/{url.rpartition('/')[2]}").status_code == 200
    until(lambda: old not in {server.ask(url).text for _ in range(10)})
    assert len({server.ask(url).text for _ in range(10)}) == 1


@pytest.fixture
def own_server(tmp_path: Path, redis_server: RedisServer) -> Iterator[Callable[[Flavour], Server]]:
    """Makes a server that a test may end."""
    made: list[Server] = []

    def own_server(flavour: Flavour) -> Server:
        port = free_port()
        environ = {**os.environ, "SERVERS_REDIS": redis_server.url, "SERVERS_GATES": str(tmp_path)}
        argv = [sys.executable, "-m", *command(flavour, port)]
        process = ServerProcess(argv, log=tmp_path / "log", environ=environ, directory=ROOT)
        server = Server(f"http://127.0.0.1:{port}", tmp_path, process)
        made.append(server)
        until(server.answers, 60)
        return server

    yield own_server
    for server in made:
        server.process.end(timeout=10)


@pytest.mark.parametrize("flavour", ["asgi", "wsgi"])
def test_a_server_ends_when_it_is_told_to(
    own_server: Callable[[Flavour], Server], flavour: Flavour
) -> None:
    """Nothing of ours keeps a worker from ending, and nothing complains on the way."""
    server = own_server(flavour)
    url = server.new()
    for _ in range(4):
        server.ask(url)
    assert len(server.process.pids()) > WORKERS
    os.kill(server.process.pid, signal.SIGTERM)
    until(lambda: not server.process.running)
    assert "Traceback" not in server.process.tail(100_000)
