"""Nobody is shown less than before: over two replicas, of which one is behind the other."""

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from regionware import Region, Topology
from regionware.database import finding, handle
from regionware.database.handle import Handle
from regionware.database.hands import AnyLink
from regionware.database.seen import host_pin
from regionware.database.selector import Selection
from regionware.parts.postgres import Cluster
from regionware.parts.postgres_server import PostgresServer
from tests.clusters import fresh
from tests.conformance.harness import Site, until
from tests.rig import Rig
from tests.sessions.conftest import ready
from tests.sessions.shop import ROUTES, SECRET, Customer, Shop

#: Makes a site that reads these replicas.
Beside = Callable[..., Site]

PATH = "/plain/1"


@pytest.fixture(scope="module")
def pair() -> Iterator[Cluster]:
    """A primary with two replicas."""
    with fresh() as cluster:
        cluster.replica("a")
        cluster.replica("b")
        cluster.primary.query("CREATE TABLE goods (id int PRIMARY KEY, value int NOT NULL)")
        cluster.primary.query("INSERT INTO goods VALUES (1, 0)")
        cluster.settle()
        yield cluster


@pytest.fixture(autouse=True)
def level(pair: Cluster) -> Iterator[None]:
    """Both replicas go on, and have what there is."""
    yield
    for replica in pair.replicas.values():
        replica.query("SELECT pg_wal_replay_resume()")
    pair.settle()


@pytest.fixture(name="beside")
def _beside(rig: Rig, pair: Cluster) -> Beside:
    def beside(*names: str) -> Site:
        urls = [pair.replicas[name].url for name in names]
        regions = [
            Region("iad", primary=True, database=pair.url),
            Region("fra", replicas=urls),
        ]
        shop = Shop()
        shop.rw = rig.worker(Topology(here="fra", regions=regions), *ROUTES, secret=SECRET)
        return rig.site(ready(shop.rw), shop)

    pair.primary.query("UPDATE goods SET value = 0")
    pair.settle()
    return beside


def pause(replica: PostgresServer) -> None:
    replica.query("SELECT pg_wal_replay_pause()")
    state = "SELECT pg_get_wal_replay_pause_state()"
    until(lambda: replica.query(state) == [("paused",)])


def sell(cluster: Cluster, value: int, *, seen_by: str = "") -> None:
    """Somebody else writes; and a replica has it."""
    cluster.primary.query(f"UPDATE goods SET value = {value}")
    if seen_by:
        has = "SELECT value FROM goods WHERE id = 1"
        until(lambda: cluster.replicas[seen_by].query(has) == [(value,)])


def forget(site: Site) -> None:
    """A mutant: what was seen is neither noted nor compared."""
    for plan in site.rw._parts.prepared.plans.values():
        plan.sees = plan.raises = False


def sleep(site: Site) -> None:
    """Nothing is learnt of the hosts any more."""
    databases = site.rw._parts.databases
    assert databases is not None
    prober = databases._rim.prober
    assert prober is not None
    prober.interval = 3600
    time.sleep(0.6)  # one more answer may be on its way


def test_a_replica_that_is_behind_is_not_read(beside: Beside, pair: Cluster) -> None:
    one, other = beside("a"), beside("b")
    pause(pair.replicas["b"])
    sell(pair, 1, seen_by="a")
    reader = Customer(one)
    assert reader.look(PATH)[:2] == (1, True)
    assert reader.at(other).look(PATH)[:2] == (1, False)
    # Nothing new was seen there, and the first one is not asked again before it is read.
    assert reader.at(one).look(PATH)[0] == 1
    # The positive controls: others read what is behind, and so does this one if nobody looks.
    assert Customer(other).look(PATH)[:2] == (0, True)
    forget(other)
    assert reader.at(other).look(PATH)[:2] == (0, True)


def test_one_worker_with_both(
    beside: Beside, pair: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of several that will do one is drawn by lot: here it is always the first.
    monkeypatch.setattr(finding, "prefer", lambda hosts, *_: list(hosts))
    both, one = beside("b", "a"), beside("a")
    pause(pair.replicas["b"])
    sell(pair, 1, seen_by="a")
    reader = Customer(one)
    assert reader.see(PATH) == 1
    databases = both.rw._parts.databases
    assert databases is not None
    # Once its mark says so, the other replica is read, and not the primary.
    until(lambda: reader.at(both).look(PATH)[:2] == (1, True))
    assert Customer(both).look(PATH)[:2] == (0, True)


def test_writes_follow_reads(beside: Beside, pair: Cluster) -> None:
    """Whoever sees this session's write sees what the session had seen when it wrote."""
    one, other = beside("a"), beside("b")
    pause(pair.replicas["b"])
    sell(pair, 1, seen_by="a")
    reader = Customer(one)
    assert reader.see(PATH) == 1
    reader.put(PATH, 2)
    assert reader.at(other).look(PATH)[:2] == (2, False)


@pytest.mark.parametrize("mutant", [False, True], ids=["upper bound", "watermark"])
def test_the_watermark_is_no_token(
    beside: Beside, pair: Cluster, monkeypatch: pytest.MonkeyPatch, mutant: bool
) -> None:
    """What is known to be in a read is less than what it has shown."""
    one, other = beside("a"), beside("b")
    if mutant:
        monkeypatch.setattr(Handle, "_upper", watermark)
    # A connection that the last mark speaks of, so that the replica itself is not asked.
    assert Customer(one).see(PATH) == 0
    sleep(one)
    pause(pair.replicas["b"])
    sell(pair, 1, seen_by="a")
    reader = Customer(one)
    assert reader.see(PATH) == 1
    assert reader.at(other).see(PATH) == (0 if mutant else 1)


def watermark(self: Handle, link: AnyLink, selection: Selection) -> None:
    """A mutant: the mark of the replica is taken for what was seen."""
    if self._state is not None:
        self._state.saw(selection.position, host_pin(selection.host.name, link.instance))


@pytest.mark.parametrize("mutant", [False, True], ids=["pinned", "not pinned"])
def test_whoever_reads_a_replica_stays_there(
    beside: Beside, pair: Cluster, monkeypatch: pytest.MonkeyPatch, mutant: bool
) -> None:
    """However far it is behind: the primary is spared, and nothing goes back."""
    one = beside("a")
    if mutant:
        monkeypatch.setattr(handle, "host_pin", lambda *_: "")
    reader = Customer(one)
    pause(pair.replicas["a"])
    sell(pair, 1)
    ahead = "SELECT pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn()"
    until(lambda: pair.replicas["a"].query(ahead) == [(True,)])
    assert reader.look(PATH)[:2] == (0, True)
    primary = sum(not reader.look(PATH)[1] for _ in range(10))
    assert primary == (10 if mutant else 0)


def test_a_replica_that_was_started_again_is_another(beside: Beside, pair: Cluster) -> None:
    """It may open behind what it has shown."""
    one, replica = beside("a"), pair.replicas["a"]
    reader = Customer(one)
    assert reader.look(PATH)[:2] == (0, True)
    pin = pinned(reader)
    replica.stop()
    replica.start()
    pair.settle()
    databases = one.rw._parts.databases
    assert databases is not None
    until(lambda: reader.look(PATH)[1])
    assert pinned(reader) not in {"", pin}


def pinned(reader: Customer) -> str:
    """What the reader's token names."""
    found = reader.site.rw._parts.prepared.sessions._signer
    assert found is not None
    token = found.verify(reader.cookies["regionware-session"], now=0, max_age=60)
    return str(getattr(token, "pin", ""))


READERS, READS = 4, 40


def observe(sites: list[Site], number: int) -> int:
    """One reader at all workers: how many reads showed less than before."""
    dice, reader, last, back = random.Random(number), Customer(sites[0]), 0, 0
    for _ in range(READS):
        value = reader.at(dice.choice(sites)).see(PATH)
        back += value < last
        last = value
    return back


def disturb(pair: Cluster, done: Event) -> None:
    """Somebody writes all the time, while the second replica stops and goes."""
    dice, value = random.Random(1), 0
    while not done.is_set():
        pause(pair.replicas["b"])
        for _ in range(dice.randrange(3, 8)):
            value += 1
            sell(pair, value)
            done.wait(0.02)
        pair.replicas["b"].query("SELECT pg_wal_replay_resume()")
        done.wait(dice.uniform(0.0, 0.05))


@pytest.mark.parametrize("mutant", [False, True], ids=["tokens", "none"])
def test_readers_over_uneven_replicas(beside: Beside, pair: Cluster, mutant: bool) -> None:
    sites = [beside("a"), beside("b"), beside("b", "a")]
    for site in sites if mutant else ():
        forget(site)
    done = Event()
    with ThreadPoolExecutor(READERS + 1) as pool:
        disturbing = pool.submit(disturb, pair, done)
        try:
            found = sum(pool.map(lambda number: observe(sites, number), range(READERS)))
        finally:
            done.set()
        disturbing.result()
    assert (found > 0) is mutant
