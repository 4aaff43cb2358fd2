"""The parts that a request may pass, one by one."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.drivers import Ask, scope_of
from bench.measuring import tenth
from bench.subject import PAGE
from regionware import Position, Region, Topology
from regionware.adapters.asgi_request import AsgiRequest
from regionware.caching.compression import pack
from regionware.caching.frame import Frame, decode, encode
from regionware.caching.keys import LOOKUP, REWRITING, KeyPlan, canonical, digest
from regionware.caching.seal import CHECKSUM, Seal, Signature
from regionware.database.finding import View
from regionware.database.known import Known
from regionware.database.seen import host_pin
from regionware.database.selector import Host, Mark, Selection, demand
from regionware.database.token import Signer, Token, cluster_name
from regionware.http.hosts import Hosts
from regionware.http.request import Request
from regionware.locate import Header, Platform, Provider, Resolver
from regionware.policies import Cache, Database, Route
from regionware.policies.table import Table

pytestmark = pytest.mark.benchmark(timer=time.process_time, max_time=0.2, min_time=0.001)

Time = Callable[[Callable[[], Any]], Any]
NAMES = {name.encode(): name for name in LOOKUP | REWRITING | {"fly-region", "x-region"}}


@pytest.fixture
def timed(benchmark: BenchmarkFixture) -> Time:
    """Times a call, and says what it returned."""

    def timed(call: Callable[[], Any]) -> Any:
        result = benchmark(call)
        if benchmark.stats is not None:
            stats = benchmark.stats.stats
            benchmark.extra_info.update(
                p10_us=tenth(stats.data) * 1e6, median_us=stats.median * 1e6
            )
        return result

    return timed


def request_for(ask: Ask) -> Request:
    return AsgiRequest(scope_of(ask), NAMES)


def test_token_verify_and_sign(timed: Time) -> None:
    signer = Signer("a secret of the benchmarks")
    cluster = cluster_name("7000000000000000000")
    write, seen, pin = Position(1, 0x16B374D848), Position(1, 0x16B374E000), "h" + 16 * "0"
    token = Token(cluster=cluster, write=write, seen=seen, pin=pin, issued=1_700_000_000)
    text = signer.sign(token)

    def both() -> str:
        found = signer.verify(text, now=1_700_000_060, max_age=3600, cluster=cluster)
        assert isinstance(found, Token)
        return signer.sign(found)

    assert timed(both) == text


#: What a read asks for, how many replicas its region has, and what the decision must be.
DECISIONS = {
    "one replica": (1, 0x16B374D848, "caught-up"),
    "three replicas": (3, 0x16B374D848, "caught-up"),
    "three behind": (3, 0x16B374F000, "verify"),
    "a pin": (3, 0x16B374F000, "pinned"),
    "all lost": (3, None, "unreachable"),
}


@pytest.mark.parametrize("case", DECISIONS)
def test_decision(timed: Time, case: str) -> None:
    """From the words of a handle and what the prober has published, to a host and a reason."""
    number, lsn, expected = DECISIONS[case]
    names = [f"fra/replica-{n + 1}" for n in range(number)]
    mark = Mark(
        when=time.monotonic(), reachable=lsn is not None, position=Position(1, 0x16B374E000),
        fresh=time.monotonic(), lag=0.0, instance="7:1", rtt=0.001,
    )  # fmt: skip
    primary = Host("iad/primary", "primary")
    known = Known(
        dict.fromkeys([primary.name, *names], mark),
        primary,
        near=tuple(Host(name, "replica") for name in names),
    )
    view = View(known, lambda: known, lambda _: 0)
    policy = Database.session()
    need = Position(1, lsn) if lsn is not None else None
    pin = host_pin(names[-1], mark.instance) if expected == "pinned" else ""

    def decide() -> str:
        choice = view.choose(demand(policy, route="read", need=need, pin=pin), {})
        return str(choice.reason) if isinstance(choice, Selection) else "verify"

    assert timed(decide) == expected


def test_key_and_digest(timed: Time) -> None:
    cache = Cache(ttl=60, ignore_query=["utm_*"], by="accept-language")
    plan = KeyPlan(
        cache,
        session=frozenset({"regionware-session"}),
        trusts=False,
        region=lambda _: "fra",
        hosts=Hosts(),
    )
    ask = Ask("/products/7", cookie="regionware-session=x; _ga=GA1.1.1234567890.1700000000")
    request = request_for(ask)

    def key() -> str:
        screened = plan.screen(request)
        assert screened.key is not None
        return digest(canonical(screened.key))

    assert len(timed(key)) == 32


def test_request_view(timed: Time) -> None:
    scope = scope_of(Ask("/products/7"))
    assert timed(lambda: AsgiRequest(scope, NAMES)).host == "site.test"


def _frame() -> Frame:
    fields = tuple((name.encode(), value.encode()) for name, value in PAGE.all_fields())
    return Frame(
        material=canonical(("https", "site.test", "/products/7", "")),
        status=200, headers=fields, body=PAGE.body, tags=("product:7",),
        created=1_700_000_000_000_000, fresh_until=1_700_000_060_000_000,
        revalidate=60, error=600, age=0,
        lower=Position(1, 0x16B374D848), upper=None, host="fra-replica",
    )  # fmt: skip


SEALS: dict[str, Seal] = {
    "checked": CHECKSUM,
    "signed": Signature(["a secret of the benchmarks"], "bench", ""),
}


@pytest.mark.parametrize("seal", SEALS)
def test_frame_encode(timed: Time, seal: str) -> None:
    frame = _frame()
    assert len(timed(lambda: encode(frame, SEALS[seal]))) > len(frame.body)


@pytest.mark.parametrize("seal", SEALS)
def test_frame_decode(timed: Time, seal: str) -> None:
    frame = _frame()
    data = encode(frame, SEALS[seal])
    assert timed(lambda: decode(data, frame.material, SEALS[seal])) == frame


def test_frame_decode_packed(timed: Time) -> None:
    frame = _frame()
    frame.packed = pack(frame.headers, frame.body)
    data = encode(frame)
    assert timed(lambda: decode(data, frame.material)) == frame


def _table() -> Table:
    return Table([Route(f"/section-{number}/{{id}}") for number in range(50)])


def test_route_match_again(timed: Time) -> None:
    """The last of 50 routes, for a path that was asked for before."""
    table = _table()
    assert timed(lambda: table.match("GET", "site.test", "/section-49/7")).index == 49


def test_route_match_first(timed: Time) -> None:
    """The last of 50 routes, for a path that was never asked for."""
    table = _table()
    numbers = iter(range(1 << 62))
    found = timed(lambda: table.match("GET", "site.test", f"/section-49/{next(numbers)}"))
    assert found.index == 49


def test_resolver(timed: Time) -> None:
    """A header nobody sent, then a platform's."""
    iad = Region("iad", primary=True, location=(38.95, -77.45))
    regions = [iad, Region("fra", location=(50.04, 8.56))]
    providers: list[Provider] = [Header("x-region"), Platform("fly")]
    resolver = Resolver(
        providers, Topology(here="fra", regions=regions), ["10.0.0.0/8", "192.0.2.0/24"]
    )
    request = request_for(Ask("/", fly_region="iad"))
    assert timed(lambda: resolver.resolve(request)).region.name == "iad"
