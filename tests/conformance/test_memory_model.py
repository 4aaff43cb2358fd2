"""The memory tier against a model of SIEVE that is too simple to be wrong."""

from sys import getsizeof

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from regionware import ConfigurationError
from regionware.caching.entry import Key, Record
from regionware.caching.memory import Memory

BOUND = 1 << 16
KEYS = st.sampled_from([("http", "h", f"/{n}", "") for n in range(60)])
SIZES = st.integers(0, BOUND // 32)


class Model(RuleBasedStateMachine):
    """A list from the oldest to the newest, and a hand."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = Memory(BOUND)
        self.order: list[Record] = []
        #: Goes through the same as the tier's, so it is as large.
        self.table: dict[Key, Record] = {}
        self.visited: set[int] = set()
        self.hand: Record | None = None

    def _remove(self, record: Record) -> None:
        at = self.order.index(record)
        if self.hand is record:
            self.hand = self.order[at + 1] if at + 1 < len(self.order) else None
        del self.order[at]
        del self.table[record.key]
        self.visited.discard(id(record))

    def _evict(self) -> None:
        at = self.order.index(self.hand) if self.hand is not None else 0
        while id(self.order[at]) in self.visited:
            self.visited.discard(id(self.order[at]))
            at = (at + 1) % len(self.order)
        self.hand = self.order[at]
        self._remove(self.order[at])

    @property
    def account(self) -> int:
        reserved = BOUND // 32
        return reserved + sum(each.size for each in self.order) + getsizeof(self.table)

    def _find(self, key: Key) -> Record | None:
        return next((record for record in self.order if record.key == key), None)

    @rule(key=KEYS, size=SIZES, times=st.integers(1, 3))
    def put(self, key: Key, size: int, times: int) -> None:
        for _ in range(times):
            record = Record(key, size)
            if not self.memory.put(record):
                assert record.size > self.memory.largest
                continue
            known = self._find(key)
            if known is not None:
                self._remove(known)
            while self.order and self.account + record.size > BOUND:
                self._evict()
            self.order.append(record)
            self.table[key] = record
            while self.account > BOUND:
                self._evict()

    @rule(start=st.integers(0, 40), count=st.integers(1, 60))
    def put_many(self, start: int, count: int) -> None:
        for number in range(start, start + count):
            self.put(("http", "h", f"/{number}", ""), 1400, 1)

    @rule(start=st.integers(0, 40), step=st.integers(1, 3))
    def lookup_many(self, start: int, step: int) -> None:
        for number in range(start, 100, step):
            self.lookup(("http", "h", f"/{number}", ""))

    @rule(key=KEYS)
    def lookup(self, key: Key) -> None:
        known = self._find(key)
        assert self.memory.lookup(key) is known
        if known is not None:
            self.visited.add(id(known))

    @precondition(lambda self: self.order)
    @rule(at=st.integers(0, 99), again=st.booleans())
    def discard(self, at: int, again: bool) -> None:
        record = self.order[at % len(self.order)]
        self.memory.discard(record)
        if again:
            self.memory.discard(record)
        self._remove(record)

    @rule(key=KEYS)
    def discard_what_was_replaced(self, key: Key) -> None:
        self.memory.discard(Record(key, 1))

    @rule()
    def clear(self) -> None:
        self.memory.clear()
        self.order.clear()
        self.table.clear()
        self.visited.clear()
        self.hand = None

    @invariant()
    def the_bound_holds_and_the_account_is_right(self) -> None:
        assert self.memory.currsize <= BOUND
        assert self.memory.currsize == self.account

    @invariant()
    def what_is_kept_is_what_the_model_keeps(self) -> None:
        assert {id(each) for each in self.memory.records()} == {id(each) for each in self.order}


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_a_record_over_the_limit_is_refused() -> None:
    memory = Memory(BOUND)
    assert not memory.put(Record(("large",), memory.largest))
    assert memory.put(Record(("small",), memory.largest - 600))
    assert (len(memory), memory.lookup(("large",))) == (1, None)


def test_the_limit_of_a_record_can_be_set() -> None:
    memory = Memory(1 << 20, 2048)
    assert memory.put(Record(("small",), 1000))
    assert not memory.put(Record(("large",), 2048))


@pytest.mark.parametrize("largest", [0, 1023, (1 << 15) + 1])
def test_a_limit_that_makes_no_sense_is_refused(largest: int) -> None:
    with pytest.raises(ConfigurationError, match="memory_entry"):
        Memory(1 << 20, largest)


def test_what_is_wanted_survives_what_is_not() -> None:
    memory = Memory(BOUND)
    wanted = Record(("wanted",), 1000)
    memory.put(wanted)
    for number in range(200):
        memory.put(Record((str(number),), 1000))
        assert memory.lookup(("wanted",)) is wanted
    assert memory.lookup(("0",)) is None


def test_a_second_chance_is_only_one() -> None:
    memory = Memory(BOUND)
    for number in range(BOUND // 1000):
        memory.put(Record((str(number),), 1000))
    keys = [record.key for record in memory.records()]
    for key in keys:
        assert memory.lookup(key) is not None
    for number in range(len(keys)):
        memory.put(Record((f"later {number}",), 1000))
    assert [key for key in keys if key in memory] == []


def test_a_bound_below_the_smallest_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="memory"):
        Memory(BOUND - 1)
