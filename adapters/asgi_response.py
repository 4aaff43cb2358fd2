"""A response on its way out through ASGI.

Every message goes out before it is copied, so that the first byte is never delayed.
"""

from typing import Any

from regionware.adapters.asgi_request import (
    App,
    Message,
    Receive,
    Scope,
    Send,
    edited,
    without_content,
)
from regionware.caching.freshness import DECIDING, of_connection
from regionware.drive import adrive
from regionware.errors import Unavailable
from regionware.exchange import Exchange
from regionware.heads import NO_EDITS, HeadEdits
from regionware.rim import Rim
from regionware.serving import Reply, unavailable

_DECIDING = {name.encode(): name for name in DECIDING}


class Responder:
    """One response on its way out; its bound method is the application's `send`."""

    __slots__ = (
        "_chunks", "_complete", "_connection", "_exchange", "_headers", "_left", "_replaced",
        "_rim", "_send", "_started", "_status",
    )  # fmt: skip

    def __init__(self, exchange: Exchange, rim: Rim, send: Send) -> None:
        """Begin with nothing sent."""
        self._exchange = exchange
        self._rim = rim
        self._send = send
        self._started = False
        self._replaced = False
        self._complete = False
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._connection: tuple[str, ...] = ()
        self._chunks: list[bytes] | None = None
        self._left = 0

    async def run(self, app: App, scope: Scope, receive: Receive) -> None:
        """Call the application; whatever becomes of it, nobody is left waiting."""
        try:
            if self._exchange.edits is not None:
                scope = edited(scope, self._exchange.edits)
            if self._exchange.for_others:
                receive = without_content(receive)
            await app(scope, receive, self.send)
        except BaseException as error:
            reply = None if self._started else self._instead(error)
            if reply is not None:
                self._replaced = True
                self._rim.rescued(self._exchange, error)
            try:
                if reply is not None:
                    await answer(reply, self._send)
            finally:
                if not self._complete:
                    await adrive(self._exchange.abandon(error), self._rim.aperform)
            # A framework answered 500, was overruled by the true reason, and raises that again.
            told = self._replaced and isinstance(error, Unavailable)
            if reply is None and not told:
                raise
            return
        if not self._complete:
            await adrive(self._exchange.abandon(), self._rim.aperform)

    def _instead(self, error: BaseException) -> Reply | None:
        if isinstance(error, Unavailable):
            told = self._exchange.rescue(503) or unavailable(error, self._exchange.request)
            return self._exchange.sealed(told)
        stale = self._exchange.rescue(500) if isinstance(error, Exception) else None
        return None if stale is None else self._exchange.sealed(stale)

    async def send(self, message: Message) -> None:
        """Pass a message on, then look at it."""
        kind = message["type"]
        if kind == "http.response.start" and not self._started:
            await self._start(message)
            return
        if self._replaced:
            return
        await self._send(message)
        if kind != "http.response.body":
            # A file sent by its path, or trailers: the content cannot be copied.
            self._chunks = None
            return
        more = message.get("more_body", False)
        if self._chunks is not None:
            self._copy(self._chunks, message.get("body", b""))
            if self._left < 0 and (release := self._exchange.released()) is not None:
                await self._rim.aperform(release)
        if not more and not self._complete:
            await self._finish()

    async def _start(self, message: Message) -> None:
        self._started = True
        values: dict[str, tuple[str, ...]] = {}
        headers = message.get("headers", ())
        if not isinstance(headers, (list, tuple)):
            headers = list(headers)
        for name, value in headers:
            deciding = _DECIDING.get(name.lower())
            if deciding is not None:
                text = value.decode("latin-1")
                values[deciding] = (*values[deciding], text) if deciding in values else (text,)
        if self._exchange.owing:
            await adrive(self._exchange.capture(), self._rim.aperform)
        edits = self._exchange.head(message["status"], values, headers)
        if self._exchange.ending is not None:
            await adrive(self._exchange.invalidate(), self._rim.aperform)
        if edits.reply is not None:
            self._replaced = True
            await answer(edits.reply, self._send)
            return
        if edits is not NO_EDITS:
            message = {**message, "headers": _dressed(headers, edits)}
        await self._send(message)
        if (release := self._exchange.released()) is not None:
            # What will not be stored keeps nobody in the region waiting for its end.
            await self._rim.aperform(release)
        if edits.copy and not message.get("trailers"):
            self._status, self._headers = message["status"], message["headers"]
            self._connection = of_connection(values)
            self._chunks, self._left = [], edits.copy

    def _copy(self, chunks: list[bytes], chunk: bytes) -> None:
        self._left -= len(chunk)
        if self._left < 0:
            self._chunks = None
            self._exchange.outgrown()
        elif chunk:
            chunks.append(bytes(chunk))

    async def _finish(self) -> None:
        self._complete = True
        exchange = self._exchange
        if self._chunks is None and not exchange.pending:
            return
        body = None if self._chunks is None else b"".join(self._chunks)
        plan = exchange.finish(self._status, self._headers, body, self._connection)
        await adrive(plan, self._rim.aperform)


def _dressed(headers: Any, edits: HeadEdits) -> list[tuple[bytes, bytes]]:
    if edits.remove:
        kept = [pair for pair in headers if pair[0].lower().decode("latin-1") not in edits.remove]
    else:
        kept = list(headers)
    return kept + edits.encoded


async def answer(reply: Reply, send: Send) -> None:
    """Send a reply that is complete."""
    await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
    await send({"type": "http.response.body", "body": reply.body})
