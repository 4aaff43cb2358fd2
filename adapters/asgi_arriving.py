"""ASGI: a request that another region has sent here, as it was before."""

from regionware.adapters.asgi import AsgiMiddleware
from regionware.adapters.asgi_request import App, AsgiRequest, Receive, Scope, Send
from regionware.forwarding.arriving import arrived
from regionware.forwarding.hop import FIELD, NO_PORT, Hop
from regionware.forwarding.ways import ARRIVED
from regionware.rim import Rim

_FIELD = FIELD.encode()
_ASKED = {_FIELD: FIELD, b"host": "host"}


class ArrivingAsgi(AsgiMiddleware):
    """The same where routes forward, so that requests may come from other regions."""

    def __init__(self, app: App, rim: Rim) -> None:
        """Prepare the names of the fields that come with the hop."""
        super().__init__(app, rim)
        changed = rim.prepared.ways.changed
        self._replaced = {name.encode() for name in changed} | {_FIELD, b"host"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; what it carries of a hop is read, and taken out."""
        if scope["type"] == "http" and [1 for name, _ in scope["headers"] if name == _FIELD]:
            scope = self._arrived(scope)
        await super().__call__(scope, receive, send)

    def _arrived(self, scope: Scope) -> Scope:
        hop = arrived(self._prepared, AsgiRequest(scope, _ASKED))
        if hop is None or not hop.believed:
            rest = [pair for pair in scope["headers"] if pair[0] != _FIELD]
            return {**scope, "headers": rest} | ({} if hop is None else {ARRIVED: hop})
        port = 65_535 if hop.port == NO_PORT else hop.port  # there must be one
        client = None if hop.client is None else (hop.client, port)
        return {
            **scope, "headers": self._restored(scope, hop), "scheme": hop.scheme,
            "client": client, ARRIVED: hop,
        }  # fmt: skip

    def _restored(self, scope: Scope, hop: Hop) -> list[tuple[bytes, bytes]]:
        kept = [pair for pair in scope["headers"] if pair[0] not in self._replaced]
        own = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in hop.fields]
        host = [(b"host", hop.host.encode("latin-1"))] if hop.host else []
        return [*host, *kept, *own]
