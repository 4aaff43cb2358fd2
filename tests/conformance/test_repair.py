"""A record that cannot be read is a miss, and is filled again."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regionware.caching import filling
from regionware.caching.entry import Key
from regionware.caching.frame import Frame, encode
from regionware.caching.keys import canonical
from regionware.caching.redis import RedisTier
from regionware.effects import Repair
from regionware.policies import Cache, Route
from tests.conformance.application import Response, Seen, counting, text
from tests.conformance.conftest import World
from tests.conformance.harness import Answer, Site
from tests.conformance.vault import Vault, repair


@pytest.fixture
def tier() -> str:
    """Only Redis can hold what nobody here has written."""
    return "redis"


@pytest.fixture
def vault(redis_url: str) -> Iterator[Vault]:
    vault = Vault(redis_url)
    yield vault
    vault.close()


def again(site: Site, path: str = "/x", **ask: Any) -> Answer:
    """Ask as a worker that has nothing in memory."""
    site.rw.memory.clear()
    return site.get(path, **ask)


def events(site: Site, name: str) -> dict[str, int]:
    """How often, by detail."""
    counts = site.rw.counts().items()
    return {key.partition(":")[2]: n for key, n in counts if key.partition(":")[0] == name}


def foreign() -> bytes:
    """A frame of another key, newer than any other."""
    return encode(
        Frame(
            material=b"other", status=200, headers=(), body=b"other", tags=(),
            created=2**62, fresh_until=2**62, revalidate=0, error=0, age=0, lower=None, upper=None,
            host="",
        )
    )  # fmt: skip


FRAMES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "the first octet": (lambda f: b"X" + f[1:], "damaged"),
    "the last octet": (lambda f: f[:-1] + bytes((f[-1] ^ 1,)), "damaged"),
    "an octet of the body": (lambda f: f[:-6] + b"?" + f[-5:], "damaged"),
    "a length": (lambda f: f[:104] + b"\xff" + f[105:], "damaged"),
    "begun in a far future": (lambda f: f[:4] + b"f" * 16 + f[20:], "damaged"),
    "fresh for ever": (lambda f: f[:20] + b"f" * 16 + f[36:], "damaged"),
    "a stamp that is none": (lambda f: f[:4] + b"~" * 16 + f[20:], "damaged"),
    "cut": (lambda f: f[:100], "damaged"),
    "only the magic": (lambda _: b"RWF1", "damaged"),
    "one octet": (lambda _: b"R", "damaged"),
    "a pickle": (lambda _: b"cposix\nsystem\n(S'true'\ntR.", "damaged"),
    "a newer frame of another key": (lambda _: foreign(), "foreign"),
    "noise that looks fresh": (lambda _: b"RWF1" + b"f" * 300, "damaged"),
    "noise that looks fresh and signed": (lambda _: b"RWF1" + b"\xff" * 300, "signature"),
    "a later version from the future": (lambda f: b"RWF9" + b"f" * 80 + f[84:], "damaged"),
}  # fmt: skip


@pytest.mark.parametrize("case", FRAMES)
def test_a_frame_that_cannot_be_read_is_filled_again(world: World, vault: Vault, case: str) -> None:
    damage, flaw = FRAMES[case]
    site = world.site(counting())
    site.get("/x")
    vault.frame = damage(vault.frame)
    found = again(site)
    assert (found.body, found.cache_status) == (b"2", {"fwd": "miss", "stored": ""})
    found = again(site)
    assert (found.body, found.cache_status["detail"]) == (b"2", "redis")
    assert len(site.app.calls) == 2
    assert events(site, "damaged") == events(site, "repaired") == {flaw: 1}


@pytest.mark.parametrize("case", FRAMES)
def test_without_repair_the_application_is_called_again_and_again(
    world: World, vault: Vault, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The positive control; but where the store sees by itself that it is no frame."""

    async def nothing(*_: object) -> bool:
        return False

    monkeypatch.setattr(RedisTier, "repair", lambda *_: False)
    monkeypatch.setattr(RedisTier, "arepair", nothing)
    damage, _ = FRAMES[case]
    site = world.site(counting())
    site.get("/x")
    vault.frame = damage(vault.frame)
    bodies = [again(site).body for _ in range(3)]
    fills = vault.frame[:3] == b"RWF" and vault.frame[:4] != b"RWF9" and bodies[-1] == b"2"
    assert bodies == ([b"2"] * 3 if fills else [b"2", b"3", b"4"])
    seen_through = {"the first octet", "only the magic", "one octet", "a pickle"}
    assert fills is (case in seen_through)


@pytest.fixture(scope="module")
def urls() -> Callable[[], str]:
    numbers = iter(range(100_000, 1_000_000))
    return lambda: f"/{next(numbers)}"


@given(data=st.data())
@settings(
    deadline=None, max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
def test_any_damage_is_repaired(
    world: World, vault: Vault, urls: Callable[[], str], data: st.DataObject
) -> None:
    vault.client.delete(*vault.keys, "none")
    site = world._sites[0] if world._sites else world.site(counting())
    path = urls()
    first = site.get(path).body
    calls, frame = len(site.app.calls), vault.frame
    at = data.draw(st.integers(0, 2**16)) % len(frame)
    how = data.draw(st.sampled_from(["flip", "cut", "insert", "repeat"]))
    noise = data.draw(st.binary(min_size=1, max_size=8))
    vault.frame = {
        "flip": frame[:at] + bytes((frame[at] ^ (noise[0] or 1),)) + frame[at + 1 :],
        "cut": frame[:at],
        "insert": frame[:at] + noise + frame[at:],
        "repeat": frame + frame[at:],
    }[how]
    found = again(site, path)
    assert found.body != first
    assert again(site, path).body == found.body
    assert len(site.app.calls) == calls + 1


# What is not a frame

KINDS: dict[str, Callable[[Vault, bytes], object]] = {
    "string": lambda vault, key: vault.client.set(key, b"somebody's"),
    "list": lambda vault, key: vault.client.rpush(key, b"a", b"b"),
    "set": lambda vault, key: vault.client.sadd(key, b"a"),
    "sorted set": lambda vault, key: vault.client.zadd(key, {b"a": 1}),
    "stream": lambda vault, key: vault.client.xadd(key, {b"a": b"1"}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_of_another_type_is_filled_again(world: World, vault: Vault, kind: str) -> None:
    site = world.site(counting())
    for _ in range(6):  # so often that a breaker would have opened
        site.get("/x")
        key = vault.key
        vault.client.delete(key)
        KINDS[kind](vault, key)
        made = again(site).body
        assert again(site).body == made
    assert len(site.app.calls) == 7
    assert events(site, "repaired") == {"vary": 6}
    assert "redis-down" not in site.rw.counts()


NAMES = [
    b"\xff\xfe",
    b" ",
    b"a b",
    b"accept,,language",
    b",",
    b"a:b\n",
    b"(no hash)",
    b"x" * 70 + b"\0",
]


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("vary", ["Host", "Accept-Language"])
def test_names_that_are_none_are_filled_again(
    world: World, vault: Vault, names: bytes, vary: str
) -> None:
    site = world.site(counting(Vary=vary))
    site.get("/x")
    vault.client.hset(vault.key, "vary", names)
    assert again(site).body == b"2"
    assert again(site).cache_status["detail"] == "redis"
    assert len(site.app.calls) == 2
    assert events(site, "repaired") == {"vary": 1}


def test_names_that_are_others_are_filled_again(world: World, vault: Vault) -> None:
    """They select nothing: a miss as any."""
    site = world.site(counting(Vary="Accept-Language"))
    site.get("/x", headers={"Accept-Language": "de"})
    vault.client.hset(vault.key, "vary", b"accept-languagf")
    assert again(site, headers={"Accept-Language": "de"}).body == b"2"
    assert again(site, headers={"Accept-Language": "de"}).cache_status["detail"] == "redis"


# Who is answered, and what stays


@pytest.mark.parametrize("ask", [{"method": "HEAD"}, {"headers": {"Range": "bytes=0-0"}}])
def test_one_who_does_not_fill_repairs_too(world: World, vault: Vault, ask: dict[str, Any]) -> None:
    site = world.site(counting())
    site.get("/x")
    vault.frame = vault.frame[:-1]
    assert again(site, **ask).status == 200
    assert events(site, "repaired") == {"damaged": 1}
    assert again(site).status == again(site).status == 200
    assert again(site).cache_status["detail"] == "redis"


def languages(seen: Seen) -> Response:
    return text(seen.headers.get("accept-language", ""), Vary="Accept-Language")


def variants(site: Site) -> list[Answer]:
    return [again(site, headers={"Accept-Language": each}) for each in ("de", "fr")]


def test_the_other_variants_stay(world: World, vault: Vault) -> None:
    site = world.site(languages)
    variants(site)
    vault.client.hset(vault.key, vault.fields[0], b"noise")
    assert sorted(each.hit for each in variants(site)) == [False, True]
    assert [(each.hit, each.body) for each in variants(site)] == [(True, b"de"), (True, b"fr")]


def exchanged(site: Site, vault: Vault) -> list[bytes]:
    """What clients of two variants get when somebody has exchanged them in the store."""
    variants(site)
    one, other = vault.fields
    frames = vault.client.hmget(vault.key, one, other)
    vault.client.hset(vault.key, mapping={one: frames[1], other: frames[0]})
    return [each.body for each in variants(site)]


def test_a_variant_is_not_taken_for_another(world: World, vault: Vault) -> None:
    assert exchanged(world.site(languages), vault) == [b"de", b"fr"]


def test_a_variant_is_taken_for_another_without_its_key(
    world: World, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The positive control."""

    def plain(key: Key) -> bytes:
        return canonical(key[: key.index("\0")] if "\0" in key else key)

    monkeypatch.setattr(filling, "canonical", plain)
    monkeypatch.setattr("regionware.unpacking.canonical", plain)
    assert exchanged(world.site(languages), vault) == [b"fr", b"de"]


def test_what_has_been_replaced_meanwhile_stays(world: World, vault: Vault) -> None:
    site = world.site(counting())
    site.get("/x")
    digest, field = vault.key.rpartition(b":")[2].decode(), vault.field.decode()
    frame = vault.frame
    assert not repair(world, site.rw, Repair(digest, field, b"what was there before"))
    assert not repair(world, site.rw, Repair(digest, "vary", b"what was there before"))
    assert not repair(world, site.rw, Repair(digest, "efield", frame))
    assert not repair(world, site.rw, Repair("0" * 32, field, frame))
    assert vault.frame == frame
    assert repair(world, site.rw, Repair(digest, field, frame))
    assert vault.keys == [] or b"e" not in vault.client.hkeys(vault.key)


# Records of later versions


def later(frame: bytes) -> bytes:
    return b"RWF2" + frame[4:] + b"and more"


def test_a_later_version_stays_until_a_newer_fill(world: World, vault: Vault) -> None:
    site = world.site(counting(Cache_Control="no-store"))
    other = world.site(counting())
    other.get("/x")
    vault.frame = kept = later(vault.frame)
    assert [again(site).body, again(site).body] == [b"1", b"2"]  # it may not store its answers
    assert vault.frame == kept
    assert events(site, "unreadable")["later"] >= 1
    assert not events(site, "repaired")
    assert again(other).body == b"2"
    assert vault.frame[:4] == b"RWF1"
    assert again(other).cache_status["detail"] == "redis"


def test_a_later_version_is_not_replaced_by_an_older_answer(world: World, vault: Vault) -> None:
    """The stamps stand in the same place in every version."""
    site = world.site(counting())
    site.get("/x")
    frame = later(vault.frame)
    soon = b"%016x" % (int(frame[4:20], 16) + 60_000_000)
    vault.frame = kept = frame[:4] + soon + frame[20:]
    assert [again(site).body, again(site).body] == [b"2", b"3"]
    assert vault.frame == kept


# Routes that say more


def test_an_expired_record_that_is_damaged_is_not_validated(world: World, vault: Vault) -> None:
    site = world.site(
        counting(ETag='"1"', Cache_Control="max-age=1", Age="1"), Route("/x", cache=Cache(ttl=60))
    )
    site.get("/x")
    vault.frame = vault.frame[:-1]
    again(site)
    assert [seen.headers.get("if-none-match") for seen in site.app.calls] == [None, None]
    assert events(site, "repaired") == {"damaged": 1}
