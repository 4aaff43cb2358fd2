"""Bodies stream, and only whole answers are stored."""

import pytest

from regionware.policies import Cache, Route
from tests.conformance.application import Gate, Response, Seen, counting, text
from tests.conformance.conftest import World
from tests.conformance.harness import Site, until


def asked_again(site: Site, path: str = "/x") -> bool:
    """Whether the application is asked, although it has answered this before."""
    calls = len(site.app.calls)
    site.get(path)
    return len(site.app.calls) > calls


@pytest.mark.parametrize("cached", [True, False])
def test_the_first_chunk_arrives_before_the_second_is_made(world: World, cached: bool) -> None:
    gate = Gate()
    routes = [Route("/x", cache=Cache(ttl=60))] if cached else [Route("/other")]
    site = world.site(lambda _: Response([b"one", gate, b"two"]), *routes)
    call = site.start("/x")
    call.received(b"one")
    gate.open()
    assert call.result().chunks == [b"one", b"two"]
    assert asked_again(site) is not cached


def test_many_chunks_are_passed_on_one_by_one_and_stored_as_one(world: World) -> None:
    chunks = [b"%d," % number for number in range(2000)]
    site = world.site(lambda _: Response(chunks))
    first, second = site.get("/x"), site.get("/x")
    assert first.chunks == chunks
    assert second.hit
    assert second.body == first.body
    assert second["content-length"] == str(len(first.body))


@pytest.mark.parametrize("length", [True, False], ids=["announced", "chunked"])
def test_a_body_over_the_limit_passes_and_is_not_stored(world: World, length: bool) -> None:
    chunk, count = b"x" * 65_536, 96
    headers = [("Content-Length", str(len(chunk) * count))] if length else []
    site = world.site(lambda _: Response([chunk] * count, headers=headers))
    answer = site.get("/x")
    assert len(answer.body) == len(chunk) * count
    assert asked_again(site)


def test_a_body_under_the_limit_is_stored(world: World) -> None:
    site = world.site(lambda _: Response([b"x" * 65_536] * 8))
    site.get("/x")
    assert not asked_again(site)


@pytest.mark.parametrize(
    ("announced", "stored"), [(4, True), (3, False), (5, False), (1000, False)]
)
def test_only_a_body_of_the_announced_length_is_stored(
    world: World, announced: int, stored: bool
) -> None:
    headers = [("Content-Length", str(announced))]
    site = world.site(lambda _: Response([b"ab", b"cd"], headers=headers))
    site.get("/x")
    assert asked_again(site) is not stored


def test_head_is_answered_from_the_entry_of_get(world: World) -> None:
    site = world.site(lambda _: text("whole", ETag='"1"'))
    whole, head = site.get("/x"), site.get("/x", method="HEAD")
    assert head.hit
    assert head.body == b""
    assert head["content-length"] == "5"
    assert (head.status, head["etag"]) == (whole.status, whole["etag"])
    assert len(site.app.calls) == 1


def test_head_stores_nothing(world: World) -> None:
    site = world.site(lambda _: text("whole"))
    assert site.get("/x", method="HEAD").body == b""
    assert site.get("/x").body == b"whole"
    assert [seen.method for seen in site.app.calls] == ["HEAD", "GET"]


class Boom(Exception):
    """The application's own."""


@pytest.mark.parametrize("before", [(), (b"half",), (b"", b"half", b"more")])
def test_an_error_in_the_body_reaches_the_server_and_nothing_is_stored(
    world: World, before: tuple[bytes, ...]
) -> None:
    site = world.site(lambda _: Response([*before, Boom()]))
    call = site.start("/x")
    with pytest.raises(Boom):
        call.result()
    assert b"".join(call.chunks) == b"".join(before)
    site.app.handler = counting()
    assert site.bodies["/x", "/x"] == [b"1", b"1"]


def test_an_error_before_the_head_reaches_the_server_and_nothing_is_stored(world: World) -> None:
    def fail(_: Seen) -> Response:
        raise Boom

    site = world.site(fail)
    call = site.start("/x")
    with pytest.raises(Boom):
        call.result()
    assert call.status == 0
    site.app.handler = counting()
    assert site.bodies["/x", "/x"] == [b"1", b"1"]


@pytest.mark.parametrize("where", ["head", "body"])
def test_whoever_waits_for_a_fill_that_fails_goes_on(world: World, where: str) -> None:
    hold, gate = Gate(), Gate()
    failing = Response([b"half", gate, Boom()], hold=hold if where == "head" else None)
    answers = iter([failing])
    site = world.site(lambda _: next(answers, text("whole")))
    leader = site.start("/x")
    (hold if where == "head" else gate).reached()
    follower = site.start("/x")
    until(lambda: site.parked == 1)
    hold.open()
    gate.open()
    assert follower.result().body == b"whole"
    with pytest.raises(Boom):
        leader.result()
    assert not asked_again(site)


def test_a_client_that_leaves_blocks_nobody(world: World) -> None:
    gate = Gate()
    site = world.site(lambda _: Response([b"one", gate, b"two", b"three"]))
    leaving = site.start("/x", leave_after=2)
    leaving.received(b"one")
    gate.reached()
    waiting = site.start("/x")
    until(lambda: site.parked == 1)
    gate.open()
    assert waiting.result().body == b"onetwothree"
    leaving.finished.wait()
    assert leaving.chunks == [b"one", b"two"]
    assert len(site.app.calls) == 2
    assert not asked_again(site)


def test_what_a_client_left_unfinished_is_not_stored(world: World) -> None:
    site = world.site(lambda _: Response([b"one", b"two"]))
    leaving = site.start("/x", leave_after=1)
    leaving.finished.wait()
    assert asked_again(site)
    assert not asked_again(site)


def test_a_client_that_leaves_before_the_first_chunk(world: World) -> None:
    site = world.site(lambda _: Response([b"one", b"two"]))
    site.start("/x", leave_after=0).finished.wait()
    assert asked_again(site)
    assert not asked_again(site)
