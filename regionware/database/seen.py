"""What a session has seen, and what may be shown to it again. No I/O here.

Whoever has read something must not be shown anything older. A read shows no more than its *upper
bound*, so a host or an entry whose *lower bound* has reached that shows at least as much. In
between lies what the bounds do not know: a replica that is read again is certainly no older than it
was, long before its mark proves it, and an entry that is served again is the same. So a session
also has a *pin*, the one host or entry that holds everything the session has seen.
"""

from dataclasses import dataclass
from hashlib import blake2b

from regionware.database.position import Position, merge

_PIN = 8


@dataclass(frozen=True, slots=True)
class Seen:
    """What a session has seen.

    Attributes:
        position: the upper bound; `None` while it has seen nothing.
        pin: the name of the one host or entry that holds all of it, or an empty string.
    """

    position: Position | None = None
    pin: str = ""

    def after(self, upper: Position, name: str) -> "Seen":
        """The same after a read that was good enough for this session.

        Args:
            upper: the upper bound of what the read has shown.
            name: of the replica or the entry that has shown it; empty for a primary, which needs
                no pin: it has everything.
        """
        if name == self.pin or not self._above(upper):
            return Seen(merge(self.position, upper), name)
        # It has shown nothing that was not below the bound already, strictly: what raised that
        # holds this as well.
        return self

    def written(self) -> "Seen":
        """The same after an own commit, which no pin need hold."""
        return Seen(self.position)

    def joined(self, other: "Seen") -> "Seen":
        """What two have seen, of whom each must be shown as much as the other."""
        if self.position is None or other.position is None:
            return other if self.position is None else self
        pin = self.pin if self.pin == other.pin else ""
        return Seen(merge(self.position, other.position), pin)

    def covers(self, need: Position | None) -> bool:
        """Whether the pin may be used by one who needs this: it was named for all of it."""
        return bool(self.pin) and self.position is not None and self.position.reached(need)

    def _above(self, upper: Position) -> bool:
        """Whether the bound is higher than another; at the same one, one may hold more."""
        known = self.position
        return known is not None and (known.timeline, known.lsn) > (upper.timeline, upper.lsn)


#: A session that has seen nothing.
NOTHING = Seen()


def host_pin(host: str, instance: str) -> str:
    """The name of one start of one replica: a standby never goes back within it.

    Args:
        host: its name in the topology.
        instance: see `Mark`; where it is not known there is no pin.
    """
    if not instance:
        return ""
    return "h" + blake2b(f"{host}\n{instance}".encode(), digest_size=_PIN).hexdigest()


def entry_pin(*parts: bytes) -> str:
    """The name of one entry, from all that tells it from any other."""
    digest = blake2b(digest_size=_PIN)
    for part in parts:
        digest.update(b"%d\n" % len(part))
        digest.update(part)
    return "e" + digest.hexdigest()
