"""A Redis master with a replica, and sentinels that watch them, on loopback for tests."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

from regionware.parts.binaries import redis_server
from regionware.parts.part import Part, wait_until
from regionware.parts.process import (
    ServerFailed,
    ServerProcess,
    accepts,
    free_port,
    remove_folder,
    temporary_folder,
)
from regionware.parts.redis import RedisServer

#: Seconds in which the sentinels must have found everybody.
PATIENCE: Final = 30.0


class Sentinel:
    """One sentinel, which writes down in a file of its own what it learns."""

    def __init__(self, lines: list[str]) -> None:
        """Start it with the lines of its file, besides its port."""
        self.port = free_port()
        self._directory = temporary_folder()
        self._file = self._directory / "sentinel.conf"
        own = [f"port {self.port}", "bind 127.0.0.1", f"dir {self._directory}"]
        self._file.write_text("\n".join(own + lines) + "\n", "utf-8")
        self.start()

    def start(self) -> None:
        """Start it, with what it has learned before."""
        program: Path = redis_server()
        self._process = ServerProcess(
            [program, self._file, "--sentinel"],
            log=self._directory / "server.log",
            directory=self._directory,
        )

    @property
    def running(self) -> bool:
        """Whether its process exists."""
        return self._process.running

    def tail(self) -> str:
        """The end of its log."""
        return self._process.tail()

    def kill(self) -> None:
        """Kill it."""
        self._process.kill()

    def close(self) -> None:
        """End it and remove its folder."""
        self._process.end()
        remove_folder(self._directory)


class SentinelGroup(Part):
    """A master, a replica and sentinels.

    Attributes:
        servers: the two servers that hold data; the first is the master to begin with.
        sentinels: those who watch.
        name: by which they know the master.
    """

    def __init__(
        self, sentinels: int = 1, *, quorum: int = 1, down_after: float = 0.5, name: str = "main"
    ) -> None:
        """Describe the group.

        Args:
            sentinels: how many.
            quorum: how many of them must miss the master.
            down_after: seconds after which one of them misses it.
            name: by which they know the master.
        """
        self.name = name
        self._count = sentinels
        self._quorum = quorum
        self._down_after = round(down_after * 1000)
        first = RedisServer(options=["--repl-diskless-sync-delay", "0"])
        second = RedisServer(
            options=["--repl-diskless-sync-delay", "0", "--replicaof", f"127.0.0.1 {first.port}"]
        )
        self.servers = [first, second]
        self.sentinels: list[Sentinel] = []
        self._open = ExitStack()

    @property
    def url(self) -> str:
        """The URL that names the sentinels."""
        hosts = ",".join(f"127.0.0.1:{each.port}" for each in self.sentinels)
        return f"redis+sentinel://{hosts}/{self.name}"

    @property
    def master(self) -> RedisServer:
        """The server that is the master, as it says itself; of two, the later one.

        Raises:
            ServerFailed: none is at present.
        """
        for server in reversed(self.servers):
            if server.running and not server.paused and _is_master(server):
                return server
        raise ServerFailed("there is no master at present")

    def start(self) -> Self:
        """Start everything, and wait until every sentinel knows everybody.

        Raises:
            ServerFailed: they do not within `PATIENCE` seconds.
        """
        for server in self.servers:
            self._open.callback(server.start().close)
        self._until(lambda: "master_link_status:up" in self.servers[1].command("INFO replication"))
        for _ in range(self._count):
            sentinel = Sentinel(self._lines())
            self.sentinels.append(sentinel)
            self._open.callback(sentinel.close)
        self._until(lambda: all(self._knows_all(each) for each in self.sentinels))
        return self

    def fail_over(self) -> RedisServer:
        """Kill the master, and wait until the replica has taken over; the new master."""
        old = self.master
        old.kill()
        other = next(server for server in self.servers if server is not old)
        self._until(lambda: _is_master(other))
        return other

    def close(self) -> None:
        """End everything."""
        self._open.close()
        self.sentinels = []

    def _lines(self) -> list[str]:
        master = f"sentinel monitor {self.name} 127.0.0.1 {self.servers[0].port} {self._quorum}"
        return [
            master,
            f"sentinel down-after-milliseconds {self.name} {self._down_after}",
            f"sentinel failover-timeout {self.name} 3000",
        ]

    def _knows_all(self, sentinel: Sentinel) -> bool:
        if not sentinel.running:
            raise ServerFailed(f"a sentinel did not start:\n{sentinel.tail()}")
        if not accepts(sentinel.port):
            return False
        info = RedisServer.ask(sentinel.port, "INFO sentinel")
        return (
            f"status=ok,address=127.0.0.1:{self.servers[0].port},slaves=1,sentinels={self._count}"
            in info
        )

    @staticmethod
    def _until(true: Callable[[], bool]) -> None:
        why = "master, replica and sentinels do not find each other"
        wait_until(true, patience=PATIENCE, why=why)


def _is_master(server: RedisServer) -> bool:
    try:
        return "role:master" in server.command("INFO replication")
    except (OSError, ServerFailed):
        return False  # it does not say yet
