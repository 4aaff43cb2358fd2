"""WSGI: a request that is carried out in another region, in place of the application."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_from_bytes, unquote_to_bytes, urlsplit

from regionware.adapters.wsgi_request import App, Environ, StartResponse
from regionware.adapters.wsgi_response import answer, status_line, text
from regionware.exchange import Exchange
from regionware.forwarding import fields
from regionware.forwarding.decision import Way, replay
from regionware.forwarding.hop import NO_PORT
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

if TYPE_CHECKING:
    from regionware.forwarding.client import Client

#: Octets read at once.
_PIECE = 1 << 16
#: Characters of a path that stand for themselves (RFC 3986, section 3.3).
_PATH = "/:@!$&'()*+,;=-._~"


class Elsewhere:
    """Stands for the application, for one request."""

    def __init__(
        self, app: App, exchange: Exchange, way: Way, client: "Client | None", outer: Environ
    ) -> None:
        """Describe it; `outer` is the request as it came, from which nothing was removed."""
        self._app = app
        self._exchange = exchange
        self._way = way
        self._client = client
        self._outer = outer

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Have the request carried out, and pass the response on as it comes."""
        exchange, way = self._exchange, self._way
        if way.kind != "forward" or self._client is None:
            hop = signed(
                exchange, way.region, _headers(environ), _headers(self._outer), _peer(self._outer)
            )
            exchange.tell("replayed", way.region.name)
            return answer(replay(way, hop), start_response)
        try:
            return self._forward(self._client, environ, start_response)
        except ForwardFailed as error:
            if runs_here(exchange, error, way.write.fallback):
                return self._app(environ, start_response)
            reply = failed(exchange, error, way.region)
        except ContentFailed as error:
            reply = cut(exchange, error, way.region)
        return answer(reply, start_response)

    def _forward(
        self, client: "Client", environ: Environ, start_response: StartResponse
    ) -> Iterable[bytes]:
        call = self._call(environ)
        response = client.send(call, _content(environ["wsgi.input"], call))
        self._exchange.tell("forwarded", call.region.name)
        try:
            headers = take(self._exchange, call.region, response.status, response.headers)
            start_response(status_line(response.status), text(headers))
        except BaseException:
            response.close()
            raise
        return Streaming(self._exchange, response, client.pieces(response))

    def _call(self, environ: Environ) -> Outgoing:
        length = _length(environ)
        if length is not None and length < 0:
            raise ForwardFailed("unsendable", sent=False)
        call = outgoing(
            self._exchange, self._way, target=_target(self._outer), headers=_headers(environ),
            outer=_headers(self._outer), client=_peer(self._outer), length=length,
        )  # fmt: skip
        if call is None:
            raise ForwardFailed("unsendable", sent=False)
        return call


class Streaming:
    """A response's content as it arrives; whoever drops it closes its connection."""

    def __init__(self, exchange: Exchange, response: Any, pieces: Iterator[bytes]) -> None:
        """Begin with nothing read."""
        self._exchange = exchange
        self._response = response
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        """It is used once."""
        return self

    def __next__(self) -> bytes:
        """The next piece."""
        try:
            return next(self._pieces)
        except StopIteration:
            self._response.close()  # others can use the connection while the server goes on
            raise
        except Truncated:
            self._exchange.tell("forward-failed", "truncated")
            raise

    def close(self) -> None:
        """Give the connection back, or close it, where the content has not come to its end."""
        self._response.close()


def _length(environ: Environ) -> int | None:
    """Octets of the content; `None` where only its end tells."""
    if said := environ.get("CONTENT_LENGTH"):
        return fields.length_of(said)
    if environ.get("HTTP_TRANSFER_ENCODING") or environ.get("wsgi.input_terminated"):
        return None
    # Over HTTP/2 content can come without any field that announces it.
    return 0 if environ.get("SERVER_PROTOCOL", "HTTP/1.1").startswith("HTTP/1") else None


def _content(source: Any, call: Outgoing) -> Iterator[bytes]:
    """The content as it comes; nothing is kept."""
    limit, taken, left = call.write.body_limit, 0, call.length
    while left is None or left:
        chunk = source.read(_PIECE if left is None else min(_PIECE, left))
        if not chunk:
            if left is not None:
                raise ContentFailed("gone")
            return
        taken += len(chunk)
        left = None if left is None else left - len(chunk)
        if limit is not None and taken > limit:
            raise ContentFailed("limit")
        yield chunk


def _headers(environ: Environ) -> list[fields.Pair]:
    """Every field as octets; names that WSGI has changed stay so, as the application sees them."""
    pairs = [
        (key[5:].lower().replace("_", "-").encode("latin-1"), value.encode("latin-1"))
        for key, value in environ.items() if key.startswith("HTTP_")
    ]  # fmt: skip
    own = ("CONTENT_TYPE", "CONTENT_LENGTH")
    pairs += [
        (key.lower().replace("_", "-").encode(), environ[key].encode("latin-1"))
        for key in own if environ.get(key)
    ]  # fmt: skip
    return pairs


def _peer(environ: Environ) -> tuple[str | None, int]:
    port = str(environ.get("REMOTE_PORT", ""))
    return environ.get("REMOTE_ADDR") or None, int(port) if port.isdecimal() else NO_PORT


def _target(environ: Environ) -> bytes:
    """The request target as it was sent; made from the path, where somebody has changed that."""
    path = (environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1")
    said = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
    if said and not said.startswith("/"):
        said = urlsplit(said).path
    raw = said.partition("?")[0].encode("latin-1", "replace")
    if not raw or unquote_to_bytes(raw) != path:
        raw = quote_from_bytes(path or b"/", safe=_PATH).encode()
    return fields.request_target(raw, environ.get("QUERY_STRING", "").encode("latin-1"))
