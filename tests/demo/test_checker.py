"""The judge of the demonstration: what it must call wrong, and what it must not."""

import pytest

from regionware.demo import promises
from regionware.demo.checker import Checker, Promise, Write

OWN = Promise(own_writes=True, lifetime=None, purged=False)
LIVED = Promise(own_writes=False, lifetime=2.0, purged=False)
PURGED = Promise(own_writes=False, lifetime=None, purged=True)


def judge(promise: Promise, *, version: int, client: str, sent: float) -> list[str]:
    """The faults of one read, after the client ada had version 3 acknowledged at 10 s."""
    checker = Checker(bound=0.5)
    checker.wrote("row", Write(3, 10.0, "ada"))
    checker.wrote("row", Write(2, 9.0, "bob"))
    checker.read({"row": version}, promise, client=client, sent=sent)
    assert checker.checked == 1
    return [each.fault for each in checker.wrong]


@pytest.mark.parametrize(
    ("promise", "version", "client", "sent", "fault"),
    [
        (OWN, 2, "ada", 10.001, "own write missed"),
        (OWN, 1, "bob", 9.001, "own write missed"),
        (LIVED, 2, "eve", 12.1, "older than its lifetime"),
        (LIVED, 1, "eve", 11.1, "older than its lifetime"),
        (PURGED, 2, "eve", 10.6, "older than a purge"),
        (PURGED, 1, "eve", 9.6, "older than a purge"),
    ],
)
def test_every_fault_is_found(
    promise: Promise, version: int, client: str, sent: float, fault: str
) -> None:
    assert judge(promise, version=version, client=client, sent=sent) == [fault]


@pytest.mark.parametrize(
    ("promise", "version", "client", "sent"),
    [
        (OWN, 3, "ada", 10.001),
        (OWN, 4, "ada", 10.001),  # a write that nobody has acknowledged yet
        (OWN, 2, "bob", 10.001),  # somebody else's write
        (OWN, 2, "ada", 9.999),  # sent before the write was acknowledged
        (LIVED, 2, "ada", 11.9),
        (LIVED, 3, "ada", 99.0),
        (PURGED, 2, "ada", 10.4),
        (PURGED, 3, "ada", 99.0),
        (LIVED, 2, "eve", 9.0),
    ],
)
def test_nothing_else_is_called_wrong(
    promise: Promise, version: int, client: str, sent: float
) -> None:
    assert judge(promise, version=version, client=client, sent=sent) == []


def test_an_answer_with_several_faults_is_one_wrong_answer() -> None:
    checker = Checker(bound=0.5)
    for key in ("one", "two"):
        checker.wrote(key, Write(2, 10.0, "ada"))
    checker.read({"one": 1, "two": 1}, OWN, client="ada", sent=11.0)
    assert (checker.checked, checker.faults()) == (1, {"own write missed": 1})


def test_an_answer_about_another_row_is_wrong() -> None:
    checker = Checker(bound=0.5)
    checker.mismatched("product:1", 2)
    assert checker.faults() == {"not that row": 1}


def test_the_routes_promise_what_they_declare() -> None:
    assert Promise(own_writes=True, lifetime=300.0, purged=True) == promises.PRODUCT
    assert Promise(own_writes=True, lifetime=3.0, purged=False) == promises.LIST
    assert Promise(own_writes=False, lifetime=6.0, purged=True) == promises.CONFIG
    assert Promise(own_writes=True, lifetime=None, purged=False) == promises.STOCK == promises.ME
