"""Which peers are believed: the addresses at the other end of the socket, and nothing else.

A peer's address cannot be forged over TCP; every header can.
"""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

from regionware.errors import ConfigurationError
from regionware.kinds import ANYTHING, list_of
from regionware.locate.addresses import Address, plain

#: Stands for a peer without an address: a Unix socket.
UNIX: Final = "unix"
#: Stands for the addresses that nobody routes: RFC 1918, RFC 4193, loopback and link-local.
PRIVATE: Final = "private"
_UNROUTED = """
    10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 127.0.0.0/8 169.254.0.0/16 fc00::/7 ::1/128 fe80::/10
"""
_PRIVATE: Final = tuple(map(ip_network, _UNROUTED.split()))

# Peers are few where there is a proxy; a scan from many addresses must not fill the memory.
_REMEMBERED: Final = 4096
_MAPPED = IPv6Network("::ffff:0:0/96")
_EXPECTED = f"a network such as 10.0.0.0/8 (no bits set behind the prefix), {UNIX!r} or {PRIVATE!r}"


class Peers:
    """A set of peers whose headers are believed; empty by default."""

    __slots__ = ("_known", "_networks", "_unix")

    def __init__(self, cidrs: Iterable[str] = ()) -> None:
        """Read the networks.

        Args:
            cidrs: networks such as `10.0.0.0/8` or `fd00::/8`, single addresses, `"unix"` and
                `"private"`.

        Raises:
            ConfigurationError: one of them is malformed.
        """
        list_of(ANYTHING, "networks").check("trusted", cidrs)
        texts = tuple(cidrs)
        self._unix = UNIX in texts
        private = _PRIVATE if PRIVATE in texts else ()
        named = (_network(text) for text in texts if text not in (UNIX, PRIVATE))
        self._networks = (*private, *named)
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

    @property
    def is_public(self) -> bool:
        """Whether somebody in it has an address of the Internet."""
        return not all(
            any(each.version == inside.version and _covers(inside, each) for inside in _PRIVATE)
            for each in self._networks
        )

    def hold(self, address: Address) -> bool:
        """Whether an address is one of theirs."""
        return self.trusts(str(address))

    def _decide(self, peer: str) -> bool:
        try:
            address = plain(ip_address(peer))
        except ValueError:
            return False
        return any(address in network for network in self._networks)


def _covers(outer: IPv4Network | IPv6Network, inner: IPv4Network | IPv6Network) -> bool:
    return (
        outer.version == inner.version
        and outer.network_address <= inner.network_address  # type: ignore[operator]  # one version
        and outer.broadcast_address >= inner.broadcast_address  # type: ignore[operator]  # as well
    )


def _network(text: object) -> IPv4Network | IPv6Network:
    try:
        network = ip_network(str(text))  # of an int it would make an address
    except ValueError:
        raise ConfigurationError(f"trusted: {text!r} is not {_EXPECTED}") from None
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        plain = network.network_address.ipv4_mapped
        return ip_network(f"{plain}/{network.prefixlen - 96}")
    return network
