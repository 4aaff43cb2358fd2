"""For which hosts an application answers, and the one spelling of each. No I/O here.

A host that nobody has listed is the classic way to poison a cache, or to take its memory: whoever
sends the request chooses it (RFC 9110, section 7.2). The spelling is that of RFC 9110, section
4.2.3: lower case, without the port that the scheme implies and without the dot of the root.
"""

import re
from collections.abc import Sequence
from ipaddress import IPv6Address
from typing import Final

from regionware.errors import ConfigurationError

#: A-labels of Unicode names are such labels too (RFC 5890, section 2.3.2.1).
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\Z")
_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:]+)(?::([0-9]*))?\Z")
_PORTS: Final = {"http": 80, "https": 443}
_MOST_PORTS: Final = 65_535
_LONGEST: Final = 253
_REMEMBERED: Final = 4096
_EXPECTED: Final = (
    'a host such as "example.com", "*.example.com" or "localhost:8000": no scheme, no path'
)


def name_of(host: str) -> str:
    """A host without its port and the dot of the root."""
    found = _HOST.match(host)
    return host if found is None else found[1].removesuffix(".")


def canonical_host(host: str, scheme: str) -> str | None:
    """The one spelling of a host.

    Args:
        host: a `Host` field in lower case, or what a trusted peer says it was.
        scheme: `http` or `https`: it implies a port.

    Returns:
        `None` if it is malformed: no name, no address, or anything beside it.
    """
    found = _HOST.match(host)
    name = None if found is None else _canonical_name(found[1])
    if found is None or name is None:
        return None
    digits = found[2]
    if not digits:
        return name
    port = int(digits) if len(digits) <= 9 else _MOST_PORTS + 1
    if port > _MOST_PORTS:
        return None
    return name if port == _PORTS.get(scheme) else f"{name}:{port}"


def _canonical_name(name: str) -> str | None:
    if name.startswith("["):
        try:
            return f"[{IPv6Address(name[1:-1]).compressed}]"
        except ValueError:
            return None
    name = name.removesuffix(".")
    if len(name) > _LONGEST or not all(map(_LABEL.match, name.split("."))):
        return None
    return name


class Hosts:
    """The hosts that an application answers for: listed ones, or, by default, all."""

    __slots__ = ("_exact", "_known", "_listed", "_under")

    def __init__(self, listed: Sequence[str] | None = None) -> None:
        """Read the list.

        Args:
            listed: names, with a port where it is not that of the scheme; `*.example.com` stands
                for every name below `example.com`, and not for that itself. `None` for any host.

        Raises:
            ConfigurationError: one of them is no host.
        """
        self._listed = listed is not None
        read = [_read(f"hosts[{n}]", text) for n, text in enumerate(listed or ())]
        self._exact = frozenset(host for wild, host in read if not wild)
        self._under = tuple(host for wild, host in read if wild)
        self._known: dict[tuple[str, str], str | None] = {}

    def canonical(self, host: str, scheme: str) -> str | None:
        """The host to store answers under; `None` for none: it is malformed, or not listed.

        Where there is no list, it is the host as it is.
        """
        asked = host, scheme
        try:
            return self._known[asked]
        except KeyError:
            found = self._decide(host, scheme)
        if len(host) <= _LONGEST:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[asked] = found
        return found

    def _decide(self, host: str, scheme: str) -> str | None:
        found = canonical_host(host, scheme)
        if not self._listed:
            # A request of HTTP/1.0 may name no host at all.
            return host if found is not None or not host else None
        if found is None or found in self._exact:
            return found
        name, port = name_of(found), found[len(name_of(found)) :]
        return found if any(_is_below(name, port, host) for host in self._under) else None


def _is_below(name: str, port: str, base: str) -> bool:
    host = name_of(base)
    return name.endswith(f".{host}") and port == base[len(host) :]


def _read(option: str, text: str) -> tuple[bool, str]:
    """One of the list: whether it has a wildcard, and the host."""
    if not text.isascii():
        raise ConfigurationError(f"{option}: {text!r}: write its A-labels (xn--…), as clients do")
    wild = text.startswith("*.")
    host = canonical_host((text[2:] if wild else text).lower(), "")
    if host is None or (wild and host.startswith("[")):
        raise ConfigurationError(f"{option} is {_EXPECTED}, not {text!r}")
    for port in _PORTS.values():
        host = host.removesuffix(f":{port}")  # a scheme implies it, and requests do not say it
    return wild, host
