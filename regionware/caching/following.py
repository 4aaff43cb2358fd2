"""What the region's log means for this process: fences, cursor, epoch, trust. No I/O here.

A worker's trust in its memory rests on three facts, each of which is checked here. It has *all*
events up to its cursor: each names the one before it. The fences that it began with are
*complete*: their epoch names the server that they are complete in. And it has heard of them
*lately*: whoever reads says when the read was sent.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from regionware.caching.coherence import BOUND, EVERYTHING, Fence, Fences, mark, read_stamp
from regionware.observe import Event

#: Events of one read. With as many, more are waiting, and some may be forgotten before their turn.
BATCH = 1000
#: Beside the fences: their epoch, up to when they are forgotten, for how long they are needed, and
#: which event came before.
_EPOCH, _HORIZON, _NEEDED, _BEFORE = b"#", b"~", b"%", b"<"
_NOTES = frozenset({_EPOCH, _HORIZON, _NEEDED, _BEFORE})
#: Seconds between two sweeps of fences that nobody needs any more.
_PRUNING = 60.0
_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Backplane:
    """How well this process hears of the region's purges.

    Attributes:
        synced: the fences are the region's, as of `heard` seconds ago.
        lag: seconds from the latest purge of another to its being applied here, by Redis's clock.
        heard: seconds since the latest read that was answered was sent; infinite before the first.
        epoch: the history that the fences belong to: the stamp of its beginning, and its server.
        gaps: how often events were missing, so that a snapshot was taken.
    """

    synced: bool
    lag: float
    heard: float
    epoch: str
    gaps: int


class Follower:
    """Applies snapshots and events, in the order in which they were read.

    Attributes:
        cursor: the id of the latest event that is applied.
        epoch: see `Backplane`; empty before the first snapshot.
        synced: a snapshot has been applied.
        gaps: see `Backplane`.
        lag: see `Backplane`.
        retention: microseconds after which no entry of this process can be older than a fence.
    """

    def __init__(
        self,
        fences: Fences,
        *,
        retention: int,
        on_reset: Callable[[], None],
        tell: Callable[[Event], None],
    ) -> None:
        """Begin with nothing known, and nothing trusted.

        Args:
            fences: what is kept up to date.
            retention: microseconds after which no entry can be older than a fence.
            on_reset: called when the region's history has been lost or exchanged.
            tell: told of `epoch`, `gap` and `backplane-lag`.
        """
        self._fences = fences
        self.retention = retention
        self._on_reset = on_reset
        self._tell = tell
        self._asked = 0
        self._news = 0
        self._due = 0
        self._lost = False
        self._pruned = 0.0
        self.cursor = b"0-0"
        self.epoch = ""
        self.synced = False
        self.gaps = 0
        self.lag = 0.0

    @property
    def applied(self) -> str:
        """The stamp up to which every purge is applied, 16 hexadecimal digits."""
        return f"{int(self.cursor.partition(b'-')[0]):016x}"

    def asking(self) -> tuple[int, str]:
        """What a snapshot must be later than: the latest stamp known here, and the epoch."""
        self._asked = self._fences.stamp
        return self._asked, self.epoch

    def snapshot(self, reply: Sequence[Any], sent: float) -> None:
        """Apply all fences of the region.

        Args:
            reply: stamp, cursor, and names and fences in turn.
            sent: monotonic seconds; the worker was heard of then, or later.

        Raises:
            ValueError: it is no snapshot.
            TypeError: the same.
        """
        text, cursor, pairs = reply[:3]
        stamp, known = read_stamp(text), dict(zip(pairs[::2], pairs[1::2], strict=True))
        behind = stamp < self._asked
        self._note(known, behind=behind)
        self._fences.raise_to(_fences(known))
        self._fences.see(stamp)
        self.cursor, self._news = bytes(cursor), 0
        self._due, self._lost = 0, False
        self.synced = True
        self._hear(sent)

    def follow(self, events: Iterable[tuple[bytes, Any]], sent: float) -> bool:
        """Apply events that were read after the cursor.

        Args:
            events: in order, at most `BATCH`: ids, and fields as pairs or as a mapping.
            sent: monotonic seconds: when this worker, before it sent the read, last sent word
                of itself that Redis has confirmed. So whoever has not heard of a worker for longer
                than `BOUND` knows that it trusts its memory no more.

        Returns:
            `False` if some are missing: only a snapshot tells what they were.
        """
        count = 0
        for count, (position, fields) in enumerate(events, 1):  # noqa: B007 - counted for later
            told = as_mapping(fields)
            if told.get(_BEFORE, self.cursor.partition(b"-")[0]) + b"-0" != self.cursor:
                return self._gap("missing")
            self._note(told)
            self._fences.hear(_fences(told))
            self.cursor = position
            self._news = int(position.partition(b"-")[0])
        if count >= BATCH:
            return self._gap("behind")
        if self._lost or int(self.applied, 16) < self._due:
            return self._gap("lost")
        self._hear(sent)
        return True

    def registered(self, reply: Any) -> None:
        """Redis has noted what is applied here; a read that is sent later gives all that is due.

        Args:
            reply: its clock, so that no clock is compared with another's; the stamp of the latest
                purge; and its epoch. What is something else is of no use, and does no harm.
        """
        try:
            now, clock, epoch = reply
            late, due, epoch = int(now, 16) - self._news, int(clock), epoch.decode()
        except (TypeError, ValueError, AttributeError):
            return
        self._due, self._lost = due, due < int(self.applied, 16) or epoch != self.epoch
        news, self._news = self._news, 0
        if news:
            self.lag = max(late, 0) / _SECOND
            self._tell(Event("backplane-lag", seconds=self.lag))

    def forget(self) -> None:
        """Trust nothing until the next snapshot."""
        self.synced = False
        self._fences.heard_until = 0.0

    def status(self, now: float) -> Backplane:
        """How things stand.

        Args:
            now: monotonic seconds.
        """
        until = self._fences.heard_until
        heard = now - (until - BOUND) if until else float("inf")
        return Backplane(self.synced, self.lag, heard, self.epoch, self.gaps)

    def _gap(self, detail: str) -> bool:
        self.gaps += 1
        self._tell(Event("gap", detail=detail))
        return False

    def _note(self, told: Mapping[bytes, bytes], *, behind: bool = False) -> None:
        """What is said beside the fences."""
        epoch = told.get(_EPOCH, b"").decode() or self.epoch
        if behind or (self.epoch and epoch != self.epoch):
            # Stamps of before cannot be compared with those of now: everything goes. That comes
            # before the fences of now, which are later: what is begun after them is good.
            self._fences.raise_alone([mark(EVERYTHING, soft=False)], None)
            self._on_reset()
            self._tell(Event("epoch"))
        self.epoch = epoch
        if _HORIZON in told:
            # The region has forgotten fences, and with them all that is as old.
            self._fences.prune(int(told[_HORIZON], 16) + 1)

    def _hear(self, sent: float) -> None:
        self._fences.heard_until = sent + BOUND
        if sent - self._pruned > _PRUNING:
            self._pruned = sent
            self._fences.prune(self._fences.stamp - self.retention)


def as_mapping(fields: Any) -> Mapping[bytes, bytes]:
    """An event's fields."""
    if isinstance(fields, Mapping):
        return fields
    return dict(zip(fields[::2], fields[1::2], strict=True))


def _fences(raw: Mapping[bytes, bytes]) -> dict[str, Fence]:
    """What can be read as a fence; what cannot is nobody's entry."""
    fences = {}
    for name, value in raw.items():
        if name not in _NOTES:
            try:
                fences[name.decode()] = Fence.decode(value.decode())
            except ValueError:
                continue
    return fences
