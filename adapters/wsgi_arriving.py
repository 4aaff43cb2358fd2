"""WSGI: a request that another region has sent here, as it was before."""

from collections.abc import Iterable

from regionware.adapters.wsgi import WsgiMiddleware
from regionware.adapters.wsgi_request import App, Environ, StartResponse, WsgiRequest, variable
from regionware.forwarding.arriving import arrived
from regionware.forwarding.hop import FIELD, NO_PORT, Hop
from regionware.forwarding.ways import ARRIVED
from regionware.rim import Rim

_FIELD = variable(FIELD)
_ASKED = {_FIELD: FIELD, "HTTP_HOST": "host"}


class ArrivingWsgi(WsgiMiddleware):
    """The same where routes forward, so that requests may come from other regions."""

    def __init__(self, app: App, rim: Rim) -> None:
        """Prepare the names of the fields that come with the hop."""
        super().__init__(app, rim)
        changed = rim.prepared.ways.changed
        self._replaced = {variable(name) for name in changed} | {_FIELD, "HTTP_HOST"}

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request; what it carries of a hop is read, and taken out."""
        if _FIELD in environ:
            environ = self._arrived(environ)
        return super().__call__(environ, start_response)

    def _arrived(self, environ: Environ) -> Environ:
        hop = arrived(self._prepared, WsgiRequest(environ, _ASKED))
        rest = {key: value for key, value in environ.items() if key != _FIELD}
        if hop is not None:
            rest[ARRIVED] = hop
        return self._restored(rest, hop) if hop is not None and hop.believed else rest

    def _restored(self, environ: Environ, hop: Hop) -> Environ:
        kept = {key: value for key, value in environ.items() if key not in self._replaced}
        kept["wsgi.url_scheme"] = hop.scheme
        kept["REMOTE_ADDR"], kept["REMOTE_PORT"] = hop.client or "", str(hop.port)
        if hop.port == NO_PORT:
            del kept["REMOTE_PORT"]
        if hop.host:
            kept["HTTP_HOST"] = hop.host
        for name, value in hop.fields:
            key = variable(name)
            kept[key] = f"{kept[key]}, {value}" if key in kept else value
        return kept
