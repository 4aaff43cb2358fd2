"""More variants of one URL than are kept: some of the stored ones go, and nobody's lease."""

from collections.abc import Callable

import pytest
import redis

from regionware.caching.redis import MAX_VARIANTS
from regionware.caching.scripts import FILL
from tests.conformance.application import Application, Gate, Response, Seen
from tests.conformance.harness import Site, until
from tests.faults.fleet import Fleet, held, waiting
from tests.purging.site import changed
from tests.regressions.rivals import GUARDED
from tests.rig import tier_of


@pytest.fixture
def careless(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Of too many, everything goes."""

    def switch() -> None:
        line = "  local t, variants = redis.call('TIME'), {}\n"
        script = changed(FILL, line, f"  redis.call('DEL', KEYS[1])\n{line}")
        monkeypatch.setattr("regionware.caching.redis.FILL", script)

    return switch


def varying(gate: Gate, names: Callable[[Seen], str] = lambda _: "X-A") -> Application:
    """Answers that differ by a field; one value takes its time."""

    def handler(seen: Seen) -> Response:
        slow = seen.headers.get("x-a") == "slow"
        return Response([b"x"], headers=[("Vary", names(seen))], hold=gate if slow else None)

    return Application(handler)


def stored(site: Site, url: str) -> dict[str, bytes]:
    """What there is of the only URL that is stored, by field."""
    tier = tier_of(site.rw)
    with redis.Redis.from_url(url) as client:
        (key,) = client.scan_iter(f"{tier.names.entries}*")
        return {name.decode(): value for name, value in client.hgetall(key).items()}


def count(site: Site, url: str, kind: str) -> int:
    """How many fields of a kind there are: entries (`e`), or leases (`l`)."""
    return sum(name.startswith(kind) for name in stored(site, url))


def ask(site: Site, *values: object) -> None:
    for value in values:
        site.get("/x", headers={"X-A": str(value)})


@GUARDED
def test_too_many_do_not_end_another_fill(
    fleet: Fleet, careless: Callable[[], None], guarded: bool
) -> None:
    if not guarded:
        careless()
    gate = Gate()
    app = varying(gate)
    one, other = fleet(app, 2, life=30.0)
    ask(one, 0)
    slow = one.start("/x", headers={"X-A": "slow"})
    gate.reached()
    ask(other, *range(3 * MAX_VARIANTS))
    second = other.start("/x", headers={"X-A": "slow"})
    until(lambda: waiting(other) == 1 or gate.waiting == 2)
    assert (waiting(other) == 1) is guarded
    gate.open()
    assert slow.result().body == second.result().body == b"x"
    calls = sum(seen.headers.get("x-a") == "slow" for seen in app.calls)
    assert calls == (1 if guarded else 2)


@GUARDED
def test_other_names_do_not_end_another_fill(
    fleet: Fleet, careless: Callable[[], None], redis_url: str, guarded: bool
) -> None:
    """The holder's answer is stored all the same, by the names that it says."""
    if not guarded:
        careless()
    gate = Gate()
    app = varying(gate, lambda seen: seen.headers.get("x-names", "X-A"))
    one, other = fleet(app, 2, life=30.0)
    ask(one, 0)
    slow = one.start("/x", headers={"X-A": "slow"})
    gate.reached()
    other.get("/x", headers={"X-A": "1", "X-Names": "X-A, X-B"})
    until(lambda: stored(one, redis_url)["vary"] == b"x-a,x-b")
    assert count(one, redis_url, "l") == guarded
    gate.open()
    assert slow.result().body == b"x"
    until(lambda: not held(one))
    if guarded:
        until(lambda: stored(one, redis_url)["vary"] == b"x-a")
    assert count(one, redis_url, "e") == 1


@GUARDED
def test_most_are_kept(
    fleet: Fleet, careless: Callable[[], None], redis_url: str, guarded: bool
) -> None:
    if not guarded:
        careless()
    (site,) = fleet(varying(Gate()), 1)
    numbers = []
    for value in range(4 * MAX_VARIANTS):
        ask(site, value)
        until(lambda: "vary" in stored(site, redis_url))
        numbers.append(count(site, redis_url, "e"))
    assert max(numbers) <= 2 * MAX_VARIANTS
    assert (min(numbers[MAX_VARIANTS:]) >= MAX_VARIANTS) is guarded


def test_what_dead_holders_leave_goes(fleet: Fleet, redis_url: str) -> None:
    (site,) = fleet(varying(Gate()), 1)
    ask(site, 0)
    tier = tier_of(site.rw)
    with redis.Redis.from_url(redis_url) as client:
        (key,) = client.scan_iter(f"{tier.names.entries}*")
        for n in range(3 * MAX_VARIANTS):
            client.hset(key, f"l{n:040x}", f"{n:016x}0{'0' * 24}{n:016x}dead")
    ask(site, 1)
    until(lambda: not count(site, redis_url, "l"))
    assert count(site, redis_url, "e") == 2
