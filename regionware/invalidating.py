"""What a successful unsafe request makes of stored answers (RFC 9111, section 4.4). No I/O here."""

from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin, urlsplit

from regionware.caching.coherence import mark, tag_name, url_names
from regionware.caching.freshness import Values
from regionware.caching.groups import invalidated
from regionware.caching.keys import canonical, digest
from regionware.effects import Invalidate
from regionware.http.request import Request

if TYPE_CHECKING:
    from regionware.exchange import Exchange

_NAMED = frozenset({"location", "content-location"})
_SAYS = _NAMED | {"cache-group-invalidation"}
#: A scheme and a host, as keys have them.
Origin = tuple[str, str]
_PORTS = {"http": ":80", "https": ":443"}


def invalidates(exchange: "Exchange", status: int, values: Values) -> Invalidate | None:
    """The fences to raise: of the target, of what is named beside it, and of groups.

    RFC 9111, section 4.4: a response without an error ends what is stored under the target URI,
    and under `Location` and `Content-Location` of the same origin; groups are RFC 9875, section 3.
    """
    request = exchange.request
    if not 200 <= status < 400 or not (
        values.keys() & _SAYS or exchange.prepared.keys_of(request.host, request.path)
    ):
        return None
    origin = exchange.prepared.origin(request)
    targets = [(request.root + request.path, request.query)]
    for field in values.keys() & _NAMED:
        targets += filter(None, (_same(request, origin, value) for value in values[field]))
    found = _ends(exchange, origin, targets)
    tags = invalidated(*origin, values)
    names = (*found.names, *(mark(tag_name(tag), soft=False) for tag in tags))
    if not names:
        return None
    return Invalidate(tuple(dict.fromkeys(names)), found.position, found.digests, found.edges)


def ends(exchange: "Exchange") -> Invalidate:
    """What ends everything under the request's own URL."""
    request = exchange.request
    origin = exchange.prepared.origin(request)
    return _ends(exchange, origin, [(request.root + request.path, request.query)])


def _ends(exchange: "Exchange", origin: Origin, targets: Iterable[tuple[str, str]]) -> Invalidate:
    request, prepared = exchange.request, exchange.prepared
    names, digests, public = [], [], False
    for path, query in targets:
        plan = prepared.plan_of(request.host, path.removeprefix(request.root))
        keys = plan.keys
        if keys is None:
            continue
        public = public or plan.is_public
        key = (*origin, path, keys.counting(query))
        names.append(mark(url_names(key)[0], soft=False))
        if keys.plain:
            digests.append(digest(canonical(key)))
    written = exchange.state.written if exchange.state is not None else None
    return Invalidate(tuple(names), written, tuple(digests), public)


def _same(request: Request, origin: Origin, reference: str) -> tuple[str, str] | None:
    """The path and query of a reference, if it is of the request's origin."""
    scheme, host = origin
    query = f"?{request.query}" if request.query else ""
    try:
        parts = urlsplit(
            urljoin(f"{scheme}://{host}{request.root}{request.path}{query}", reference.strip())
        )
    except ValueError:
        return None
    if parts.scheme != scheme or _host(scheme, parts.netloc) != _host(scheme, host):
        return None
    return unquote(parts.path) or "/", parts.query


def _host(scheme: str, host: str) -> str:
    """A host without the port that its scheme implies (RFC 9110, section 4.2.3)."""
    return host.lower().removesuffix(_PORTS.get(scheme, ""))
