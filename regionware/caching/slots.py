"""The slots of a Redis Cluster: which key is in which, and who has them."""

from binascii import crc_hqx
from collections.abc import Iterator
from typing import Any, Final

from regionware.redis_url import Address

SLOTS: Final = 16_384


def slot_of(key: str) -> int:
    """The slot of a key: of what stands in its first braces, if anything does, else of all of it.

    As the specification of Redis Cluster says: the remainder of CRC-16/XMODEM.
    """
    start = key.find("{")
    if start >= 0:
        end = key.find("}", start + 1)
        if end > start + 1:
            key = key[start + 1 : end]
    return crc_hqx(key.encode(), 0) % SLOTS


def read_slots(reply: Any, asked: Address) -> list[Address | None]:
    """Which master has each slot, from a reply to `CLUSTER SLOTS`; `None` where nobody has.

    Args:
        reply: a list of ranges, each: first slot, last slot, the master, its replicas.
        asked: who has replied: a node that does not know its own address leaves it out.

    Raises:
        ValueError: it is no such reply, or contradicts itself.
    """
    table: list[Address | None] = [None] * SLOTS
    try:
        for first, last, master in _ranges(reply):
            if not 0 <= first <= last < SLOTS:
                raise ValueError("a range of slots that do not exist")
            if any(table[first : last + 1]):
                raise ValueError("two masters of the same slots")
            host, port = master[0], int(master[1])
            if not 0 < port < 65_536:
                raise ValueError("a master of slots at a port that does not exist")
            name = host.decode("ascii") if host else asked[0]
            table[first : last + 1] = [(name, port)] * (last + 1 - first)
    except (TypeError, IndexError, AttributeError) as error:
        raise ValueError("no reply to CLUSTER SLOTS") from error
    return table


def _ranges(reply: Any) -> Iterator[tuple[int, int, Any]]:
    for each in reply:
        yield int(each[0]), int(each[1]), each[2]
