"""The client's address: from the right to the left, and no further than somebody vouches for it."""

import re
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionware.locate import Ingress, Resolver, Trust
from regionware.locate.addresses import Address, bare
from regionware.locate.client import Chain, Client, Walk
from regionware.locate.forwarded import Element
from tests.locate.cases import CLIENT, FORGED, PROXY, SECRET, STRANGER, TOPOLOGY, Asked

PROXIES = "10.0.0.0/8"
XFF, FORWARDED = "X-Forwarded-For", "Forwarded"
UNKNOWN, PLATFORM = Trust.UNKNOWN, Trust.PLATFORM


def client(ingress: Ingress | str, fields: Mapping[str, str], peer: str | None = PROXY) -> Client:
    return Resolver([], TOPOLOGY, [ingress]).client(Asked(peer, fields))


@pytest.mark.parametrize(
    ("field", "address", "trust", "stopped"),
    [
        (CLIENT, CLIENT, PLATFORM, ""),
        (f"{FORGED}, {CLIENT}", CLIENT, PLATFORM, ""),
        (f"{FORGED},{CLIENT},10.0.0.8", CLIENT, PLATFORM, ""),
        (f"10.0.0.1, {FORGED}, {CLIENT}, 10.0.0.8, 10.1.0.8", CLIENT, PLATFORM, ""),
        (f"{CLIENT}:4711", CLIENT, PLATFORM, ""),
        ("[2001:db8::7]:4711, 10.0.0.8", "2001:db8::7", PLATFORM, ""),
        ("2001:db8::7", "2001:db8::7", PLATFORM, ""),
        # The same proxy in the form of the other family.
        (f"{CLIENT}, ::ffff:10.0.0.8", CLIENT, PLATFORM, ""),
        (f"::ffff:{CLIENT}", CLIENT, PLATFORM, ""),
        # All of them are proxies of ours: the first of them has asked.
        ("10.0.0.9, 10.0.0.8", "10.0.0.9", PLATFORM, ""),
        # What is no address stops the walk where it stands.
        ("garbage, 10.0.0.8", "10.0.0.8", UNKNOWN, "hop"),
        (f"{FORGED}, garbage", PROXY, UNKNOWN, "hop"),
        (f"{FORGED}, , 10.0.0.8", "10.0.0.8", UNKNOWN, "hop"),
        (f"{FORGED},", PROXY, UNKNOWN, "hop"),
        (f"{FORGED}, unknown, 10.0.0.8", "10.0.0.8", UNKNOWN, "hop"),
        (f"{FORGED}, _hidden", PROXY, UNKNOWN, "hop"),
        (f"{FORGED}, fe80::1%eth0", PROXY, UNKNOWN, "hop"),
        (f"{FORGED}, 192.0.2.1.", PROXY, UNKNOWN, "hop"),
        ("", PROXY, UNKNOWN, "hop"),
        ('"198.51.100.66"', PROXY, UNKNOWN, "hop"),
        # Bounds.
        (f"{FORGED}, " + ", ".join(["10.0.0.8"] * 40), "10.0.0.8", UNKNOWN, "hops"),
        (f"{FORGED}, " + ", ".join(["10.0.0.8"] * 31), FORGED, PLATFORM, ""),
        (f"{'x' * 4096}, {CLIENT}", PROXY, UNKNOWN, "malformed"),
        (", ".join([FORGED] * 200 + [CLIENT]), CLIENT, PLATFORM, ""),
    ],
)
def test_x_forwarded_for(field: str, address: str, trust: Trust, stopped: str) -> None:
    for ingress in (Ingress(PROXIES), PROXIES):
        found = client(ingress, {XFF: field, FORWARDED: f"for={FORGED}", "X-Real-IP": FORGED})
        assert (str(found), found.trust, found.stopped) == (address, trust, stopped)
        assert found.source == ("peer" if stopped == "malformed" else "x-forwarded-for")


@pytest.mark.parametrize(
    ("field", "address", "trust", "stopped"),
    [
        (f"for={CLIENT}", CLIENT, PLATFORM, ""),
        (f"for={FORGED}, for={CLIENT};proto=https", CLIENT, PLATFORM, ""),
        (f'for={FORGED}, For="{CLIENT}:80", FOR=10.0.0.8', CLIENT, PLATFORM, ""),
        ('for="[2001:db8::7]:4711", for=10.0.0.8', "2001:db8::7", PLATFORM, ""),
        (f"for={FORGED}, for=unknown", PROXY, UNKNOWN, "hop"),
        (f"for={FORGED}, for=_hidden, for=10.0.0.8", "10.0.0.8", UNKNOWN, "hop"),
        (f"for={FORGED}, proto=https", PROXY, UNKNOWN, "hop"),
        (f'for={FORGED}, for="_x, for={CLIENT}', PROXY, UNKNOWN, "malformed"),
        (f"for={FORGED},, for={CLIENT}", PROXY, UNKNOWN, "malformed"),
        (f"for={FORGED};for={FORGED}, for={CLIENT}", PROXY, UNKNOWN, "malformed"),
        (f"{FORGED}", PROXY, UNKNOWN, "malformed"),
    ],
)
def test_forwarded(field: str, address: str, trust: Trust, stopped: str) -> None:
    ingress = Ingress(PROXIES, client=FORWARDED)
    found = client(ingress, {FORWARDED: field, XFF: FORGED, "X-Real-IP": FORGED})
    assert (str(found), found.trust, found.stopped) == (address, trust, stopped)


@pytest.mark.parametrize("source", [XFF, FORWARDED, "X-Real-IP"])
def test_only_the_one_header_that_is_named_counts(source: str) -> None:
    fields = {XFF: FORGED, FORWARDED: f"for={FORGED}", "X-Real-IP": FORGED}
    ingress = Ingress(PROXIES, client=source)
    assert str(client(ingress, fields)) == FORGED  # the control: it is read
    found = client(ingress, {name: value for name, value in fields.items() if name != source})
    assert (str(found), found.source, found.trust) == (PROXY, "peer", UNKNOWN)
    assert found.stopped == "absent"


def test_the_peer_is_checked_first() -> None:
    """Whoever counts hops alone believes anybody who sends enough of them."""
    for ingress in (Ingress(PROXIES), Ingress(PROXIES, client=FORWARDED), PROXIES):
        fields = {XFF: f"{FORGED}, 10.0.0.8", FORWARDED: f"for={FORGED}"}
        found = client(ingress, fields, STRANGER)
        assert (str(found), found.source, found.trust) == (STRANGER, "peer", Trust.LOCAL)
        assert str(client(ingress, fields)) == FORGED


@pytest.mark.parametrize("peer", [None, "", "testclient", "10.0.0.7.", "10.0.0.7:80"])
def test_a_peer_without_an_address(peer: str | None) -> None:
    found = client(PROXIES, {XFF: FORGED}, peer)
    assert (found.address, found.trust) == (None, UNKNOWN)


def test_a_unix_socket_is_a_peer() -> None:
    found = client(Ingress("unix"), {XFF: f"{FORGED}, {CLIENT}"}, None)
    assert (str(found), found.trust) == (CLIENT, PLATFORM)
    # The proxy is no address, so it cannot be in the header.
    found = client(Ingress("unix"), {XFF: "unknown"}, None)
    assert (found.address, found.stopped) == (None, "hop")


@pytest.mark.parametrize(
    ("value", "address", "stopped"),
    [
        (CLIENT, CLIENT, ""),
        (f"{FORGED}, {CLIENT}", PROXY, "malformed"),
        (f"{CLIENT} ", CLIENT, ""),
        ("", PROXY, "malformed"),
        ("2001:db8::7", "2001:db8::7", ""),
    ],
)
def test_a_header_with_one_address(value: str, address: str, stopped: str) -> None:
    found = client(Ingress.cloudflare(PROXIES, secret=SECRET), {
        "CF-Connecting-IP": value, "X-Origin-Auth": SECRET, XFF: FORGED,
    })  # fmt: skip
    assert (str(found), found.stopped) == (address, stopped)


def test_an_ingress_that_gives_no_address_means_its_peer() -> None:
    found = client(Ingress(PROXIES, client="peer"), {XFF: FORGED})
    assert (str(found), found.source, found.trust) == (PROXY, "peer", PLATFORM)


def test_platforms_that_append_their_own_address() -> None:
    """The last entry on Fly.io is the application's, on Google Cloud the load balancer's."""
    field = {XFF: f"{FORGED}, {CLIENT}, 203.0.113.200", "X-Origin-Auth": SECRET}
    fly = Ingress.fly(client=XFF)
    assert str(client(fly, field)) == CLIENT
    assert str(client(Ingress.google(PROXIES, secret=SECRET), field)) == CLIENT
    assert str(client(Ingress(PROXIES), field)) == "203.0.113.200"  # the control
    alone = client(fly, {XFF: "203.0.113.200"})
    assert (alone.trust, alone.stopped) == (UNKNOWN, "absent")


def test_further_proxies_that_are_not_asked_by() -> None:
    """`hops` are walked over, and believed nothing."""
    field = {XFF: f"{FORGED}, {CLIENT}, 172.16.0.9"}
    assert str(client(Ingress(PROXIES, hops=["172.16.0.0/12"]), field)) == CLIENT
    assert str(client(Ingress(PROXIES), field)) == "172.16.0.9"
    found = client(Ingress(PROXIES, hops=["172.16.0.0/12"]), field, "172.16.0.9")
    assert (str(found), found.trust) == ("172.16.0.9", Trust.LOCAL)


# --- Properties: a client controls everything to the left of what our proxies have written

_GARBAGE = st.text(max_size=60) | st.text(alphabet='for=pt"\\;,_ .:[]%0129a\t', max_size=60)
_ADDRESSES = st.ip_addresses().filter(lambda a: str(a) not in ("10.0.0.7", "10.0.0.8"))
_CHAIN = st.lists(st.sampled_from(["10.0.0.8", "10.0.0.9"]), max_size=5)


def _is_client(address: object) -> bool:
    return not Resolver([], TOPOLOGY, [PROXIES]).ingresses.peers.trusts(str(address))


@given(left=_GARBAGE, true=_ADDRESSES.filter(_is_client), chain=_CHAIN)
def test_nothing_to_the_left_has_an_effect(left: str, true: object, chain: list[str]) -> None:
    plain = client(PROXIES, {XFF: ", ".join([str(true), *chain])})
    forged = client(PROXIES, {XFF: ", ".join([left, str(true), *chain])})
    assert (forged, forged.trust) == (plain, PLATFORM)


@given(left=_GARBAGE, true=_ADDRESSES.filter(_is_client), chain=_CHAIN)
def test_nothing_to_the_left_in_forwarded_names_another(
    left: str, true: object, chain: list[str]
) -> None:
    """What is malformed there makes all of it count for nothing; it cannot name anybody."""
    nodes = [f'for="[{each}]"' if ":" in str(each) else f"for={each}" for each in (true, *chain)]
    ingress = Ingress(PROXIES, client=FORWARDED)
    plain = client(ingress, {FORWARDED: ", ".join(nodes)})
    forged = client(ingress, {FORWARDED: ", ".join([left, *nodes])})
    assert plain.trust is PLATFORM
    assert forged == plain or (forged.trust, str(forged)) == (UNKNOWN, PROXY)


@given(text=_GARBAGE, name=st.sampled_from([XFF, FORWARDED, "X-Real-IP", "peer"]))
def test_no_header_raises(text: str, name: str) -> None:
    ingress = Ingress(PROXIES, client=name)
    found = client(ingress, {name: text, XFF: text})
    assert found.address is None or found.address == Client(found.address, "", UNKNOWN).address


# --- These tests can fail


def _left_most(chain: Chain, *_: object) -> Walk:
    return Walk(Client(chain.hops[0], chain.name, PLATFORM), 0)


def _skipping(
    chain: Chain, start: Address | None, place: int, is_proxy: Callable[[Address], bool]
) -> Walk:
    """Passes over what is no address."""
    known = [hop for hop in chain.hops[:place] if hop is not None]
    client = next((hop for hop in reversed(known) if not is_proxy(hop)), start)
    return Walk(Client(client, chain.name, PLATFORM), 0)


def _repairing(text: str) -> tuple[Element, ...]:
    """Takes what looks like an address from wherever it stands."""
    return tuple(Element(bare(found)) for found in re.findall(r"\d+\.\d+\.\d+\.\d+", text))


@pytest.mark.parametrize(
    ("what", "mutant", "source", "field"),
    [
        ("Chain.walk", _left_most, XFF, f"{FORGED}, {CLIENT}"),
        ("Chain.walk", _skipping, XFF, f"{FORGED}, unknown, 10.0.0.8"),
        ("parse", _repairing, FORWARDED, f'for={FORGED}, for="_x, for=10.0.0.8'),
    ],
)
def test_what_others_do_lets_a_client_name_another(
    monkeypatch: pytest.MonkeyPatch, what: str, mutant: object, source: str, field: str
) -> None:
    """The left-most address, going on behind garbage, and repairing: each by its mutant."""
    ingress = Ingress(PROXIES, client=source)
    assert str(client(ingress, {source: field})) != FORGED
    monkeypatch.setattr(f"regionware.locate.client.{what}", mutant)
    assert str(client(ingress, {source: field})) == FORGED
