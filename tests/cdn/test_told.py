"""What people are told of edges, and what applications say to edges alone."""

import pytest

from regionware import Regionware
from regionware.at_edges import for_edges_alone
from regionware.policies import Cdn, Route
from regionware.vendors.catalogue import VENDORS
from tests.cdn.edges import EDGES
from tests.cdn.policies import cdns

ALONE = [
    # field, value, forbidden, seconds
    ("cdn-cache-control", "max-age=7", False, 7), ("cdn-cache-control", "no-store", True, None),
    ("cdn-cache-control", "max-age=0", True, 0), ("cdn-cache-control", "Max-Age=7,,", False, 7),
    ("cloudflare-cdn-cache-control", "private", True, None),
    ("vercel-cdn-cache-control", "max-age=9, no-cache", True, 9),
    ("netlify-cdn-cache-control", "durable, max-age=8", False, 8),
    ("surrogate-control", "max-age=6", False, 6), ("surrogate-control", "content=x", False, None),
    ("edge-control", "cache-maxage=2m", False, 120),
    ("edge-control", "cache-maxage=1d", False, 86400),
    ("edge-control", "!no-store, cache-maxage=5", False, 5),
    ("edge-control", "no-store", True, None), ("edge-control", "bypass-cache", True, None),
    ("edge-control", "cache-maxage=soon", True, 0),
    ("x-accel-expires", "5", False, 5), ("x-accel-expires", "0", True, 0),
    ("x-accel-expires", "@1700000000", True, 0), ("x-accel-expires", "off", True, 0),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value", "forbids", "seconds"), ALONE)
def test_what_is_said_to_edges_alone(
    field: str, value: str, forbids: bool, seconds: int | None
) -> None:
    assert for_edges_alone({field: (value,)}) == (forbids, seconds)


def test_of_several_the_shortest_counts() -> None:
    said = {"cdn-cache-control": ("max-age=9",), "x-accel-expires": ("5", "7")}
    assert for_edges_alone(said) == (False, 5)
    assert for_edges_alone({**said, "surrogate-control": ("no-store",)})[0]
    assert for_edges_alone({}) == (False, None)


@pytest.mark.parametrize("vendor", sorted(filter(None, VENDORS)))
def test_explain_and_inventory_say_what_an_edge_keeps(vendor: str) -> None:
    """Compared with a model that was written without a look at this code."""
    model = EDGES["varnish with our VCL" if vendor == "varnish" else vendor]
    for cdn in cdns(vendor).values():
        rw = Regionware(routes=[Route("/{kind}/{name}", cdn=cdn)])
        facts = rw.explain("GET", "/k/app.0123abcd4567.css")
        kept, told = model(facts["cdn"]), facts["at_edges"][VENDORS[vendor].title]
        if kept is None or not (kept.fresh or kept.revalidate or kept.error):
            assert told is None or told == {"fresh": 0}
            continue
        assert told is not None
        assert told["fresh"] == kept.fresh
        assert told.get("stale-while-revalidate", 0) == kept.revalidate
        assert told.get("stale-if-error", 0) == kept.error
        row = rw.inventory()[0]
        assert VENDORS[vendor].title in row["at_edges"]


def test_stacked_edges_are_told_apart() -> None:
    cdn = Cdn(max_age=1, shared_max_age=60, vendor=["cloudflare", "nginx"])
    facts = Regionware(routes=[Route("/x", cdn=cdn)]).explain("GET", "/x")
    assert facts["at_edges"] == {"Cloudflare": {"fresh": 60}, "nginx": {"fresh": 60}}
    assert facts["cdn"]["x-accel-expires"] == "60"
    assert facts["cdn"]["cloudflare-cdn-cache-control"] == "max-age=60"
    assert Regionware(routes=[Route("/x")]).explain("GET", "/x")["at_edges"] == {}
