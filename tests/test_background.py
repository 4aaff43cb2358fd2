"""Threads of the background: bounded, and given up where the process may have no further one."""

import threading
from collections.abc import Iterator
from threading import Event

import pytest

from regionware.background import Background
from tests.conformance.application import DEADLINE
from tests.conformance.harness import until


@pytest.fixture
def background() -> Iterator[Background]:
    made = Background("test-background", threads=2, most=3)
    yield made
    made.close()


def no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process may start no further thread of the background."""
    start = threading.Thread.start

    def refusing(self: threading.Thread) -> None:
        if self.name.startswith("test-background"):
            raise RuntimeError("can't start new thread")
        start(self)

    monkeypatch.setattr(threading.Thread, "start", refusing)


def test_what_there_is_no_room_for_is_not_taken(background: Background) -> None:
    gate = Event()
    taken = [background.submit(lambda: _wait(gate)) for _ in range(5)]
    assert taken == [True, True, True, False, False]
    gate.set()
    done = Event()
    until(lambda: background.submit(done.set))  # there is room again
    assert done.wait(DEADLINE)


def test_work_that_fails_leaves_its_room(background: Background) -> None:
    for _ in range(10):
        until(lambda: background.submit(lambda: 1 / 0))  # type: ignore[arg-type] # it fails
    done = Event()
    until(lambda: background.submit(done.set))
    assert done.wait(DEADLINE)


def test_without_a_thread_nothing_is_taken_and_no_room_is_lost(
    background: Background, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[int] = []
    with monkeypatch.context() as patch:
        no_thread(patch)
        assert not any(background.submit(lambda: done.append(0)) for _ in range(10))
    assert background.submit(lambda: done.append(1))
    until(lambda: 1 in done)
    assert done == [1]  # what was refused has not been done after all


@pytest.mark.parametrize("guarded", [True, False])
def test_what_was_refused_is_not_done_by_a_thread_that_runs(
    background: Background, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    """An executor queues before it starts a thread: unguarded, one that runs finds it there."""
    gate, done, refused = Event(), Event(), Event()
    assert background.submit(lambda: _wait(gate))
    no_thread(monkeypatch)
    if not guarded:
        monkeypatch.setattr(Background, "_withdrawn", lambda *_: False)
    assert not background.submit(refused.set)
    gate.set()
    until(lambda: background.submit(done.set))
    assert done.wait(DEADLINE)
    assert refused.is_set() is not guarded


def test_after_a_fork_it_begins_anew(background: Background) -> None:
    gate = Event()
    while background.submit(lambda: _wait(gate)):
        pass
    background.forget()
    done = Event()
    assert background.submit(done.set)
    assert done.wait(DEADLINE)
    gate.set()


def _wait(gate: Event) -> None:
    assert gate.wait(DEADLINE)
