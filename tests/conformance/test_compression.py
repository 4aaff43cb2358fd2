"""Text is compressed at rest, and, where a route says so, for clients that accept it."""

import json
from collections.abc import Iterator

import pytest

from regionware import ConfigurationError, Regionware
from regionware.caching import compression
from regionware.caching.entry import Entry
from regionware.exchange import begin
from regionware.explaining import AskedRequest
from regionware.policies import Cache, Cdn, Route
from regionware.serving import Reply
from tests.conformance.application import Gate, Handler, Response, Seen, text
from tests.conformance.conftest import World
from tests.conformance.harness import Answer, until
from tests.conformance.test_repair import again, events
from tests.conformance.vault import Vault
from tests.zstd import zstd

PAGE = json.dumps([{"id": n, "name": f"article {n}", "price": n * 7 % 100} for n in range(300)])
BODY = PAGE.encode()
TYPE = "application/json"
PACKED = Route("/{path:path}", cache=Cache(ttl=60, compress=True))
TAKES = {"Accept-Encoding": "gzip, zstd"}


def page(**headers: str) -> Handler:
    fields = {"Content-Type": TYPE, "ETag": '"1"'}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: Response([BODY], 200, list(fields.items()))


@pytest.fixture
def packings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of what has been compressed."""
    lengths: list[int] = []

    def compress(body: bytes, level: int) -> bytes:
        lengths.append(len(body))
        return zstd.compress(body, level)

    monkeypatch.setattr(compression, "zstd", Counting(compress))
    return lengths


class Counting:
    """The library, with another `compress`."""

    def __init__(self, compress: object) -> None:
        self.compress = compress

    def __getattr__(self, name: str) -> object:
        return getattr(zstd, name)


# At rest


class TestAtRest:
    @pytest.fixture
    def tier(self) -> str:
        """Memory holds the content as it is."""
        return "redis"

    @pytest.fixture
    def vault(self, redis_url: str) -> Iterator[Vault]:
        vault = Vault(redis_url)
        yield vault
        vault.close()

    def test_text_is_stored_compressed_once_and_served_as_it_was(
        self, world: World, vault: Vault, packings: list[int]
    ) -> None:
        site = world.site(page())
        site.get("/x", headers=TAKES)
        assert len(vault.frame) < len(BODY) / 2
        for _ in range(3):
            found = again(site, headers=TAKES)
            assert (found.body, found.cache_status["detail"]) == (BODY, "redis")
            assert not found.all("content-encoding")
            assert not found.all("vary")
            assert found["content-length"] == str(len(BODY))
        assert site.get("/x").body == BODY
        assert packings == [len(BODY)]

    @pytest.mark.parametrize(
        "response",
        [
            text(PAGE, Content_Type="image/png"),
            text(PAGE, Content_Type=TYPE, Content_Encoding="x-own"),
            text(PAGE[:1000], Content_Type=TYPE),
            text(zstd.compress(b"".join(b"%d" % n**9 for n in range(900))), Content_Type=TYPE),
        ],
        ids=["type", "encoding", "length", "dense"],
    )
    def test_what_gains_nothing_is_stored_as_it_is(
        self, world: World, vault: Vault, response: Response
    ) -> None:
        site = world.site(lambda _: response)
        site.get("/x")
        assert response.chunks[0] in vault.frame  # type: ignore[operator]  # octets, all of them
        assert again(site).body == response.chunks[0]

    def test_a_worker_without_the_library_fills_it_again(
        self, world: World, vault: Vault, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        site = world.site(page())
        site.get("/x")
        with monkeypatch.context() as patch:
            patch.setattr(compression, "AVAILABLE", False)
            assert again(site).cache_status == {"fwd": "miss", "stored": ""}
            assert events(site, "unreadable") == {"packed": 1}
            assert BODY in vault.frame
            assert again(site).cache_status["detail"] == "redis"
        assert again(site).body == BODY
        assert len(site.app.calls) == 2

    def test_it_stays_until_then(
        self, world: World, vault: Vault, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Others can read it while one who cannot makes it again."""
        gate = Gate()
        answers = iter([page()(Seen("GET", "", "", {}, b"", None, None))])
        site = world.site(lambda _: next(answers, Response([BODY], hold=gate)))
        site.get("/x")
        kept = vault.frame
        monkeypatch.setattr(compression, "AVAILABLE", False)
        site.rw.memory.clear()
        call = site.start("/x")
        gate.reached()
        assert vault.frame == kept
        gate.open()
        assert call.result().body == BODY

    def test_another_worker_sends_what_the_first_has_compressed(
        self, world: World, packings: list[int]
    ) -> None:
        one = world.site(page(), PACKED)
        other = world.behind(world.regionware(PACKED), one.app)
        one.get("/x")
        for site in (one, other, other):
            found = site.get("/x", headers=TAKES)
            assert zstd.decompress(found.body) == BODY
        assert packings == [len(BODY)]

    def test_an_entry_stored_as_it_is_is_compressed_when_it_is_read(
        self, world: World, vault: Vault, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        site = world.site(page(), PACKED)
        with monkeypatch.context() as patch:
            patch.setattr(compression, "AVAILABLE", False)
            site.get("/x")
        assert BODY in vault.frame
        assert again(site, headers=TAKES)["content-encoding"] == "zstd"


# For clients


def packed(answer: Answer) -> bool:
    """Whether an answer is the compressed form; it must be right as that, or as the other one."""
    assert "accept-encoding" in answer["vary"].lower()
    assert len(answer.all("content-length")) <= 1
    assert len(answer.all("content-encoding")) <= 1
    is_packed = answer["content-encoding"] == "zstd"
    assert is_packed or not answer["content-encoding"]
    assert answer["etag"] == ('W/"1"' if is_packed else '"1"')
    if answer.body:
        # What passes through has the length that the application says, or none.
        assert answer["content-length"] in {str(len(answer.body)), *([] if is_packed else [""])}
        assert (zstd.decompress(answer.body) if is_packed else answer.body) == BODY
    return is_packed


ACCEPT = [
    ({}, False),
    ({"Accept-Encoding": ""}, False),
    ({"Accept-Encoding": "zstd"}, True),
    ({"Accept-Encoding": "gzip, deflate, br, zstd"}, True),
    ({"Accept-Encoding": "gzip, br"}, False),
    ({"Accept-Encoding": "zstd;q=0, *"}, False),
    ({"Accept-Encoding": "*"}, True),
    ({"Accept-Encoding": "identity;q=0, zstd;q=0.1"}, True),
    ({"Accept-Encoding": "identity;q=0, gzip"}, False),
    ({"Accept-Encoding": "identity, zstd;q=0.1"}, False),
    ({"Accept-Encoding": "zstd", "Cache-Control": "no-transform"}, False),
]


@pytest.mark.parametrize(("headers", "takes"), ACCEPT)
def test_who_is_sent_the_compressed_form(
    world: World, headers: dict[str, str], *, takes: bool
) -> None:
    site = world.site(page(), PACKED)
    assert not packed(site.get("/x", headers=headers))  # the application's, passing through
    assert packed(site.get("/x", headers=headers)) is takes
    assert packed(site.get("/x", headers=headers, method="HEAD")) is takes
    if world.tier == "redis":
        assert packed(again(site, headers=headers)) is takes
    assert len(site.app.calls) == 1


def test_without_a_word_nobody_is(world: World) -> None:
    """The positive control: what is asserted above is the option's doing."""
    site = world.site(page())
    site.get("/x", headers=TAKES)
    found = site.get("/x", headers=TAKES)
    assert (found.body, found.all("content-encoding"), found.all("vary")) == (BODY, [], [])


@pytest.mark.parametrize(
    "headers",
    [
        {"Cache_Control": "max-age=60, no-transform"},
        {"Cache_Control": "No-Transform"},
        {"Content_Digest": "sha-256=:AA==:"},
        {"Repr_Digest": "sha-256=:AA==:"},
        {"Signature": "a=:AA==:"},
        {"Content_Type": "image/png"},
    ],
    ids=str,
)
def test_what_may_not_be_transformed_is_not(world: World, headers: dict[str, str]) -> None:
    site = world.site(page(**headers), PACKED)
    for _ in range(2):
        assert not packed(site.get("/x", headers=TAKES))
    if world.tier == "redis":
        assert not packed(again(site, headers=TAKES))


@pytest.mark.parametrize("cdn", [Cdn(max_age=30), Cdn.private(max_age=5), Cdn.no_store()])
@pytest.mark.parametrize("aside", [{}, {"CDN_Cache_Control": "no-store"}], ids=["", "aside"])
@pytest.mark.parametrize("control", ["max-age=60", "max-age=60, no-transform"])
def test_nor_where_edges_are_told_something_else(
    world: World, cdn: Cdn, aside: dict[str, str], control: str
) -> None:
    cache = Cache(ttl=60, compress=True, consistency="eventual")
    site = world.site(
        page(Cache_Control=control, **aside), Route("/{path:path}", cache=cache, cdn=cdn)
    )
    site.get("/x")
    found = site.get("/x", headers=TAKES)
    assert found.hit
    assert packed(found) is ("no-transform" not in control)


def test_what_is_encoded_already_stays_so(world: World) -> None:
    site = world.site(page(Content_Encoding="x-own"), PACKED)
    site.get("/x")
    assert site.get("/x", headers=TAKES)["content-encoding"] == "x-own"


@pytest.mark.parametrize("known", ['"1"', 'W/"1"', '"0", W/"1"', "*"])
@pytest.mark.parametrize("headers", [{}, TAKES])
def test_either_form_is_revalidated_by_either_tag(
    world: World, known: str, headers: dict[str, str]
) -> None:
    site = world.site(page(), PACKED)
    site.get("/x")
    found = site.get("/x", headers={**headers, "If-None-Match": known})
    assert (found.status, found.body) == (304, b"")
    assert found["etag"] == ('W/"1"' if headers else '"1"')
    assert "accept-encoding" in found["vary"]
    assert not found.all("content-encoding")
    assert site.get("/x", headers={**headers, "If-None-Match": '"2"'}).status == 200


def test_parts_are_cut_from_the_content_as_it_is(world: World) -> None:
    site = world.site(page(), PACKED)
    site.get("/x")
    part = site.get("/x", headers={**TAKES, "Range": "bytes=10-19"})
    assert (part.status, part.body) == (206, BODY[10:20])
    assert (part["etag"], part["content-range"]) == ('"1"', f"bytes 10-19/{len(BODY)}")
    assert not part.all("content-encoding")
    assert site.get("/x", headers={**TAKES, "Range": "bytes=99999-"}).status == 416
    for tag, status in (('"1"', 206), ('W/"1"', 200)):
        asked = {**TAKES, "Range": "bytes=10-19", "If-Range": tag}
        assert site.get("/x", headers=asked).status == status


def test_the_compressed_form_promises_no_ranges(world: World) -> None:
    site = world.site(page(Accept_Ranges="bytes"), PACKED)
    site.get("/x")
    assert site.get("/x")["accept-ranges"] == "bytes"
    assert not site.get("/x", headers=TAKES).all("accept-ranges")


def test_a_weak_tag_stays_and_none_is_made(world: World) -> None:
    site = world.site(lambda s: page(ETag={"/weak": 'W/"9"', "/odd": "9"}[s.path])(s), PACKED)
    for path, tag in (("/weak", 'W/"9"'), ("/odd", "9")):
        site.get(path)
        assert site.get(path, headers=TAKES)["etag"] == tag
    site.app.handler = lambda _: text(PAGE, Content_Type=TYPE)
    site.get("/none")
    found = site.get("/none", headers=TAKES)
    assert (found["content-encoding"], found.all("etag")) == ("zstd", [])


def test_it_is_made_once_and_counted(world: World, packings: list[int]) -> None:
    site = world.site(page(), PACKED)
    for _ in range(4):
        site.get("/x", headers=TAKES)
    assert packings == [len(BODY)]
    (record,) = (each for each in site.rw.memory.records() if isinstance(each, Entry))
    assert record.packed
    assert record.size > len(BODY) + len(record.packed)
    assert site.rw.memory.currsize >= record.size


def test_it_is_not_made_again_by_a_validation(world: World, packings: list[int]) -> None:
    def handler(seen: Seen) -> Response:
        fields = {"ETag": '"1"', "Cache_Control": "max-age=1", "Age": "1"}
        known = seen.headers.get("if-none-match") == '"1"'
        return Response(status=304, headers=[("ETag", '"1"')]) if known else page(**fields)(seen)

    site = world.site(handler, PACKED)
    site.get("/x")
    for _ in range(2):
        assert packed(site.get("/x", headers=TAKES))
    assert len(site.app.calls) == 2
    assert packings == [len(BODY)]


def test_followers_and_stale_answers_are_compressed_too(world: World) -> None:
    gate = Gate()
    cache = Cache(ttl=1, stale_while_revalidate=60, compress=True)
    site = world.site(
        lambda _: Response([BODY], 200, [("Content-Type", TYPE), ("ETag", '"1"')], gate),
        Route("/x", cache=cache),
    )
    calls = site.together([{"path": "/x", "headers": TAKES}] * 3)
    gate.reached()
    until(lambda: site.parked == 2)
    gate.open()
    assert sorted(packed(call.result()) for call in calls) == [False, True, True]
    until(
        lambda: (
            packed(found := site.get("/x", headers=TAKES))
            and found.cache_status["detail"] == "stale-while-revalidate"
        )
    )


def test_variants_of_the_application_are_compressed_each(world: World) -> None:
    """One that varies on Accept-Encoding itself is asked for each kind of client, as ever."""
    site = world.site(page(Vary="Accept-Encoding"), PACKED)
    for headers, takes in (({}, False), (TAKES, True)):
        site.get("/x", headers=headers)
        assert packed(site.get("/x", headers=headers)) is takes
    assert len(site.app.calls) == 2


@pytest.mark.parametrize(("compress", "kind"), [(False, Entry), (True, Reply)])
def test_the_first_moment_of_other_routes_stays(
    world: World, *, compress: bool, kind: type
) -> None:
    other = Route("/other", cache=Cache(ttl=60, compress=True))
    site = world.site(page(), other, Route("/x", cache=Cache(ttl=60, compress=compress)))
    site.get("/x")
    prepared = site.rw._parts.prepared
    request = AskedRequest("GET", "http://site.test/x", {}, None, prepared.names())
    assert type(begin(prepared, request)) is kind


# Configuration


def test_it_needs_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    Regionware(routes=[PACKED])
    monkeypatch.setattr(compression, "AVAILABLE", False)
    Regionware(routes=[Route("/", cache=Cache(ttl=60))])
    with pytest.raises(ConfigurationError, match=r"compress.*regionware\[zstd\]"):
        Regionware(routes=[PACKED])


def test_by_the_book_nothing_is_transformed(world: World) -> None:
    with pytest.raises(ConfigurationError, match="compress"):
        Cache(ttl=60, compress=True, is_standard=True)
    site = world.site(
        page(Cache_Control="max-age=60"), Route("/{path:path}", cache=Cache.standard())
    )
    site.get("/x")
    found = site.get("/x", headers=TAKES)
    assert (found.hit, found.body, found.all("content-encoding")) == (True, BODY, [])
