"""The account of the memory tier against what the process really holds."""

import gc
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from regionware.adapters.wsgi_response import text as wsgi_text
from regionware.caching.coherence import BOUND
from regionware.caching.common import Common
from regionware.caching.compact import held
from regionware.caching.entry import OPEN, Entry, Record, Uncacheable, Variants
from regionware.caching.memory import Memory
from regionware.caching.storing import verified
from regionware.database.position import Position
from regionware.serving import hit_headers

ROOT = Path(__file__).parents[2]
ROOM = 1 << 28
NAMES = [
    b"content-type", b"cache-control", b"etag", b"date", b"last-modified", b"content-length",
    b"server", b"x-content-type-options", b"referrer-policy", b"content-security-policy",
    *(b"x-field-%d" % number for number in range(10)),
]  # fmt: skip


def text(number: int, name: str) -> bytes:
    """A value of its own object, as a server's parser makes it."""
    return f"{name} of {number} and so on"[:30].encode()


def entry(number: int, size: int, fields: int, tags: int = 0, **more: Any) -> Entry:
    headers = tuple((bytes(bytearray(n)), text(number, n.decode())) for n in NAMES[:fields])
    begun = 1000.0 + number / 7
    made = Entry(
        ("https", f"site{number % 3}.test", f"/products/{number:06d}", ""),
        status=200, headers=headers, body=bytes(bytearray(size)), created=(1 << 50) + number,
        tags=[f"product:{number}:{tag}" for tag in range(tags)],
        born=begun, fresh_until=begun + 60,
        **more,
    )  # fmt: skip
    return verified(made, begun)


@contextmanager
def counted(memory: Memory) -> Iterator[list[float]]:
    """What was allocated meanwhile and is there: rounded up, by the account, and as asked for."""
    gc.collect()
    before = memory.currsize
    tracemalloc.start()
    found: list[float] = []
    yield found
    gc.collect()
    traces = tracemalloc.take_snapshot().traces
    tracemalloc.stop()
    found += [sum(_rounded(trace.size) for trace in traces), memory.currsize - before]
    found.append(sum(trace.size for trace in traces))


def _rounded(size: int) -> int:
    return (size + 15 if size <= 512 else size + 23) & ~15


def plain(number: int, random: Random) -> list[Record]:
    return [entry(number, 1024, 8)]


def mixed(number: int, random: Random) -> list[Record]:
    """0.1 to 100 KB, 3 to 20 fields, tags, positions, stale windows, variants and notes."""
    size = int(10 ** random.uniform(2, 5))
    known = entry(number, size, random.choice([3, 8, 20]), random.choice([0, 0, 2]))
    key = known.key
    dice = random.random()
    if dice < 0.1:
        return [Uncacheable(key, "no-store", 1000.0 + number)]
    if dice < 0.3:
        with_place = entry(number, size, 8, lower=Position(1, (1 << 40) + number))
        return [with_place]
    if dice < 0.5:
        return [refreshed(number, size)]
    if dice < 0.6:
        return [known, Variants(("https", "v.test", f"/v/{number:06d}", ""), ("accept-language",))]
    return [known]


def refreshed(number: int, size: int) -> Entry:
    """Refreshed early, from the database; it was old when it came."""
    place = Position(1, (1 << 40) + number)
    made = entry(
        number, size, 3, host="fra/replica-1", lower=place, upper=place, cost=number / 7e4,
        revalidate=60.0, error=600.0,
    )  # fmt: skip
    return verified(made, made.born + 100)


def replicated(number: int, random: Random) -> list[Record]:
    return [refreshed(number, 1024)]


@pytest.mark.parametrize("kind", [plain, replicated, mixed])
def test_the_account_is_what_the_process_holds(
    kind: Callable[[int, Random], list[Record]],
) -> None:
    memory, random = Memory(ROOM), Random(7)
    for number in range(300):  # names and memos that all share
        for record in kind(number, random):
            memory.put(record)
    with counted(memory) as found:
        for number in range(1000, 4000):
            for record in kind(number, random):
                assert memory.put(record)
    real, account, _ = found
    assert 0.98 <= account / real <= 1.02


def test_a_wrong_account_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Positive control: what one object costs, left out."""
    monkeypatch.setattr("regionware.caching.entry.FLOAT", 0)
    with pytest.raises(AssertionError):
        test_the_account_is_what_the_process_holds(plain)


def test_a_wrong_account_of_what_is_shared_would_be_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Positive control: each of these entries has a position that no other has."""
    monkeypatch.setattr(Common, "octets", lambda _: 0)
    with pytest.raises(AssertionError):
        test_the_account_is_what_the_process_holds(replicated)


def test_what_an_entry_needs_above_its_body_and_fields() -> None:
    memory = Memory(ROOM)
    memory.put(entry(0, 1024, 8))
    with counted(memory) as found:
        for number in range(1000, 4000):
            memory.put(entry(number, 1024, 8))
    octets = 1024 + sum(len(name) + len(text(1000, name.decode())) for name in NAMES[:8])
    assert found[2] / 3000 - octets <= 450


def test_what_entries_have_alike_is_kept_once() -> None:
    one, other = (entry(number, 100, 3, error=600.0, flags=OPEN) for number in (1, 2))
    assert one._common is other._common
    assert (one.flags, one.error_until - one.fresh_until) == (OPEN, 600)
    one.failures += 1
    assert (one.failures, other.failures) == (1, 0)
    assert one.dressed(((b"a", b"1"),)).headers == ((b"a", b"1"),)
    assert len(other.headers) == 3


def test_compressed_content_is_in_no_table() -> None:
    """It would stay in memory when its entry is evicted."""
    one, other = (entry(1, 100, 3, packed=b"packed") for _ in range(2))
    assert one._common is not other._common
    assert one.size - entry(1, 100, 3).size >= held(b"packed")


@pytest.mark.parametrize("age", [0.0, 0.3, 12.0, 1e6])
def test_trust_ends_no_later_than_said(age: float) -> None:
    for number in range(1000):
        made = entry(number, 1, 0)
        began = made.born + age
        verified(made, began)
        assert began + BOUND - 1 / 8 < made.verified_until <= began + BOUND + 1e-6


def test_nothing_is_trusted_before_it_is_verified() -> None:
    made = Entry(
        ("http", "h", "/", ""), status=200, headers=(), body=b"", tags=(), created=1, born=5.0,
        fresh_until=60.0,
    )  # fmt: skip
    assert made.verified_until <= made.born


@pytest.mark.parametrize("protocol", ["asgi", "wsgi"])
def test_prepared_heads_stay_within_what_is_reserved(protocol: str) -> None:
    """Every entry is hit; only some may keep what was prepared for it."""
    memory, owner = Memory(1 << 23), object()
    entries = [entry(number, 1024, 8) for number in range(3000)]
    assert all(map(memory.put, entries))
    with counted(memory) as found:
        for each in entries:
            head: Any = hit_headers(each, 2000.0)
            if protocol == "wsgi":
                head = "200 OK", wsgi_text(head)
            memory.dress(each, (owner, 2000, head))
    kept = sum(each.wire is not None for each in entries)
    assert found[0] <= memory.maxsize / 32
    assert found[1] == 0
    assert 60 <= kept < 300


def test_heads_that_nobody_bounds_would_be_noticed() -> None:
    """Positive control: each entry keeps its own."""
    memory = Memory(1 << 23)
    entries = [entry(number, 1024, 8) for number in range(3000)]
    with counted(memory) as found:
        for each in entries:
            each.wire = (memory, 2000, hit_headers(each, 2000.0))
    assert found[0] > memory.maxsize / 32


def test_a_head_is_prepared_again_in_the_same_place() -> None:
    memory, owner = Memory(1 << 16), object()
    wanted, other = entry(1, 100, 3), entry(2, 100, 3)
    memory.dress(wanted, (owner, 1, ["old"]))
    for second in range(2, 100):
        memory.dress(wanted, (owner, second, ["new"]))
    memory.dress(other, (owner, 100, ["other"]))
    assert wanted.wire == (owner, 99, ["new"])
    assert other.wire == (owner, 100, ["other"])


def test_a_head_for_the_most_places_is_not_kept() -> None:
    memory = Memory(1 << 20)
    large = entry(1, 100, 20, lower=None)
    large._values = b"x" * 20_000
    memory.dress(large, (memory, 1, ["head"]))
    assert large.wire is None


def test_fields_come_back_as_they_were() -> None:
    for fields in ((), ((b"a", b""),), ((b"a", b"1"), (b"a", b"2")), ((b"a", b"\0"), (b"b", b"2"))):
        made = Entry(
            ("http", "h", "/", ""), status=200, headers=fields, body=b"", tags=(), created=1,
            born=0, fresh_until=1,
        )  # fmt: skip
        assert made.headers == fields
        assert made.dressed(((b"c", b"3"),)).headers == ((b"c", b"3"),)
        assert made.headers == fields


def test_the_table_is_in_the_account() -> None:
    memory = Memory(1 << 22)
    for number in range(5000):
        memory.put(Uncacheable(("https", "h.test", f"/{number:06d}", ""), "private", 1.5))
        assert memory.currsize <= memory.maxsize
    records = sum(record.size for record in memory.records())
    assert memory.currsize == records + sys.getsizeof(memory._table) + memory._reserved
    assert held(memory._table) > 100_000


# The whole process


def filling(*arguments: object) -> dict[str, int]:
    argv = [sys.executable, "-m", "tests.memory.filling", *map(str, arguments)]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    found: dict[str, int] = json.loads(done.stdout)
    return found


def check_urls(found: dict[str, int], bound: int) -> None:
    assert found["highest"] <= bound
    assert 0.98 * bound <= found["accounted"]
    assert found["growth"] <= 1.25 * bound
    assert found["flights"] == 0
    assert found["memo"] <= 8192
    assert found["counted"] <= 10


@pytest.mark.timeout(600)
@pytest.mark.parametrize("protocol", ["asgi", "wsgi"])
def test_many_urls_stay_within_the_bound(protocol: str) -> None:
    bound = 1 << 23
    found = filling("urls", protocol, 12_000, bound)
    check_urls(found, bound)
    assert found["hits"] >= 1200


@pytest.mark.long
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("protocol", ["asgi", "wsgi"])
def test_two_hundred_thousand_urls_stay_within_the_default(protocol: str) -> None:
    bound = 1 << 26
    check_urls(filling("urls", protocol, 200_000, bound), bound)


@pytest.mark.timeout(600)
def test_a_tier_without_eviction_would_be_noticed(tmp_path: Path) -> None:
    """Positive control: the same, where nothing is evicted."""
    code = (
        "import json, sys\n"
        "from regionware.caching.memory import Memory\n"
        "from tests.memory import filling\n"
        "Memory._make_room = lambda self, size: None\n"
        f"print(json.dumps(filling.urls('wsgi', 10_000, {1 << 22})))\n"
    )
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, check=True, capture_output=True, text=True, cwd=ROOT)
    found = json.loads(done.stdout)
    assert found["highest"] > 1 << 22
    assert found["growth"] > 1.25 * (1 << 22)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("protocol", ["asgi", "wsgi"])
def test_a_large_body_passes_through(protocol: str) -> None:
    size = 50 * (1 << 20)
    found = filling("stream", protocol, size, 1 << 26)
    assert found["octets"] == size
    assert found["growth"] <= 12 << 20
    assert (found["kept"], found["flights"]) == (0, 0)
