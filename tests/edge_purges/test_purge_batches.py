"""Whatever is purged is in the batches, no batch exceeds a limit, and nothing hard becomes soft."""

import re
from dataclasses import replace
from urllib.parse import unquote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionware.adapters.edges import Bunny, Capabilities, Cloudflare, EdgePurge, EdgePurger, Fastly
from regionware.adapters.edges import batches as batching
from regionware.adapters.edges.batches import Meant, batches, cannot, halves, meant
from regionware.adapters.edges.bucket import Bucket
from regionware.adapters.edges.protocol import Rate
from regionware.caching.coherence import url_names
from regionware.caching.named import names_for
from regionware.vendors.tags import edge_tags
from tests.edge_purges.test_purge_requests import CLOUDFRONT, SERVICE, ZONE
from tests.edge_purges.vendor import TOKEN, flat

EDGES: list[EdgePurger] = [
    Cloudflare(zone=ZONE, token=TOKEN, urls=True, soft_as_hard=True),
    Fastly(service=SERVICE, token=TOKEN),
    Bunny(zone=1, key=TOKEN),
    CLOUDFRONT,
]

#: Of 255 characters: of longer ones only a digest is known.
tags = st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=255), max_size=600)


@pytest.mark.parametrize("edge", EDGES, ids=lambda edge: edge.name)
@given(hard=tags, soft=tags, octets=st.sampled_from([64, 7_500, 1 << 20]))
def test_every_tag_is_covered_within_the_limits(
    edge: EdgePurger, hard: list[str], soft: list[str], octets: int
) -> None:
    able = replace(edge.capabilities, octets=octets)
    names = _names(hard, soft=False) + _names(soft, soft=True)
    made = flat_batches(names, able, edge.vendor)
    for batch in made:
        assert len(batch.tags) <= able.tags
        whole = sum(len(tag.encode()) + 1 for tag in batch.tags)
        assert whole <= able.octets or len(batch.tags) == 1
    wire = {tag: set(edge_tags(edge.vendor, [tag])) for tag in {*hard, *soft}}
    sent = {kind: set(flat(b.tags for b in made if b.soft is kind)) for kind in (True, False)}
    assert all(wire[tag] <= sent[False] for tag in hard)
    assert all(wire[tag] <= sent[True] | sent[False] for tag in soft)
    told = flat(batch.tags for batch in made if not batch.soft)
    assert len(told) == len(set(told))


def _names(some: list[str], *, soft: bool) -> tuple[str, ...]:
    return names_for(some, (), everything=False, soft=soft) if some else ()


def flat_batches(names: tuple[str, ...], able: Capabilities, vendor: str | None) -> list[EdgePurge]:
    return flat_lists(
        batches(purge, able, lambda some: edge_tags(vendor, some)) for purge in meant(names).purges
    )


def flat_lists(lists: object) -> list[EdgePurge]:
    return [each for one in lists for each in one]  # type: ignore[attr-defined] # any iterable


def test_a_lost_tag_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The positive control: packing that forgets what does not fit any more."""

    def forgetful(some: list[str], able: Capabilities) -> list[tuple[str, ...]]:
        return [tuple(list(some)[: able.tags])]

    monkeypatch.setattr(batching, "_packed", forgetful)
    check = test_every_tag_is_covered_within_the_limits.hypothesis.inner_test
    with pytest.raises(AssertionError):
        check(EDGES[0], [f"t{n}" for n in range(200)], [], 1 << 20)


paths = st.text(st.characters(codec="utf-8", exclude_characters="?"), max_size=60).filter(
    lambda path: not {".", ".."} & set(path.split("/"))
)
queries = st.text(st.sampled_from("abc=&%20/;:*+"), max_size=40)


@given(path=paths, query=queries, host=st.sampled_from(["shop.example", "shop.example:8080"]))
def test_a_url_is_the_one_that_is_in_the_key(path: str, query: str, host: str) -> None:
    """Keys hold decoded paths; an edge is asked with encoded ones."""
    with_host, without = url_names(("https", host, f"/{path}", query))
    (purge,) = meant([f"h{with_host}", f"h{without}"]).purges
    for url, start in zip(purge.urls, (f"https://{host}/", "/"), strict=True):
        assert url.startswith(start)
        assert url.isascii()
        assert "*" not in url
        asked, _, rest = url.partition("?")
        assert unquote(asked[len(start) :]) == path
        assert unquote(rest) == unquote(query)


@given(st.text(st.characters(codec="utf-8"), min_size=200, max_size=400))
@pytest.mark.parametrize("edge", EDGES, ids=lambda edge: edge.name)
def test_a_long_tag_is_the_same_in_a_response_and_in_a_purge(edge: EdgePurger, tag: str) -> None:
    """A fence knows it by a digest."""
    (purge,) = meant(names_for([tag], (), everything=False, soft=False)).purges
    assert edge_tags(edge.vendor, purge.tags) == edge_tags(edge.vendor, [tag])


def test_a_long_url_is_not_known_by_its_digest() -> None:
    names = names_for((), ["/" + "x" * 300, "/short"], everything=False, soft=False)
    found = meant(names)
    assert (found.unknown, found.purges) == (1, (EdgePurge(urls=("/short",)),))


ELSEWHERE = [
    "/../../service/x/purge_all", "/a/..", "/.", "/./a", "/a/../b?q", "https://a.example/../../x",
    "https://a#b/x", "https://a b/x", "https://a\r\nb/x", "https://u@a/x", "https://a\\b/x", "ftp://a/x",
    "//a/x/..", "x", "",
]  # fmt: skip


@pytest.mark.parametrize("url", ELSEWHERE)
def test_what_would_lead_elsewhere_is_none(url: str) -> None:
    assert meant([f"hu{url}"]) == Meant((), 1)


@given(st.text(max_size=40), st.sampled_from(["", "https://a.example", "https://"]))
def test_no_url_leads_elsewhere(text: str, origin: str) -> None:
    """Whatever somebody has purged: nothing else is asked of the vendor's API."""
    for purge in meant([f"hu{origin}/{text}", f"hu{text}"]).purges:
        for batch in batches(purge, EDGES[1].capabilities, tuple):
            for request in EDGES[1].requests(batch, 0.0):
                sent = httpx.Request(request.method, request.url)
                assert sent.url.host == "api.fastly.com"
                assert sent.url.raw_path.startswith(b"/purge/")
                assert not sent.url.fragment


def test_without_the_check_one_would(monkeypatch: pytest.MonkeyPatch) -> None:
    """The positive control."""
    monkeypatch.setattr(batching, "_URL", re.compile(r"((?:https?://[^/?]+)?)(/[^?]*)(\?.*)?"))
    (purge,) = meant(["huhttps://a.example/../../service/x/purge_all"]).purges
    (request,) = EDGES[1].requests(purge, 0.0)
    assert httpx.Request("POST", request.url).url.path == "/service/x/purge_all"


def test_hard_wins_and_everything_is_all() -> None:
    hard, soft = ["ht1", "hu/x"], ["st1", "st2", "su/x"]
    assert meant([*hard, *soft]).purges == (
        EdgePurge(tags=("1",), urls=("/x",)),
        EdgePurge(tags=("2",), soft=True),
    )
    assert meant([*hard, "s*", *soft]).purges == (
        EdgePurge(tags=("1",), urls=("/x",)),
        EdgePurge(everything=True, soft=True),
    )
    assert meant([*hard, "h*", "s*", *soft]).purges == (EdgePurge(everything=True),)


def test_marks_of_rows_are_nothing_to_purge() -> None:
    assert meant(["=1f.2", "htx"]).purges == (EdgePurge(tags=("x",)),)


@pytest.mark.parametrize(
    ("purge", "able", "words"),
    [
        (EdgePurge(tags=("x",)), Capabilities(urls=1), ["tags"]),
        (EdgePurge(urls=("/x",)), Capabilities(tags=1), ["URLs"]),
        (EdgePurge(urls=("/x",)), Capabilities(urls=1, paths=False), ["URLs without a host"]),
        (EdgePurge(everything=True), Capabilities(tags=1, everything=False), ["everything"]),
        (EdgePurge(tags=("x",), soft=True), Capabilities(tags=1), ["soft purges of tags"]),
        (EdgePurge(tags=("x",), soft=True), Capabilities(tags=1, soft_as_hard=True), []),
        (EdgePurge(tags=("x",), soft=True), Capabilities(tags=1, soft=frozenset({"tags"})), []),
        (
            EdgePurge(everything=True, soft=True),
            Capabilities(tags=1, soft=frozenset({"tags", "urls"})),
            ["soft purges of everything"],
        ),
    ],
)
def test_what_an_edge_cannot_do(purge: EdgePurge, able: Capabilities, words: list[str]) -> None:
    assert cannot(purge, able) == words


@given(kinds=st.sets(st.sampled_from(["tags", "urls", "everything"])), everything=st.booleans())
def test_a_hard_purge_is_never_made_soft(kinds: set[str], everything: bool) -> None:
    able = Capabilities(tags=2, urls=2, soft=frozenset(kinds))  # type: ignore[arg-type] # drawn
    purge = EdgePurge(everything=True) if everything else EdgePurge(tags=("a",), urls=("/b",))
    assert not any(batch.soft for batch in batches(purge, able, tuple))
    softly = batches(replace(purge, soft=True), able, tuple)
    assert all(batch.soft == (_kind(batch) in kinds) for batch in softly)


def _kind(batch: EdgePurge) -> str:
    return "everything" if batch.everything else "tags" if batch.tags else "urls"


@given(count=st.integers(0, 40))
def test_halves_lose_nothing(count: int) -> None:
    whole = EdgePurge(tags=tuple(map(str, range(count))), soft=True)
    parts = halves(whole)
    assert bool(parts) is (count > 1)
    assert count <= 1 or flat(part.tags for part in parts) == list(whole.tags)
    assert all(part.tags and part.soft for part in parts)


@given(
    rate=st.floats(0.01, 1000), burst=st.integers(1, 500),
    waits=st.lists(st.floats(0, 100), min_size=1, max_size=60),
)  # fmt: skip
def test_a_bucket_gives_no_more_than_its_rate(rate: float, burst: int, waits: list[float]) -> None:
    bucket, now, taken = Bucket(Rate(a_second=rate, burst=burst)), 0.0, 0
    for wait in waits:
        now += wait
        for _ in range(3):
            taken += bucket.take(now) == 0.0
    assert taken <= burst + rate * (now - waits[0]) + 0.001


@given(rate=st.floats(0.01, 1000), burst=st.integers(1, 20))
def test_who_waits_as_long_as_it_says_gets_a_token(rate: float, burst: int) -> None:
    bucket, now = Bucket(Rate(a_second=rate, burst=burst)), 100.0
    assert [bucket.take(now) for _ in range(burst)] == [0.0] * burst
    pause = bucket.take(now)
    assert 0 < pause <= 1 / rate + 1e-9
    assert bucket.take(now + pause * 1.001) == 0.0


def test_a_clock_that_goes_back_gives_nothing() -> None:
    bucket = Bucket(Rate(a_second=1, burst=1))
    assert bucket.take(10.0) == 0.0
    assert bucket.take(5.0) > 0
