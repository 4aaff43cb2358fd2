"""A connection of threads on which a head as a whole has a deadline, not each of its pieces."""

import ssl
from collections.abc import Iterable
from time import monotonic
from typing import Any, Final

import httpcore

#: Seconds: a timeout of 0 would mean not to wait at all.
_LEAST: Final = 0.001


class Whole(float):
    """Seconds in which everything must be read, counted from what was written last."""


class Stream(httpcore.NetworkStream):
    """A connection that knows when it was written to."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        """Wrap a connection."""
        self._stream = stream
        self._written = monotonic()

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what has arrived, waiting for it."""
        if isinstance(timeout, Whole):
            timeout = max(self._written + timeout - monotonic(), _LEAST)
        return self._stream.read(max_bytes, timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of it."""
        self._stream.write(buffer, timeout)
        self._written = monotonic()

    def close(self) -> None:
        """Close it."""
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        """The same connection, encrypted."""
        return Stream(self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        """What is known of the connection."""
        return self._stream.get_extra_info(info)


class Backend(httpcore.NetworkBackend):
    """Makes such connections."""

    def __init__(self) -> None:
        """Over sockets."""
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect."""
        return Stream(self._sockets.connect_tcp(host, port, timeout, local_address, socket_options))
