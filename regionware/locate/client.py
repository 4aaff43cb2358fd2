"""From what proxies have written to the address of a client: from the right to the left.

Every proxy adds the address that *it* was asked from at the right end. So only that end is known to
be true: the walk begins at the peer, goes on while it stands at a proxy of ours, and ends at the
first address that is none: the client. Whatever stands to the left of that a client can have sent.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from regionware.locate.addresses import Address, hop
from regionware.locate.claim import Trust
from regionware.locate.forwarded import LONGEST, MOST, Element, parse


@dataclass(frozen=True, slots=True)
class Client:
    """The client's address, and how it was found.

    Attributes:
        address: an `IPv4Address` or `IPv6Address`; `None` where nobody knows it.
        source: `peer`, the lower-case name of the header, `server` (which has put it in the peer's
            place, as it was told to), or `unknown`.
        trust: `LOCAL` for a peer that is no proxy; `PLATFORM` for what an authenticated proxy says;
            `UNKNOWN` where `address` is only the last proxy that is known, or nothing.
        stopped: why it was not found: the header is `absent`, `malformed` (or too long), names a
            `hop` that is no address, or more than 32 proxies.
    """

    address: Address | None
    source: str
    trust: Trust
    stopped: str = ""

    def __str__(self) -> str:
        """The address as text, or an empty string."""
        return "" if self.address is None else str(self.address)


NOBODY: Final = Client(None, "unknown", Trust.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Walk:
    """Where a walk ended.

    Attributes:
        client: the address there.
        left: how many elements stand to the left of it: nobody vouches for them.
    """

    client: Client
    left: int


@dataclass(frozen=True, slots=True)
class Chain:
    """The elements of one field, from the left to the right.

    Attributes:
        name: the field's, in lower case.
        hops: the addresses, `None` for what is none.
        texts: the same as they are written.
        elements: of `Forwarded`, what else they say.
        broken: why nothing in it counts, or an empty string.
    """

    name: str
    hops: tuple[Address | None, ...] = ()
    texts: tuple[str, ...] = ()
    elements: tuple[Element, ...] = ()
    broken: str = ""

    def walk(self, start: Address | None, place: int, is_proxy: Callable[[Address], bool]) -> Walk:
        """Go to the left from a proxy.

        Args:
            start: the address of the proxy, `None` where it has none (a Unix socket).
            place: how many elements are to the left of it.
            is_proxy: whether an address is that of a further proxy of ours.
        """
        if self.broken or not place:
            reason = self.broken or "absent"
            return Walk(Client(start, "peer", Trust.UNKNOWN, reason), place)
        while place:
            found = self.hops[place - 1]
            if found is None:
                return Walk(Client(start, self.name, Trust.UNKNOWN, "hop"), place)
            start, place = found, place - 1
            if not is_proxy(found):
                break
            if len(self.hops) - place >= MOST:
                return Walk(Client(start, self.name, Trust.UNKNOWN, "hops"), place)
        # If all are proxies, it was the first of them that asked.
        return Walk(Client(start, self.name, Trust.PLATFORM), place)


def read(name: str, text: str | None) -> Chain:
    """The chain in `x-forwarded-for` or `forwarded`; several lines are joined in their order."""
    if text is None:
        return Chain(name, broken="absent")
    if len(text) > LONGEST:
        return Chain(name, broken="malformed")
    if name == "forwarded":
        elements = parse(text)
        if elements is None:
            return Chain(name, broken="malformed")
        hops = tuple(element.client for element in elements)
        return Chain(name, hops, tuple(map(str, elements)), elements)
    # What stands to the left of the last of these is never looked at.
    texts = tuple(part.strip(" \t") for part in text.split(",")[-MOST - 1 :])
    return Chain(name, tuple(map(hop, texts)), texts)
