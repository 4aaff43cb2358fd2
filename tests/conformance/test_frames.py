"""How entries travel, signed or not, compressed or not: they come back, or they are a miss."""

import struct
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from regionware.caching import compression, frame, storing
from regionware.caching.compression import pack, unpack
from regionware.caching.entry import FLAGS, Entry
from regionware.caching.frame import LARGEST, Flaw, Frame, Unreadable, decode, encode, read
from regionware.caching.seal import CHECKSUM, SIGNED, Checksum, Seal, Signature
from regionware.caching.storability import Lifetime
from regionware.database.position import Position
from regionware.database.token import Signer
from tests.zstd import zstd

OLD, NEW = "an old secret of the tests", "a new secret of the tests"
SIGNATURE = Signature([OLD], "n", "r")
SEALS: list[Seal] = [CHECKSUM, SIGNATURE]
TEXT = ((b"content-type", b"text/html; charset=utf-8"),)

OCTETS = st.binary(max_size=30).map(lambda value: value.replace(b"\0", b""))
POSITIONS = st.builds(Position, st.integers(1, 2), st.integers(0, 2**64 - 1))
BODIES = st.binary(max_size=200) | st.integers(1, 900).map(lambda n: b"<li>abc</li>" * n)
FRAMES = st.builds(
    Frame,
    material=st.binary(min_size=1, max_size=40), status=st.integers(100, 599),
    headers=st.lists(st.tuples(OCTETS, OCTETS), max_size=4).map(tuple), body=BODIES,
    tags=st.lists(st.text("abc:", min_size=1, max_size=9), max_size=4).map(tuple),
    created=st.integers(0, 2**63), fresh_until=st.integers(0, 2**63),
    revalidate=st.integers(0, 2**31), error=st.integers(0, 2**31), age=st.integers(0, 2**31),
    lower=st.none() | POSITIONS, upper=st.none() | POSITIONS, host=st.text("abc", max_size=9),
    flags=st.integers(0, FLAGS),
).map(lambda one: replace(one, packed=pack(TEXT, one.body)))  # fmt: skip

anytime = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def flaw(data: bytes, material: bytes, seal: Seal = CHECKSUM) -> Flaw | None:
    try:
        read(data, material, seal)
    except Unreadable as error:
        return error.flaw
    return None


@given(FRAMES, st.sampled_from(SEALS))
@anytime
def test_a_frame_comes_back_as_it_was(one: Frame, seal: Seal) -> None:
    assert decode(encode(one, seal), one.material, seal) == one


@given(FRAMES, st.sampled_from(SEALS), st.data())
@anytime
def test_a_frame_with_any_other_octet_is_a_miss(
    one: Frame, seal: Seal, data: st.DataObject
) -> None:
    whole = bytearray(encode(one, seal))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    assert decode(bytes(whole), one.material, seal) is None


@given(FRAMES, st.sampled_from(SEALS), st.data())
@anytime
def test_a_frame_that_was_cut_or_grew_is_a_miss(
    one: Frame, seal: Seal, data: st.DataObject
) -> None:
    whole = encode(one, seal)
    cut = data.draw(st.integers(0, len(whole) - 1))
    for wrong in (whole[:cut], whole[cut + 1 :], whole + whole[: cut + 1], whole[cut:] + whole):
        assert decode(wrong, one.material, seal) is None


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda rest: b"RWF1" + rest))
@anytime
def test_no_octets_make_it_raise(data: bytes) -> None:
    for seal in SEALS:
        assert decode(data, b"k", seal) is None


@given(FRAMES, st.data())
@anytime
def test_nothing_that_is_sealed_rightly_makes_it_raise(one: Frame, data: st.DataObject) -> None:
    """Not even what only a faulty worker, or one that knows the secret, could have written."""
    for seal in SEALS:
        record = bytearray(encode(one, seal)[: -seal.size])
        for _ in range(data.draw(st.integers(1, 4))):
            at = data.draw(st.integers(0, len(record) - 1))
            record[at] = data.draw(st.integers(0, 255))
        found = decode(bytes(record) + seal.of(bytes(record)), one.material, seal)
        assert found is None or len(found.body) <= LARGEST


def every_octet(seal: Seal) -> Iterator[bytes]:
    whole = encode(SMALL, seal)
    for at in range(len(whole)):
        yield whole[:at] + bytes((whole[at] ^ 0x20,)) + whole[at + 1 :]
        yield whole[:at]


SMALL = Frame(
    material=b"key", status=200, headers=((b"a", b"b"),), body=b"body", tags=("t",), created=5,
    fresh_until=9, revalidate=0, error=0, age=0, lower=Position(1, 7), upper=None, host="h",
)  # fmt: skip


@pytest.mark.parametrize("seal", SEALS)
def test_every_single_octet_counts(seal: Seal) -> None:
    assert all(decode(wrong, b"key", seal) is None for wrong in every_octet(seal))


def test_they_count_because_of_the_seal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The positive control."""
    monkeypatch.setattr(Checksum, "holds", lambda *_: True)
    monkeypatch.setattr(Signature, "holds", lambda *_: True)
    for seal in SEALS:
        assert any(decode(wrong, b"key", seal) is not None for wrong in every_octet(seal))


# Why

WHY: dict[str, tuple[Callable[[], bytes], Flaw]] = {
    "nothing": (lambda: b"", "damaged"),
    "short": (lambda: b"RWF1", "damaged"),
    "a pickle": (lambda: b"cposix\nsystem\n(S'true'\ntR.", "damaged"),
    "no version": (lambda: b"RWF0" + encode(SMALL)[4:], "damaged"),
    "another key": (lambda: encode(replace(SMALL, material=b"other")), "foreign"),
    "signed": (lambda: encode(SMALL, SIGNATURE), "signature"),
    "a later version": (lambda: b"RWF2" + encode(SMALL)[4:], "later"),
    "no later version": (lambda: b"RWF2" + b"x" * 100, "damaged"),
    "a later version, cut": (lambda: b"RWF2" + encode(SMALL)[4:80], "damaged"),
}  # fmt: skip


@pytest.mark.parametrize("case", WHY)
def test_why_it_is_not_read(case: str) -> None:
    make, why = WHY[case]
    assert flaw(make(), b"key") == why
    assert decode(make(), b"key") is None


def test_what_is_compressed_here_is_read_without_a_flaw() -> None:
    one = replace(SMALL, body=b"<li>" * 1500, packed=pack(TEXT, b"<li>" * 1500))
    assert one.packed
    assert len(encode(one)) < 400
    assert flaw(encode(one), b"key") is None


def test_without_the_library_it_is_a_miss(monkeypatch: pytest.MonkeyPatch) -> None:
    one = replace(SMALL, body=b"<li>" * 1500, packed=pack(TEXT, b"<li>" * 1500))
    monkeypatch.setattr(compression, "AVAILABLE", False)
    assert flaw(encode(one), b"key") == "packed"
    assert pack(TEXT, b"<li>" * 1500) == b""
    assert unpack(one.packed, LARGEST) is None


# Signatures


def test_the_first_secret_signs_and_all_verify() -> None:
    rotated = Signature([NEW, OLD], "n", "r")
    assert flaw(encode(SMALL, SIGNATURE), b"key", rotated) is None
    assert flaw(encode(SMALL, rotated), b"key", Signature([NEW], "n", "r")) is None
    assert flaw(encode(SMALL, rotated), b"key", SIGNATURE) == "signature"


@pytest.mark.parametrize(
    "other",
    [Signature([NEW], "n", "r"), Signature([OLD], "m", "r"), Signature([OLD], "n", ""), CHECKSUM],
    ids=["secret", "namespace", "release", "unsigned"],
)
def test_what_another_configuration_has_written_is_a_miss(other: Seal) -> None:
    assert flaw(encode(SMALL, other), b"key", SIGNATURE) == "signature"
    assert flaw(encode(SMALL, SIGNATURE), b"key", other) == "signature"


def test_a_flag_that_lies_helps_nobody() -> None:
    record = bytearray(encode(SMALL)[:-4])
    record[84] |= SIGNED >> 8
    for end in (CHECKSUM.of(bytes(record)), bytes(16), b""):
        assert flaw(bytes(record) + end, b"key", SIGNATURE) == "signature"
        assert flaw(bytes(record) + end, b"key") == "signature"


def test_its_key_is_not_the_one_of_tokens() -> None:
    assert set(SIGNATURE._keys).isdisjoint(Signer([OLD])._keys.values())
    assert len({Signature([OLD], *names)._keys[0] for names in [("a", "bc"), ("ab", "c")]}) == 2


# Bombs

MANY = 50 << 20


def bomb() -> bytes:
    return zstd.compress(bytes(MANY))


def undeclared() -> bytes:
    """A frame that does not say how long it is."""
    made = zstd.ZstdCompressor(options={zstd.CompressionParameter.content_size_flag: 0})
    return made.compress(b"<li>" * 1000, zstd.ZstdCompressor.FLUSH_FRAME)


def lying(size: int) -> bytes:
    """A frame that declares another length than it has."""
    whole = zstd.compress(b"<li>" * 1000)  # 4,000 octets: two octets of size, less 256
    assert whole[5:7] == struct.pack("<H", 4000 - 256)
    return whole[:5] + struct.pack("<H", size - 256) + whole[7:]


BOMBS: dict[str, Callable[[], bytes]] = {
    "too long": bomb,
    "undeclared": undeclared,
    "longer than it says": lambda: lying(3000),
    "shorter than it says": lambda: lying(5000),
    "two frames": lambda: zstd.compress(b"<li>" * 1000) * 2,
    "more behind it": lambda: zstd.compress(b"<li>" * 1000) + b"x",
    "cut": lambda: zstd.compress(b"<li>" * 1000)[:-1],
    "skipped": lambda: struct.pack("<II", 0x184D2A50, 4) + b"skip",
    "nothing": lambda: b"",
    "noise": lambda: b"<li>" * 10,
}  # fmt: skip


@pytest.mark.parametrize("case", BOMBS)
def test_what_is_not_as_declared_is_a_miss(case: str) -> None:
    packed = BOMBS[case]()
    assert unpack(packed, LARGEST) is None
    if packed:
        assert flaw(encode(replace(SMALL, packed=packed)), b"key") == "damaged"


def test_a_bomb_is_refused_by_what_it_declares(monkeypatch: pytest.MonkeyPatch) -> None:
    """The positive control: with a higher limit it goes off."""
    monkeypatch.setattr(frame, "LARGEST", MANY)
    found = decode(encode(replace(SMALL, packed=bomb())), b"key")
    assert found is not None
    assert len(found.body) == MANY


@given(st.binary(max_size=100), st.integers(0, 5000))
@anytime
def test_no_octets_make_unpacking_raise(noise: bytes, at: int) -> None:
    whole = zstd.compress(b"<li>abc</li>" * 300)
    cut = at % len(whole)
    for data in (noise, whole[:4] + noise, whole[:cut] + noise + whole[cut:]):
        found = unpack(data, LARGEST)
        assert found is None or len(found) <= LARGEST


# What is compressed

KINDS = [
    ("text/html", True),
    ("text/plain; charset=utf-8", True),
    ("Application/JSON", True),
    ("application/problem+json; charset=utf-8", True),
    ("application/ld+json", True),
    ("application/javascript", True),
    ("application/wasm", True),
    ("image/svg+xml", True),
    ("image/png", False),
    ("application/zip", False),
    ("application/octet-stream", False),
    ("application/json-x-compressed", False),
    ("video/mp4", False),
    ("", False),
]


@pytest.mark.parametrize(("kind", "packs"), KINDS)
def test_which_types_are_compressed(kind: str, *, packs: bool) -> None:
    fields = ((b"content-type", kind.encode()),) if kind else ()
    assert bool(pack(fields, b"<li>" * 1500)) is packs


def test_what_is_short_encoded_or_dense_is_left_alone() -> None:
    assert not pack(TEXT, b"x" * (compression.LEAST - 1))
    assert pack(TEXT, b"x" * compression.LEAST)
    assert not pack((*TEXT, (b"content-encoding", b"gzip")), b"<li>" * 1500)
    assert not pack(TEXT, zstd.compress(b"".join(b"%d" % n**9 for n in range(2000))))


@given(BODIES)
@anytime
def test_an_entry_comes_back_from_the_store_as_it_was(body: bytes) -> None:
    assume(body)
    entry = Entry(
        ("http", "h", "/", ""), status=200, headers=TEXT, body=body, tags=(), created=5, born=0,
        fresh_until=60,
    )  # fmt: skip
    written = encode(storing.to_frame(entry, b"key", Lifetime(60, 0, 0, 0, ())))
    found = decode(written, b"key")
    assert found is not None
    assert found.body == body
    again = storing.from_frame(found, entry.key, stamp=5, now=0)
    assert (again.body, again.headers, again.packed) == (body, TEXT, b"")
