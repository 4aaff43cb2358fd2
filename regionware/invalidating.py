"""What a successful unsafe request makes of stored answers (RFC 9111, section 4.4). No I/O here."""

from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin, urlsplit

from regionware.caching.coherence import mark, tag_name, url_names
from regionware.caching.freshness import Values
from regionware.caching.groups import invalidated
from regionware.http.request import Request

if TYPE_CHECKING:
    from regionware.exchange import Exchange

_NAMED = frozenset({"location", "content-location"})
_PORTS = {"http": ":80", "https": ":443"}


def invalidates(exchange: "Exchange", status: int, values: Values) -> tuple[str, ...]:
    """The fences to raise: of the target, of what is named beside it, and of groups.

    RFC 9111, section 4.4: a response without an error ends what is stored under the target URI,
    and under `Location` and `Content-Location` of the same origin; groups are RFC 9875, section 3.
    """
    if not 200 <= status < 400:
        return ()
    request, caches = exchange.request, exchange.prepared.caches
    names = list(target_names(request)) if caches(request.host, request.path) else []
    for field in _NAMED & values.keys():
        for target in filter(None, (_same(request, value) for value in values[field])):
            if caches(request.host, target[0].removeprefix(request.root)):
                names.append(_url_mark(request, *target))
    tags = invalidated(request.scheme, request.host, values)
    return tuple(dict.fromkeys((*names, *(mark(tag_name(tag), soft=False) for tag in tags))))


def target_names(request: Request) -> tuple[str, ...]:
    """The fence of the request's own URL."""
    return (_url_mark(request, request.root + request.path, request.query),)


def _url_mark(request: Request, path: str, query: str) -> str:
    return mark(url_names((request.scheme, request.host, path, query))[0], soft=False)


def _same(request: Request, reference: str) -> tuple[str, str] | None:
    """The path and query of a reference, if it is of the request's origin."""
    query = f"?{request.query}" if request.query else ""
    base = f"{request.scheme}://{request.host}{request.root}{request.path}{query}"
    try:
        parts = urlsplit(urljoin(base, reference.strip()))
    except ValueError:
        return None
    if parts.scheme != request.scheme or _host(parts.scheme, parts.netloc) != _host(
        request.scheme, request.host
    ):
        return None
    return unquote(parts.path) or "/", parts.query


def _host(scheme: str, host: str) -> str:
    """A host without the port that its scheme implies (RFC 9110, section 4.2.3)."""
    return host.lower().removesuffix(_PORTS.get(scheme, ""))
