"""Everything that runs: databases, Redis servers, the distance, and the application's servers.

Two regions on one machine. Whatever goes from one to the other goes through a proxy that delays
it: replication, the far region's connections to the primary, each region's to the other's Redis,
and the requests of far clients to servers in the primary region.
"""

import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from types import TracebackType
from typing import Literal, Self
from urllib.parse import urlsplit

import httpx

from regionware.demo import assets, schema
from regionware.demo.policies import FAR, NEAR
from regionware.parts import guard
from regionware.parts.postgres import Cluster
from regionware.parts.process import ServerFailed, ServerProcess, free_port
from regionware.parts.proxy import ProxyProcess
from regionware.parts.redis import RedisServer

Flavour = Literal["asgi", "wsgi"]

#: Seconds that a server may take to answer its first request.
PATIENCE = 30.0

_DATABASE = "REGIONWARE_IAD_DATABASE"


@dataclass(frozen=True, slots=True)
class Site:
    """One deployment, as a client of the far and of the primary region reaches it."""

    far: str
    near: str


def _uvicorn(port: int, workers: int) -> list[str]:
    arguments = [
        "--workers",
        str(workers),
        "--http",
        "httptools",
        "--no-access-log",
        "--no-proxy-headers",
    ]
    arguments += ["--no-date-header", "--log-level", "warning", "--factory"]
    return ["-m", "uvicorn", "regionware.demo.asgi:application", "--port", str(port), *arguments]


def _granian(port: int, workers: int) -> list[str]:
    arguments = [
        "--workers",
        str(workers),
        "--interface",
        "wsgi",
        "--blocking-threads",
        "12",
        "--no-ws",
        "--http",
        "1",
    ]
    arguments += ["--log-level", "warning", "--factory"]
    return ["-m", "granian", "regionware.demo.wsgi:application", "--port", str(port), *arguments]


def _addresses(database: str, replica: str, near_redis: str, far_redis: str) -> dict[str, str]:
    """The topology as one of the regions reaches it, for `Topology.from_env`."""
    return {
        _DATABASE: database,
        "REGIONWARE_FRA_REPLICAS": replica,
        "REGIONWARE_IAD_REDIS": near_redis,
        "REGIONWARE_FRA_REDIS": far_redis,
    }


class Fleet:
    """The whole, started in order and ended in the other. A context manager.

    Attributes:
        bare_near: (a) the bare application in the primary region.
        bare_far: (b) the bare application in both regions, with the one database.
        regionware: (c) the application with regionware in both regions.
    """

    bare_near: Site
    bare_far: Site
    regionware: Site

    def __init__(
        self, flavour: Flavour, *, rtt: float, keep: Path | None = None, unprotected: bool = False
    ) -> None:
        """Describe it.

        Args:
            flavour: which of the two applications.
            rtt: milliseconds of a round trip between the regions.
            keep: a folder for data and logs that stay; `None` for temporary ones.
            unprotected: the application without regionware's guarantees.
        """
        self._command = _uvicorn if flavour == "asgi" else _granian
        self._one_way = rtt / 2000
        self._keep = keep
        self._extra = {"DEMO_UNPROTECTED": "1"} if unprotected else {}
        self._stack = ExitStack()
        self._secret = token_hex(16)
        self._waiting: list[tuple[ServerProcess, str]] = []
        self._logs = Path()

    def __enter__(self) -> Self:
        """Start everything, and wait until it answers."""
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End everything."""
        self._stack.close()

    def _start(self) -> None:
        self._logs = self._folder()
        cluster = self._stack.enter_context(
            Cluster(self._keep / "postgres" if self._keep is not None else None)
        )
        near_redis = self._stack.enter_context(RedisServer())
        far_redis = self._stack.enter_context(RedisServer())
        cluster.primary.query(schema.CREATE)
        bare = free_port()
        primary, to_near, to_far, http = self._distant(
            cluster.url, near_redis.url, far_redis.url, f"http://127.0.0.1:{bare}"
        )
        self._replica = replica = cluster.replica("fra", upstream_port=_port(primary))
        [from_near] = self._distant(replica.url)
        # Each region's own servers are next to it, and the other's are at a distance.
        near = _addresses(cluster.url, from_near, near_redis.url, to_far)
        far = _addresses(primary, replica.url, to_near, far_redis.url)
        self._serve_all(bare, http, near, far)

    @contextmanager
    def lagging(self, seconds: float) -> Iterator[None]:
        """The far replica replays every commit so many seconds late."""
        try:
            self._delay(f"{seconds * 1000:.0f}ms")
            yield
        finally:
            self._delay("0")

    def _delay(self, setting: str) -> None:
        # ALTER SYSTEM runs in no transaction, which two statements in one text would be.
        self._replica.query(f"ALTER SYSTEM SET recovery_min_apply_delay = '{setting}'")
        self._replica.query("SELECT pg_reload_conf()")

    def _serve_all(
        self, port: int, http: str, near: Mapping[str, str], far: Mapping[str, str]
    ) -> None:
        """Start the four application servers at once, and wait for all of them."""
        bare = self._serve("bare-iad", {"DEMO_BARE": near[_DATABASE]}, port=port)
        bare_far = self._serve("bare-fra", {"DEMO_BARE": far[_DATABASE]})
        self.bare_near = Site(far=http, near=bare)
        self.bare_far = Site(far=bare_far, near=bare)
        self.regionware = Site(
            far=self._serve("regionware-fra", self._environ(FAR, far), workers=2),
            near=self._serve("regionware-iad", self._environ(NEAR, near)),
        )
        for process, url in self._waiting:
            _await(process, url)
        self._stack.callback(self._ask_to_end)

    def _ask_to_end(self) -> None:
        """Ask the application servers all at once: each takes a moment."""
        guard.send([process.pid for process, _ in self._waiting], signal.SIGTERM)

    def _environ(self, here: str, addresses: Mapping[str, str]) -> dict[str, str]:
        return {
            "REGIONWARE_REGION": here,
            "REGIONWARE_REGIONS": f"{NEAR},{FAR}",
            "REGIONWARE_PRIMARY": NEAR,
            "REGIONWARE_IAD_LOCATION": "38.95,-77.45",
            "REGIONWARE_FRA_LOCATION": "50.04,8.56",
            "REGIONWARE_SECRET": self._secret,
            **addresses,
            **self._extra,
        }

    def _folder(self) -> Path:
        """Where the servers' logs go."""
        if self._keep is None:
            return Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="demo-")))
        logs = self._keep / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        return logs

    def _distant(self, *urls: str) -> list[str]:
        """Put the distance before some servers: the URLs at which the other region reaches them."""
        proxies = ProxyProcess([_port(url) for url in urls], self._one_way)
        ports = self._stack.enter_context(proxies).ports
        return [url.replace(f":{_port(url)}", f":{ports[_port(url)]}") for url in urls]

    def _serve(
        self, name: str, environ: Mapping[str, str], *, port: int | None = None, workers: int = 1
    ) -> str:
        port = port or free_port()
        process = self._run(name, [sys.executable, *self._command(port, workers)], environ)
        url = f"http://127.0.0.1:{port}"
        self._waiting.append((process, url))
        return url

    def _run(
        self, name: str, argv: list[str], environ: Mapping[str, str] | None = None
    ) -> ServerProcess:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("REGIONWARE_", "DEMO_"))}
        process = ServerProcess(
            argv, log=self._logs / f"{name}.log", environ={**clean, **(environ or {})}
        )
        self._stack.callback(process.end, timeout=2.0)
        return process


def _port(url: str) -> int:
    port = urlsplit(url).port
    if port is None:
        raise ValueError("a server's URL without a port")
    return port


def _await(process: ServerProcess, url: str) -> None:
    """Wait until a server answers.

    Raises:
        ServerFailed: it ended, or does not answer in time; carries the end of its log.
    """
    limit = time.monotonic() + PATIENCE
    while process.running and time.monotonic() < limit:
        try:
            httpx.get(url + assets.PATH, trust_env=False, timeout=5).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.05)
        else:
            return
    raise ServerFailed(f"{process.log.stem} does not answer:\n{process.tail()}")
