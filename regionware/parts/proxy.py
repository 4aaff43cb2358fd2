"""A TCP proxy that puts distance between two servers, breaks the line, and counts.

Each direction is late by the same time and keeps its order, and a new connection is usable one
round trip after it was made, as over a real distance. A `DelayProxy` runs in a thread of its own.
`python -m regionware.parts.proxy LISTEN:TARGET:MILLISECONDS …` runs several in a process of
their own, which is more exact beside a busy program.
"""

import asyncio
import sys
import threading
import time
from collections.abc import Coroutine, Sequence
from typing import Any, Self
from urllib.parse import urlsplit

from regionware.parts.line import End, Line, Link
from regionware.parts.part import Part
from regionware.parts.process import (
    ServerFailed,
    ServerProcess,
    accepts,
    free_port,
    remove_folder,
    temporary_folder,
)


class DelayProxy(Part):
    """Forwards 127.0.0.1:`port` to another port.

    Attributes:
        port: where it listens, once started.
        target_port: where it forwards to.
        counters: connections, bytes and round trips; see `Line`.
        refusing: connections are broken as soon as they are made; see `refuse`.
    """

    def __init__(self, target_port: int, delay: float = 0.0, *, port: int = 0) -> None:
        """Describe the proxy.

        Args:
            target_port: the port on 127.0.0.1 to forward to.
            delay: seconds for each direction, so that a round trip takes twice as long.
            port: where to listen, 0 for any free port.
        """
        self.target_port = target_port
        self.port = port
        self.counters = Line(delay)
        self.refusing = False
        self._healed = asyncio.Event()
        self._healed.set()
        self._idle = asyncio.Event()
        self._links: dict[Link, asyncio.Task[None]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._server: asyncio.Server | None = None

    @property
    def delay(self) -> float:
        """Seconds for each direction; may be set at any time."""
        return self.counters.delay

    @delay.setter
    def delay(self, seconds: float) -> None:
        self.counters.delay = seconds

    @property
    def holding(self) -> bool:
        """Whether nothing gets through; see `black_hole`."""
        return self.counters.holding

    @property
    def open_connections(self) -> int:
        """How many connections are open, on either side."""
        return len(self._links)

    def through(self, url: str) -> str:
        """The same URL with this proxy's port instead of its own."""
        parts = urlsplit(url)
        where = parts.netloc.rpartition(":")[0]
        return parts._replace(netloc=f"{where}:{self.port}").geturl()

    def start(self) -> Self:
        """Listen and forward, in a thread of its own.

        Raises:
            OSError: the port is taken.
        """
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="proxy")
        self._thread.start()
        try:
            self._call(self._listen())
        except BaseException:
            self.close()
            raise
        return self

    def black_hole(self) -> None:
        """Let nothing through: data waits, and so do new connections. `heal` ends it."""
        self._call(self._hold())

    def refuse(self) -> None:
        """Break every connection, and each new one as soon as it is made. `heal` ends it."""
        self.refusing = True
        self.cut()

    def cut(self) -> None:
        """Break every open connection; new ones work."""
        self._call(self._cut())

    def heal(self) -> None:
        """Undo `black_hole` and `refuse`; what waited is delivered, as TCP would."""
        self.refusing = False
        self._call(self._heal())

    def close(self) -> None:
        """Break every connection and stop listening; nothing to do if that is done."""
        if self._loop is None or self._thread is None:
            return
        self._call(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = self._thread = None

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` in the proxy's thread."""
        if self._loop is None:
            work.close()
            raise RuntimeError("the proxy is not started")
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _listen(self) -> None:
        self._server = await asyncio.get_running_loop().create_server(
            self._accept, "127.0.0.1", self.port, backlog=4096
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def _accept(self) -> End:
        loop = asyncio.get_running_loop()
        link = Link(self.counters, loop, self._forget)
        self.counters.connections += 1
        self._links[link] = loop.create_task(self._connect(link))
        return End(link, client=True)

    def _forget(self, link: Link) -> None:
        self._links.pop(link, None)
        if not self._links:
            self._idle.set()

    async def _connect(self, link: Link) -> None:
        """Connect the server's end of a new connection, or break the client's."""
        connected = False
        try:
            await self._healed.wait()
            if not self.refusing:
                await asyncio.get_running_loop().create_connection(
                    lambda: End(link, client=False), "127.0.0.1", self.target_port
                )
                connected = True
        except OSError:
            await asyncio.sleep(2 * self.delay)  # A refusal takes a round trip to be known.
        finally:
            if not connected:
                link.unconnected()

    async def _hold(self) -> None:
        self.counters.holding = True
        self._healed.clear()

    async def _heal(self) -> None:
        self.counters.holding = False
        self._healed.set()
        for link in list(self._links):
            link.up.advance()
            link.down.advance()

    async def _cut(self) -> None:
        for link, task in list(self._links.items()):
            task.cancel()
            link.abort()

    async def _shut(self) -> None:
        if self._server is not None:
            self._server.close()
        tasks = list(self._links.values())
        await self._cut()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._links:  # Closing an aborted connection takes the loop one more turn.
            self._idle.clear()
            await self._idle.wait()


class ProxyProcess(Part):
    """Delay proxies in a process of their own, with nothing to switch.

    Attributes:
        ports: the port that leads to each of the targets.
    """

    def __init__(self, targets: Sequence[int], delay: float) -> None:
        """Start a proxy for each target port, `delay` seconds away in each direction."""
        self.ports = {target: free_port() for target in targets}
        self._directory = temporary_folder()
        routes = [f"{port}:{target}:{delay * 1000}" for target, port in self.ports.items()]
        self._process = ServerProcess(
            [sys.executable, "-m", __name__, *routes], log=self._directory / "proxy.log"
        )

    def start(self) -> Self:
        """Wait until every proxy accepts connections.

        Raises:
            ServerFailed: they ended instead.
        """
        for port in self.ports.values():
            self._wait(port)
        return self

    def close(self) -> None:
        """End the process."""
        self._process.end()
        remove_folder(self._directory)

    def _wait(self, port: int) -> None:
        while not accepts(port):
            if not self._process.running:
                raise ServerFailed(f"the proxies did not start:\n{self._process.tail()}")
            time.sleep(0.01)


def main(routes: Sequence[str]) -> None:
    """Run one proxy for each `LISTEN:TARGET:MILLISECONDS` until the process is ended."""
    for route in routes:
        listen, target, delay = route.split(":")
        DelayProxy(int(target), float(delay) / 1000, port=int(listen)).start()
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1:])
