"""A request as ASGI hands it over: a view of its scope, and what is taken from it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any

from regionware.http.paths import is_odd_raw
from regionware.http.request import Request, RequestEdits

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

#: What a background refresh carries of a scope: the server's own, and what is the application's
#: or made from the path alone. Whatever else is around us has put there may be somebody's.
_STANDARD = (
    "type", "asgi", "http_version", "method", "scheme", "path", "raw_path", "query_string",
    "root_path", "server", "app", "app_root_path", "endpoint", "path_params", "router",
)  # fmt: skip


class AsgiRequest(Request):
    """A view of an ASGI scope."""

    __slots__ = ("_client", "_fields")

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
        self._client = client = scope.get("client")
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

    def replaced(self) -> bool:
        """See `Request`. No socket has port 0; uvicorn, hypercorn and granian put that there.

        With a port in the header uvicorn takes that one: then the two together stand there.
        """
        if not self._client:
            return False
        forwarded = self.special.get("x-forwarded-for", "")
        if not self._client[1]:
            return bool(forwarded) or "forwarded" in self.special
        if ":" not in forwarded:
            return False
        host, port = self._client[0], self._client[1]
        return any(part.strip() in (f"{host}:{port}", f"[{host}]:{port}")
                   for part in forwarded.split(",") if ":" in part)  # fmt: skip

    def alter(self, edits: RequestEdits) -> None:
        """See `Request`."""
        self._fields = _Altered(self._fields, edits)


class _Altered:
    """Fields without those that a request loses; made when somebody reads them."""

    __slots__ = ("_edits", "_fields", "_made")

    def __init__(self, fields: Iterable[tuple[bytes, bytes]], edits: RequestEdits) -> None:
        self._fields, self._edits = fields, edits
        self._made: list[tuple[bytes, bytes]] | None = None

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        if self._made is None:
            self._made = fields(self._fields, self._edits)
        return iter(self._made)


def fields(
    headers: Iterable[tuple[bytes, bytes]], edits: RequestEdits
) -> list[tuple[bytes, bytes]]:
    """Fields without those that a request loses."""
    removed = {name.encode() for name in (*edits.remove, *edits.put)}
    if edits.cookie is not None:
        removed.add(b"cookie")
    kept = [pair for pair in headers if pair[0] not in removed]
    if edits.cookie:
        kept.append((b"cookie", edits.cookie.encode("latin-1")))
    return kept + [(name.encode(), value.encode("latin-1")) for name, value in edits.put.items()]


def edited(scope: Scope, edits: RequestEdits) -> Scope:
    """A scope without what a request loses."""
    edited = {**scope, "headers": fields(scope["headers"], edits)}
    if edits.query is not None:
        edited["query_string"] = edits.query.encode("latin-1")
    return edited


async def _never() -> Message:
    """A client that neither sends nor leaves."""
    waiting: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
    return await waiting


def without_content(receive: Receive) -> Receive:
    """Hide a request's content, which is not in the key; a disconnection is passed on.

    Over HTTP/2 content can come without any field that announces it.
    """
    told = ended = False

    async def hidden() -> Message:
        nonlocal told, ended
        if not told:
            told = True
            return {"type": "http.request", "body": b"", "more_body": False}
        while not ended:
            message = await receive()
            if message["type"] != "http.request":
                return message
            ended = not message.get("more_body", False)
        message = await receive()
        # A server that repeats itself must not keep the loop busy.
        return message if message["type"] != "http.request" else await _never()

    return hidden


def silent() -> Receive:
    """The content of a background refresh's request: none, from a client that stays."""
    return without_content(_never)


def impersonal(scope: Scope, carried: Iterable[str], state: Mapping[str, Any] | None) -> Scope:
    """The scope of a background refresh: without anything of one client's.

    Args:
        scope: of the request that triggered it.
        carried: the names of the fields that go with it.
        state: what the application keeps for all requests.
    """
    names = {name.encode("latin-1") for name in carried}
    kept = {name: scope[name] for name in _STANDARD if name in scope}
    kept["method"] = "GET"
    kept["headers"] = [pair for pair in scope["headers"] if pair[0] in names]
    if state is not None:
        kept["state"] = dict(state)
    return kept
