"""Whatever a client sends through whatever ingress: nothing raises, and nothing of it counts."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionware.caching.keys import REWRITING
from regionware.locate import Client, Ingress, Located, Platform, Resolver
from regionware.locate.border import Border, spelled
from tests.locate.cases import (
    CLIENT,
    FORGERIES,
    FRA,
    PROXY,
    STRANGER,
    TOLD,
    TOPOLOGY,
    Asked,
    proven,
)
from tests.locate.cases import preset as preset_of

_NAMES = sorted(name.lower() for name in FORGERIES)
_TEXT = st.sampled_from(sorted(set(FORGERIES.values()))) | st.text(max_size=30)
_SENT = st.dictionaries(st.sampled_from(_NAMES), _TEXT, max_size=8)
PLATFORMS = [name for name in TOLD if name != "google"]  # which appends to what a client sends
BALANCER = Ingress.load_balancer("10.0.0.0/8")


def pass_through(
    resolver: Resolver, peer: str, fields: Mapping[str, str]
) -> tuple[Located, Client, dict[str, str]]:
    """What is found, and what is left, of a request at the border."""
    border = Border(resolver.ingresses, rewriting=REWRITING, read=resolver.believed)
    asked = Asked(peer, fields)
    border.admit(asked)
    return resolver.resolve(asked), resolver.client(asked), asked.fields


@given(sent=_SENT, platform=st.sampled_from(PLATFORMS))
def test_what_a_client_adds_to_a_platforms_request_does_not_count(
    sent: dict[str, str], platform: str
) -> None:
    resolver = Resolver([Platform(platform)], TOPOLOGY, [preset_of(platform)])
    true = {name.lower(): value for name, value in proven(platform).items()}
    plain = pass_through(resolver, PROXY, true)
    assert (plain[0].region, str(plain[1])) == (FRA, CLIENT)
    # The platform overwrites what it sets.
    (way,) = resolver.ingresses.ways
    assert way.believed is not None
    others = {name: value for name, value in sent.items() if name not in way.believed}
    found, client, left = pass_through(resolver, PROXY, {**others, **true})
    assert (found, client) == plain[:2]
    assert {k: v for k, v in left.items() if k != "x-forwarded-for"} == plain[2]
    assert left.get("x-forwarded-for", CLIENT) == CLIENT


@given(sent=_SENT)
def test_nothing_of_a_strangers_is_left(sent: dict[str, str]) -> None:
    ways = [*(preset_of(platform) for platform in TOLD), BALANCER]
    resolver = Resolver([Platform(name) for name in TOLD], TOPOLOGY, ways)
    found, client, left = pass_through(resolver, STRANGER, {**sent, "accept": "*/*"})
    assert (found, str(client), left) == (resolver.default, STRANGER, {"accept": "*/*"})


@given(sent=_SENT, peer=st.sampled_from([PROXY, STRANGER, "", "garbage"]))
@pytest.mark.parametrize("source", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "peer"])
def test_nothing_raises_whatever_a_balancer_passes_on(
    source: str, sent: dict[str, str], peer: str
) -> None:
    ingress = Ingress("10.0.0.0/8", client=source, host=True, platforms=["fly"])
    resolver = Resolver([Platform("fly")], TOPOLOGY, [ingress])
    found, client, left = pass_through(resolver, peer, sent)
    assert found.region in TOPOLOGY.regions
    assert client.address is None or str(client)
    assert ingress.believed is not None
    allowed = {*ingress.believed, "x-forwarded-for"}
    assert left.keys() <= (allowed if peer == PROXY else set())


def test_spellings_are_all_and_few() -> None:
    assert spelled(["a-b-c"]) == {"a_b-c", "a-b_c", "a_b_c"}
    assert spelled(["host"]) == frozenset()
    resolver = Resolver([Platform(name) for name in TOLD], TOPOLOGY, [BALANCER])
    border = Border(resolver.ingresses, rewriting=REWRITING, read=resolver.believed)
    assert len(spelled(border.names)) < 2000
