"""The Redis tier over one server, over a master that sentinels name, and over a cluster."""

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import hiredis
import pytest
import redis as redis_py

from regionware import PurgeError, Region, Regionware, Topology
from regionware.caching import places
from regionware.caching.clients import background
from regionware.caching.redis import RedisTier
from regionware.caching.replies import is_servers_fault, pack, told
from regionware.caching.slots import SLOTS, read_slots, slot_of
from regionware.effects import Hold, Lookup
from regionware.parts.process import ServerFailed
from regionware.parts.redis import RedisServer
from regionware.parts.redis_cluster import RedisCluster
from regionware.parts.redis_sentinel import SentinelGroup
from regionware.policies import Cache, Route
from tests.conformance.application import DEADLINE, Application, Gate, Response, counting
from tests.conformance.harness import Site, until
from tests.faults.test_purge import purge as purge_item
from tests.faults.workers import workers
from tests.purging.site import ready
from tests.rig import AMPLE, Rig, tier_of

TAGGED = Route("/{path:path}", cache=Cache(ttl=60, tags=["tag:{path}", "all"]))
NAMESPACE_SLOT = slot_of("{regionware}:log")


@pytest.fixture(params=["standalone", "sentinel", "cluster"])
def url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty region."""
    if request.param == "standalone":
        found: str = request.getfixturevalue("redis_url")
        return found
    if request.param == "sentinel":
        group: SentinelGroup = request.getfixturevalue("sentinels")
        group.master.command("FLUSHALL")
        return group.url
    cluster: RedisCluster = request.getfixturevalue("redis_cluster")
    cluster.flush()
    return cluster.url


def patient(rig: Rig, url: str, *routes: Route, **options: Any) -> Regionware:
    """A worker that is ready, and has time on a busy machine."""
    rw = rig.worker(url, *(routes or (TAGGED,)), **options)
    tier, log = tier_of(rw), rw._parts.rim._log
    tier._deadline = DEADLINE
    tier.forget()
    rw.start()
    assert log is not None
    until(log.synced.is_set)
    if tier._finder is not None:
        finder = tier._finder
        until(finder.places.nodes)
    return rw


def site(rig: Rig, url: str, app: Application | None = None, *routes: Route) -> Site:
    return rig.site(patient(rig, url, *routes), app or Application(counting()))


def purge(rig: Rig, rw: Regionware, **what: Any) -> Any:
    if rig.flavour == "asgi":
        return rig.run(rw.apurge(timeout=DEADLINE, **what))
    return rw.purge(timeout=DEADLINE, **what)


def found(one: Site, path: str, **ask: Any) -> bytes:
    """What Redis has."""
    one.rw.memory.clear()
    answer = one.get(path, **ask)
    assert answer.cache_status.get("detail") == "redis", answer["cache-status"]
    return answer.body


def test_an_entry_of_another_worker_is_found(rig: Rig, url: str) -> None:
    one = site(rig, url)
    other = site(rig, url, one.app)
    bodies = {path: one.get(path).body for path in (f"/{number}" for number in range(30))}
    # Whatever server has it: the paths are in slots all over the cluster.
    assert {path: found(other, path) for path in bodies} == bodies
    assert len(one.app.calls) == len(bodies)


def test_variants(rig: Rig, url: str) -> None:
    one = site(rig, url, Application(counting(vary="Accept-Language")))
    other = site(rig, url, one.app)
    german, french = ({"accept-language": each} for each in ("de", "fr"))
    bodies = one.get("/x", headers=german).body, one.get("/x", headers=french).body
    assert bodies[0] != bodies[1]
    assert found(other, "/x", headers=german) == bodies[0]
    assert found(other, "/x", headers=french) == bodies[1]


def test_the_lease_is_one(rig: Rig, url: str) -> None:
    """While one worker fills, Redis grants nobody else the lease; afterwards everybody hits."""
    gate = Gate()
    one = site(rig, url, Application(lambda _: Response([b"x"], hold=gate)))
    call = one.start("/x")
    gate.reached()
    tier = tier_of(one.rw)
    scan = [key for node in servers(tier) for key in keys_of(node)]
    assert len(scan) == 1
    gate.open()
    assert call.result().body == b"x"
    until(lambda: found(one, "/x") == b"x")


def servers(tier: RedisTier) -> Iterator[str]:
    """The URL of each server that has keys."""
    if tier._finder is None:
        yield tier._url
    else:
        yield from (tier._where.node(address) for address in tier._finder.places.nodes())


def keys_of(url: str) -> list[Any]:
    with redis_py.Redis.from_url(url) as client:
        return list(client.keys("regionware:e:*"))


@pytest.mark.parametrize("what", [{"tags": ["tag:x"]}, {"urls": ["/x"]}, {"everything": True}])
def test_a_purge_reaches_the_other_worker(rig: Rig, url: str, what: dict[str, Any]) -> None:
    one = site(rig, url)
    other = site(rig, url, one.app)
    host = "http://site.test"
    if "urls" in what:
        what = {"urls": [host + each for each in what["urls"]]}
    old = one.get("/x").body
    assert found(other, "/x") == old
    assert purge(rig, one.rw, **what).stamp > 0
    # Read-your-purge here; there, by the log.
    assert one.get("/x").body != old
    until(lambda: other.get("/x").body != old)


def test_an_unsafe_request_removes_what_it_ends(rig: Rig, url: str) -> None:
    """Several entries go by UNLINK, of whatever slots they are."""
    route = Route("/{path:path}", cache=Cache(ttl=60))

    def answer(seen: Any) -> Response:
        own = [("Content-Location", "/b"), ("Location", "/c")] if seen.method == "POST" else []
        return Response([b"x"], headers=own)

    one = site(rig, url, Application(answer), route)
    other = site(rig, url, one.app, route)
    for path in ("/a", "/b", "/c", "/d"):
        one.get(path)
        assert found(other, path) == b"x"
    keys = sum(len(keys_of(each)) for each in servers(tier_of(one.rw)))
    assert keys == 4
    one.get("/a", method="POST")
    until(lambda: sum(len(keys_of(each)) for each in servers(tier_of(one.rw))) == 1)
    assert found(one, "/d") == b"x"
    assert not one.get("/a").hit


def test_worker_processes(rig: Rig, url: str) -> None:
    """Real processes: one purges, the others hear of it within the bound."""
    with workers(rig.flavour, *[("here", {"here": url})] * 2) as origin:
        one, other = origin.workers
        for worker in origin.workers:
            worker.version(0)
        new = origin.change(0)
        assert [worker.version(0) for worker in origin.workers] == [new - 1] * 2
        assert purge_item(one, 0) == {"here"}
        assert one.version(0) == new
        until(lambda: other.version(0) == new)


def test_a_purge_before_anything_has_started(rig: Rig, url: str) -> None:
    """As the command line does it: nobody has looked for the servers yet."""
    one = site(rig, url)
    old = one.get("/x").body
    assert found(one, "/x") == old
    fresh = rig.worker(url, TAGGED)
    assert purge(rig, fresh, tags=["all"]).regions == ("here",)
    until(lambda: one.get("/x").body != old)


def test_the_end_leaves_no_thread_and_no_connection(rig: Rig, url: str) -> None:
    rw = patient(rig, url)
    one = rig.site(rw, Application(counting()))
    one.get("/x")
    tier = tier_of(rw)
    rig.shut(rw)
    assert not tier._prober.running
    assert tier._finder is None or not tier._finder.running


# Sentinel


@pytest.fixture
def group() -> Iterator[SentinelGroup]:
    """A group of its own, whose master a test may kill."""
    with SentinelGroup(down_after=0.3) as made:
        yield made


def answers(one: Site, path: str) -> Any:
    """An answer that the bare application could have given, in bounded time."""
    began = time.monotonic()
    answer = one.get(path)
    assert (answer.status, time.monotonic() - began < AMPLE) == (200, True)
    return answer


def is_used(one: Site, path: str) -> bool:
    answers(one, path)
    one.rw.memory.clear()
    return bool(answers(one, path).cache_status.get("detail") == "redis")


def test_after_a_failover_the_new_master_is_used(rig: Rig, group: SentinelGroup) -> None:
    one = rig.site(rig.worker(group.url, TAGGED), Application(counting()))
    until(lambda: is_used(one, "/before"))
    paths = iter(f"/during/{number}" for number in range(1_000_000))
    old = group.master
    old.kill()
    limit = time.monotonic() + DEADLINE
    while not is_used(one, next(paths)):
        assert time.monotonic() < limit
        time.sleep(0.01)
    assert group.master is not old
    assert one.rw.counts()["redis-moved"] >= 1
    assert purge(rig, one.rw, tags=["all"]).stamp > 0
    # The old master comes back as a replica of the new, and is left alone.
    old.start()
    until(lambda: is_used(one, next(paths)))


def test_nobody_finds_the_new_master_without_the_sentinels(
    rig: Rig, group: SentinelGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The positive control: what is known stays, so Redis is not used again."""
    one = rig.site(rig.worker(group.url, TAGGED), Application(counting()))
    until(lambda: is_used(one, "/before"))
    monkeypatch.setattr(places.Master, "learn", lambda self: False)
    group.fail_over()
    limit = time.monotonic() + 3
    number = 0
    while time.monotonic() < limit:
        number += 1
        assert not is_used(one, f"/during/{number}")


def _demotes(group: SentinelGroup) -> bool:
    """Whether a sentinel has begun: it refuses as long as it has not heard enough of a replica."""
    with suppress(ServerFailed):
        RedisServer.ask(group.sentinels[0].port, f"SENTINEL FAILOVER {group.name}")
        return True
    return False


def test_a_demoted_master_is_left(rig: Rig, group: SentinelGroup) -> None:
    """A failover without a death: the old master answers READONLY."""
    one = rig.site(rig.worker(group.url, TAGGED), Application(counting()))
    until(lambda: is_used(one, "/before"))
    old = group.master
    until(lambda: _demotes(group))
    until(lambda: group.master is not old)
    old.command(f"REPLICAOF 127.0.0.1 {group.master.port}")
    numbers = iter(range(1_000_000))
    until(lambda: is_used(one, f"/after/{next(numbers)}"))
    with suppress(PurgeError):
        purge(rig, one.rw, tags=["all"])
    assert purge(rig, one.rw, tags=["all"]).stamp > 0


# Cluster


def test_keys_are_in_the_slots_of_the_servers(redis_cluster: RedisCluster) -> None:
    """Our arithmetic is that of the servers; so is the map, and every slot has a master."""
    node = redis_cluster.masters[0]
    for key in ("", "a", "{regionware}:log", "{}x", "x{y}z{w}", "{{a}b}", "regionware:e::0f", "é"):
        with redis_py.Redis.from_url(node.url) as client:
            assert client.execute_command("CLUSTER KEYSLOT", key) == slot_of(key)
    with redis_py.Redis.from_url(node.url) as client:
        client.response_callbacks.clear()
        table = read_slots(client.execute_command("CLUSTER SLOTS"), ("127.0.0.1", node.port))
    assert len(table) == SLOTS
    assert {each[1] for each in table if each} == {each.port for each in redis_cluster.masters}


@pytest.mark.parametrize("reply", [None, 7, [7], [[0, 1]], [[0, SLOTS, [b"h", 1]]], [[0, 1, []]]])
def test_what_is_no_map_of_slots(reply: Any) -> None:
    with pytest.raises(ValueError, match=r"slots|SLOTS"):
        read_slots(reply, ("h", 1))


def test_a_slot_that_has_moved_is_followed(rig: Rig, redis_cluster: RedisCluster) -> None:
    """One redirection, within the same call; from then on its new node is asked at once."""
    redis_cluster.flush()
    one = site(rig, redis_cluster.url)
    tier = tier_of(one.rw)
    finder = tier._finder
    assert finder is not None
    finder.stop()  # so that nobody learns of it otherwise
    key = "regionware:e::some"
    slot = slot_of(key)
    old = redis_cluster.owner(slot)
    new = next(each for each in redis_cluster.masters if each is not old)
    redis_cluster.move(slot, new)
    try:
        packed = pack(("HSET", key, "a", "b"))

        def call() -> Any:
            if rig.flavour == "asgi":
                return rig.run(tier._alines.call(packed, DEADLINE, key))
            return tier._lines.call(packed, DEADLINE, key)

        call()
        assert finder.places.at(key) == ("127.0.0.1", new.port)
        assert new.command(f"HGET {key} a") == "b"
    finally:
        new.command(f"DEL {key}")
        redis_cluster.move(slot, old)


def test_many_leases_are_renewed_wherever_their_keys_are(rig: Rig, url: str) -> None:
    """At once for each server, which may not know the script; one that is lost is told."""
    tier = tier_of(patient(rig, url))
    keys = [f"key{number}" for number in range(30)]
    for key in keys[1:]:
        assert tier.lookup(Lookup(key, None, 0, "", 0, "mine")).lease == "mine"
    asks = [Hold(key, "mine", "") for key in keys]
    assert tier.renew(asks) == [False] + [True] * 29
    assert tier.renew(asks[1:]) == [True] * 29


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("MOVED 1 h:2", False), ("ASK 1 h:2", False), ("NOSCRIPT no", False),
        ("LOADING it", True), ("READONLY it", True),
    ],
)  # fmt: skip
def test_what_a_node_says_of_one_key_is_not_its_fault(said: str, fault: bool) -> None:
    assert is_servers_fault(told(hiredis.ReplyError(said))) is fault


def test_leases_are_renewed_where_their_slot_has_moved_to(
    rig: Rig, redis_cluster: RedisCluster
) -> None:
    redis_cluster.flush()
    tier = tier_of(patient(rig, redis_cluster.url))
    assert tier._finder is not None
    tier._finder.stop()
    slot = slot_of(tier.names.entries + "moved")
    old = redis_cluster.owner(slot)
    new = next(each for each in redis_cluster.masters if each is not old)
    redis_cluster.move(slot, new)
    try:
        asks = [Hold(key, "mine", "") for key in ("moved", "other")]
        assert tier.renew(asks) == [False, False]  # they know of none; the control is above
    finally:
        redis_cluster.move(slot, old)


def test_a_namespace_whose_slot_moves(rig: Rig, redis_cluster: RedisCluster) -> None:
    """The log, the fences and purges go on at its new node."""
    redis_cluster.flush()
    one = site(rig, redis_cluster.url)
    other = site(rig, redis_cluster.url, one.app)
    old = redis_cluster.owner(NAMESPACE_SLOT)
    new = next(each for each in redis_cluster.masters if each is not old)
    body = one.get("/x").body
    assert found(other, "/x") == body
    old.command("FLUSHALL")  # an empty slot can be given away at once
    redis_cluster.move(NAMESPACE_SLOT, new)
    try:
        assert purge(rig, one.rw, tags=["all"]).stamp > 0
        assert int(new.command("EXISTS {regionware}:log")) == 1
        until(lambda: other.get("/x").body != body)
    finally:
        new.command("FLUSHALL")
        redis_cluster.move(NAMESPACE_SLOT, old)


def test_a_slot_on_its_way_is_asked_at_its_target(rig: Rig, redis_cluster: RedisCluster) -> None:
    """ASK: once, and without believing that the slot has moved."""
    redis_cluster.flush()
    one = site(rig, redis_cluster.url)
    tier = tier_of(one.rw)
    key = "regionware:e::other"
    slot = slot_of(key)
    old = redis_cluster.owner(slot)
    new = next(each for each in redis_cluster.masters if each is not old)
    new.command(f"CLUSTER SETSLOT {slot} IMPORTING {redis_cluster.name(old)}")
    old.command(f"CLUSTER SETSLOT {slot} MIGRATING {redis_cluster.name(new)}")
    try:
        packed = pack(("HSET", key, "a", "b"))
        if rig.flavour == "asgi":
            rig.run(tier._alines.call(packed, DEADLINE, key))
        else:
            tier._lines.call(packed, DEADLINE, key)
        assert tier._finder is not None
        assert tier._finder.places.at(key) == ("127.0.0.1", old.port)
        # It is there: whoever asks for it there must say that it knows of the move.
        assert int(new.command(f"CLUSTER COUNTKEYSINSLOT {slot}")) == 1
        assert int(old.command(f"CLUSTER COUNTKEYSINSLOT {slot}")) == 0
    finally:
        for node in (old, new):
            node.command(f"CLUSTER SETSLOT {slot} STABLE")
        new.command("FLUSHALL")


def test_a_background_client_follows(redis_cluster: RedisCluster, sentinels: SentinelGroup) -> None:
    """Whatever node it begins with."""
    for url in (redis_cluster.url, sentinels.url):
        with background(url, DEADLINE) as client:
            for slot in ("{a}", "{b}", "{c}", "{regionware}"):
                client.set(f"{slot}:probe", "1")
                assert client.get(f"{slot}:probe") == b"1"
                client.delete(f"{slot}:probe")


def test_a_node_that_dies_takes_only_its_slots(rig: Rig) -> None:
    with RedisCluster(replicas=1) as cluster:
        one = rig.site(rig.worker(cluster.url, TAGGED), Application(counting()))
        paths = [f"/{number}" for number in range(24)]
        for path in paths:
            until(lambda path=path: is_used(one, path))  # type: ignore[misc]
        namespace = cluster.owner(NAMESPACE_SLOT)
        victim = next(each for each in cluster.masters if each is not namespace)
        victim.kill()
        used = 0
        for path in paths:
            one.rw.memory.clear()
            used += answers(one, path).cache_status.get("detail") == "redis"
        assert used >= len(paths) // 3
        # Its replica takes over, and every path is used again.
        for path in paths:
            until(lambda path=path: is_used(one, path))  # type: ignore[misc]
        rig.shut(one.rw)


def test_a_cluster_that_is_none(rig: Rig, redis_server: RedisServer, redis_url: str) -> None:
    """A server without cluster mode: every request is a miss, none fails, and it is said once."""
    one = rig.site(
        rig.worker(f"redis+cluster://127.0.0.1:{redis_server.port}", TAGGED),
        Application(counting()),
    )
    for number in range(5):
        answers(one, f"/{number}")
    assert not is_used(one, "/x")


def test_every_wait_of_a_purge_ends(rig: Rig, url: str, second_redis_url: str) -> None:
    """Workers of the region hear of it, and regions of one kind hear of those of the other."""

    def topology(here: str) -> Topology:
        regions = [
            Region("here", primary=True, redis=url), Region("there", redis=second_redis_url),
        ]  # fmt: skip
        return Topology(here=here, regions=regions)

    one, beside, far = (rig.worker(topology(here), TAGGED) for here in ("here", "here", "there"))
    for each in (one, beside, far):
        ready(each)
    one.purge(tags=["x"], wait="workers", timeout=20)
    assert "htx" in beside._parts.prepared.fences
    one.purge(tags=["y"], wait="all", timeout=20)
    until(lambda: "hty" in far._parts.prepared.fences)
    far.purge(tags=["z"], wait="all", timeout=20)
    until(lambda: "htz" in one._parts.prepared.fences)
