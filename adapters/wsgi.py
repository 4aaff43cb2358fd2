"""WSGI (PEP 3333), over the four moments."""

from collections.abc import Iterable
from contextvars import Context, copy_context
from functools import partial

from regionware.adapters.probing import probed
from regionware.adapters.wsgi_away import Elsewhere
from regionware.adapters.wsgi_request import (
    App,
    Environ,
    StartResponse,
    WsgiRequest,
    impersonal,
    variable,
)
from regionware.adapters.wsgi_response import Responder, answer, nowhere, status_line, text
from regionware.caching.entry import Entry
from regionware.drive import drive
from regionware.exchange import Exchange, begin
from regionware.forwarding.decision import elsewhere
from regionware.forwarding.fields import LOOP, loops
from regionware.forwarding.ways import ARRIVED
from regionware.rim import Rim
from regionware.serving import Reply, hit_headers

__all__ = ["App", "WsgiMiddleware"]

_LOOP = variable(LOOP)


class WsgiMiddleware:
    """A WSGI application, wrapped."""

    def __init__(self, app: App, rim: Rim) -> None:
        """Prepare the names that a request is searched for."""
        self.app = app
        self._rim = rim
        self._prepared = rim.prepared
        self._memory = rim.memory
        self._names = {variable(name): name for name in rim.prepared.names()}
        self._probe = rim.prepared.probe

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request, or let the application answer it."""
        if self._probe is not None and self._probe.marker in environ.get("PATH_INFO", ""):
            reply = probed(self._prepared, environ, self._names)
            if reply is not None:
                return answer(reply, start_response)
        found = begin(self._prepared, WsgiRequest(environ, self._names))
        if type(found) is Entry:
            status, headers = self._wire(found)
            start_response(status, headers.copy())
            return (found.body,)
        if isinstance(found, Exchange):
            return self._carry(found, environ, start_response)
        if isinstance(found, Reply):
            if found.refresh is not None:
                self._refresh(found.refresh, environ)
            return answer(found, start_response)
        return self.app(environ, start_response)

    def _wire(self, entry: Entry) -> tuple[str, list[tuple[str, str]]]:
        """An entry's head, prepared once for each second of its age."""
        now = self._prepared.clock()
        second, wire = int(now), entry.wire
        if wire is None or wire[0] is not self or wire[1] != second:
            made = status_line(entry.status), text(hit_headers(entry, now))
            wire = self._memory.dress(entry, (self, second, made))
        head: tuple[str, list[tuple[str, str]]] = wire[2]
        return head

    def _carry(
        self, exchange: Exchange, environ: Environ, start_response: StartResponse
    ) -> Iterable[bytes]:
        if exchange.filling is not None and not exchange.bypass:
            reply = drive(exchange.recall(), self._rim.perform)
            if reply is not None:
                if reply.refresh is not None:
                    self._refresh(reply.refresh, environ)
                return answer(reply, start_response)
        app = self.app if exchange.plan.write is None else self._elsewhere(exchange, environ)
        return Responder(exchange, self._rim, copy_context()).run(app, environ, start_response)

    def _elsewhere(self, exchange: Exchange, environ: Environ) -> App:
        """The application, or what stands for it where the request is carried out elsewhere."""
        if exchange.mode == "off":
            return self.app
        way = elsewhere(exchange, environ.get(ARRIVED), loops([environ.get(_LOOP, "")]))
        if way is None:
            return self.app
        return Elsewhere(self.app, exchange, way, self._rim.client, environ)

    def _refresh(self, exchange: Exchange, environ: Environ) -> None:
        """Carry out an exchange in the background, for nobody: no identity, no context."""
        # A server may use its environ again.
        work = partial(self._carry_out, exchange, environ.copy())
        if not self._rim.refresh(work):
            drive(exchange.abandon(), self._rim.perform)

    def _carry_out(self, exchange: Exchange, environ: Environ) -> None:
        try:
            if not drive(exchange.claim(), self._rim.perform):
                return
            environ = impersonal(environ, exchange.impersonal())
            body = Responder(exchange, self._rim, Context()).run(self.app, environ, nowhere)
            try:
                for _ in body:
                    pass
            finally:
                close = getattr(body, "close", None)
                if close is not None:
                    close()
        except Exception as error:  # noqa: BLE001 - reported; nobody waits for it
            self._rim.refresh_failed(exchange, error)
