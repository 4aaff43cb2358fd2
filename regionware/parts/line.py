"""One connection over a line with distance: two flows of data, each late by the same time."""

import asyncio
import enum
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import cast

#: Bytes on their way in one direction of one connection before its sender is made to wait.
WINDOW = 4 * 1024 * 1024

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no time: close with a reset, see socket(7).


class Line:
    """What all connections of one proxy share.

    Attributes:
        delay: seconds each direction takes.
        holding: nothing gets through, and nothing is lost.
        connections: connections made since the last `reset`.
        bytes_up: bytes from clients since then.
        bytes_down: bytes to clients since then.
        round_trips: bursts from a client that follow a connection's opening or a burst of the
            server; what a server sends unasked counts as a burst as well.
    """

    def __init__(self, delay: float) -> None:
        """Start with counters at zero."""
        self.delay = delay
        self.holding = False
        self.reset()

    def reset(self) -> None:
        """Set the counters to zero; open connections stay open."""
        self.connections = 0
        self.bytes_up = 0
        self.bytes_down = 0
        self.round_trips = 0


class Mark(enum.Enum):
    """What is sent in order with the data."""

    EOF = "the sender sends no more"
    CLOSED = "the sender has closed the connection"
    BROKEN = "the sender's connection broke"


class Flow:
    """One direction of a connection: what was sent and has not arrived."""

    def __init__(self, link: "Link", ready: float) -> None:
        """Describe an empty flow in which data travels from the loop's time `ready` on."""
        self.source: asyncio.Transport | None = None
        self.sink: asyncio.Transport | None = None
        self.sink_full = False
        self.ended = False
        self._link = link
        self._ready = ready
        self._queue: deque[tuple[float, bytes | Mark]] = deque()
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None

    def send(self, item: bytes | Mark) -> None:
        """Put an item on its way; it arrives after the delay, never before an earlier one."""
        due = 0.0
        if delay := self._link.line.delay:
            due = max(self._link.loop.time(), self._ready) + delay
        if self._queue:
            due = max(due, self._queue[-1][0])
        self._queue.append((due, item))
        self._size += len(item) if isinstance(item, bytes) else 0
        self.advance()

    def advance(self) -> None:
        """Deliver what is due, and arrange to be called again for the rest."""
        self._stop_timer()
        while self._queue and self.sink and not self.sink_full and not self._link.line.holding:
            due, item = self._queue[0]
            if due > self._link.loop.time():
                self._timer = self._link.loop.call_at(due, self.advance)
                break
            self._queue.popleft()
            self._deliver(self.sink, item)
        self._throttle()

    def drop(self) -> None:
        """Forget what is on its way."""
        self._queue.clear()
        self._size = 0
        self._stop_timer()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _deliver(self, sink: asyncio.Transport, item: bytes | Mark) -> None:
        if isinstance(item, bytes):
            self._size -= len(item)
            sink.write(item)
        elif item is Mark.EOF:
            self.ended = True
            try:
                sink.write_eof()
            except OSError:  # The receiver has broken the connection, unnoticed so far.
                sink.abort()
            self._link.half_closed()
        elif item is Mark.CLOSED:
            sink.close()
        else:
            reset(sink)

    def _throttle(self) -> None:
        """Read no more from the sender than is good for memory."""
        if self.source is None or self.source.is_closing():
            return
        if self._size > WINDOW:
            self.source.pause_reading()
        elif self._size <= WINDOW // 2:
            self.source.resume_reading()


def reset(transport: asyncio.Transport) -> None:
    """Close a connection at once, with a reset instead of an orderly end."""
    connection = cast("socket.socket | None", transport.get_extra_info("socket"))
    if connection is not None and not transport.is_closing():
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()


class End(asyncio.Protocol):
    """One end of a connection: sends into one flow, receives from the other."""

    def __init__(self, link: "Link", *, client: bool) -> None:
        """Describe the client's or the server's end of `link`."""
        self._link = link
        self._client = client
        self._out, self._in = (link.up, link.down) if client else (link.down, link.up)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Join the flows; what waited for this end is delivered."""
        self._out.source = self._in.sink = cast("asyncio.Transport", transport)
        if self._link.aborted:
            self._link.abort()
        self._in.advance()

    def data_received(self, data: bytes) -> None:
        """Count and pass on."""
        self._link.count(len(data), client=self._client)
        self._out.send(data)

    def eof_received(self) -> bool:
        """Pass on that no more comes; the other direction stays open."""
        self._out.send(Mark.EOF)
        return True

    def pause_writing(self) -> None:
        """Wait: the receiver is slow."""
        self._in.sink_full = True

    def resume_writing(self) -> None:
        """Go on: the receiver has caught up."""
        self._in.sink_full = False
        self._in.advance()

    def connection_lost(self, exc: Exception | None) -> None:
        """Close the other end, behind the data that is on its way there."""
        self._out.source = self._in.sink = None
        self._in.drop()
        self._out.send(Mark.BROKEN if exc is not None else Mark.CLOSED)
        self._link.lost(client=self._client)


class Link:
    """One connection through a proxy, from its acceptance until both ends are closed.

    Attributes:
        line: the line it goes over.
        loop: the event loop it lives in.
        up: from the client to the server.
        down: from the server to the client.
        aborted: `abort` was called; an end that is connected later is closed.
    """

    def __init__(
        self, line: Line, loop: asyncio.AbstractEventLoop, gone: Callable[["Link"], None]
    ) -> None:
        """Open it now; `gone` is called once, when both ends are closed."""
        self.line = line
        self.loop = loop
        self.aborted = False
        # The client's first data follows a handshake that took a round trip.
        self.up = Flow(self, loop.time() + 2 * line.delay)
        self.down = Flow(self, loop.time() + line.delay)
        self._gone = gone
        self._client_lost = False
        self._server_lost = False
        self._client_spoke = False

    def count(self, size: int, *, client: bool) -> None:
        """Note a piece of data from one end."""
        if client:
            self.line.bytes_up += size
            self.line.round_trips += not self._client_spoke
        else:
            self.line.bytes_down += size
        self._client_spoke = client

    def half_closed(self) -> None:
        """Close both ends if neither sends any more."""
        if self.up.ended and self.down.ended:
            for flow in (self.up, self.down):
                if flow.sink is not None:
                    flow.sink.close()

    def lost(self, *, client: bool) -> None:
        """Note that one end is closed."""
        self._client_lost |= client
        self._server_lost |= not client
        if self._client_lost and self._server_lost:
            self._gone(self)

    def unconnected(self) -> None:
        """Break the connection: there is no server's end, and there will be none."""
        self.abort()
        self.lost(client=False)

    def abort(self) -> None:
        """Break the connection at both ends, now."""
        self.aborted = True
        for flow in (self.up, self.down):
            flow.drop()
            if flow.sink is not None:
                reset(flow.sink)
