"""Where no request is answered: scripts, and jobs that must see what their sender wrote."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from contextvars import copy_context
from dataclasses import replace
from typing import Any

import pytest

import regionware
from regionware import ConfigurationError, ConsistencyUnavailable, Region, Regionware, Topology
from regionware.binding import Binding
from regionware.database.position import Position
from regionware.database.token import Signer, Token, cluster_name
from regionware.parts.postgres import Cluster
from regionware.policies import Database, Route
from regionware.purger import Purger
from regionware.session import Sessions
from tests.conformance.application import Application, Response, Seen
from tests.rig import Rig
from tests.sessions.conftest import Replay, ready
from tests.sessions.shop import SECRET

READ = "SELECT value, pg_is_in_recovery() FROM goods WHERE id = %s"
WRITE = "UPDATE goods SET value = value + 1 WHERE id = %s"


class Script:
    """Code outside of a request, in both of Python's worlds.

    A step is `read` (the value, and whether a replica gave it), `write`, `state`, `export`, or
    `open`: an export while a write handle is open.
    """

    def __init__(self, rig: Rig, rw: Regionware, item: int) -> None:
        self.rig = rig
        self.rw = rw
        self.item = item

    def run(self, binding: Binding | None, *steps: str) -> list[Any]:
        """What came of each step, inside of the binding."""
        if self.rig.flavour == "asgi":
            found: list[Any] = self.rig.run(self._arun(binding, *steps))
            return found
        if binding is None:
            return [self._step(step) for step in steps]
        with binding as state:
            assert regionware.current() is state
            found = [self._step(step) for step in steps]
        assert regionware.current() is None
        return found

    async def _arun(self, binding: Binding | None, *steps: str) -> list[Any]:
        if binding is None:
            return [await self._astep(step) for step in steps]
        async with binding as state:
            assert regionware.current() is state
            found = [await self._astep(step) for step in steps]
        assert regionware.current() is None
        return found

    def _step(self, step: str) -> Any:
        if step == "read":
            with self.rw.connection() as connection:
                return connection.execute(READ, (self.item,)).fetchone()
        if step in {"write", "open"}:
            with self.rw.connection(access="write") as connection:
                connection.execute(WRITE, (self.item,))
                return self.rw.export_token()
        return self.rw.export_token() if step == "export" else regionware.current()

    async def _astep(self, step: str) -> Any:
        if step == "read":
            async with self.rw.connection() as connection:
                return await (await connection.execute(READ, (self.item,))).fetchone()
        if step in {"write", "open"}:
            async with self.rw.connection(access="write") as connection:
                await connection.execute(WRITE, (self.item,))
                return self.rw.export_token()
        return self._step(step)

    def read(self, binding: Binding | None) -> Any:
        (found,) = self.run(binding, "read")
        return found

    def sent(self) -> str:
        """What somebody who has written would hand to a job."""
        _, token = self.run(self.rw.bind(), "write", "export")
        return str(token)

    def refused(self) -> dict[str, int]:
        """How many tokens were not believed, by the reason."""
        prefix = "token-refused:"
        counts = self.rw.counts().items()
        return {n.removeprefix(prefix): count for n, count in counts if n.startswith(prefix)}


@pytest.fixture
def script(rig: Rig, without_redis: Topology, item: int) -> Script:
    return Script(rig, ready(rig.worker(without_redis, secret=SECRET)), item)


def credulous(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every text for a token that owes nothing: what an importer must never do."""
    monkeypatch.setattr(Sessions, "accept", lambda *_: Token())


# bind


def test_without_a_state_reads_are_strong(script: Script) -> None:
    assert script.read(None) == (0, False)
    assert script.read(script.rw.bind()) == (0, False)
    assert script.run(None, "state", "export") == [None, ""]


def test_words_as_of_a_route(script: Script) -> None:
    """The positive control for everything that is said to be read from the primary."""
    for word in ("session", "own-writes", "bounded", "eventual"):
        assert script.read(script.rw.bind(consistency=word)) == (0, True)


def test_a_binding_sees_its_own_writes(script: Script, replay: Replay) -> None:
    replay.pause()
    found = script.run(script.rw.bind(consistency="session"), "read", "write", "read")
    assert (found[0], found[2]) == ((0, True), (1, False))
    # The positive control: whoever is owed nothing is shown what the replica has.
    assert script.read(script.rw.bind(consistency="session")) == (0, True)


def test_what_a_state_says(script: Script) -> None:
    rw = script.rw
    (state,) = script.run(rw.bind(), "state")
    assert (state.method, state.access, state.route) == ("GET", "read", "")
    assert state.region is state.here is rw.topology.here
    (state,) = script.run(rw.bind(method="POST"), "state")
    assert (state.method, state.access) == ("POST", "write")
    (state,) = script.run(rw.bind(access="write"), "state")
    assert (state.method, state.access) == ("GET", "write")
    words = {"consistency": "bounded", "max_lag": 5.0, "wait": 9, "unmet": "fail"}
    (state,) = script.run(rw.bind(**words), "state")  # type: ignore[arg-type] # a dict of words
    assert state.database == Database(**words)  # type: ignore[arg-type] # the same


@pytest.mark.parametrize(
    "words",
    [
        {"access": "both"}, {"consistency": "causal"}, {"method": "get"}, {"method": ""},
        {"wait": -1}, {"max_lag": 0.1}, {"unmet": "shrug"},
    ],
    ids=str,
)  # fmt: skip
def test_wrong_words(words: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Regionware().bind(**words)


def test_a_wrong_mode() -> None:
    with pytest.raises(ConfigurationError, match="sticky"):
        Regionware().import_token("", mode="eager")  # type: ignore[arg-type] # that is the point


def test_it_begins_anew_each_time(script: Script) -> None:
    binding = script.rw.bind(consistency="session")
    (first,), (second,) = script.run(binding, "state"), script.run(binding, "state")
    assert first is not second
    with pytest.raises(RuntimeError, match="not entered"):
        binding.__exit__(None, None, None)
    with binding, pytest.raises(RuntimeError, match="entered already"):
        binding.__enter__()
    assert regionware.current() is None


def test_it_ends_with_an_exception_too(script: Script) -> None:
    with pytest.raises(ZeroDivisionError), script.rw.bind():
        _ = 1 // 0
    assert regionware.current() is None


def test_it_may_be_left_in_another_context() -> None:
    """As a fixture of a test is, whose two halves run in tasks of their own."""
    rw = Regionware()
    with rw.bind() as outer:
        inner = rw.bind()
        inner.__enter__()
        other = copy_context()
        other.run(inner.__exit__, None, None, None)
        assert other.run(regionware.current) is outer


def test_one_for_each_task(rig: Rig) -> None:
    rw = Regionware()

    async def work() -> tuple[bool, bool]:
        async with rw.bind() as state:
            await asyncio.sleep(0.01)
            inside = regionware.current() is state
        return inside, regionware.current() is None

    async def all_of_them() -> list[tuple[bool, bool]]:
        return await asyncio.gather(*(work() for _ in range(20)))

    assert set(rig.run(all_of_them())) == {(True, True)}


def test_a_purge_is_as_new_as_the_writes(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a binding that has written; before that, and outside, the primary is asked."""
    after: list[Position | None] = []
    relay = Purger._relay

    def noting(self: Purger, order: Any, stamp: int) -> Any:
        after.append(order.position)
        return relay(self, order, stamp)

    monkeypatch.setattr(Purger, "_relay", noting)
    databases = script.rw._parts.databases
    assert databases is not None
    asked: list[Position] = []

    def asking(_: float) -> Position:
        asked.append(databases.primary_position())
        return asked[-1]

    monkeypatch.setattr(script.rw._parts.purger, "_position", asking)
    with script.rw.bind() as state:
        script.rw.purge(tags=["a"])
        with script.rw.connection(access="write") as connection:
            connection.execute(WRITE, (script.item,))
            assert script.rw.purge(tags=["b"]).deferred
        assert not script.rw.purge(tags=["c"]).deferred
    assert len(asked) == 1
    assert after == [asked[0], state.written, state.written]
    assert state.written is not None


def test_a_write_after_the_end_is_logged(script: Script, caplog: pytest.LogCaptureFixture) -> None:
    with script.rw.bind():
        write = regionware.propagate(lambda: script._step("write"))
    with caplog.at_level(logging.WARNING, "regionware"):
        write()
    assert "rw.bind(), which is over: a write after" in caplog.text


def test_without_a_database() -> None:
    rw = Regionware()
    with rw.bind() as state:
        state.tag("a")
        rw.purge(tags=["a"])
        assert rw.export_token() == ""
    with rw.import_token("anything") as state:
        assert state.database.consistency == "strong"
    assert not any(name.startswith("token-refused") for name in rw.counts())


# Tokens of jobs


def test_a_sticky_job(script: Script, replay: Replay) -> None:
    replay.pause()
    token = script.sent()
    assert script.read(script.rw.import_token(token)) == (1, False)
    replay.resume()
    assert script.read(script.rw.import_token(token)) == (1, True)
    assert script.refused() == {}


def test_the_token_is_why(script: Script, replay: Replay, monkeypatch: pytest.MonkeyPatch) -> None:
    """The positive control: a job that ignores what it was given misses the write."""
    replay.pause()
    token = script.sent()
    credulous(monkeypatch)
    assert script.read(script.rw.import_token(token)) == (0, True)


def test_a_delayed_job(script: Script, replay: Replay) -> None:
    replay.pause()
    token = script.sent()
    binding = script.rw.import_token(token, mode="delayed")
    with pytest.raises(ConsistencyUnavailable) as caught:
        script.run(binding, "write")  # is not reached
    assert caught.value.retry_after >= 1
    assert script.run(None, "state") == [None]
    replay.resume()
    assert script.read(script.rw.bind()) == (1, False)
    assert script.read(binding) == (1, True)


def test_a_delayed_job_that_was_let_in_is_not_turned_out(script: Script, replay: Replay) -> None:
    """Its own write has not arrived at any replica: to try again would not help."""
    token = script.sent()
    replay.resume()
    replay.pause()
    found = script.run(script.rw.import_token(token, mode="delayed"), "read", "write", "read")
    assert (found[0], found[2]) == ((1, True), (2, False))


def test_a_job_that_wants_the_primary(script: Script, replay: Replay) -> None:
    token = script.sent()
    replay.resume()
    assert script.read(script.rw.import_token(token, mode="always")) == (1, False)


def test_a_session_that_is_owed_nothing(script: Script) -> None:
    """Nothing owed is not the same as nothing known."""
    (token,) = script.run(script.rw.bind(), "export")
    assert script.read(script.rw.import_token(token)) == (0, True)
    assert script.refused() == {}


def own_cluster(postgres: Cluster) -> str:
    sql = "SELECT system_identifier::text FROM pg_control_system()"
    ((identifier,),) = postgres.primary.query(sql)
    return cluster_name(identifier)


BAD: dict[str, tuple[str, Callable[[Token], str | None]]] = {
    "none": ("missing", lambda _: None),
    "empty": ("missing", lambda _: ""),
    "garbage": ("malformed", lambda _: "%%%"),
    "cut": ("malformed", lambda _: "AAAA"),
    "forged": ("forged", Signer("somebody else's secret").sign),
    "foreign": ("foreign", lambda t: Signer(SECRET).sign(replace(t, cluster="0123456789abcdef"))),
    "expired": ("expired", lambda t: Signer(SECRET).sign(replace(t, issued=1_000_000_000))),
}


@pytest.mark.parametrize("mode", ["sticky", "delayed"])
@pytest.mark.parametrize("kind", BAD)
def test_what_does_not_hold_is_never_in_sync(
    script: Script, postgres: Cluster, replay: Replay, kind: str, mode: Any
) -> None:
    replay.pause()
    script.sent()
    reason, make = BAD[kind]
    # The replica has what this token says, if it were believed.
    token = Token(cluster=own_cluster(postgres), write=Position(1, 1), issued=int(time.time()))
    assert script.read(script.rw.import_token(Signer(SECRET).sign(token), mode=mode)) == (0, True)
    text = make(token)
    assert script.read(script.rw.import_token(text, mode=mode)) == (1, False)
    assert script.refused() == {reason: 1}
    if text is not None:
        assert script.read(script.rw.bind(token=text, consistency="eventual")) == (1, False)


def test_the_control_of_that(
    script: Script, replay: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    replay.pause()
    script.sent()
    credulous(monkeypatch)
    assert script.read(script.rw.import_token(None)) == (0, True)


def test_it_lives_as_long_as_a_session(rig: Rig, without_redis: Topology, item: int) -> None:
    now = time.time()
    rw = ready(rig.worker(without_redis, secret=SECRET, wall=lambda: now))
    script = Script(rig, rw, item)
    (token,) = script.run(rw.bind(), "export")
    life = rw._parts.prepared.sessions.life
    now += life - 1
    assert script.read(rw.import_token(token)) == (0, True)
    # What a job hands on is as good as new.
    (again,) = script.run(rw.import_token(token), "export")
    now += 2
    assert script.read(rw.import_token(token)) == (0, False)
    assert script.refused() == {"expired": 1}
    assert script.read(rw.import_token(again)) == (0, True)


def test_what_is_not_committed_yet(script: Script, replay: Replay) -> None:
    """A job's row in the same transaction: nobody knows where that commit will be."""
    replay.pause()
    before, token = script.run(script.rw.bind(), "open", "export")
    for mode in ("sticky", "delayed"):
        assert script.read(script.rw.import_token(before, mode=mode)) == (1, False)
    replay.resume()
    assert script.read(script.rw.import_token(before)) == (1, False)
    # The positive control: after the commit it is known.
    assert script.read(script.rw.import_token(token)) == (1, True)


def test_a_job_hands_on_what_it_was_given(script: Script, replay: Replay) -> None:
    replay.pause()
    token = script.sent()
    (again,) = script.run(script.rw.import_token(token), "export")
    assert script.read(script.rw.import_token(again)) == (1, False)
    _, more = script.run(script.rw.import_token(token, mode="always"), "write", "export")
    assert script.read(script.rw.import_token(more)) == (2, False)


def test_a_request_exports_what_its_session_is_owed(
    rig: Rig, without_redis: Topology, item: int, replay: Replay
) -> None:
    """On a route that compares nothing, too; and what it has written itself."""
    far = Route("/far", database=Database.replica())
    rw = ready(rig.worker(without_redis, far, secret=SECRET))
    script = Script(rig, rw, item)
    replay.pause()
    fields = {"Regionware-Session": script.sent()}

    def export(seen: Seen) -> Response:
        if seen.method == "PUT":
            script._step("write")
        return Response([rw.export_token().encode()])

    site = rig.site(rw, Application(export))

    def job(path: str, **ask: Any) -> Any:
        return script.read(rw.import_token(site.get(path, **ask).body.decode()))

    for path in ("/far", "/near"):
        assert job(path, headers=fields) == (1, False)
        assert job(path) == (0, True)
    assert job("/near", method="PUT") == (2, False)


def test_a_binding_with_a_token(script: Script, replay: Replay) -> None:
    """As a WebSocket's handler does, which has the cookie of the handshake."""
    replay.pause()
    token = script.sent()
    assert script.read(script.rw.bind(consistency="session", token=token)) == (1, False)
    # Bounded reads do not compare.
    assert script.read(script.rw.bind(consistency="eventual", token=token)) == (0, True)


def test_a_nested_state_that_tells_nothing_would_be_noticed(
    script: Script, replay: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The positive control of the next section: a write inside that nobody outside hears of."""
    replay.pause()
    with script.rw.bind(consistency="session"):
        with monkeypatch.context() as patch:
            patch.setattr("regionware.binding.current", lambda: None)
            with script.rw.bind():
                script._step("write")
        assert script._step("read") == (0, True)


@pytest.mark.parametrize("mode", ["off", "observe"])
def test_nothing_is_read_from_replicas_unless_on(script: Script, mode: Any) -> None:
    token = script.sent()
    script.rw.mode = mode
    for each in ("sticky", "delayed"):
        assert script.read(script.rw.import_token(token, mode=each)) == (1, False)


def test_a_process_that_has_just_started(
    rig: Rig, without_redis: Topology, item: int, postgres: Cluster
) -> None:
    """It does not know yet whose history its own is, and must not guess."""
    token = Token(cluster="0123456789abcdef", write=Position(1, 1), issued=int(time.time()))
    cold = Script(rig, rig.worker(without_redis, secret=SECRET), item)
    assert cold.read(cold.rw.import_token(Signer(SECRET).sign(token))) == (0, False)
    assert cold.refused() == {"foreign": 1}
    own = Signer(SECRET).sign(replace(token, cluster=own_cluster(postgres)))
    cold = Script(rig, rig.worker(without_redis, secret=SECRET), item)
    cold.run(cold.rw.import_token(own), "state")
    assert cold.refused() == {}


def test_a_process_that_never_hears_from_its_primary(
    rig: Rig, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regionware.binding._PAUSES", 3)
    url = f"postgresql://postgres@127.0.0.1:{free_port}/postgres"
    here = Region("iad", primary=True, database=url)
    script = Script(rig, rig.worker(Topology(here="iad", regions=[here]), secret=SECRET), 0)
    token = Token(cluster="0123456789abcdef", write=Position(1, 1), issued=int(time.time()))
    (state,) = script.run(script.rw.import_token(Signer(SECRET).sign(token)), "state")
    assert state.database.consistency == "strong"
    assert script.refused() == {"unverified": 1}


# One inside of another


def test_inside_of_another_nothing_gets_weaker() -> None:
    rw = Regionware()
    with rw.bind(consistency="session"):
        with rw.bind(consistency="eventual") as inner:
            assert inner.database.consistency == "session"
        with rw.bind() as inner:
            assert inner.database.consistency == "strong"
    for outside, inside, expected in ((5, 9, 5), (9, 5, 5), (None, 5, 5), (5, None, 5)):
        with (
            rw.bind(consistency="bounded", max_lag=outside),
            rw.bind(consistency="bounded", max_lag=inside) as inner,
        ):
            assert inner.database.max_lag == expected


def test_what_happens_inside_has_happened_outside(script: Script, replay: Replay) -> None:
    rw = script.rw
    replay.pause()
    with rw.bind(consistency="session") as outer:
        with rw.bind(access="write") as inner:
            assert inner.outer is outer
            inner.tag("a")
            script._step("write")
        assert regionware.current() is outer
        assert outer.tags == {"a"}
        assert outer.written == inner.written is not None
        assert [use.access for use in outer.hosts] == ["write"]
        assert script._step("read") == (1, False)
        with rw.bind(consistency="session"):
            # What is owed outside is owed inside.
            assert script._step("read") == (1, False)
            token = rw.export_token()
    assert regionware.current() is None
    assert script.read(rw.import_token(token)) == (1, False)


def test_bounds_of_reads_inside_count_outside(script: Script) -> None:
    """Or an entry made from them would claim to be newer than it is."""
    with script.rw.bind(consistency="session") as outer:
        script._step("read")
        assert outer.lower is not None
        with script.rw.bind(consistency="session") as inner:
            inner.read(replace(outer.hosts[0], position=Position(1, 1)))
        assert outer.lower == Position(1, 1)


def test_what_cannot_be_had_inside_is_told_outside(script: Script, replay: Replay) -> None:
    replay.pause()
    token = script.sent()
    job = script.rw.import_token(token, mode="delayed")
    with script.rw.bind(consistency="eventual") as outer:
        with pytest.raises(ConsistencyUnavailable) as caught:
            job.__enter__()
        assert outer.unavailable is caught.value
        assert regionware.current() is outer
    strict = script.rw.bind(consistency="session", token=token, unmet="fail", wait=0)
    with script.rw.bind(consistency="eventual") as outer:
        with pytest.raises(ConsistencyUnavailable) as caught, strict:
            script._step("read")
        assert outer.unavailable is caught.value


def test_an_exit_stack(script: Script) -> None:
    async def work() -> regionware.Current | None:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(script.rw.bind())
            await stack.enter_async_context(script.rw.bind())
        return regionware.current()

    assert script.rig.run(work()) is None
