"""ASGI: a request that is carried out in another region, in place of the application."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from regionware.adapters.asgi_request import App, Message, Receive, Scope, Send
from regionware.exchange import Exchange
from regionware.forwarding import fields
from regionware.forwarding.decision import Way, replay
from regionware.forwarding.outcome import cut, failed, runs_here
from regionware.forwarding.outgoing import (
    ContentFailed,
    ForwardFailed,
    Outgoing,
    Truncated,
    outgoing,
    signed,
)
from regionware.forwarding.returning import take
from regionware.serving import Reply

if TYPE_CHECKING:
    from regionware.forwarding.client import Client

#: Characters of a path that stand for themselves (RFC 3986, section 3.3).
_PATH = "/:@!$&'()*+,;=-._~"


class Elsewhere:
    """Stands for the application, for one request."""

    def __init__(
        self, app: App, exchange: Exchange, way: Way, client: "Client | None", outer: Scope
    ) -> None:
        """Describe it; `outer` is the request as it came, from which nothing was removed."""
        self._app = app
        self._exchange = exchange
        self._way = way
        self._client = client
        self._outer = outer
        #: What was read to see whether there is a content at all.
        self._first: Message | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have the request carried out, and pass the response on as it comes."""
        if self._way.kind != "forward" or self._client is None:
            await self._replay(scope, send)
            return
        try:
            reply = await self._forward(self._client, scope, receive, send)
        except ForwardFailed as error:
            if runs_here(self._exchange, error, self._way.write.fallback):
                await self._app(scope, self._again(receive), send)
                return
            reply = failed(self._exchange, error, self._way.region)
        except ContentFailed as error:
            reply = cut(self._exchange, error, self._way.region)
        if reply is not None:
            await _answer(reply, send)

    async def _replay(self, scope: Scope, send: Send) -> None:
        region, outer = self._way.region, self._outer
        hop = signed(self._exchange, region, scope["headers"], outer["headers"], _client(outer))
        self._exchange.tell("replayed", region.name)
        await _answer(replay(self._way, hop), send)

    async def _forward(
        self, client: "Client", scope: Scope, receive: Receive, send: Send
    ) -> Reply | None:
        length = await self._length(scope, receive)
        call = self._call(scope, length)
        content = _content(self._again(receive), call)
        response = await client.asend(call, content)
        self._exchange.tell("forwarded", call.region.name)
        try:
            headers = take(self._exchange, call.region, response.status, response.headers)
            start = {"type": "http.response.start", "status": response.status, "headers": headers}
            await send(start)
            watching = asyncio.ensure_future(_leaving(receive))
            try:
                async with aclosing(client.apieces(response)) as pieces:
                    async for chunk in pieces:
                        await send({"type": "http.response.body", "body": chunk, "more_body": True})
                        if watching.done():
                            return None
            except Truncated:
                self._exchange.tell("forward-failed", "truncated")
                raise
            finally:
                watching.cancel()
        finally:
            await response.aclose()
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        return None

    def _call(self, scope: Scope, length: int | None) -> Outgoing:
        headers = list(scope["headers"])
        if not scope.get("http_version", "1.1").startswith("1"):
            headers = fields.one_cookie(headers)
        if length is not None and length < 0:
            raise ForwardFailed("unsendable", sent=False)
        call = outgoing(
            self._exchange, self._way, target=_target(self._outer), headers=headers,
            outer=self._outer["headers"], client=_client(self._outer), length=length,
        )  # fmt: skip
        if call is None:
            raise ForwardFailed("unsendable", sent=False)
        return call

    async def _length(self, scope: Scope, receive: Receive) -> int | None:
        """Octets of the content; `None` where only its end tells."""
        framing = dict(scope["headers"])
        if b"transfer-encoding" in framing:
            return None  # it overrides a length (RFC 9112, section 6.3)
        if b"content-length" in framing:
            return fields.length_of(framing[b"content-length"].decode("latin-1"))
        if scope.get("http_version", "1.1").startswith("1"):
            return 0
        # Over HTTP/2 content can come without any field that announces it.
        self._first = await receive()
        empty = not self._first.get("body") and not self._first.get("more_body")
        return 0 if empty else None

    def _again(self, receive: Receive) -> Receive:
        """What was read already comes first."""

        async def reading() -> Message:
            if self._first is None:
                return await receive()
            first, self._first = self._first, None
            return first

        return reading


async def _content(receive: Receive, call: Outgoing) -> AsyncGenerator[bytes, None]:
    """The content as it comes; nothing is kept."""
    limit, taken, more = call.write.body_limit, 0, call.length != 0
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise ContentFailed("gone")
        chunk, more = message.get("body", b""), message.get("more_body", False)
        taken += len(chunk)
        if limit is not None and taken > limit:
            raise ContentFailed("limit")
        if chunk:
            yield chunk


async def _leaving(receive: Receive) -> None:
    """Wait until the client leaves."""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return
        # A server that repeats itself must not keep the loop busy.
        await asyncio.sleep(1)


def _target(scope: Scope) -> bytes:
    """The request target as it was sent; made from the path, where somebody has changed that."""
    root, path, raw = scope.get("root_path", ""), scope["path"], scope.get("raw_path")
    whole = path if path.startswith(root) else root + path
    if raw is None or unquote(raw.decode("latin-1")) != whole:
        raw = quote(whole, safe=_PATH).encode()
    return fields.request_target(raw, scope["query_string"])


def _client(scope: Scope) -> tuple[str | None, int]:
    client = scope.get("client")
    return (None, 0) if not client else (client[0], client[1] or 0)


async def _answer(reply: Reply, send: Send) -> None:
    headers = list(reply.headers)
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
