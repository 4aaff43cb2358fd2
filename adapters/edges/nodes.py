"""What reverse proxies of one's own have in common: whom to tell, and of which URLs. No I/O."""

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from urllib.parse import quote, urlsplit

from regionware.adapters.edges.protocol import Secret, check_secret, reveal
from regionware.errors import ConfigurationError

#: A field name (RFC 9110, section 5.1).
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
#: A host with or without a port, as `Host` carries it.
_HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
#: What may stand in a request target (RFC 3986, sections 3.3 and 3.4), beside letters and digits.
_TARGET: Final = "!$%&'()*+,-./:;=?@_~"
#: Fields that a purge sets by itself.
_OURS: Final = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "xkey", "xkey-softpurge"}
)


class Place(NamedTuple):
    """Where what is purged is found.

    Attributes:
        host: as in the `Host` field; empty for every host.
        target: path and query, percent-encoded.
    """

    host: str
    target: str


def place_of(url: str) -> Place:
    """Take a URL apart; nothing in it can end a field's value, or begin another argument."""
    if url.startswith("/"):
        return Place("", _target(url))
    scheme, _, rest = url.partition("://")
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if not scheme or not _HOST.fullmatch(host):
        return Place("", _target(f"/{url}"))  # No host that an answer could have come from.
    target = rest[len(host) :]
    return Place(host.lower(), _target(target if target.startswith("/") else f"/{target}"))


def _target(text: str) -> str:
    return quote(text.partition("#")[0], safe=_TARGET, errors="surrogatepass")


def checked_nodes(option: str, nodes: str | Sequence[str]) -> tuple[str, ...]:
    """The addresses of the servers to tell.

    Raises:
        ConfigurationError: there is none, or one is not `http://host:port`.
    """
    known: Sequence[object] = (nodes,) if isinstance(nodes, str) else tuple(nodes)
    good = [node.rstrip("/") for node in known if isinstance(node, str) and _is_node(node)]
    if not good or len(good) < len(known):
        raise ConfigurationError(
            f"{option}: a server is http://host:port or https://host:port; at least one is needed"
        )
    return tuple(dict.fromkeys(good))


def _is_node(node: str) -> bool:
    try:
        parts = urlsplit(node)
        has_port = parts.port is None or parts.port > 0
    except ValueError:
        return False
    plain = parts.path in {"", "/"} and not parts.query and not parts.fragment
    is_http = parts.scheme in {"http", "https"} and bool(_HOST.fullmatch(parts.netloc))
    return plain and is_http and has_port


def checked_hosts(option: str, hosts: Sequence[str]) -> tuple[str, ...]:
    """Hosts as clients name them.

    Raises:
        ConfigurationError: one is none.
    """
    known: Sequence[object] = () if isinstance(hosts, str) else tuple(hosts)
    good = [host.lower() for host in known if isinstance(host, str) and _HOST.fullmatch(host)]
    if len(good) < len(hosts):
        raise ConfigurationError(f"{option} lists host names, with a port where clients name one")
    return tuple(dict.fromkeys(good))


def checked_fields(option: str, fields: Mapping[str, Secret]) -> dict[str, Secret]:
    """Header fields to send with each purge, whose values may be secrets.

    Raises:
        ConfigurationError: a name is none, or ours, or a value cannot be sent.
    """
    for name, value in fields.items():
        if not _TOKEN.fullmatch(name) or name.lower() in _OURS:
            raise ConfigurationError(f"{option}: no field of a purge can be called {name!r}")
        check_secret(f"{option}: {name}", value)
    return dict(fields)


def revealed(fields: Mapping[str, Secret]) -> tuple[tuple[str, str], ...]:
    """Header fields with their values as they are now."""
    return tuple((name, reveal(value)) for name, value in fields.items())
