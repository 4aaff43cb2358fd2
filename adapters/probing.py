"""Requests of browsers that measure the regions: the little content that they may have is read."""

from collections.abc import Mapping

from regionware.adapters.asgi_request import AsgiRequest, Receive, Scope
from regionware.adapters.wsgi_request import Environ, WsgiRequest
from regionware.locate.probe import LIMIT
from regionware.prepared import Prepared
from regionware.serving import Reply


def probed(prepared: Prepared, environ: Environ, names: Mapping[str, str]) -> Reply | None:
    """The endpoint's answer over WSGI; `None` for a request that is the application's."""
    request = WsgiRequest(environ, names)
    if prepared.probe is None or prepared.mode != "on" or not prepared.probe.wants(request):
        return None
    prepared.admit(request, prepared.mode)
    length = environ.get("CONTENT_LENGTH") or "0"
    # Without a length there is no end to it (PEP 3333, "Input and Error Streams").
    known = int(length) if length.isascii() and length.isdigit() and len(length) < 19 else 0
    body = environ["wsgi.input"].read(min(known, LIMIT + 1)) if known else b""
    return prepared.probe.answer(request, body, prepared.clock())


async def aprobed(
    prepared: Prepared, scope: Scope, names: Mapping[bytes, str], receive: Receive
) -> Reply | None:
    """The endpoint's answer over ASGI; `None` for a request that is the application's."""
    request = AsgiRequest(scope, names)
    if prepared.probe is None or prepared.mode != "on" or not prepared.probe.wants(request):
        return None
    prepared.admit(request, prepared.mode)
    body = await _content(receive) if request.method == "POST" else b""
    return prepared.probe.answer(request, body, prepared.clock())


async def _content(receive: Receive) -> bytes:
    """As much of a request's content as decides whether it is too long."""
    content = bytearray()
    while len(content) <= LIMIT:
        message = await receive()
        if message["type"] != "http.request":
            break
        content += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return bytes(content)
