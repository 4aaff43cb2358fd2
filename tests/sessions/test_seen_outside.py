"""What is seen where no request is answered, across failovers, and while a handle is open."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from regionware import Region, Topology
from regionware.caching.entry import Entry
from regionware.caching.filling import Filling
from regionware.context import Current
from regionware.database.position import Position
from regionware.database.seen import Seen
from regionware.database.timelines import Switch, Timelines
from regionware.database.token import Signer, Token, cluster_name
from regionware.observe import Events
from regionware.parts.postgres import Cluster
from regionware.policies import Cache, Database, Route
from regionware.session import Sessions
from tests.conformance.harness import Site, until
from tests.rig import Rig
from tests.sessions.conftest import Open, Replay, ready, stranger
from tests.sessions.shop import READ, SECRET, Shop
from tests.sessions.test_outside import Script

HERE = Region("fra")


@pytest.fixture
def script(rig: Rig, without_redis: Topology, item: int) -> Script:
    return Script(rig, ready(rig.worker(without_redis, secret=SECRET)), item)


def token_of(text: str) -> Token:
    found = Signer(SECRET).verify(text, now=0, max_age=60)
    assert isinstance(found, Token)
    return found


def state(**more: Any) -> Current:
    return Current(
        region=HERE, here=HERE, method="GET", route="", access="read",
        database=Database.session(), **more,
    )  # fmt: skip


# Blocks and jobs


def test_what_a_block_was_shown_is_exported(script: Script) -> None:
    _, text = script.run(script.rw.bind(consistency="session"), "read", "export")
    token = token_of(text)
    assert token.seen is not None
    assert token.pin.startswith("h")
    # Where nothing is promised of it, nothing is noted: reads cost what they cost.
    _, text = script.run(script.rw.bind(consistency="own-writes"), "read", "export")
    assert token_of(text).seen is None


def test_a_job_is_shown_what_its_sender_has_seen(
    script: Script, postgres: Cluster, replay: Replay
) -> None:
    """With no write of its own; the control compares own writes alone."""
    replay.pause()
    postgres.primary.query(f"UPDATE goods SET value = 1 WHERE id = {script.item}")
    ((at,),) = postgres.primary.query("SELECT pg_current_wal_insert_lsn()::text")
    ((system,),) = postgres.primary.query("SELECT system_identifier FROM pg_control_system()")
    token = Token(
        cluster=cluster_name(str(system)), seen=Position.parse(at, 1), issued=int(time.time())
    )
    text = Signer(SECRET).sign(token)
    assert script.read(script.rw.import_token(text)) == (1, False)
    assert script.read(script.rw.bind(consistency="own-writes", token=text)) == (0, True)


def test_an_outer_state_is_told_what_was_shown_inside() -> None:
    outer = state(watching=True)
    inner = state(watching=True, outer=outer)
    inner.saw(Position(1, 50), "h1")
    assert (outer.upper, outer.seen) == (Position(1, 50), Seen(Position(1, 50), "h1"))
    inner.saw(None, "h1")
    assert (outer.upper, outer.lost) == (None, True)


def test_an_outer_state_that_notes_nothing_claims_nothing() -> None:
    """A bound of the inner reads alone would be none of the answer that is made from both."""
    outer = state()
    state(watching=True, outer=outer).saw(Position(1, 50), "h1")
    assert (outer.upper, outer.lost, outer.need) == (None, False, None)


def test_a_block_notes_what_the_request_around_it_notes(script: Script) -> None:
    outer = state(watching=True, fills=True, seen=Seen(Position(1, 9), "h1"))
    inner = script.rw.bind(consistency="eventual")._state(Database.session(), None, outer)
    assert (inner.watching, inner.fills, inner.seen) == (True, True, outer.seen)
    inner = script.rw.bind()._state(Database.primary(), None, None)
    assert (inner.watching, inner.fills) == (False, False)


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (Seen(), Seen(), Seen()),
        (Seen(Position(1, 5), "h1"), Seen(), Seen(Position(1, 5), "h1")),
        (Seen(), Seen(Position(1, 5), "h1"), Seen(Position(1, 5), "h1")),
        (Seen(Position(1, 5), "h1"), Seen(Position(1, 9), "h1"), Seen(Position(1, 9), "h1")),
        # Neither holds what the other has shown.
        (Seen(Position(1, 5), "h1"), Seen(Position(1, 9), "h2"), Seen(Position(1, 9))),
    ],
)
def test_what_two_have_seen(one: Seen, other: Seen, both: Seen) -> None:
    assert one.joined(other) == both


def test_what_is_owed_covers_an_earlier_commit_that_was_found_again() -> None:
    known = Token(write=Position(1, 3), lost=True)
    found = state(watching=True, lost=True, token=known)
    assert found.owed().lost
    found.saw(Position(1, 8), "")
    owed = found.owed()
    assert (owed.lost, owed.write, owed.seen) == (False, Position(1, 8), Position(1, 8))


# Failovers

HISTORY = Timelines(2, {2: Switch(1, 100)})


def verified(token: Token, history: Timelines = HISTORY) -> Token:
    sessions = Sessions(
        signer=Signer(SECRET), name="s", domain=None, life=60, wall=lambda: 0.0,
        cluster=lambda: None, trusts=False, events=Events(()),
        timelines=lambda: history,
    )  # fmt: skip
    found = sessions.accept(Signer(SECRET).sign(token))
    assert found is not None
    return found


def test_what_was_seen_and_is_lost_orphans_a_session() -> None:
    found = verified(Token(write=Position(1, 90), seen=Position(1, 101), pin="h1"))
    assert found.orphaned
    assert (found.write, found.seen, found.pin) == (Position(2, 90), Position(2, 100), "")


def test_what_was_seen_and_survived_is_owed_on() -> None:
    found = verified(Token(seen=Position(1, 100), pin="h1"))
    assert not found.orphaned
    assert (found.seen, found.pin) == (Position(2, 100), "h1")


@pytest.mark.parametrize(
    ("seen", "history"),
    [
        (Position(2, 7), HISTORY),
        (Position(1, 100), Timelines(2, {})),  # nobody knows where it began
        (Position(1, 100), Timelines()),
        (None, HISTORY),
    ],
)
def test_what_was_seen_and_is_left_alone(seen: Position | None, history: Timelines) -> None:
    assert verified(Token(seen=seen, pin="h1"), history) == Token(seen=seen, pin="h1")


# Answers that leave before their handle is closed


class Hasty(Shop):
    """It answers inside of its handle; it may read in a way that nothing can follow."""

    between: Callable[[], object] = list
    streams = True

    async def asgi(self, scope: Any, receive: Any, send: Any) -> None:
        number = int(scope["path"].rpartition("/")[2])
        async with self.layer.connection() as connection:
            row = await (await connection.execute(READ.encode(), (number,))).fetchone()
            self.between()
            if self.streams:
                cursor = connection.cursor()
                (row,) = [each async for each in cursor.stream(READ.encode(), (number,))]
            body = self._answer_with(row)
            await send({
                "type": "http.response.start", "status": 200,
                "headers": [(b"content-length", str(len(body)).encode())],
            })  # fmt: skip
            await send({"type": "http.response.body", "body": body})

    def wsgi(self, environ: Any, start_response: Any) -> Any:
        number = int(environ["PATH_INFO"].rpartition("/")[2])
        with self.layer.connection() as connection:
            row = connection.execute(READ.encode(), (number,)).fetchone()
            self.between()
            if self.streams:
                (row,) = connection.cursor().stream(READ.encode(), (number,))
            body = self._answer_with(row)
            start_response("200 OK", [("content-length", str(len(body)))])
            yield body


HASTY = [Route("/seen/{id}", cache=Cache(ttl=300, consistency="session"))]


@pytest.mark.parametrize("waits", [True, False])
def test_an_answer_that_leaves_before_it_is_known_what_it_shows(  # noqa: PLR0917 - fixtures
    rig: Rig,
    open_shop: Open,
    postgres: Cluster,
    item: int,
    monkeypatch: pytest.MonkeyPatch,
    waits: bool,
) -> None:
    """Its entry claims no bound but that of all it shows; the control takes what was known."""
    if not waits:
        monkeypatch.setattr(Current, "reading", False)
        monkeypatch.setattr(Filling, "outdated", lambda *_: False)
    site = open_shop(shop=Hasty(), routes=HASTY)
    written = []

    def between() -> None:
        postgres.primary.query(f"UPDATE goods SET value = 1 WHERE id = {item}")
        ((at,),) = postgres.primary.query("SELECT pg_current_wal_insert_lsn()::text")
        postgres.settle()
        written.append(Position.parse(at, 1))

    assert isinstance(site.app, Hasty)
    site.app.between = between
    assert stranger(site).see(f"/seen/{item}") == 1
    until(lambda: kept(site))
    (entry,) = kept(site)
    covered = entry.upper is None or entry.upper.reached(written[0].below())
    assert covered is waits
    if entry.upper is None and rig.flavour == "asgi":
        # Nobody can say whom it may be shown.
        assert not stranger(site).look(f"/seen/{item}")[2]


def test_an_answer_that_leaves_inside_of_its_handle(open_shop: Open, item: int) -> None:
    """What was asked behind each statement is known already."""
    site = open_shop(shop=Hasty(), routes=HASTY)
    assert isinstance(site.app, Hasty)
    site.app.streams = False
    assert stranger(site).see(f"/seen/{item}") == 0
    until(lambda: kept(site))
    assert stranger(site).look(f"/seen/{item}")[2]


def kept(site: Site) -> list[Entry]:
    """What is in memory."""
    return [each for each in site.rw._parts.rim.memory.records() if isinstance(each, Entry)]
