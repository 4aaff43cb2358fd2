"""What an answer was made from, in words for whoever debugs. No I/O here."""

import json
from typing import TYPE_CHECKING
from urllib.parse import quote

from regionware.caching.entry import Entry, Key

if TYPE_CHECKING:
    from regionware.answers import Answers


def describe(exchange: "Answers", status_field: str, entry: Entry | None) -> str:
    """One line of JSON, ASCII only."""
    prepared, token, state = exchange.prepared, exchange.token, exchange.state
    facts: dict[str, object] = {
        "rule": exchange.plan.compiled.name,
        "here": prepared.topology.here.name,
        "region": prepared.resolver.resolve(exchange.request).region.name,
        "cache": status_field.removeprefix("regionware; "),
        "session": str(token.write) if token is not None and token.write is not None else None,
    }
    if entry is not None:
        facts["age"] = round(max(prepared.clock() - entry.born, 0), 3)
        facts["host"] = entry.host or None
        facts["position"] = str(entry.lower) if entry.lower is not None else None
        facts["tags"] = list(entry.tags)
    elif state is not None:
        facts["hosts"] = [
            {
                "host": use.host,
                "role": use.role,
                "access": use.access,
                "reason": use.reason,
                "lag": use.lag,
                "position": str(use.position) if use.position else None,
            }
            for use in state.hosts
        ]
        facts["position"] = str(state.lower) if state.lower is not None else None
        facts["written"] = str(state.written) if state.written is not None else None
    return json.dumps(facts, ensure_ascii=True, separators=(",", ":"))


def quoted(key: Key) -> str:
    """A key's URL as a Structured Fields String (RFC 9211, section 2.7)."""
    scheme, host, path, query = key[:4]
    target = f"{scheme}://{host}{path}" + (f"?{query}" if query else "")
    return f'"{quote(target, safe="!#$%&()*+,-./:;<=>?@[]^_`{|}~")}"'
