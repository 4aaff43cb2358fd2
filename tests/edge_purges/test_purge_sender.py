"""The queue in memory: second purges come although first ones never end, and it does not grow."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event as Flag
from types import SimpleNamespace
from typing import Any, cast

import pytest

from regionware.adapters.edges import sender as module
from regionware.adapters.edges.outbox import Lag
from regionware.adapters.edges.sender import EdgeSender
from regionware.caching.purging import Order
from regionware.observe import Event
from tests.conformance.harness import until


@dataclass
class Deliveries:
    """A courier that keeps what it is to deliver, once it may.

    Attributes:
        made: the names of each delivery.
        open: whether it delivers at all.
    """

    made: list[list[str]] = field(default_factory=list)
    open: Flag = field(default_factory=Flag)
    edge: Any = field(default_factory=lambda: SimpleNamespace(name="edge"))

    def deliver(self, names: Iterable[str], wait: Callable[[float], bool], **_: object) -> bool:
        while not self.open.is_set():
            if not wait(0.01):
                return False
        self.made.append(list(names))
        return True

    def count(self, name: str) -> int:
        return sum(name in names for names in self.made)


@contextmanager
def sending(least: float) -> Iterator[tuple[EdgeSender, Deliveries, list[Event]]]:
    courier, told = Deliveries(), list[Event]()
    lag = Lag(least=least, most=least, reached=bool)
    sender = EdgeSender(cast("Any", courier), "edge:edge", lag=lag, tell=told.append)
    try:
        yield sender, courier, told
    finally:
        sender.end()(5.0)


def order(*names: str) -> Order:
    return Order(names, None, 1)


def test_a_stream_of_purges_leaves_room_for_the_second_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "COALESCE", 0.02)
    with sending(0.2) as (sender, courier, _):
        courier.open.set()
        sender.send(order("hta"))
        limit, number = time.monotonic() + 20, 0
        while courier.count("hta") < 2:
            assert time.monotonic() < limit
            number += 1
            sender.send(order(f"ht{number % 50}"))
            time.sleep(0.001)
        assert courier.count("hta") == 2


def test_second_purges_that_are_far_off_go_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COALESCE", 0.0)
    monkeypatch.setattr(module, "_LATE", 3)
    with sending(1.0) as (sender, courier, told):
        courier.open.set()
        for number in range(20):
            done = sender.send(order(f"ht{number}"))
            assert done.wait(5)
        until(lambda: len(sender._again) == 3)
        until(lambda: all(courier.count(f"ht{number}") == 2 for number in range(20)))
        assert 1 <= sum(event.name == "edge-repeated" for event in told) <= 6


def test_what_is_being_delivered_is_waiting_still() -> None:
    with sending(60.0) as (sender, courier, _):
        done = sender.send(order("hta", "htb"))
        until(lambda: sender._first is None)
        assert sender.waiting[0] == 2
        assert sender.waiting[1] > 0
        courier.open.set()
        assert done.wait(5)
        until(lambda: sender.waiting == (0, 0.0))
