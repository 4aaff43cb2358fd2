"""Sends requests to edges by httpx: the extra `purge`. Imported where an edge is configured."""

import time
from typing import Final

import httpx

from regionware.adapters.edges.courier import TransportError
from regionware.adapters.edges.protocol import EdgeAnswer, EdgeRequest

#: Seconds: for connecting and for each read and write, and for an answer in all.
_TIMEOUT: Final = httpx.Timeout(5.0, connect=3.0)
_WHOLE: Final = 10.0
#: Octets that are read of an answer.
_MOST: Final = 1 << 16
_LIMITS: Final = httpx.Limits(max_connections=4, keepalive_expiry=30.0)


class HttpxTransport:
    """A pool of a few connections, for the threads of one process."""

    def __init__(self, transport: httpx.BaseTransport | None = None) -> None:
        """Connect to nothing yet.

        Args:
            transport: what httpx sends with, for tests.
        """
        self._client = httpx.Client(
            transport=transport, timeout=_TIMEOUT, limits=_LIMITS, follow_redirects=False
        )

    def send(self, request: EdgeRequest) -> EdgeAnswer:
        """See `Transport`."""
        try:
            return self._exchange(request)
        except Exception as error:  # noqa: BLE001 - whatever it says may quote the request
            raise TransportError(type(error).__name__) from None

    def _exchange(self, request: EdgeRequest) -> EdgeAnswer:
        limit, body = time.monotonic() + _WHOLE, bytearray()
        with self._client.stream(
            request.method, request.url, headers=list(request.fields), content=request.body
        ) as response:
            for some in response.iter_bytes():
                body += some
                if len(body) >= _MOST or time.monotonic() > limit:
                    break
            fields = {name.lower(): value for name, value in response.headers.items()}
            return EdgeAnswer(response.status_code, fields, bytes(body[:_MOST]))

    def close(self) -> None:
        """See `Transport`."""
        self._client.close()
