"""Addresses as they are written in header fields. What is no address is `None`; nothing raises."""

import re
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

Address = IPv4Address | IPv6Address

#: Characters: the longest IPv6 address has 45, a port and brackets eight more.
_LONGEST: Final = 64
_PORT: Final = re.compile(r"[0-9]{1,5}")


def plain(address: Address) -> Address:
    """The IPv4 address where a socket of both families shows it as `::ffff:a.b.c.d`."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def bare(text: str) -> Address | None:
    """An address and nothing else; a zone id means something on one machine only, so it is none."""
    if len(text) > _LONGEST or "%" in text:
        return None
    try:
        return plain(ip_address(text))
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def hop(text: str) -> Address | None:
    """An element of `X-Forwarded-For`: an address, perhaps with a port; one of IPv6 in brackets."""
    text = text.strip(" \t")
    if text.startswith("["):
        inside, bracket, rest = text[1:].partition("]")
        ends = bracket and (not rest or (rest[0] == ":" and _is_port(rest[1:])))
        return bare(inside) if ends and ":" in inside else None
    if text.count(":") == 1:
        text, _, port = text.partition(":")
        return bare(text) if _is_port(port) and "." in text else None
    return bare(text)


@lru_cache(maxsize=4096)
def with_port(text: str) -> Address | None:
    """An address and a port, as CloudFront writes them: of IPv6 too without brackets."""
    address, colon, port = text.strip(" \t").rpartition(":")
    return bare(address) if colon and _is_port(port) else None


def _is_port(text: str) -> bool:
    return _PORT.fullmatch(text) is not None and int(text) < 65_536


#: How a header with a single address may be written; by the name that the table of platforms uses.
SINGLE: Final[dict[str, Callable[[str], Address | None]]] = {
    "address": hop,
    "address:port": with_port,
}
