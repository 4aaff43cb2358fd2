"""`rw.explain` and `rw.inventory`: the decisions in words, without executing anything."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from regionware.caching.coherence import Verdict
from regionware.caching.entry import Entry
from regionware.caching.fresh import is_fresh
from regionware.errors import Unavailable
from regionware.exchange import Exchange
from regionware.forwarding.decision import decide
from regionware.forwarding.fields import LOOP, loops
from regionware.http.directives import parse_wants
from regionware.http.paths import is_odd_raw
from regionware.http.request import Request, RequestEdits
from regionware.policies.database import at_least
from regionware.policies.table import render
from regionware.policies.write import Write
from regionware.prepared import Plan
from regionware.seeing import owed
from regionware.vendors.obeying import obeyed

if TYPE_CHECKING:
    from regionware.adapters.edges.line import EdgeLine
    from regionware.composition import Parts


class AskedRequest(Request):
    """A request that somebody asks about."""

    __slots__ = ("_fields",)

    def __init__(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        peer: str | None,
        names: frozenset[str],
    ) -> None:
        """Read a method, a URL and header fields."""
        parts = urlsplit(url)
        self._fields = {name.lower(): value for name, value in headers.items()}
        self._fields.setdefault("host", parts.netloc or "localhost")
        self.method = method.upper()
        self.scheme = parts.scheme or "http"
        self.host = self._fields["host"].lower()
        self.root = ""
        self.path = unquote(parts.path) or "/"
        self.query = parts.query
        self.peer = peer
        self.odd = "%" in parts.path and is_odd_raw(parts.path.encode("utf-8", "replace"))
        self.special = {name: value for name, value in self._fields.items() if name in names}

    def header(self, name: str) -> str | None:
        """See `Request`."""
        return self._fields.get(name)

    def headers(self) -> Iterator[tuple[str, str]]:
        """See `Request`."""
        return iter(self._fields.items())

    def alter(self, edits: RequestEdits) -> None:
        """See `Request`."""
        kept = {name: value for name, value in self._fields.items() if name not in edits.remove}
        self._fields = kept | edits.put


def explain(
    parts: "Parts", method: str, url: str, headers: Mapping[str, str], peer: str | None
) -> dict[str, Any]:
    """What would be decided for a request, as plain data."""
    prepared = parts.prepared
    request = AskedRequest(method, url, headers, peer, prepared.names())
    plan = prepared.plan(request)
    mode = prepared.mode if plan.mode is None or prepared.mode == "off" else plan.mode
    border, resolver = prepared.border, prepared.resolver
    admitted = None if border is None else border.admit(request)
    edits = None if admitted is None else admitted.edits
    exchange = Exchange(prepared, request, plan, mode, edits)
    located, client = resolver.explain(request), resolver.client(request)
    way = resolver.ingresses.of(request).way
    return {
        "route": plan.compiled.name or None,
        "mode": mode,
        "here": prepared.topology.here.name,
        "region": {
            "name": located.region.name,
            "source": located.source,
            "trust": located.trust.name.lower(),
            "by": located.by,
            "chain": [{"provider": one.provider, "outcome": one.outcome} for one in located.chain],
        },
        "client": {
            "address": str(client) or None,
            "source": client.source,
            "trust": client.trust.name.lower(),
            "stopped": client.stopped or None,
        },
        "ingress": None if way is None else way.name,
        "removed": sorted(edits.remove) if edits is not None and mode == "on" else [],
        "session": str(exchange.token.write)
        if exchange.token is not None and exchange.token.write
        else None,
        "cache": _cache(exchange),
        "database": _database(parts, exchange),
        "cdn": (told := _cdn(exchange)),
        "write": _write(exchange, loops(v for n, v in headers.items() if n.lower() == LOOP)),
        "at_edges": _at_edges(plan, told),
        "edges": _edges(parts, plan, request),
    }


def _write(exchange: Exchange, went: int) -> dict[str, str] | None:
    """Where a write is carried out, and why; `None` for what only reads."""
    if exchange.plan.compiled.access(exchange.request.method) != "write":
        return None
    here = exchange.prepared.topology.here.name
    if exchange.plan.write is None:
        return {"decision": "direct", "region": here, "reason": "policy"}
    way = decide(exchange, went=went)
    word = "direct" if way.kind == "here" else way.kind
    return {"decision": word, "region": way.region.name, "reason": way.reason}


def _cache(exchange: Exchange) -> dict[str, Any]:
    plan, request, prepared = exchange.plan, exchange.request, exchange.prepared
    if plan.keys is None:
        return {"decision": "none", "reason": "the route has no cache policy"}
    if request.method not in {"GET", "HEAD"}:
        return {"decision": "bypass", "reason": "method"}
    screened = plan.keys.screen(request)
    removed = sorted(screened.edits.remove) if screened.edits is not None else []
    if screened.key is None:
        return {"decision": "bypass", "reason": screened.reason, "removed": removed}
    hidden = plan.keys.hide(request, screened.edits)
    removed = removed if hidden is None else sorted(hidden.remove)
    special = request.special
    exchange.wants = parse_wants(special.get("cache-control"), special.get("pragma"))
    if exchange.wants is not None and exchange.wants.no_store:
        return {"decision": "bypass", "reason": "request", "removed": removed}
    record = exchange.recollect(screened.key)
    need = owed(exchange.token, plan) if plan.sessions else None
    found = "miss"
    if isinstance(record, Entry):
        fresh = is_fresh(prepared.fences, record, need, prepared.clock())
        gone = prepared.fences.judge(record) is Verdict.GONE
        found = "purged" if gone else "rejected" if fresh else "stale"
        found = "fresh" if exchange.fits(record, need) else found
    tags = render(plan.tags, plan.compiled.arguments(request.path))
    return {
        "decision": "look-up",
        "memory": found,
        "key": list(screened.key),
        "tags": list(tags),
        "removed": removed,
        "ttl": plan.keys.cache.ttl,
        "standard": plan.is_standard,
        "consistency": plan.keys.cache.consistency,
    }


def _database(parts: "Parts", exchange: Exchange) -> dict[str, Any] | None:
    if parts.databases is None:
        return None
    state = exchange.open()
    facts: dict[str, Any] = {
        "purges": _purges(parts),
        "access": state.access,
        "consistency": exchange.plan.compiled.database.consistency,
        "need": str(state.need) if state.need is not None else None,
    }
    try:
        choice = parts.databases.choose(state)
    except Unavailable as error:
        return facts | {"host": None, "reason": str(error)}
    return facts | {"host": choice.host.name, "reason": str(getattr(choice, "reason", "verify"))}


def _purges(parts: "Parts") -> dict[str, Any] | None:
    """The table of purges, as far as this process knows of one."""
    purges = parts.databases.purges if parts.databases is not None else None
    table = purges.table if purges is not None else None
    if table is None:
        return None
    return {"table": table.name, "taken": table.reads, "ride": table.adds}


def _cdn(exchange: Exchange) -> dict[str, str]:
    """The fields of an answer of which the application says nothing."""
    plan, request = exchange.plan, exchange.request
    if plan.edge is None:
        return {}
    tags = render(plan.cdn_tags, plan.compiled.arguments(request.path))
    variance = None
    if plan.variance is not None:
        variance = plan.variance.fields(request, exchange.prepared.resolver.resolve(request))
    return dict(plan.edge.fields(200, None, tags, path=request.path, variance=variance))


def _at_edges(plan: Plan, told: Mapping[str, str]) -> dict[str, dict[str, int] | None]:
    """Seconds for which each vendor's edge keeps what is told so; `None` for not at all."""
    if plan.edge is None:
        return {}
    return {vendor.title: obeyed(vendor, told.items()) for vendor in plan.edge.cdn.vendors}


def _edges(parts: "Parts", plan: Plan, request: Request) -> dict[str, Any]:
    """What each edge knows this answer by, and how its purges are going."""
    tags = render(plan.cdn_tags, plan.compiled.arguments(request.path))
    return {line.name: _edge(line, plan, tags) for line in parts.edges}


def _edge(line: "EdgeLine", plan: Plan, tags: Iterable[str]) -> dict[str, Any]:
    status = line.status
    known = line.written(tags) if plan.is_public and line.capabilities.tags else ()
    return {"tags": list(known), "waiting": status.waiting, "oldest": status.oldest}


def inventory(parts: "Parts") -> list[dict[str, Any]]:
    """One row for each route, in the order of matching; the last is for everything else."""
    prepared = parts.prepared
    compiled = [*prepared.table.routes, prepared.table.fallback]
    return [_row(parts, prepared.plans[one.index]) for one in compiled]


def _row(parts: "Parts", plan: Plan) -> dict[str, Any]:
    prepared = parts.prepared
    route, cache, database = plan.compiled.route, plan.compiled.route.cache, plan.compiled.database
    told: dict[str, str] = {}
    if plan.edge is not None:
        told = dict(plan.edge.fields(200, None, (), variance=[]))
    pinned = database.consistency == "strong" or not prepared.topology.here.replicas
    return {
        "path": plan.compiled.name or "(everything else)",
        "methods": _words(route.methods),
        "hosts": _words(route.hosts),
        "mode": plan.mode or prepared.mode,
        "cache": None
        if cache is None
        else {
            "ttl": cache.ttl,
            "standard": cache.is_standard,
            "tags": list(cache.tags),
            "consistency": cache.consistency,
            "stale_while_revalidate": cache.stale_while_revalidate,
            "stale_if_error": cache.stale_if_error,
            "compress": cache.compress,
        },
        "cdn": told,
        "at_edges": _at_edges(plan, told),
        "edges": [line.name for line in parts.edges] if plan.is_public else [],
        "database": None
        if not prepared.has_database
        else {
            "consistency": database.consistency,
            "max_lag": database.max_lag,
            "wait": database.wait,
            "unmet": database.unmet,
            "reads": "primary" if pinned else "replica",
            "writes": "primary",
            "purges": _purges(parts),
            "sees_own_writes": plan.strong_sessions or at_least(database.consistency, "own-writes"),
        },
        "write": _travels(route.write),
    }


def _travels(write: Write | None) -> dict[str, Any]:
    """How writes of a route travel, and what is done where that is impossible."""
    strategy = "direct" if write is None else write.strategy
    if write is None or strategy == "direct":
        return {"strategy": "direct"}
    forward = write.forwarding
    otherwise = write.otherwise.strategy if write.otherwise is not None else write.fallback
    return {
        "strategy": strategy,
        "fallback": otherwise,
        "timeout": None if forward is None else forward.timeout,
        "body_limit": None if forward is None else forward.body_limit,
    }


def _words(words: Sequence[str] | None) -> list[str] | None:
    return None if words is None else list(words)
