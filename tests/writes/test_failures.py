"""A forward that fails is 503 within its deadlines, and nothing is ever carried out twice."""

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from regionware.forwarding import client as clients
from regionware.parts.process import free_port
from regionware.parts.proxy import DelayProxy
from regionware.policies import Route, Write
from tests.conformance.application import DEADLINE
from tests.writes.served import Answer, Place, Told, Worlds

#: Seconds that the tests configure, and for which a busy machine may take longer.
SHORT, AMPLE = 1.0, 15.0


def _routes(**words: Any) -> list[Route]:
    write = Write.forward(
        **{"timeout": SHORT, "connect_timeout": SHORT, "idle_timeout": SHORT, **words}
    )
    return [Route("/{path:path}", write=write)]


class Line:
    """Two regions with a line between them."""

    def __init__(self, worlds: Worlds, **words: Any) -> None:
        _, self.near = worlds.pair()
        self.proxy = DelayProxy(self.near.server.port).start()
        worlds._ends.append(self.proxy.close)
        self.far = worlds.far(self.proxy.port, _routes(**words))

    def fails(self, **ask: Any) -> Answer:
        began = time.monotonic()
        answer = self.far.ask(**ask)
        assert time.monotonic() - began < AMPLE
        assert (answer.status, answer["retry-after"]) == (503, "1")
        assert "no-store" in answer["cache-control"]
        return answer

    @property
    def executions(self) -> tuple[int, int]:
        return len(self.far.app.seen), len(self.near.app.seen)


@pytest.fixture
def line(worlds: Worlds) -> Line:
    return Line(worlds)


def why(place: Place) -> dict[str, int]:
    counts = place.rw.counts().items()
    return {name.partition(":")[2]: n for name, n in counts if name.startswith("forward-failed")}


def test_refused(worlds: Worlds) -> None:
    far = worlds.far(free_port(), _routes())
    answer = far.ask(body=b"x")
    assert (answer.status, answer["retry-after"]) == (503, "1")
    assert why(far) == {"connect": 1}
    assert far.app.seen == []


def test_refused_with_a_fallback_runs_here(worlds: Worlds) -> None:
    far = worlds.far(free_port(), _routes(fallback="direct"))
    for body in (b"some", iter([b"so", b"me"])):
        assert far.ask(body=body).status == 200
    assert [seen.body for seen in far.app.seen] == [b"some", b"some"]
    assert why(far) == {"connect": 2}


@pytest.fixture
def full() -> Iterator[int]:
    """A port where connections are neither accepted nor refused."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        port = listening.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        yield port
        for each in waiting:
            each.close()


@pytest.mark.parametrize("fallback", ["fail", "direct"])
def test_no_connection_in_time(worlds: Worlds, full: int, fallback: str) -> None:
    far = worlds.far(full, _routes(fallback=fallback))
    began = time.monotonic()
    answer = far.ask(body=b"x")
    assert time.monotonic() - began < AMPLE
    assert (answer.status, len(far.app.seen)) == ((503, 0) if fallback == "fail" else (200, 1))


def test_no_answer_in_time(line: Line) -> None:
    line.proxy.black_hole()
    line.fails(body=b"x")
    assert why(line.far) == {"timeout": 1}
    line.proxy.heal()
    # It may arrive all the same: once, and the fallback was not taken.
    assert line.executions[0] == 0
    assert line.executions[1] <= 1


@pytest.mark.parametrize("fallback", ["fail", "direct"])
def test_no_answer_from_a_connection_that_was_kept(worlds: Worlds, fallback: str) -> None:
    line = Line(worlds, fallback=fallback)
    assert line.far.ask().status == 200
    line.proxy.black_hole()
    line.fails(body=b"x")
    assert line.executions[0] == 0


@pytest.mark.parametrize("fallback", ["fail", "direct"])
def test_it_dies_once_it_has_the_request(worlds: Worlds, fallback: str) -> None:
    line = Line(worlds, fallback=fallback)

    def dies(_: Any) -> Told:
        line.proxy.refuse()
        return Told()

    line.near.app.told = dies
    line.fails(body=b"x")
    assert why(line.far) == {"broken": 1}
    assert line.executions == (0, 1)


def test_a_retry_would_be_noticed(worlds: Worlds, monkeypatch: pytest.MonkeyPatch) -> None:
    """The positive control: who takes a broken connection for one never made does it twice."""
    line = Line(worlds, fallback="direct")

    def cuts(_: Any) -> Told:
        line.proxy.cut()
        return Told()

    line.near.app.told = cuts
    broken = (*clients._UNREACHED, *clients._BROKEN)
    monkeypatch.setattr(clients, "_UNREACHED", broken)
    assert line.far.ask().status == 200
    assert line.executions == (1, 1)


def test_an_answer_that_breaks_off_breaks_off(line: Line) -> None:
    line.near.app.told = lambda _: Told(steps=(b"first", line.proxy.cut, b"last"))
    with pytest.raises((http.client.IncompleteRead, ConnectionError, http.client.BadStatusLine)):
        line.far.ask(body=b"x")
    assert why(line.far) == {"truncated": 1}
    assert line.executions == (0, 1)


def test_an_answer_of_known_length_that_breaks_off_breaks_off(line: Line) -> None:
    line.near.app.told = lambda _: Told(
        headers=[("Content-Length", "9")], steps=(b"first", line.proxy.cut, b"last")
    )
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        line.far.ask(body=b"x")
    assert line.executions == (0, 1)


def test_an_answer_that_stands_still_breaks_off(line: Line) -> None:
    line.near.app.told = lambda _: Told(steps=(b"first", line.proxy.black_hole, b"last"))
    began = time.monotonic()
    with pytest.raises((http.client.IncompleteRead, ConnectionError, http.client.BadStatusLine)):
        line.far.ask(body=b"x")
    assert time.monotonic() - began < AMPLE
    assert why(line.far) == {"truncated": 1}
    line.proxy.heal()


class Scripted:
    """A server that says what it is told, piece by piece."""

    def __init__(self, *pieces: bytes, pause: float = 0.0) -> None:
        self._pieces, self._pause = pieces, pause
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.requests = 0
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                line, _ = self._socket.accept()
            except OSError:
                return
            with line:
                self.requests += 1
                line.recv(65536)
                try:
                    for piece in self._pieces:
                        line.sendall(piece)
                        time.sleep(self._pause)
                except OSError:
                    continue

    def close(self) -> None:
        self._socket.close()


def test_a_head_that_comes_too_slowly(worlds: Worlds) -> None:
    """Each piece comes in time, and the whole does not."""
    dripping = Scripted(b"HTTP/1.1 200 OK\r\n", *[b"x: y\r\n"] * 40, pause=SHORT / 4)
    worlds._ends.append(dripping.close)
    far = worlds.far(dripping.port, _routes())
    began = time.monotonic()
    assert far.ask(body=b"x").status == 503
    assert time.monotonic() - began < SHORT * 8
    assert why(far) == {"timeout": 1}


@pytest.mark.parametrize(
    "said",
    [
        b"", b"nonsense\r\n\r\n", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"x" * 200_000,
    ],
    ids=["nothing", "nonsense", "upgrade", "length", "endless"],
)  # fmt: skip
def test_what_is_no_answer(worlds: Worlds, said: bytes) -> None:
    talker = Scripted(said)
    worlds._ends.append(talker.close)
    far = worlds.far(talker.port, _routes(fallback="direct"))
    assert far.ask(body=b"x").status == 503
    assert why(far) == {"broken": 1}
    assert (talker.requests, len(far.app.seen)) == (1, 0)


def test_interim_answers_are_none(worlds: Worlds) -> None:
    talker = Scripted(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n"
    )
    worlds._ends.append(talker.close)
    assert worlds.far(talker.port, _routes()).ask(body=b"x").status == 204


def test_a_dead_region_costs_little(worlds: Worlds, full: int) -> None:
    """After a few that had to wait, nobody waits; when it is back, somebody finds out."""
    far = worlds.far(full, _routes())
    for _ in range(3):
        assert far.ask().status == 503
    assert far.rw.counts()["region-down:iad"] == 1
    began = time.monotonic()
    for _ in range(20):
        assert far.ask().status == 503
    assert why(far).get("closed", 0) >= 15
    assert time.monotonic() - began < AMPLE
    # The positive control: a gate that never closes waits each time.
    client = far.rw._parts.rim.client
    assert client is not None
    client._gates["iad"].passed()
    before = why(far)["connect"]
    far.ask()
    assert why(far)["connect"] == before + 1


def test_a_region_that_comes_back_is_used_again(worlds: Worlds) -> None:
    line = Line(worlds)
    line.proxy.target_port = free_port()
    line.proxy.close()
    for _ in range(4):
        line.fails()
    again = DelayProxy(line.near.server.port, port=line.proxy.port).start()
    worlds._ends.append(again.close)
    limit = time.monotonic() + DEADLINE
    while line.far.ask().status != 200:
        assert time.monotonic() < limit
        time.sleep(0.05)
    assert line.executions[0] == 0


def test_no_place_in_the_pool(worlds: Worlds) -> None:
    line = Line(worlds, connections=1, timeout=DEADLINE, idle_timeout=DEADLINE)
    waits, entered = threading.Event(), threading.Event()

    def holding() -> bytes:
        entered.set()
        waits.wait(DEADLINE)
        return b""

    inner = line.near.app.told
    line.near.app.told = lambda _: Told(steps=(holding,))
    first = threading.Thread(target=line.far.ask)
    first.start()
    assert entered.wait(DEADLINE)
    line.fails()
    assert why(line.far) == {"pool": 1}
    waits.set()
    first.join(DEADLINE)
    line.near.app.told = inner
    assert line.far.ask().status == 200
    assert line.executions == (0, 2)
