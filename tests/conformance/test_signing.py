"""With `sign_entries=True` nothing in Redis is believed that was not written with the secret."""

from collections.abc import Iterator
from zlib import crc32

import pytest

from regionware import ConfigurationError, Region, Regionware, Topology
from regionware.policies import Cache, Route
from tests.conformance.application import counting
from tests.conformance.conftest import World
from tests.conformance.harness import Site
from tests.conformance.test_repair import again, events
from tests.conformance.vault import Vault

OLD, NEW = "an old secret of the tests", "a new secret of the tests"
ROUTE = Route("/{path:path}", cache=Cache(ttl=60))


@pytest.fixture
def tier() -> str:
    """Only Redis can hold what nobody here has written."""
    return "redis"


@pytest.fixture
def vault(redis_url: str) -> Iterator[Vault]:
    vault = Vault(redis_url)
    yield vault
    vault.close()


def forged(world: World, vault: Vault, *, sign: bool) -> list[bytes]:
    """What clients get after somebody has changed an entry in Redis, and its checksum."""
    site = world.site(counting(), secret=OLD, sign_entries=sign)
    site.get("/x")
    size = 16 if sign else 4
    record = bytearray(vault.frame[:-size])
    assert record[-1:] == b"1"
    record[-1:] = b"!"
    record[84] &= 0x7F  # not signed, says whoever has no secret
    vault.frame = bytes(record) + crc32(record).to_bytes(4)
    return [again(site).body, again(site).body]


def test_a_forged_entry_is_a_miss_and_is_filled_again(world: World, vault: Vault) -> None:
    assert forged(world, vault, sign=True) == [b"2", b"2"]


def test_without_a_signature_a_forged_entry_is_served(world: World, vault: Vault) -> None:
    """The positive control: a checksum helps against accidents only."""
    assert forged(world, vault, sign=False) == [b"!", b"!"]


def workers(world: World, *options: dict[str, object]) -> list[Site]:
    """Workers that differ, before one application."""
    first = world.site(counting(), **options[0])
    return [first, *(world.behind(world.regionware(ROUTE, **o), first.app) for o in options[1:])]


def hits(world: World, *options: dict[str, object]) -> list[bool]:
    return [site.get("/x").hit for site in workers(world, *options)]


def test_a_signed_entry_is_shared(world: World) -> None:
    signed = {"secret": OLD, "sign_entries": True}
    assert hits(world, signed, signed) == [False, True]


def test_secrets_rotate(world: World) -> None:
    """First every worker learns to verify the new one, then it signs, then the old one goes."""
    steps: list[list[str]] = [[OLD], [OLD, NEW], [NEW, OLD], [NEW]]
    sites = workers(world, *({"secret": each, "sign_entries": True} for each in steps))
    for number, (writer, reader) in enumerate([(0, 1), (1, 2), (2, 1), (2, 3), (3, 2)]):
        sites[writer].get(f"/{number}")
        assert sites[reader].get(f"/{number}").hit


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"secret": OLD, "sign_entries": True}, {"secret": NEW, "sign_entries": True}),
        ({"secret": OLD, "sign_entries": True}, {"secret": OLD}),
        ({"secret": OLD, "sign_entries": True}, {}),
        ({"secret": OLD}, {"secret": OLD, "sign_entries": True}),
    ],
)
def test_of_two_configurations_neither_believes_the_other(
    world: World, one: dict[str, object], other: dict[str, object]
) -> None:
    sites = workers(world, one, other)
    assert [site.get("/x").body for site in sites] == [b"1", b"2"]
    assert events(sites[1], "repaired") == {"signature": 1}
    assert [again(site).body for site in sites] == [b"3", b"4"]


@pytest.mark.parametrize("name", ["namespace", "release"])
def test_an_entry_that_is_moved_is_a_miss(world: World, vault: Vault, name: str) -> None:
    """From another namespace or release with the same secret."""
    signed = {"secret": OLD, "sign_entries": True}
    one, other = workers(world, {**signed, name: "a"}, {**signed, name: "b"})
    one.get("/x")
    place = b"%b:e:" if name == "namespace" else b":e:%b:"
    vault.client.copy(vault.key, vault.key.replace(place % b"a", place % b"b"))
    assert (other.get("/x").body, events(other, "repaired")) == (b"2", {"signature": 1})


def test_an_entry_that_is_moved_is_served_without_a_signature(world: World, vault: Vault) -> None:
    """The positive control."""
    one, other = workers(world, {"release": "a"}, {"release": "b"})
    one.get("/x")
    vault.client.copy(vault.key, vault.key.replace(b":a:", b":b:"))
    assert other.get("/x").body == b"1"


def test_it_needs_a_secret() -> None:
    with pytest.raises(ConfigurationError, match=r"sign_entries.*secret"):
        Regionware(sign_entries=True)
    with pytest.raises(ConfigurationError, match="secret"):
        Regionware(sign_entries=True, secret=[])
    here = Region("here", primary=True, redis="redis://127.0.0.1:1/0")
    topology = Topology(here="here", regions=[here])
    Regionware(topology=topology, sign_entries=True, secret=OLD)
    Regionware(topology=topology, secret=OLD)
