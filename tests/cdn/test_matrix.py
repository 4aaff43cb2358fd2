"""Every policy in every vendor's words, read by every edge: nothing is kept longer, or more widely.

The edges are models (`edges.py`), and what is allowed is said once more (`policies.py`); neither
knows the code that writes the fields.
"""

import random
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import regionware.edge
from regionware.edge import TARGETED
from regionware.http.directives import parse_cache_control
from regionware.policies import Cdn, Route
from regionware.vendors.catalogue import VENDORS
from regionware.vendors.dialect import FieldList, Lifetimes
from tests.cdn.edges import EDGES, FOREVER, TAGS, Kept, browser, granted, mixed, tags_of
from tests.cdn.policies import (
    HASHED,
    PLAIN,
    SAID,
    STATUSES,
    Case,
    Said,
    Vendor,
    allowed,
    caches,
    cases,
    cdns,
)
from tests.conformance.application import Response, Seen
from tests.conformance.conftest import World
from tests.conformance.harness import Answer, Site

pytestmark = pytest.mark.volume

STACKED: list[Vendor] = [["cloudflare", "varnish"], ["fastly", "nginx"], ["google", "akamai"]]
ALL: list[Vendor] = [*VENDORS, *STACKED]


def named(vendor: Vendor) -> str:
    return "+".join(vendor) if isinstance(vendor, list) else str(vendor)


class Bench:
    """Every policy of a vendor, in front of an application that answers as it is told."""

    def __init__(self, world: World, vendor: Vendor) -> None:
        self.case: Case | None = None
        self.kinds = {
            f"{number}-{cache}": (cdn, cache)
            for number, cdn in enumerate(cdns(vendor).values())
            for cache in caches()
        }
        self.number = 0
        routes = [
            Route(f"/{name}/{{kind}}/{{item}}", cdn=cdn, cache=caches()[cache])
            for name, (cdn, cache) in self.kinds.items()
        ]
        self.site: Site = world.site(self._answer, *routes)

    def _answer(self, seen: Seen) -> Response:
        case = self.case
        assert case is not None
        fields = list(case.said.fields.items())
        if case.sets_cookie:
            fields.append(("Set-Cookie", "a=1"))
        return Response([] if case.status == 204 else [b"x"], case.status, fields)

    def ask(self, name: str, case: Case) -> Answer:
        self.case = case
        self.number += 1
        asked = {"Authorization": "Basic YTpi"} if case.authorized else {}
        asked |= {"Cookie": "sid=1"} if case.cookie else {}
        return self.site.get(f"/{name}/k{self.number}/{case.name}", headers=asked)

    def answers(self) -> Iterator[tuple[Case, Answer]]:
        for name, (cdn, cache) in self.kinds.items():
            for case in cases(cdn, cache):
                yield case, self.ask(name, case)


def is_looser(kept: Kept | None, most: Kept | None) -> bool:
    """Whether what is kept is more than what is allowed."""
    if kept is None or not (kept.fresh or kept.revalidate or kept.error):
        return False
    if most is None or kept.cookie:
        return True
    return kept.fresh > most.fresh or kept.revalidate > most.revalidate or kept.error > most.error


def wrong(vendor: Vendor, case: Case, answer: Answer) -> Iterator[str]:
    """What some reader of an answer would do that nobody allows."""
    fields = {name.lower(): answer[name.lower()] for name, _ in answer.headers}
    at_edge, at_browser = allowed(case)
    for name, edge in EDGES.items():
        if is_looser(kept := edge(fields), at_edge):
            yield f"{name} keeps {kept}, allowed is {at_edge}: {case} {fields}"
        if kept is not None and kept.fresh and mixed("", fields):
            yield f"{name} keeps what varies on who asks: {case} {fields}"
    if is_looser(kept := browser(fields), at_browser):
        yield f"a browser keeps {kept}, allowed is {at_browser}: {case} {fields}"
    if at_edge is None and (told := TARGETED & fields.keys()):
        yield f"{sorted(told)} on what nobody may keep: {case} {fields}"
    yield from _of_vendor(vendor, case, fields, at_edge)


def _of_vendor(
    vendor: Vendor, case: Case, fields: dict[str, str], at_edge: Kept | None
) -> Iterator[str]:
    """What the vendor that was named would do by itself; and whether it can purge what it keeps."""
    for name in vendor if isinstance(vendor, list) else [vendor]:
        kept = EDGES[name](fields) if name else None
        if name is None or kept is None or not kept.fresh or case.status not in {200, 203, 204}:
            continue
        if found := mixed(name, fields):
            yield f"{name} gives it to everybody, whatever their {set(found)}: {case} {fields}"
        most = 0 if at_edge is None else at_edge.revalidate + at_edge.error
        targeted = VENDORS[name].targeted.lower()
        if targeted not in fields and granted(name, fields) > most:
            yield f"{name} serves stale answers by itself: {case} {fields}"
        if name in TAGS and case.cdn.tags:
            known = tags_of(fields, *TAGS[name])
            if len(known) < len(case.cdn.tags):
                yield f"{name} could not purge it, it knows {set(known)}: {case} {fields}"


def looser(vendor: Vendor, answers: Iterable[tuple[Case, Answer]]) -> list[str]:
    return [text for case, answer in answers for text in wrong(vendor, case, answer)]


@pytest.mark.parametrize("flavour", ["asgi"], indirect=True)
@pytest.mark.parametrize("vendor", ALL, ids=named)
def test_nothing_is_kept_longer_or_more_widely(world: World, vendor: Vendor) -> None:
    bench = Bench(world, vendor)
    found = looser(vendor, bench.answers())
    assert not found, "\n".join(found[:5])
    assert bench.number > 4_000


@pytest.mark.parametrize("vendor", [None, "nginx", "fastly", "cloudfront"], ids=named)
def test_it_is_so_over_both_protocols(world: World, vendor: Vendor) -> None:
    bench = Bench(world, vendor)
    some = random.Random(1).sample(
        [(name, case) for name, kind in bench.kinds.items() for case in cases(*kind)], 500
    )
    assert not looser(vendor, [(case, bench.ask(name, case)) for name, case in some])


SECONDS = st.integers(0, 1000)


@given(data=st.data())
@settings(max_examples=400, deadline=None)
@pytest.mark.parametrize("kind", ["any numbers"])
def test_any_numbers(kind: str, data: st.DataObject) -> None:
    """The same for any lifetimes, on either side, of any vendors."""
    vendor = data.draw(st.sampled_from(ALL))
    cdn = Cdn(
        max_age=data.draw(SECONDS),
        shared_max_age=data.draw(st.none() | SECONDS),
        stale_while_revalidate=data.draw(SECONDS),
        stale_if_error=data.draw(SECONDS),
        vendor=vendor,
    )
    own, shared = data.draw(st.none() | SECONDS), data.draw(st.none() | SECONDS)
    words = [f"max-age={own}"] if own is not None else []
    words += [f"s-maxage={shared}"] if shared is not None else []
    text = ", ".join(words)
    most = shared if shared is not None else own
    said = Said(
        {"Cache-Control": text} if text else {},
        FOREVER if most is None else most,
        FOREVER if own is None else own,
    )
    case = Case(cdn, "none", said, data.draw(st.sampled_from([200, 204, 301, 404, 500])))
    control = parse_cache_control([text]) if text else None
    fields = regionware.edge.Edge(cdn).fields(case.status, control, (), None)
    answer = Answer(case.status, fields or list(said.fields.items()), [])
    assert not list(wrong(vendor, case, answer))


# Controls: an emitter with one fault in it is found out.


def longer_s_maxage(cdn: Cdn, browser: float, shared: float | None) -> str:
    """It says the edge's lifetime to everybody, and doubles it."""
    return f"public, max-age={int(browser)}, s-maxage={2 * int(shared or browser)}"


def always_loosening(_: object, life: Lifetimes) -> FieldList:
    return [("cdn-cache-control", "max-age=60"), ("surrogate-control", "max-age=60")]


class OnPrivateToo(regionware.edge.Edge):
    """It sends the targeted field on private answers."""

    def fields(self, *args: object, **words: object) -> FieldList:
        found = super().fields(*args, **words)  # type: ignore[arg-type] # as it was called
        return [*found, ("surrogate-control", "max-age=30")]


@pytest.mark.parametrize("flavour", ["asgi"], indirect=True)
def test_an_s_maxage_that_is_looser_is_found(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regionware.edge, "control_of", longer_s_maxage)
    assert looser(None, few(Bench(world, None)))


@pytest.mark.parametrize("flavour", ["asgi"], indirect=True)
def test_a_targeted_field_on_a_private_answer_is_found(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regionware.prepared.Edge", OnPrivateToo)
    found = looser(None, few(Bench(world, None)))
    assert any("private" in text and "surrogate-control" in text for text in found)


@pytest.mark.parametrize("flavour", ["asgi"], indirect=True)
def test_a_targeted_field_that_is_looser_is_found(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(regionware.edge, "loosening", always_loosening)
    assert looser(None, few(Bench(world, None)))


@pytest.mark.parametrize("vendor", sorted(TAGS))
def test_tags_that_do_not_fit_are_kept_by_nobody(
    vendor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And an emitter that leaves out the tags alone is found."""
    cdn = Cdn(max_age=30, tags=[f"{'tag' * 8}-{number}" for number in range(2000)], vendor=vendor)
    case = Case(cdn, "none", SAID["nothing"])

    def told() -> list[str]:
        edge = regionware.edge.Edge(cdn)
        fields = edge.fields(200, None, cdn.tags or ())
        return list(_of_vendor(vendor, case, dict(fields), Kept(30)))

    assert not told()
    monkeypatch.setattr(regionware.edge, "tag_fields", lambda *_: [])
    assert any("could not purge it" in text for text in told())


def few(bench: Bench) -> Iterator[tuple[Case, Answer]]:
    for name, (cdn, cache) in bench.kinds.items():
        for said in (SAID["nothing"], SAID["private"], SAID["max-age"]):
            case = Case(cdn, cache, said)
            yield case, bench.ask(name, case)


@pytest.mark.parametrize("flavour", ["asgi"], indirect=True)
def test_an_answer_that_an_edge_would_mix_up_is_found(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(regionware.edge.Edge, "mixes", lambda *_: False)
    bench = Bench(world, "cloudflare")
    name, (cdn, cache) = next(iter(bench.kinds.items()))
    case = Case(cdn, cache, SAID["varies"])
    assert any("Accept" in text or "accept" in text
               for text in looser("cloudflare", [(case, bench.ask(name, case))]))  # fmt: skip


# Static files


@pytest.mark.parametrize("status", STATUSES)
def test_a_name_with_a_hash_is_for_a_year_if_it_is_there(status: int) -> None:
    edge = regionware.edge.Edge(Cdn.static())
    text = dict(edge.fields(status, None, (), path=f"/static/{HASHED}"))["cache-control"]
    assert ("immutable" in text) is (status in {200, 203, 206})
    assert "immutable" not in dict(edge.fields(status, None, (), path=f"/static/{PLAIN}")).get(
        "cache-control", ""
    )
