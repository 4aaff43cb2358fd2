"""Which peers are believed: the addresses at the other end of the socket, and nothing else.

A peer's address cannot be forged over TCP; every header can.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from regionware.errors import ConfigurationError
from regionware.kinds import ANYTHING, list_of

#: Stands for a peer without an address: a Unix socket.
UNIX: Final = "unix"

# Peers are few where there is a proxy; a scan from many addresses must not fill the memory.
_REMEMBERED: Final = 4096
_MAPPED = IPv6Network("::ffff:0:0/96")
_EXPECTED = f"a network such as 10.0.0.0/8 (no bits set behind the prefix) or {UNIX!r}"


class Peers:
    """A set of peers whose headers are believed; empty by default."""

    __slots__ = ("_known", "_networks", "_unix")

    def __init__(self, cidrs: Iterable[str] = ()) -> None:
        """Read the networks.

        Args:
            cidrs: networks such as `10.0.0.0/8` or `fd00::/8`, single addresses, and `"unix"`.

        Raises:
            ConfigurationError: one of them is malformed.
        """
        list_of(ANYTHING, "networks").check("trusted", cidrs)
        texts = tuple(cidrs)
        self._unix = UNIX in texts
        self._networks = tuple(_network(text) for text in texts if text != UNIX)
        self._known: dict[str, bool] = {}

    def __bool__(self) -> bool:
        """Whether anybody at all is trusted."""
        return self._unix or bool(self._networks)

    def trusts(self, peer: str | None) -> bool:
        """Whether this peer's headers are believed; a malformed address never is."""
        if not peer:
            return self._unix
        known = self._known.get(peer)
        if known is None:
            known = self._decide(peer)
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[peer] = known
        return known

    def _decide(self, peer: str) -> bool:
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        address = _plain(address)
        return any(address in network for network in self._networks)


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address where a socket of both families shows it as `::ffff:a.b.c.d`."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def _network(text: object) -> IPv4Network | IPv6Network:
    try:
        network = ip_network(str(text))  # of an int it would make an address
    except ValueError:
        raise ConfigurationError(f"trusted: {text!r} is not {_EXPECTED}") from None
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        plain = network.network_address.ipv4_mapped
        return ip_network(f"{plain}/{network.prefixlen - 96}")
    return network
