"""All that this process does for one edge."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Final

from regionware.adapters.edges.batches import UNKNOWN, cannot, meant
from regionware.adapters.edges.courier import Courier
from regionware.adapters.edges.outbox import EdgeOutbox, EdgeRepeat
from regionware.adapters.edges.sender import EdgeSender
from regionware.caching.awaiting import IN_PROCESS, IN_REDIS
from regionware.caching.purging import Order
from regionware.errors import ConfigurationError
from regionware.vendors.tags import edge_tags

#: Before the name of an edge where Redis keeps its cursor, and behind it that of the second purge.
PREFIX: Final = "edge:"
AGAIN: Final = ":again"


@dataclass(frozen=True, slots=True)
class EdgeStatus:
    """How purges of an edge are going, as far as this process knows.

    Attributes:
        name: the edge's.
        waiting: purges that this process has made and the edge has not taken; of those in no
            outbox, their names.
        oldest: seconds for which the oldest of them has been waiting; 0 if there is none.
    """

    name: str
    waiting: int
    oldest: float


class EdgeLine:
    """The queue of one edge: in this region's Redis, or where that does not do, in memory.

    Attributes:
        name: the edge's.
        key: the edge's cursor.
        sender: the queue in memory.
    """

    def __init__(
        self, courier: Courier, sender: EdgeSender, outboxes: Sequence[EdgeOutbox | EdgeRepeat]
    ) -> None:
        """Start nothing yet.

        Args:
            courier: delivers.
            sender: from memory.
            outboxes: from this region's Redis, for the first and for the second time; none where
                there is no Redis.
        """
        self.name = courier.edge.name
        self.key = PREFIX + self.name
        self.sender = sender
        self.capabilities = courier.edge.capabilities
        self._courier = courier
        self._outboxes = tuple(outboxes)

    def check(self, names: Sequence[str]) -> None:
        """Refuse what the edge cannot do, before anything is done.

        Raises:
            ConfigurationError: naming the edge and what it cannot do.
        """
        plan = meant(names)
        lacking = [words for purge in plan.purges for words in cannot(purge, self.capabilities)]
        if plan.unknown:
            lacking.append(UNKNOWN)
        if lacking:
            raise ConfigurationError(
                f"purge: edge {self.name} cannot purge {', '.join(lacking)}: see "
                "docs/cdn-purging.md"
            )

    def written(self, tags: Iterable[str]) -> tuple[str, ...]:
        """Tags as the edge knows them."""
        return edge_tags(self._courier.edge.vendor, tags)

    def take(self, order: Order, stamp: int) -> str:
        """A purge: it is in the outbox already if it has a stamp; where it is queued."""
        if not stamp or not self._outboxes:
            self.sender.send(order)
            return IN_PROCESS
        first, again = self._outboxes
        first.keep(order, stamp)
        again.start()
        return IN_REDIS

    def resend(self) -> None:
        """The outbox may have been lost: send from memory what is not confirmed."""
        for outbox in self._outboxes[:1]:
            for order in outbox.lost():
                self.sender.send(order)

    @property
    def status(self) -> EdgeStatus:
        """How it goes."""
        waiting, oldest = self.sender.waiting
        for outbox in self._outboxes[:1]:
            more, age = outbox.waiting
            waiting, oldest = waiting + more, max(oldest, age)
        return EdgeStatus(self.name, waiting, oldest)

    def start(self) -> None:
        """Take from the outbox what others have left there."""
        for outbox in self._outboxes:
            outbox.start()

    def stop(self, timeout: float = 2.0) -> None:
        """Deliver what can be delivered within `timeout` seconds, then end."""
        limit = monotonic() + timeout
        for wait in [*(outbox.end() for outbox in self._outboxes), self.sender.end()]:
            wait(max(limit - monotonic(), 0.0))
        self._courier.close()

    def forget(self) -> None:
        """After a fork: threads and connections are the parent's."""
        self._courier.forget()
        self.sender.forget()
        for outbox in self._outboxes:
            outbox.forget()
