"""Whatever a Redis replies, a request is answered as the bare application would answer it."""

import itertools

import pytest

from regionware.caching import breaker
from regionware.testing.garbage import ERRORS, HALVES, REPLIES
from regionware.testing.scripted import (
    Command,
    Hang,
    Hangup,
    Script,
    ScriptedRedis,
    constantly,
    dripping,
    erring,
    found,
    granted,
    kind,
    stopping,
    well_behaved,
)
from tests.conformance.application import Application, text
from tests.conformance.harness import until
from tests.rig import AMPLE, Client, Rig

pytestmark = pytest.mark.volume


def client(rig: Rig, server: ScriptedRedis) -> Client:
    return Client(rig.site(rig.worker(server.url), Application(lambda seen: text(seen.path))))


def suffer(rig: Rig, script: Script, *, everything: bool = False) -> None:
    """Requests while a script answers, and afterwards: nothing fails, nothing is left open."""
    with ScriptedRedis(script, everything=everything) as server:
        one = client(rig, server)
        for path in [one.new() for _ in range(4)]:
            one.ask(path)
            one.ask(path)
        assert server.accepted
        assert one.slowest < AMPLE
        until(lambda: server.open <= 2)
        server.behave()
        used = server.seen["fill"]
        until(lambda: bool(one.ask()) and server.seen["fill"] > used)
        rig.shut(one.site.rw)
        until(lambda: server.open == 0)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error[:10].decode("latin-1") or "-")
def test_errors(rig: Rig, error: bytes) -> None:
    suffer(rig, erring(error))


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error[:10].decode("latin-1") or "-")
def test_errors_for_a_fill(rig: Rig, error: bytes) -> None:
    reply = b"-" + error + b"\r\n"
    suffer(rig, lambda command: reply if kind(command) == "fill" else granted())


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error[:10].decode("latin-1") or "-")
def test_errors_for_a_repair(rig: Rig, error: bytes) -> None:
    reply, damaged = b"-" + error + b"\r\n", found(b"RWF1 and no more")
    suffer(rig, lambda command: reply if kind(command) == "repair" else damaged)


@pytest.mark.parametrize("name", REPLIES)
def test_replies_to_a_repair(rig: Rig, name: str) -> None:
    reply, damaged = REPLIES[name], granted(frame=b"RWF1 and no more")
    suffer(rig, lambda command: reply if kind(command) == "repair" else damaged)


@pytest.mark.parametrize("name", REPLIES)
def test_replies(rig: Rig, name: str) -> None:
    suffer(rig, constantly(REPLIES[name]))


@pytest.mark.parametrize("name", REPLIES)
def test_replies_from_the_first_word_on(rig: Rig, name: str) -> None:
    suffer(rig, constantly(REPLIES[name]), everything=True)


@pytest.mark.parametrize("half", HALVES, ids=lambda half: str(len(half)))
@pytest.mark.parametrize("how", [Hang, Hangup])
def test_half_a_reply(rig: Rig, half: bytes, how: type[Hang] | type[Hangup]) -> None:
    suffer(rig, stopping(half, how))


@pytest.mark.parametrize("how", [Hang, Hangup])
def test_half_a_word(rig: Rig, how: type[Hang] | type[Hangup]) -> None:
    suffer(rig, stopping(b"+O", how), everything=True)


def test_a_reply_that_drips(rig: Rig) -> None:
    """The deadline is one for the whole call, however often something arrives."""
    with ScriptedRedis(dripping(granted(frame=b"x" * 400))) as server:
        one = client(rig, server)
        until(lambda: bool(one.ask()) and server.seen["lookup"] > 0)
        assert one.slowest < AMPLE


# After some failures in a row nobody asks any more


def hanging(server: ScriptedRedis) -> None:
    server.everything, server.script = True, stopping(b"", Hang)


def asked_while_hung(one: Client, server: ScriptedRedis) -> int:
    """How many look-ups of 20 requests reach a server that has just begun to hang."""
    until(lambda: bool(one.ask()) and server.seen["fill"] > 0)
    hanging(server)
    before = server.seen["lookup"] + server.accepted
    for _ in range(20):
        one.ask()
    return server.seen["lookup"] + server.accepted - before


def test_a_hung_server_is_left_alone(rig: Rig) -> None:
    with ScriptedRedis(well_behaved) as server:
        one = client(rig, server)
        # The log's reader may connect again meanwhile; it keeps nobody waiting.
        assert asked_while_hung(one, server) <= breaker.FAILURES * 2 + 2
        assert one.count("redis-down") == 1
        server.behave()
        until(lambda: one.count("redis-up") == 1)
        known = server.seen["lookup"]
        until(lambda: bool(one.ask()) and server.seen["lookup"] > known)


def test_nobody_leaves_it_alone_without_the_limit(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The positive control: each of the 20 requests asks."""
    monkeypatch.setattr(breaker, "FAILURES", 10**9)
    monkeypatch.setattr(breaker, "CALLS", 10**9)
    with ScriptedRedis(well_behaved) as server:
        assert asked_while_hung(client(rig, server), server) >= 20


# Frames that are well-formed, and those of another key


def test_frames_of_other_keys(rig: Rig) -> None:
    """A server that mixes up its keys, or a connection that is one reply behind."""
    frames: list[bytes] = []

    def keep(command: Command) -> bytes:
        if kind(command) == "fill":
            frames.append(command[8])
        return well_behaved(command)

    with ScriptedRedis(keep) as server:
        one = client(rig, server)
        paths = [one.new() for _ in range(6)]
        until(lambda: [one.ask(path) for path in paths] and len(frames) >= 6)
        turn, asked = itertools.cycle(frames), server.seen["lookup"]
        server.script = lambda _: found(next(turn))
        for path in [*paths, *reversed(paths), one.new()]:
            one.site.rw.memory.clear()
            one.ask(path)
        assert server.seen["lookup"] >= asked + 13


def test_a_frame_of_its_own_is_used(rig: Rig) -> None:
    """The positive control: the server of the test above is believed when it is right."""
    frames: dict[bytes, bytes] = {}

    def script(command: Command) -> bytes:
        if kind(command) == "fill":
            frames[command[3]] = command[8]
            return b":1\r\n"
        frame = frames.get(command[3])
        return granted() if frame is None else found(frame)

    with ScriptedRedis(script) as server:
        one = client(rig, server)
        path = one.new()

        def used() -> bool:
            one.site.rw.memory.clear()
            return one.ask(path).cache_status.get("detail") == "redis"

        until(used)
