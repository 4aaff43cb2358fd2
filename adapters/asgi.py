"""ASGI 3 (https://asgi.readthedocs.io/en/latest/specs/www.html), over the four moments.

`http` scopes are wrapped; `lifespan` and `websocket` pass through. Every message goes out before
it is copied, so that the first byte is never delayed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from contextvars import Context
from typing import Any

from regionware.caching.entry import Entry
from regionware.caching.freshness import DECIDING
from regionware.context import bind, unbind
from regionware.drive import adrive
from regionware.errors import Unavailable
from regionware.exchange import Exchange, begin
from regionware.heads import NO_EDITS, HeadEdits
from regionware.http.paths import is_odd_raw
from regionware.http.request import Request, RequestEdits
from regionware.rim import Rim
from regionware.serving import Reply, hit_headers

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_DECIDING = {name.encode(): name for name in DECIDING | {"connection"}}
#: Refreshes under way in this process; more are dropped.
_REFRESHES = 32
#: What a background refresh carries of a scope: none of what is around us has put there.
_STANDARD = (
    "type", "asgi", "http_version", "method", "scheme", "path", "raw_path", "query_string",
    "root_path", "headers", "server",
)  # fmt: skip
#: And of the header fields not: identity, conditions, and our own fields.
_PERSONAL = frozenset({
    b"authorization", b"proxy-authorization", b"if-none-match", b"if-modified-since", b"range",
    b"if-range", b"regionware-session", b"regionware-debug",
})  # fmt: skip


class AsgiRequest(Request):
    """A view of an ASGI scope."""

    __slots__ = ("_fields",)

    def __init__(self, scope: Scope, names: Mapping[bytes, str]) -> None:
        """Read what every request needs; the rest when it is asked for."""
        self._fields = scope["headers"]
        self.method = scope["method"]
        self.scheme = scope.get("scheme", "http")
        self.query = scope["query_string"].decode("latin-1")
        path, root = scope["path"], scope.get("root_path", "")
        self.root = root
        self.path = path.removeprefix(root) if root else path
        raw = scope.get("raw_path")
        self.odd = raw is not None and b"%" in raw and is_odd_raw(raw)
        client = scope.get("client")
        self.peer = client[0] if client else None
        special: dict[str, str] = {}
        for field, value in [pair for pair in self._fields if pair[0] in names]:
            name = names[field]
            text = value.decode("latin-1")
            if name in special:
                text = f"{special[name]}{'; ' if name == 'cookie' else ', '}{text}"
            special[name] = text
        self.special = special
        self.host = special["host"].lower() if "host" in special else ""

    def header(self, name: str) -> str | None:
        """See `Request`."""
        wanted = name.encode("latin-1")
        found = [value.decode("latin-1") for field, value in self._fields if field == wanted]
        return ", ".join(found) if found else None

    def headers(self) -> Iterator[tuple[str, str]]:
        """See `Request`."""
        return ((name.decode("latin-1"), value.decode("latin-1")) for name, value in self._fields)


class AsgiMiddleware:
    """An ASGI application, wrapped."""

    def __init__(self, app: App, rim: Rim) -> None:
        """Prepare the names that a request is searched for."""
        self.app = app
        self._rim = rim
        self._prepared = rim.prepared
        self._names = {name.encode(): name for name in rim.prepared.names()}
        self._state: MutableMapping[str, Any] | None = None
        self._refreshes: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let the application answer it."""
        if scope["type"] != "http":
            await self._other(scope, receive, send)
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
            await _answer(found, send)
        else:
            await self.app(scope, receive, send)

    def _wire(self, entry: Entry) -> list[tuple[bytes, bytes]]:
        """An entry's fields, prepared once for each second of its age."""
        now = self._prepared.clock()
        second, wire = int(now), entry.wire
        if wire is None or wire[0] is not self or wire[1] != second:
            entry.wire = wire = (self, second, hit_headers(entry, now))
        headers: list[tuple[bytes, bytes]] = wire[2]
        return headers.copy()

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self.app(scope, receive, send)
            return
        self._rim.start()
        # What the application keeps for all requests; each has a copy, which others may add to.
        self._state = scope.get("state")
        try:
            await self.app(scope, receive, send)
        finally:
            await self._rim.aclose()

    async def _carry(self, exchange: Exchange, scope: Scope, receive: Receive, send: Send) -> None:
        if exchange.filling is not None and not exchange.bypass:
            reply = await adrive(exchange.recall(), self._rim.aperform)
            if reply is not None:
                await _answer(reply, send)
                if reply.refresh is not None:
                    self._refresh(reply.refresh, scope)
                return
        if exchange.edits is not None:
            scope = _edited(scope, exchange.edits)
        token = bind(exchange)
        try:
            if exchange.transparent:
                await self.app(scope, receive, send)
            else:
                await Responder(exchange, self._rim, send).run(self.app, scope, receive)
        finally:
            unbind(token)

    def _refresh(self, exchange: Exchange, scope: Scope) -> None:
        """Carry out an exchange in the background, for nobody: no identity, no context."""
        for task in [task for task in self._refreshes if task.done()]:
            self._refreshes.discard(task)
        work = self._carry_out(exchange, scope)
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._refreshes.add(task)

    async def _carry_out(self, exchange: Exchange, scope: Scope) -> None:
        if len(self._refreshes) > _REFRESHES:
            await adrive(exchange.abandon(), self._rim.aperform)
            return
        exchange.impersonal()
        scope = {name: scope[name] for name in _STANDARD if name in scope}
        scope["method"] = "GET"
        if self._state is not None:
            scope["state"] = dict(self._state)
        if exchange.edits is not None:
            scope = _edited(scope, exchange.edits)
        scope["headers"] = [pair for pair in scope["headers"] if pair[0] not in _PERSONAL]
        token = bind(exchange)
        try:
            await Responder(exchange, self._rim, _nowhere).run(self.app, scope, _nothing)
        except Exception as error:  # noqa: BLE001 - reported; nobody waits for it
            self._rim.refresh_failed(exchange, error)
        finally:
            unbind(token)


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
            await app(scope, receive, self.send)
        except BaseException as error:
            reply = None if self._started else self._instead(error)
            if reply is not None:
                self._replaced = True
                self._rim.rescued(self._exchange, error)
                await _answer(reply, self._send)
            if not self._complete:
                await adrive(self._exchange.abandon(), self._rim.aperform)
            # A framework answered 500, was overruled by the true reason, and raises that again.
            told = self._replaced and isinstance(error, Unavailable)
            if reply is None and not told:
                raise
            return
        if not self._complete:
            await adrive(self._exchange.abandon(), self._rim.aperform)

    def _instead(self, error: BaseException) -> Reply | None:
        if isinstance(error, Unavailable):
            return self._exchange.rescue(503) or self._exchange.unavailable(error)
        return self._exchange.rescue(500) if isinstance(error, Exception) else None

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
        if not more and not self._complete:
            await self._finish()

    async def _start(self, message: Message) -> None:
        self._started = True
        values: dict[str, tuple[str, ...]] = {}
        headers = message.get("headers", ())
        for name, value in headers:
            deciding = _DECIDING.get(name.lower())
            if deciding is not None:
                text = value.decode("latin-1")
                values[deciding] = (*values[deciding], text) if deciding in values else (text,)
        edits = self._exchange.head(message["status"], values)
        if edits.reply is not None:
            self._replaced = True
            await _answer(edits.reply, self._send)
            return
        if edits is not NO_EDITS:
            message = {**message, "headers": _dressed(headers, edits)}
        await self._send(message)
        if edits.copy and not message.get("trailers"):
            self._status, self._headers = message["status"], message["headers"]
            self._connection = tuple(
                n.strip().lower() for line in values.get("connection", ()) for n in line.split(",")
            )
            self._chunks, self._left = [], edits.copy

    def _copy(self, chunks: list[bytes], chunk: bytes) -> None:
        self._left -= len(chunk)
        if self._left < 0:
            self._chunks = None
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


def _edited(scope: Scope, edits: RequestEdits) -> Scope:
    removed = {name.encode() for name in edits.remove}
    if edits.cookie is not None:
        removed.add(b"cookie")
    headers = [pair for pair in scope["headers"] if pair[0] not in removed]
    if edits.cookie:
        headers.append((b"cookie", edits.cookie.encode("latin-1")))
    edited = {**scope, "headers": headers}
    if edits.query is not None:
        edited["query_string"] = edits.query.encode("latin-1")
    return edited


async def _answer(reply: Reply, send: Send) -> None:
    await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
    await send({"type": "http.response.body", "body": reply.body})


async def _nowhere(_: Message) -> None:
    """Where the response of a background refresh goes."""


async def _nothing() -> Message:
    """The content of a background refresh's request."""
    return {"type": "http.request", "body": b"", "more_body": False}
