"""Clients: each thread plays several sessions, which hop between workers on every request."""

import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from multiprocessing.connection import Connection
from threading import Event, Thread
from typing import Self

from regionware.database.position import Position
from regionware.database.token import Signer, Token
from regionware.session import FIELD
from tests.conformance.harness import Answer
from tests.sessions.checker.history import Op
from tests.sessions.checker.ledger import DEBUG, SECRET
from tests.sessions.checker.worker import Request, Response

_COOKIE = "regionware-session"
_SIGNER = Signer(SECRET)
_DAY = 86400.0


@dataclass(frozen=True)
class Habits:
    """What the sessions of a scenario do.

    Attributes:
        sessions: how many each client plays.
        rate: requests a second of all clients together; 0 for no limit.
        writes: the share of writes.
        routes: which routes reads use, and how often.
        purges: how writes purge, and how often.
        own: the share of requests for the session's own counter, which nobody else writes.
        strangers: the share of reads without a session.
        sticks: how likely the next request is for the same counter.
        observers: how many sessions of each client never write.
        far: the share of requests that go to the workers outside of the primary's region.
    """

    sessions: int = 4
    rate: float = 0.0
    writes: float = 0.1
    routes: tuple[tuple[str, int], ...] = (
        ("row", 38), ("entry", 25), ("own", 15), ("public", 8), ("strong", 10), ("sneak", 2),
    )  # fmt: skip
    purges: tuple[tuple[str, int], ...] = (("", 50), ("inside", 25), ("region", 20), ("all", 5))
    own: float = 0.4
    strangers: float = 0.05
    sticks: float = 0.5
    observers: int = 1
    far: float = 0.5


@dataclass
class Session:
    """One user: a browser with a cookie, or a program with a header field.

    Attributes:
        name: tells sessions apart.
        item: the counter that only this session writes.
        header: it carries its token in a header field.
        token: what it was given last.
        last: the counter that it has read last, and what it was.
    """

    name: str
    item: int
    header: bool = False
    token: str = ""
    number: int = 0
    last: tuple[int, int] = (-1, 0)
    recent: int = -1

    def headers(self) -> dict[str, str]:
        """What it sends beside the request."""
        if not self.name:
            return {}
        if self.header:
            return {FIELD: self.token}
        return {"Cookie": f"{_COOKIE}={self.token}"} if self.token else {}

    def keep(self, answer: Answer) -> None:
        """Take the token, if there is a new one."""
        for line in answer.all("set-cookie"):
            if _COOKIE in (found := SimpleCookie(line)):
                self.token = found[_COOKIE].value
        if self.header and answer.all(FIELD):
            self.token = answer[FIELD]


def bring(text: str) -> Token | None:
    """What a token says; `None` if it is none."""
    found = _SIGNER.verify(text, now=time.time(), max_age=_DAY) if text else None
    return found if isinstance(found, Token) else None


def ask(session: Session, desk: Connection, worker: int, region: str, request: Request) -> Op:
    """Send one request, and note what came of it."""
    token = bring(session.token)
    request.headers.update(session.headers())
    sent = time.monotonic()
    desk.send(request)
    response: Response = desk.recv()
    received = time.monotonic()
    answer = Answer(response.status, response.headers, [response.body])
    if session.name:
        session.keep(answer)
    session.number += 1
    _, route, item = request.path.split("/")
    purge = request.query.rpartition("purge=")[2]
    op = Op(
        session.name, session.number, sent, received, worker, region, route, int(item),
        request.method == "PUT", purge, response.status, token=token,
    )  # fmt: skip
    return _read(op, answer)


def _read(op: Op, answer: Answer) -> Op:
    if answer.status != 200:
        return op._replace(detail=f"{answer.status} {answer.body.decode()[:200]}")
    body = json.loads(answer.body)
    if body.pop("id") != op.item:
        return op._replace(detail="not that row")
    told = json.loads(answer["regionware-provenance"] or "{}")
    hit = bool(answer["cache-status"]) and answer.hit
    hosts = told.get("hosts", ())
    return op._replace(
        version=body["value"], other=body["other"], seen=body["seen"], port=body["port"],
        replica=body["replica"], purged=body["purged"], hit=hit,
        reasons=tuple(host["reason"] for host in hosts),
        lower=_position(told.get("position")) if hit else None,
    )  # fmt: skip


def _position(text: str | None) -> Position | None:
    if not text:
        return None
    timeline, _, lsn = text.partition(":")
    return Position.parse(lsn, int(timeline))


@dataclass
class Client:
    """One thread.

    Attributes:
        desks: where each worker is reached.
        regions: where each worker is.
        far: the region that has not the primary.
        shared: counters that everybody writes.
        ops: what was seen.
    """

    name: int
    desks: Sequence[Connection]
    regions: Sequence[str]
    far: str
    habits: Habits
    own: Sequence[int]
    shared: Sequence[int]
    ops: list[Op] = field(default_factory=list)
    error: BaseException | None = None

    def __post_init__(self) -> None:
        self._dice = random.Random(self.name)
        self._sessions = [
            Session(f"{self.name}.{number}", item, header=number % 3 == 2)
            for number, item in enumerate(self.own)
        ]

    def run(self, enough: Event, pause: float) -> None:
        """Go on until it is enough."""
        due = time.monotonic()
        try:
            while not enough.is_set():
                self.ops.append(self._one())
                due = max(due + pause, time.monotonic() - 0.1)
                if pause and (left := due - time.monotonic()) > 0:
                    enough.wait(left)
        except BaseException as error:  # noqa: BLE001 - raised by who waits
            self.error = error

    def _one(self) -> Op:
        dice, habits = self._dice, self.habits
        session = dice.choice(self._sessions)
        far = dice.random() < habits.far
        worker = dice.choice([n for n, r in enumerate(self.regions) if (r == self.far) is far])
        debug = {"Regionware-Debug": DEBUG} if dice.random() < 0.5 else {}
        writers = habits.writes * habits.sessions / max(1, habits.sessions - habits.observers)
        if session.item in self.own[habits.observers :] and dice.random() < writers:
            request = self._write(session, debug)
        else:
            stranger = dice.random() < habits.strangers
            request = Request(
                "GET", f"/{self._pick(habits.routes)}/{self._item(session)}", "", debug
            )
            if stranger:
                session = Session("", -1)
        op = ask(session, self.desks[worker], worker, self.regions[worker], request)
        if op.version is not None and not op.writes:
            session.last = (op.item, op.version)
        session.recent = op.item
        return op

    def _write(self, session: Session, debug: dict[str, str]) -> Request:
        other, seen = session.last
        item = session.item if self._dice.random() < 0.5 else self._dice.choice(self.shared)
        if item == other:
            other, seen = -1, 0
        purge = self._pick(self.habits.purges)
        return Request("PUT", f"/row/{item}", f"other={other}&seen={seen}&purge={purge}", debug)

    def _item(self, session: Session) -> int:
        dice, habits = self._dice, self.habits
        if session.recent >= 0 and dice.random() < habits.sticks:
            return session.recent
        if dice.random() < habits.own:
            return session.item
        # Everybody's, or somebody else's own.
        return dice.choice(self.shared if dice.random() < 0.8 else self.own)

    def _pick(self, weighed: Sequence[tuple[str, int]]) -> str:
        names, weights = zip(*weighed, strict=True)
        found: str = self._dice.choices(names, weights)[0]
        return found


class Crowd:
    """All clients at once."""

    def __init__(self, clients: Sequence[Client], rate: float) -> None:
        self.clients = clients
        self._pause = len(clients) / rate if rate else 0.0
        self._enough = Event()
        self._threads: list[Thread] = []

    def again(self) -> Self:
        """The same clients, to go on."""
        self._enough = Event()
        self._threads = []
        return self

    def __enter__(self) -> Self:
        for client in self.clients:
            thread = Thread(target=client.run, args=(self._enough, self._pause), daemon=True)
            self._threads.append(thread)
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "a worker does not answer"
        for client in self.clients:
            if client.error is not None:
                raise client.error

    @property
    def ops(self) -> list[Op]:
        """What all have seen so far."""
        return [op for client in self.clients for op in list(client.ops)]

    @property
    def count(self) -> int:
        """How many requests were answered so far."""
        return sum(len(client.ops) for client in self.clients)

    def until(self, done: Callable[[], bool], seconds: float) -> bool:
        """Let them go on until something is so; whether it was in time."""
        limit = time.monotonic() + seconds
        while not done():
            if time.monotonic() > limit or any(client.error for client in self.clients):
                return False
            time.sleep(0.02)
        return True
