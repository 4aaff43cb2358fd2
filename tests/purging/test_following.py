"""What the log means: nothing here is connected to anything."""

from contextlib import nullcontext
from itertools import pairwise
from typing import Any

import pytest

from regionware.caching import following
from regionware.caching.coherence import BOUND, NO_POSITION, Fences
from regionware.caching.following import BATCH, Follower
from regionware.observe import Event

HERE, THERE = "a" * 40, "b" * 40
NOW = 100.0


class Process:
    """A follower, and what it has told."""

    def __init__(self) -> None:
        self.fences = Fences(alone=False, writing=nullcontext())
        self.events: list[Event] = []
        self.resets = 0
        self.follower = Follower(
            self.fences, retention=10**12, on_reset=self._reset, tell=self.events.append
        )

    def _reset(self) -> None:
        self.resets += 1

    def begin(self, at: int, server: str = HERE, stamp: int | None = None) -> None:
        """A snapshot, after a purge of everything that began the history."""
        self.follower.asking()
        pairs = [b"#", epoch(1, server), b"h*", fence(1)]
        text = f"{at if stamp is None else stamp:016x}".encode()
        self.follower.snapshot([text, b"%d-0" % at, pairs], NOW)

    @property
    def told(self) -> list[str]:
        return [f"{event.name}:{event.detail}" for event in self.events]


def epoch(stamp: int, server: str = HERE) -> bytes:
    return f"{stamp:016x}:{server}".encode()


def fence(stamp: int) -> bytes:
    return f"{stamp:016x}{NO_POSITION}".encode()


def purged(stamp: int, after: int, name: bytes = b"htx") -> tuple[bytes, list[bytes]]:
    return b"%d-0" % stamp, [b"<", b"%d" % after, name, fence(stamp)]


def confirmed(clock: int, began: bytes | None = None, now: int = 0) -> list[bytes]:
    """What Redis answers to a worker that says how far it is."""
    return [f"{now:016x}".encode(), b"%d" % clock, epoch(1) if began is None else began]


@pytest.fixture
def one() -> Process:
    one = Process()
    one.begin(10)
    return one


def test_nothing_is_trusted_before_a_snapshot() -> None:
    one = Process()
    assert one.fences.heard_until == 0.0
    assert not one.follower.synced
    assert one.follower.status(NOW).heard == float("inf")


def test_a_snapshot(one: Process) -> None:
    assert one.follower.synced
    assert (one.follower.cursor, one.follower.applied) == (b"10-0", f"{10:016x}")
    assert one.fences.heard_until == NOW + BOUND
    assert (one.told, one.resets) == ([], 0)


def test_events_in_a_row(one: Process) -> None:
    assert one.follower.follow([purged(20, 10), purged(30, 20, b"hty")], NOW + 1)
    assert one.fences._table.keys() == {"h*", "htx", "hty"}
    assert (one.follower.cursor, one.fences.heard_until) == (b"30-0", NOW + 1 + BOUND)
    assert one.follower.follow([], NOW + 2)
    assert one.fences.heard_until == NOW + 2 + BOUND


@pytest.mark.parametrize(
    "events", [[purged(30, 20)], [purged(20, 10), purged(40, 30)], [purged(20, 0)]]
)
def test_an_event_that_is_missing(one: Process, events: list[Any]) -> None:
    assert not one.follower.follow(events, NOW + 1)
    assert one.fences.heard_until == NOW + BOUND
    assert one.told == ["gap:missing"]
    assert one.follower.gaps == 1


def test_an_event_that_is_missing_unnoticed(one: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    """The positive control: what the events say of each other is what tells."""
    monkeypatch.setattr(following, "_BEFORE", b"?")
    assert one.follower.follow([purged(30, 20)], NOW + 1)


def test_as_many_events_as_a_read_can_have(one: Process) -> None:
    stamps = [10, *range(20, 20 + BATCH)]
    events = [purged(stamp, before) for before, stamp in pairwise(stamps)]
    assert not one.follower.follow(events, NOW + 1)
    assert one.told == ["gap:behind"]
    assert one.follower.follow([purged(5000, stamps[-1])], NOW + 1)


@pytest.mark.parametrize(
    "reply",
    [confirmed(20), confirmed(9), confirmed(0), confirmed(10, b""), confirmed(10, epoch(7))],
)
def test_what_redis_has_and_does_not_give(one: Process, reply: list[bytes]) -> None:
    """A log that was trimmed or lost, and fences that were: nothing follows, and it is noticed."""
    one.follower.registered(reply)
    assert not one.follower.follow([], NOW + 1)
    assert one.told == ["gap:lost"]
    assert one.fences.heard_until == NOW + BOUND
    one.begin(30)
    assert one.follower.follow([], NOW + 1)


def test_what_redis_has_and_gives(one: Process) -> None:
    """The positive control."""
    one.follower.registered(confirmed(20))
    assert one.follower.follow([purged(20, 10), purged(30, 20)], NOW + 1)
    one.follower.registered(confirmed(30))
    assert one.follower.follow([], NOW + 1)
    assert one.told == ["backplane-lag:"]


@pytest.mark.parametrize(
    "reply", [None, b"OK", 1, [], [b"x", b"1", b""], [1, 2, 3], [b"1", b"x", b""]]
)
def test_what_is_no_answer(one: Process, reply: Any) -> None:
    one.follower.registered(reply)
    assert one.follower.follow([], NOW + 1)


@pytest.mark.parametrize(
    "reply",
    [[], [b"x", b"0-0", []], [b"1", b"0-0", [b"a"]], [b"1", b"0-0", None], [b"1", None, []], 7],
)
def test_what_is_no_snapshot(one: Process, reply: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        one.follower.snapshot(reply, NOW + 1)
    assert one.fences.heard_until == NOW + BOUND


def test_another_server(one: Process) -> None:
    """Everything that this process knows is older than it, however far its clock was read."""
    one.fences.stamp = 1000
    one.begin(2000, THERE)
    assert (one.told, one.resets) == (["epoch:"], 1)
    assert one.fences._table["h*"].stamp > 1000
    one.begin(2000, THERE)
    assert one.resets == 1


def test_another_epoch_by_the_log(one: Process) -> None:
    one.follower.follow([(b"20-0", [b"<", b"10", b"#", epoch(20), b"h*", fence(20)])], NOW + 1)
    assert (one.told, one.resets) == (["epoch:"], 1)
    one.follower.registered(confirmed(20, epoch(20)))
    assert one.follower.follow([], NOW + 1)


def test_a_clock_that_went_back(one: Process) -> None:
    one.fences.stamp = 1000
    one.begin(10, stamp=999)
    assert one.resets == 1
    assert one.fences._table["h*"].stamp > 1000


def test_a_clock_that_others_read_meanwhile(one: Process) -> None:
    """The positive control: the snapshot is as old as it is, and that says nothing."""
    one.follower.asking()
    one.fences.stamp = 1000
    one.follower.snapshot([b"%016x" % 999, b"10-0", [b"#", epoch(1)]], NOW)
    assert one.resets == 0


def test_how_late_a_purge_came(one: Process) -> None:
    one.follower.follow([purged(1_000_000, 10)], NOW + 1)
    one.follower.registered(confirmed(1_000_000, now=1_250_000))
    assert one.follower.lag == 0.25
    assert [event.seconds for event in one.events] == [0.25]
    one.follower.registered(confirmed(1_000_000, now=9_000_000))
    status = one.follower.status(NOW + 3)
    assert (status.synced, status.lag, status.heard, status.gaps) == (True, 0.25, 2.0, 0)


def test_what_a_child_trusts(one: Process) -> None:
    one.follower.forget()
    assert one.fences.heard_until == 0.0
    assert not one.follower.status(NOW).synced


@pytest.mark.parametrize("by_log", [True, False])
def test_what_is_begun_after_the_next_epoch_passes_its_fences(one: Process, by_log: bool) -> None:
    """By a clock that is behind: look-ups have read 900, and the new history begins above."""
    one.fences.stamp = 900
    assert one.fences.told == 1
    fences = [b"#", epoch(901, THERE), b"h*", fence(901)]
    if by_log:
        one.follower.follow([(b"901-0", [b"<", b"10", *fences])], NOW)
    else:
        one.follower.asking()
        one.follower.snapshot([b"%016x" % 902, b"901-0", fences], NOW)
    assert one.fences.told == 901
    (everything,) = one.fences.standing(("http", "host", "/", ""), ())
    assert everything.stamp == 901  # a look-up is at 902, and so is the next purge


def test_look_ups_do_not_count_on_from_each_other(one: Process) -> None:
    """What was heard is raised above all that was read here; what was told stays as it was."""
    one.fences.stamp = 900
    one.follower.follow([purged(20, 10)], NOW)
    assert (one.fences.told, one.fences.stamp) == (20, 901)
    assert max(each.stamp for each in one.fences.standing(("", "", "", ""), ["x"])) == 901
