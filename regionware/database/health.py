"""What is known of the databases: one thread per process that keeps asking them.

It runs an event loop of its own with one task per host, so that a host that hangs delays nobody
else's news. What it learns is put together by `Survey`, and published as an immutable object that
is read without a lock. Every host that the topology names is asked, since a replica of any region
may become the primary; one that is of no use here is asked less often while there is a primary.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Final

from psycopg import generators, waiting
from psycopg.pq.abc import PGconn

from regionware.database.asking import Asking, words
from regionware.database.known import Known
from regionware.database.purges import Reader
from regionware.database.questions import GREET, query
from regionware.database.selector import Role
from regionware.database.survey import Answer, StrangerError, Survey
from regionware.database.timelines import Timelines
from regionware.database.token import cluster_name
from regionware.database.waiters import Waiters
from regionware.dice import DICE

logger = logging.getLogger("regionware.database")

#: Seconds. A far primary with TLS needs several round trips to be connected to.
CONNECT: Final = 3.0
#: Seconds between two questions to a host that somebody waits for.
URGENT: Final = 0.005
#: Seconds between two alarms: a thousand requests that fail at once ask once.
CALM: Final = 0.1
#: How much less often a host is asked that is of no use here.
IDLE: Final = 4.0


@dataclass(frozen=True, slots=True)
class Target:
    """A host, and how to connect to it (libpq's connection string; holds a password)."""

    name: str
    conninfo: str

    def __repr__(self) -> str:
        """The name alone."""
        return f"Target({self.name!r})"


class Prober:
    """Asks every host, a few times a second.

    Attributes:
        interval: seconds between two questions to one host, give or take 20 %.
        known: what was learned, immutable.
        waiters: who waits for a replica to catch up.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        survey: Survey,
        *,
        interval: float,
        on_turn: Callable[[str], None] = lambda _: None,
        on_history: Callable[[Timelines], None] = lambda _: None,
        reader: Reader | None = None,
    ) -> None:
        """Know whom to ask; nothing is connected before `start`.

        Args:
            targets: every host, the declared primary first.
            survey: puts the answers together.
            interval: seconds between two questions to one host, give or take 20 %.
            on_turn: called with the name of a host that is down, was started again, or has another
                role.
            on_history: called when more is known of the timelines.
            reader: asks for purges in the same questions.
        """
        self._reader = reader
        self.interval = interval
        self.known: Known = survey.known
        self.waiters = Waiters(self._urge)
        self._targets = tuple(targets)
        self._survey = survey
        self._on_turn = on_turn
        self._on_history = on_history
        self._asked: dict[str, float] = {}
        self._unheard = {target.name for target in targets}
        self._alarmed = float("-inf")
        self._bells: dict[str, asyncio.Event] = {}
        self._task: tuple[asyncio.AbstractEventLoop, asyncio.Task[None]] | None = None
        self._running = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def cluster(self) -> str | None:
        """The public name of our cluster, `None` until a server has told it."""
        return cluster_name(self._survey.system) if self._survey.system else None

    def start(self) -> None:
        """Begin to ask, in a daemon thread. Not to be called twice."""
        self._thread = threading.Thread(target=self._run, name="regionware-prober", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 2.0) -> None:
        """Stop asking and close the connections; waits `timeout` seconds at most."""
        if self._thread is None or not self._running.wait(timeout) or self._task is None:
            return
        loop, task = self._task
        try:
            loop.call_soon_threadsafe(task.cancel)
        except RuntimeError:  # The loop is closed: it ended by itself.
            return
        self._thread.join(timeout)

    def failed(self, name: str) -> None:
        """A request could not connect to a host, or lost it: ask all of them at once."""

        def note() -> None:
            self._survey.failed(name, monotonic())
            self._publish(name)
            self._alarm()

        self._soon(note)

    def _alarm(self) -> None:
        """Ask everybody at once; they may have other roles now."""
        now = monotonic()
        if now - self._alarmed > CALM:
            self._alarmed = now
            for bell in self._bells.values():
                bell.set()

    def _urge(self, name: str) -> None:
        self._soon(lambda: self._bells[name].set() if name in self._bells else None)

    def _soon(self, call: Callable[[], object]) -> None:
        if self._task is None:
            return
        try:
            self._task[0].call_soon_threadsafe(call)
        except RuntimeError:  # The loop is closed.
            logger.debug("the prober has stopped")

    def _run(self) -> None:
        # Not the default policy's loop: psycopg waits with add_reader, which Windows' lacks.
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            try:
                runner.run(self._main())
            except asyncio.CancelledError:
                logger.debug("the prober has stopped")

    async def _main(self) -> None:
        self._bells = {target.name: asyncio.Event() for target in self._targets}
        task = asyncio.current_task()
        if task is not None:
            self._task = asyncio.get_running_loop(), task
        self._running.set()
        async with asyncio.TaskGroup() as group:
            for target in self._targets:
                group.create_task(self._watch(target))

    async def _watch(self, target: Target) -> None:
        """Ask one host for ever; a failure is news like any other."""
        name = target.name
        while True:
            self._asked[name] = monotonic()
            try:
                await self._connect(target)
            except Exception as error:  # noqa: BLE001 - whatever a server does, others go on
                self._tell_fault(name, error)
            await self._rest(name)

    def _tell_fault(self, name: str, error: Exception) -> None:
        """Whatever goes wrong in telling it, hosts are asked on."""
        try:
            self._fault(name, error)
        except Exception:
            logger.exception("the fault of %s could not be told", name)

    async def _connect(self, target: Target) -> None:
        connecting = generators.connect(target.conninfo)
        async with asyncio.timeout(CONNECT):
            connection = await waiting.wait_conn_async(connecting, 1.0)
        try:
            await self._converse(target.name, connection)
        finally:
            connection.finish()

    async def _converse(self, name: str, connection: PGconn) -> None:
        """Ask on one connection until it fails."""
        system, instance, delay = await query(connection, GREET)
        slack = 3 * int(delay) / 1000
        asking = Asking(name, system, self._reader)
        asking.connected()
        while True:
            self._asked[name] = when = monotonic()
            row = await asking.ask(connection, self._role(name, system))
            answer = Answer(when, monotonic() - when, row, instance, slack)
            try:
                self._survey.told(name, system, answer)
            except StrangerError as error:
                # Again and again: it may become what it should be only later.
                self._fault(name, error)
            else:
                self._publish(name)
                self._heard(name)
                if asking.answered(self.known.marks[name].position):
                    continue
                await asking.prune(connection)
            await self._rest(name)

    def _heard(self, name: str) -> None:
        self._unheard.discard(name)
        if not self._unheard:
            self.waiters.heard.set()

    def _fault(self, name: str, error: Exception) -> None:
        """A host did not answer, or is not what it should be."""
        used, now = self.known.marks[name].reachable, monotonic()
        if isinstance(error, StrangerError):
            self._survey.condemn(name, now)
        else:
            # A server that was silent for a second has missed several questions.
            silence = now - self._asked[name]
            self._survey.missed(name, now, max(1, int(silence / self.interval)))
        self._publish(name)
        self._heard(name)
        if self.known.primary is None or self.known.primary.name == name:
            self._alarm()
        if used and not self.known.marks[name].reachable:
            logger.warning("%s is not used any more: %s", name, words(error))

    def _publish(self, name: str) -> None:
        before, self.known = self.known, self._survey.known
        after = self.known
        if after.timelines is not before.timelines:
            self._on_history(after.timelines)
        for turned in _turned(before, after):
            self._on_turn(turned)
        if after.primary != before.primary:
            found = after.primary.name if after.primary is not None else f"none: {after.why}"
            logger.warning("the primary is now %s", found)
        self.waiters.tell(name, after.marks[name])

    async def _rest(self, name: str) -> None:
        bell = self._bells[name]
        seconds = self._pause(name) * DICE.uniform(0.8, 1.2)
        try:
            async with asyncio.timeout(seconds):
                await bell.wait()
        except TimeoutError:
            pass
        bell.clear()

    def _pause(self, name: str) -> float:
        """Seconds until a host is asked again."""
        if self.waiters.for_host(name) and not self._survey.silent(name):
            return min(URGENT, self.interval)
        known = self.known
        primary = known.primary
        if primary is None or self._survey.silent(primary.name):
            return self.interval
        return self.interval if self._useful(name) else self.interval * IDLE

    def _useful(self, name: str) -> bool:
        known = self.known
        primary = () if known.primary is None else (known.primary,)
        return any(host.name == name for host in (*primary, *known.near, *known.far))

    def _role(self, name: str, system: str) -> Role | None:
        """As what a host may tell of purges: nobody else's, and none that is of no use here."""
        if self._survey.system not in {"", system} or not self._useful(name):
            return None
        primary = self.known.primary
        return "primary" if primary is not None and primary.name == name else "replica"


def _turned(before: Known, after: Known) -> list[str]:
    """Hosts to which no connection that stands is any good."""
    if before is after:
        return []
    names = []
    for name, mark in after.marks.items():
        known = before.marks[name]
        # A connection to a frozen server looks good, and whoever used it would hang.
        down = known.reachable and not mark.reachable
        if down or "" != known.instance != mark.instance:
            names.append(name)
    if before.primary != after.primary:
        names += [host.name for host in (before.primary, after.primary) if host is not None]
    return names
