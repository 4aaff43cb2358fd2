"""What a session has seen: the decision over every history that is thought of, and its mutants."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionware.database.position import Position
from regionware.database.seen import NOTHING, Seen, entry_pin, host_pin

RECORD = 8


def at(record: int, timeline: int = 1) -> Position:
    """The end of a record of the log."""
    return Position(timeline, record * RECORD)


# The decision by itself


def test_a_read_raises_what_was_seen() -> None:
    assert NOTHING.after(at(3), "h1") == Seen(at(3), "h1")
    assert Seen(at(3), "h1").after(at(5), "h1") == Seen(at(5), "h1")
    # Another one that raises it is named now, or, being the primary, nobody.
    assert Seen(at(3), "h1").after(at(5), "h2") == Seen(at(5), "h2")
    assert Seen(at(3), "h1").after(at(5), "") == Seen(at(5), "")


def test_what_is_lower_changes_nothing() -> None:
    seen = Seen(at(5), "h1")
    assert seen.after(at(4), "h2") == seen
    assert seen.after(at(4), "h1") == seen


def test_at_one_bound_the_later_may_hold_more() -> None:
    assert Seen(at(5).above(), "h1").after(at(5).above(), "h2") == Seen(at(5).above(), "h2")


def test_an_own_commit_clears_the_name() -> None:
    assert Seen(at(5), "h1").written() == Seen(at(5), "")


def test_a_pin_is_good_for_what_it_was_named_for() -> None:
    seen = Seen(at(5), "h1")
    assert seen.covers(None)
    assert seen.covers(at(5))
    assert not seen.covers(at(6))
    assert not seen.covers(at(5, timeline=2))
    assert not Seen(at(5), "").covers(None)
    assert not NOTHING.covers(None)


def test_timelines() -> None:
    assert Seen(at(9), "h1").after(at(3, timeline=2), "h2") == Seen(at(3, timeline=2), "h2")
    newer = Seen(at(3, timeline=2), "h2")
    assert newer.after(at(9), "h1") == newer


def test_names() -> None:
    names = {
        host_pin("fra/replica-1", "1"), host_pin("fra/replica-1", "2"),
        host_pin("fra/replica-2", "1"), entry_pin(b"a", b"b"), entry_pin(b"ab", b""),
    }  # fmt: skip
    assert len(names) == 5
    assert all(len(name) == 17 for name in names)
    assert host_pin("fra/replica-1", "") == ""


# Every history: a log, two replicas that replay it, entries made from them, and one session


@dataclass
class Host:
    """A replica: what it shows, what it says that it has replayed, and what is known of that."""

    name: str
    shows: int = 0
    mark: int = 0
    busy: bool = False

    def replay(self, end: int) -> None:
        self.shows = max(self.shows, end)
        self.busy = False

    def counted(self) -> int:
        """The record that it shows may not be counted yet."""
        return self.shows - 1 if self.busy and self.shows else self.shows


@dataclass(frozen=True)
class Stored:
    name: str
    shows: int
    lower: Position
    upper: Position


@dataclass
class World:
    """What there is, and the rules of the session, some of which a mutant breaks."""

    after: Callable[[Seen, Position, str], Seen] = Seen.after
    checks: bool = True
    watermark: bool = False
    one_above: bool = True
    logged: int = 0
    hosts: list[Host] = field(default_factory=lambda: [Host("h0"), Host("h1")])
    entries: list[Stored] = field(default_factory=list)
    seen: Seen = NOTHING
    shown: int = 0
    violations: int = 0

    def step(self, what: str, which: int, number: int) -> None:
        getattr(self, what)(self.hosts[which], number)

    def log(self, _: Host, number: int) -> None:
        self.logged += number

    def replay(self, host: Host, number: int) -> None:
        host.replay(min(host.shows + number, self.logged))

    def midst(self, host: Host, _: int) -> None:
        """A record is visible, and not counted yet."""
        if host.shows < self.logged:
            host.shows, host.busy = host.shows + 1, True

    def probe(self, host: Host, _: int) -> None:
        host.mark = host.counted()

    def upper(self, host: Host) -> Position:
        counted = at(host.counted())
        if self.watermark:
            return at(host.mark)
        idle = host.counted() == self.logged
        return counted if idle or not self.one_above else counted.above()

    def good(self, lower: Position, name: str) -> bool:
        pinned = self.seen.covers(self.seen.position) and self.seen.pin == name
        return not self.checks or pinned or lower.reached(self.seen.position)

    def show(self, shows: int, upper: Position, name: str) -> None:
        self.violations += shows < self.shown
        self.shown = max(self.shown, shows)
        self.seen = self.after(self.seen, upper, name)

    def read(self, host: Host, _: int) -> None:
        if self.good(at(host.mark), host.name):
            self.show(host.shows, self.upper(host), host.name)
        else:
            self.show(self.logged, at(self.logged), "")

    def fill(self, host: Host, _: int) -> None:
        """Somebody else's request makes an entry."""
        name = f"e{len(self.entries)}"
        self.entries.append(Stored(name, host.shows, at(host.mark), self.upper(host)))

    def hit(self, _: Host, number: int) -> None:
        entry = self.entries[number % len(self.entries)] if self.entries else None
        if entry is not None and self.good(entry.lower, entry.name):
            self.show(entry.shows, entry.upper, entry.name)


Steps = list[tuple[str, int, int]]
WORDS = ("log", "replay", "midst", "probe", "read", "fill", "hit")
steps = st.lists(
    st.tuples(st.sampled_from(WORDS), st.integers(0, 1), st.integers(0, 3)), max_size=40
)


def violations(world: World, history: Steps) -> int:
    for step in history:
        world.step(*step)
    return world.violations


@given(steps)
def test_a_session_never_goes_back(history: Steps) -> None:
    assert violations(World(), history) == 0


def keeps_the_name(seen: Seen, upper: Position, name: str) -> Seen:
    """A mutant: whatever raises it, the name stays."""
    return replace(seen.after(upper, name), pin=seen.pin or name)


MUTANTS: dict[str, Callable[[], World]] = {
    "nothing is compared": lambda: World(checks=False),
    "the watermark is the token": lambda: World(watermark=True),
    "the name stays": lambda: World(after=keeps_the_name),
    "what is counted is all that was shown": lambda: World(one_above=False),
}


def thought_of(number: int) -> Steps:
    """A history by chance, always the same one for a number."""
    dice = random.Random(number)
    return [(dice.choice(WORDS), dice.randrange(2), dice.randrange(4)) for _ in range(40)]


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_every_mutant_is_caught(mutant: str) -> None:
    """The positive controls."""
    histories = (thought_of(number) for number in range(20_000))
    assert any(violations(MUTANTS[mutant](), history) for history in histories)


def test_the_same_histories_are_no_violation_of_the_rules() -> None:
    assert not any(violations(World(), thought_of(number)) for number in range(2_000))


@given(steps)
def test_whoever_reads_one_replica_stays_there(history: Steps) -> None:
    """A pinned session needs the primary for nothing, whatever is known of its replica."""
    world = World()
    world.read(world.hosts[0], 0)
    for what, _, number in history:
        if what in {"log", "replay", "midst", "probe"}:
            world.step(what, 0, number)
        world.read(world.hosts[0], 0)
        assert world.seen.pin == "h0"
        assert world.shown == world.hosts[0].shows
