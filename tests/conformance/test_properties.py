"""What holds for every input."""

from contextlib import nullcontext
from datetime import timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from regionware.caching.coherence import Fence, Fences, Verdict, tag_name
from regionware.caching.entry import Entry
from regionware.caching.frame import Frame, decode, encode
from regionware.caching.freshness import DECIDING
from regionware.caching.keys import canonical
from regionware.caching.storability import Lifetime, decide
from regionware.database.position import Position
from regionware.http import directives, fields, paths
from regionware.http.conditions import etag_matches
from regionware.policies import Cache

TEXT = st.text(max_size=60)
# What looks like a field finds more than noise does.
PIECES = (
    "max-age=|s-maxage=|60|-1|1.5|9999999999999999999999|١|no-store|private|public|q=0|sid|GMT|Wed,01Jan"
    '|W/"|"a"|"60"|"|\\\\|*|,|;|=| |\t'
)
FIELD = TEXT | st.lists(st.sampled_from(PIECES.split("|")), max_size=8).map("".join)
OCTETS = st.binary(max_size=30).map(lambda value: value.replace(b"\0", b""))
LETTERS = st.text(st.characters(exclude_categories=["C"]), max_size=20)
POSITIONS = st.builds(Position, st.integers(1, 2), st.integers(0, 2**64 - 1))
FRAMES = st.builds(
    Frame,
    material=st.binary(min_size=1, max_size=40), status=st.integers(100, 599),
    headers=st.lists(st.tuples(OCTETS, OCTETS), max_size=4).map(tuple),
    body=st.binary(max_size=200),
    tags=st.lists(LETTERS.filter(bool), max_size=4).map(tuple),
    created=st.integers(0, 2**63), fresh_until=st.integers(0, 2**63),
    revalidate=st.integers(0, 2**31), error=st.integers(0, 2**31), age=st.integers(0, 2**31),
    lower=st.none() | POSITIONS, upper=st.none() | POSITIONS, host=LETTERS,
)  # fmt: skip


@given(st.lists(FIELD, max_size=3))
def test_no_field_makes_a_parser_raise(lines: list[str]) -> None:
    control = directives.parse_cache_control(lines)
    for name in (*control.directives, "max-age"):
        seconds = control.seconds(name)
        assert seconds is None or 0 <= seconds <= directives.FOREVER
    names = fields.field_names(lines)
    assert names is None or names == tuple(sorted(names))


@given(FIELD, FIELD)
def test_no_text_makes_a_parser_raise(one: str, other: str) -> None:
    assert 0 <= directives.delta_seconds(one) <= directives.FOREVER
    assert all(name or value for name, value in fields.parse_cookies(one))
    fields.cookie_name(one)
    etag_matches(one, other)
    fields.is_token(one)
    for name in ("accept-encoding", "accept-language"):
        assert "\n" not in fields.vary_value(name, one)
    paths.is_odd(one)
    paths.is_odd_raw(one.encode("utf-8", "replace"))


@given(
    st.dictionaries(
        st.sampled_from(sorted(DECIDING)), st.lists(FIELD, min_size=1, max_size=2).map(tuple)
    ),
    st.sampled_from([200, 404]),
    st.booleans(),
)
@settings(max_examples=300)
def test_a_decision_is_a_lifetime_within_the_policy_or_a_reason(
    values: dict[str, tuple[str, ...]], status: int, override: bool
) -> None:
    cache = Cache(ttl=60, stale_while_revalidate=30, stale_if_error=90, override=override)
    found = decide(cache, status, values, authorized=False, wall=1_700_000_000.0)
    if isinstance(found, Lifetime):
        assert 0 < found.ttl <= 60
        assert found.age >= 0
        useful = found.ttl + max(found.revalidate, found.error) > found.age
        assert useful or "etag" in values or "last-modified" in values
        assert 0 <= found.revalidate <= 30
        assert 0 <= found.error <= 90
    else:
        assert found


# Frames


@given(FRAMES)
def test_a_frame_comes_back_as_it_was(frame: Frame) -> None:
    assert decode(encode(frame), frame.material) == frame


@given(FRAMES, st.binary(max_size=40))
def test_a_frame_of_another_key_is_a_miss(frame: Frame, material: bytes) -> None:
    assume(material != frame.material)
    assert decode(encode(frame), material) is None


@given(FRAMES, st.data())
def test_a_frame_that_was_cut_is_a_miss(frame: Frame, data: st.DataObject) -> None:
    whole = encode(frame)
    cut = data.draw(st.integers(0, len(whole) - 1))
    assert decode(whole[:cut], frame.material) is None
    assert decode(whole + whole[: cut + 1], frame.material) is None


@given(FRAMES, st.data())
def test_a_frame_with_a_flipped_bit_is_a_miss(frame: Frame, data: st.DataObject) -> None:
    damaged = bytearray(encode(frame))
    at = data.draw(st.integers(0, len(damaged) * 8 - 1))
    damaged[at // 8] ^= 1 << at % 8
    assert decode(bytes(damaged), frame.material) in (None, frame)


@given(st.binary(max_size=400), st.binary(max_size=10))
def test_noise_is_a_miss(noise: bytes, material: bytes) -> None:
    assert decode(noise, material) is None


# Keys

PARTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=6).map(
    tuple
)


@given(PARTS, PARTS)
def test_different_keys_are_never_spelled_alike(
    one: tuple[str, ...], other: tuple[str, ...]
) -> None:
    assert (canonical(one) == canonical(other)) == (one == other)


@given(PARTS, st.data())
def test_a_key_cut_elsewhere_is_another_key(parts: tuple[str, ...], data: st.DataObject) -> None:
    """The nearest misses: the same characters, distributed otherwise over the parts."""
    text = "".join(parts)
    at = data.draw(st.integers(0, len(text)))
    cut = (text[:at], text[at:])
    assume(cut != parts)
    assert canonical(cut) != canonical(parts)


# Fences

FENCES = st.builds(
    Fence, st.integers(0, 9), st.none() | st.builds(Position, st.just(1), st.integers(0, 9))
)
NAMES = [mark + tag_name(tag) for mark in "hs" for tag in "ab"]
RAISED = st.lists(st.dictionaries(st.sampled_from(NAMES), FENCES, max_size=2), max_size=6)


def entry(created: int, lower: Position | None) -> Entry:
    return Entry(
        ("http", "h", "/", ""), status=200, headers=(), body=b"", tags="a", created=created, born=0,
        fresh_until=1, lower=lower,
    )  # fmt: skip


SEVERITY = [Verdict.GOOD, Verdict.STALE, Verdict.GONE]


@given(RAISED, st.integers(0, 10), st.none() | st.builds(Position, st.just(1), st.integers(0, 10)))
def test_fences_only_rise(
    raised: list[dict[str, Fence]], created: int, lower: Position | None
) -> None:
    fences, judged = Fences(alone=True, writing=nullcontext()), entry(created, lower)
    severity, version, stamp = 0, fences.version, 0
    for each in raised:
        fences.raise_to(each)
        now = SEVERITY.index(fences.judge(judged))
        assert now >= severity
        assert fences.version > version or not each
        assert fences.stamp >= stamp
        severity, version, stamp = now, fences.version, fences.stamp


@given(RAISED)
def test_the_order_in_which_fences_arrive_does_not_matter(raised: list[dict[str, Fence]]) -> None:
    forth, back = (
        Fences(alone=True, writing=nullcontext()),
        Fences(alone=True, writing=nullcontext()),
    )
    for each in raised:
        forth.raise_to(each)
    for each in reversed(raised):
        back.raise_to(each)
    for created in range(11):
        for lsn in (None, *range(11)):
            lower = None if lsn is None else Position(1, lsn)
            assert forth.judge(entry(created, lower)) is back.judge(entry(created, lower))


@given(FENCES)
def test_a_fence_comes_back_as_it_was(fence: Fence) -> None:
    assert Fence.decode(fence.encode()) == fence


def test_the_guards_above_have_something_to_refuse() -> None:
    """Positive controls of the properties."""
    fences = Fences(alone=True, writing=nullcontext())
    assert fences.judge(entry(5, None)) is Verdict.GOOD
    fences.raise_to({NAMES[2]: Fence(5)})
    assert fences.judge(entry(5, None)) is Verdict.STALE
    fences.raise_to({NAMES[0]: Fence(5)})
    assert fences.judge(entry(5, None)) is Verdict.GONE
    assert fences.judge(entry(6, None)) is Verdict.GOOD
    assert isinstance(decide(Cache(ttl=60), 200, {}, authorized=False, wall=0.0), Lifetime)


@pytest.mark.parametrize("span", [timedelta(days=-1), timedelta(0), timedelta(days=1)])
def test_expires_is_compared_with_the_wall(span: timedelta) -> None:
    values = {"expires": ("Thu, 02 Jan 2020 00:00:00 GMT",)}
    wall = 1_577_923_200.0 - span.total_seconds()
    found = decide(Cache(ttl=60), 200, values, authorized=False, wall=wall)
    assert isinstance(found, Lifetime) is (span > timedelta(0))
