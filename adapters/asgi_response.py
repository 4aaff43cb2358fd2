"""A response on its way out through ASGI.

Every message goes out before it is copied, so that the first byte is never delayed. A client that
does not take the last one keeps nobody waiting: then the response is kept meanwhile.
"""

import asyncio
from functools import partial
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
from regionware.adapters.asgi_standing import Watched
from regionware.caching.freshness import DECIDING, of_connection
from regionware.drive import adrive
from regionware.effects import Plan
from regionware.ending import failed
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
        "_rest", "_rim", "_send", "_started", "_status", "_telling",
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
        #: How many of the announced octets are to come; negative where nothing was announced.
        self._rest = -1
        #: The region is told while a client takes its time.
        self._telling: asyncio.Task[None] | None = None

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
                    await answer(reply, partial(self._replace, error))
            finally:
                await self._cut(error)
            # A framework answered 500, was overruled by the true reason, and raises that again.
            told = self._replaced and isinstance(error, Unavailable)
            if reply is None and not told:
                raise
            return
        await self._cut()

    async def _cut(self, error: BaseException | None = None) -> None:
        """The response has no end; all the same it may be whole."""
        if self._complete:
            return
        if self._exchange.kept and not failed(error):
            await self._finish()
            return
        if self._exchange.kept:
            await self._told()
            await adrive(self._exchange.retract(), self._rim.aperform)
        await adrive(self._exchange.abandon(error), self._rim.aperform)

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
        if kind != "http.response.body":
            await self._send(message)
            # A file sent by its path, or trailers: the content cannot be copied.
            self._chunks = None
            return
        more = message.get("more_body", False)
        if self._chunks is None:
            await self._send(message)
        else:
            await self._pass(message, self._chunks, message.get("body", b""), more=more)
        if not more and not self._complete:
            await self._finish()

    async def _pass(
        self, message: Message, chunks: list[bytes], chunk: bytes, *, more: bool
    ) -> None:
        """Send some content, and copy it then; before, where it is the last and is not taken."""
        if more and len(chunk) != self._rest:
            await self._send(message)
        else:
            await Watched(self._send(message), partial(self._ahead, chunks, chunk))
        if self._telling is None:
            self._copy(chunks, chunk)
            if self._left < 0:
                self._release()

    def _ahead(self, chunks: list[bytes], chunk: bytes) -> None:
        """The content is all there, and its client does not take it: others need not wait."""
        if self._telling is not None:
            return
        self._copy(chunks, chunk)
        if self._chunks is not None:
            self._exchange.keep(self._status, self._headers, b"".join(chunks), self._connection)
        self._tell(self._exchange.store())

    def _tell(self, plan: Plan[None]) -> None:
        if self._telling is None:
            self._telling = self._rim.beside(adrive(plan, self._rim.aperform))

    async def _replace(self, error: BaseException | None, message: Message) -> None:
        """Send a message of our own answer; nobody waits for its client either."""
        sending = self._send(message)
        await Watched(sending, lambda: self._tell(self._exchange.abandon(error)))

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
            await answer(edits.reply, partial(self._replace, None))
            return
        if edits is not NO_EDITS:
            message = {**message, "headers": _dressed(headers, edits)}
        await self._send(message)
        self._release()
        if edits.copy and not message.get("trailers"):
            self._status, self._headers = message["status"], message["headers"]
            self._connection = of_connection(values)
            self._chunks, self._left = [], edits.copy
            length = values.get("content-length", ("",))[0]
            self._rest = int(length) if length.isdecimal() else -1

    def _release(self) -> None:
        """What will not be stored keeps nobody in the region waiting for its end.

        Nor does its client wait for Redis.
        """
        release = self._exchange.released()
        if release is not None and self._telling is None:
            self._telling = self._rim.beside(self._rim.aperform(release))

    def _copy(self, chunks: list[bytes], chunk: bytes) -> None:
        self._left -= len(chunk)
        self._rest -= len(chunk)
        if self._left < 0:
            self._chunks = None
            self._exchange.outgrown()
        elif chunk:
            chunks.append(bytes(chunk))

    async def _told(self) -> None:
        if self._telling is not None:
            await asyncio.wait((self._telling,))
            self._telling.result()

    async def _finish(self) -> None:
        self._complete = True
        exchange = self._exchange
        await self._told()
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
