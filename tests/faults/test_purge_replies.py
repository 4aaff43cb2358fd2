"""A purge is acknowledged when Redis has said so, and by nothing that only resembles it."""

from collections.abc import Callable
from typing import Any

import pytest

from regionware import PurgeError, Regionware
from regionware.effects import Lookup
from regionware.testing.garbage import ERRORS, HALVES, REPLIES
from regionware.testing.scripted import (
    Command,
    Hang,
    Hangup,
    Script,
    ScriptedRedis,
    bulk,
    granted,
    kind,
    well_behaved,
)
from tests.conformance.harness import until
from tests.rig import Rig

Purge = Callable[[], Any]


def purging(rig: Rig, rw: Regionware) -> Purge:
    """A purge, in this protocol's manner."""
    if rig.flavour == "asgi":
        return lambda: rig.run(rw.apurge(tags=["a"]))
    return lambda: rw.purge(tags=["a"])


def refuse(rig: Rig, script: Script) -> None:
    """Whatever the script says to a purge is no confirmation; once it behaves, it is delivered."""

    def answer(command: Command) -> bytes:
        return script(command) if kind(command) == "purge" else well_behaved(command)

    with ScriptedRedis(answer) as server:
        rw = rig.worker(server.url)
        rw.start()
        with pytest.raises(PurgeError) as caught:
            purging(rig, rw)()
        assert list(caught.value.queued) == ["here"]
        server.behave()
        seen = server.seen["purge"] + server.seen["eval"]
        until(lambda: server.seen["purge"] + server.seen["eval"] > seen)
        assert purging(rig, rw)().regions == ("here",)
        rig.shut(rw)
        until(lambda: server.open == 0)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error[:10].decode("latin-1") or "-")
def test_errors(rig: Rig, error: bytes) -> None:
    refuse(rig, lambda _: b"-" + error + b"\r\n")


@pytest.mark.parametrize("name", REPLIES)
def test_replies(rig: Rig, name: str) -> None:
    refuse(rig, lambda _: REPLIES[name])


@pytest.mark.parametrize("stamp", [b"", b"soon"])
def test_stamps_that_are_none(rig: Rig, stamp: bytes) -> None:
    refuse(rig, lambda _: bulk(stamp))


@pytest.mark.parametrize("half", HALVES, ids=lambda half: str(len(half)))
@pytest.mark.parametrize("how", [Hang, Hangup])
def test_half_a_reply(rig: Rig, half: bytes, how: type[Hang] | type[Hangup]) -> None:
    def script(_: Command) -> bytes:
        raise how(half)

    refuse(rig, script)


def test_a_confirmation(rig: Rig) -> None:
    """The positive control: what a Redis says that has done it."""
    with ScriptedRedis(well_behaved) as server:
        rw = rig.worker(server.url)
        assert purging(rig, rw)().regions == ("here",)
        assert server.seen["purge"] == 1
        rig.shut(rw)


@pytest.mark.parametrize("extra", [b":1\r\n", b"$16\r\n0006500000000000\r\n"])
def test_what_was_left_over_confirms_nothing(rig: Rig, extra: bytes) -> None:
    """A look-up that was answered twice must not answer the purge after it."""

    def script(command: Command) -> bytes:
        if kind(command) == "purge":
            raise Hang
        return granted() + extra if kind(command) == "lookup" else well_behaved(command)

    with ScriptedRedis(script) as server:
        rw = rig.worker(server.url)
        rw.start()
        tier = rw._parts.rim.tier
        assert tier is not None
        log = rw._parts.rim._log
        assert log is not None
        until(log.synced.is_set)

        ask = Lookup("digest", None, 0, "", 0)
        if rig.flavour == "asgi":
            assert rig.run(tier.alookup(ask)).available
        else:
            assert tier.lookup(ask).available
        with pytest.raises(PurgeError):
            purging(rig, rw)()
        server.behave()
