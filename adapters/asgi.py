"""ASGI 3 (https://asgi.readthedocs.io/en/latest/specs/www.html), over the four moments.

`http` scopes are wrapped; `lifespan` and `websocket` pass through.
"""

import asyncio
from collections.abc import MutableMapping
from contextvars import Context
from typing import Any

from regionware.adapters.asgi_away import Elsewhere
from regionware.adapters.asgi_request import (
    App,
    AsgiRequest,
    Message,
    Receive,
    Scope,
    Send,
    edited,
    impersonal,
    silent,
)
from regionware.adapters.asgi_response import Responder, answer
from regionware.adapters.probing import aprobed
from regionware.caching.entry import Entry
from regionware.context import bind, unbind
from regionware.drive import adrive
from regionware.exchange import Exchange, begin
from regionware.forwarding.decision import elsewhere
from regionware.forwarding.fields import LOOP, loops
from regionware.forwarding.ways import ARRIVED
from regionware.rim import Rim
from regionware.serving import Reply, hit_headers

__all__ = ["App", "AsgiMiddleware"]

#: Refreshes under way in this process; more are dropped.
_REFRESHES = 32
_LOOP = LOOP.encode()


class AsgiMiddleware:
    """An ASGI application, wrapped."""

    def __init__(self, app: App, rim: Rim) -> None:
        """Prepare the names that a request is searched for."""
        self.app = app
        self._rim = rim
        self._prepared = rim.prepared
        self._memory = rim.memory
        # Another protocol may not tell `_` from `-`, so nothing may hide behind such a spelling.
        names = (*rim.prepared.names(), *rim.prepared.spellings())
        self._names = {name.encode(): name for name in names}
        self._probe = rim.prepared.probe
        self._state: MutableMapping[str, Any] | None = None
        self._refreshes: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let the application answer it."""
        if scope["type"] != "http":
            await self._other(scope, receive, send)
            return
        if self._probe is not None and self._probe.marker in scope["path"]:
            reply = await aprobed(self._prepared, scope, self._names, receive)
            if reply is not None:
                await answer(reply, send)
                return
        found = begin(self._prepared, AsgiRequest(scope, self._names))
        if type(found) is Entry:
            await send(
                {
                    "type": "http.response.start",
                    "status": found.status,
                    "headers": self._wire(found),
                }
            )
            await send({"type": "http.response.body", "body": found.body})
        elif isinstance(found, Exchange):
            await self._carry(found, scope, receive, send)
        elif isinstance(found, Reply):
            if found.refresh is not None:
                self._refresh(found.refresh, scope)
            await answer(found, send)
        else:
            await self.app(scope, receive, send)

    def _wire(self, entry: Entry) -> list[tuple[bytes, bytes]]:
        """An entry's fields, prepared once for each second of its age."""
        now = self._prepared.clock()
        second, wire = int(now), entry.wire
        if wire is None or wire[0] is not self or wire[1] != second:
            wire = self._memory.dress(entry, (self, second, hit_headers(entry, now)))
        headers: list[tuple[bytes, bytes]] = wire[2]
        return headers.copy()

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self.app(self._admitted(scope), receive, send)
            return
        self._rim.start()
        # What the application keeps for all requests; each has a copy, which others may add to.
        self._state = scope.get("state")
        ended = False

        async def listening() -> Message:
            nonlocal ended
            message = await receive()
            ended = message["type"] == "lifespan.shutdown"
            return message

        async def telling(message: Message) -> None:
            nonlocal ended
            if ended and message["type"].startswith("lifespan.shutdown."):
                # A server that hears this may end its loop, and whatever still runs there.
                ended = False
                await self._rim.aclose()
            await send(message)

        try:
            await self.app(scope, listening, telling if self._rim.connects else send)
        finally:
            if ended:
                await self._rim.aclose()

    def _admitted(self, scope: Scope) -> Scope:
        """The scope of a WebSocket without the header fields that nobody vouches for."""
        if self._prepared.border is None or scope["type"] != "websocket":
            return scope
        request = AsgiRequest({"method": "GET", **scope}, self._names)
        edits = self._prepared.admit(request, self._prepared.mode)
        return scope if edits is None else edited(scope, edits)

    async def _carry(self, exchange: Exchange, scope: Scope, receive: Receive, send: Send) -> None:
        if exchange.filling is not None and not exchange.bypass:
            reply = await adrive(exchange.recall(), self._rim.aperform)
            if reply is not None:
                if reply.refresh is not None:
                    # Before the answer: its client may go away at any time.
                    self._refresh(reply.refresh, scope)
                await answer(reply, send)
                return
        token = bind(exchange)
        try:
            app = self.app if exchange.plan.write is None else self._elsewhere(exchange, scope)
            if exchange.transparent:
                if exchange.edits is not None:
                    scope = edited(scope, exchange.edits)
                await app(scope, receive, send)
            else:
                await Responder(exchange, self._rim, send).run(app, scope, receive)
        finally:
            unbind(token)

    def _elsewhere(self, exchange: Exchange, scope: Scope) -> App:
        """The application, or what stands for it where the request is carried out elsewhere."""
        if exchange.mode == "off":
            return self.app
        way = elsewhere(exchange, scope.get(ARRIVED), _went(scope))
        if way is None:
            return self.app
        return Elsewhere(self.app, exchange, way, self._rim.client, scope)

    def _refresh(self, exchange: Exchange, scope: Scope) -> None:
        """Carry out an exchange in the background, for nobody: no identity, no context."""
        if len(self._refreshes) >= _REFRESHES:
            self._rim.beside(adrive(exchange.abandon(), self._rim.aperform))
            return
        work = self._carry_out(exchange, scope)
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._refreshes.add(task)
        task.add_done_callback(self._refreshes.discard)

    async def _carry_out(self, exchange: Exchange, scope: Scope) -> None:
        if not await adrive(exchange.claim(), self._rim.aperform):
            return
        scope = impersonal(scope, exchange.impersonal(), self._state)
        token = bind(exchange)
        try:
            await Responder(exchange, self._rim, _nowhere).run(self.app, scope, silent())
        except Exception as error:  # noqa: BLE001 - reported; nobody waits for it
            self._rim.refresh_failed(exchange, error)
        finally:
            unbind(token)


def _went(scope: Scope) -> int:
    """How often a request has gone through one of us, as it says itself."""
    return loops(value.decode("latin-1") for name, value in scope["headers"] if name == _LOOP)


async def _nowhere(_: Message) -> None:
    """Where the response of a background refresh goes."""
