"""What a hop says, and who is believed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionware.forwarding.fields import end_to_end, loops, one_cookie, request_target
from regionware.forwarding.gate import FAILURES, LONGEST, SHORTEST, Gate
from regionware.forwarding.hop import WINDOW, Hop, Hops

OURS = Hops(["a secret of the tests, long enough"])
NOW = 1_760_000_000.0
HOP = Hop(
    origin="fra", target="iad", scheme="https", host="Shop.example:8443", client="2001:db8::1",
    port=40000, fields=(("x-forwarded-for", "198.51.100.7, 10.0.0.1"), ("via", "1.1 a;b=c&d")),
)  # fmt: skip
ASKED = ("POST", "/things/é;x", "a=1&a=2")


def signed(hop: Hop = HOP, now: float = NOW) -> str:
    text = OURS.sign(hop, *ASKED, now=now)
    assert text is not None
    return text


def test_what_is_signed_is_read() -> None:
    assert OURS.verify(signed(), *ASKED, now=NOW) == HOP


_LATIN = st.text(st.characters(max_codepoint=255, exclude_characters="\n\r"), max_size=30)


@given(_LATIN, st.lists(st.tuples(_LATIN.filter(bool), _LATIN), max_size=5), st.text(), st.text())
def test_any_text_survives(host: str, fields: list[tuple[str, str]], path: str, query: str) -> None:
    hop = Hop(
        origin="fra", target="iad", scheme="http", host=host, client=None, port=0,
        fields=tuple(fields),
    )  # fmt: skip
    text = OURS.sign(hop, "PUT", path, query, now=NOW)
    assert text is not None
    assert text.isascii()
    assert text.isprintable()
    assert OURS.verify(text, "PUT", path, query, now=NOW) == hop


@pytest.mark.parametrize(
    "asked",
    [
        ("PUT", *ASKED[1:]),
        ("POST", "/things", ASKED[2]),
        (*ASKED[:2], "a=1"),
        ("POST", "/things/é;x\na=1&a=2", ""),
    ],
)
def test_it_holds_for_one_request(asked: tuple[str, str, str]) -> None:
    assert OURS.verify(signed(), *asked, now=NOW) == "forged"


def test_no_character_can_be_changed() -> None:
    text = signed()
    for place, character in enumerate(text):
        other = "0" if character != "0" else "1"
        found = OURS.verify(text[:place] + other + text[place + 1 :], *ASKED, now=NOW)
        assert not isinstance(found, Hop), place


@given(st.text())
def test_anything_else_is_nothing(text: str) -> None:
    assert OURS.verify(text, *ASKED, now=NOW) == "malformed"


def test_another_secret_is_foreign() -> None:
    assert Hops(["another secret, as long"]).verify(signed(), *ASKED, now=NOW) == "forged"


def test_secrets_are_rotated() -> None:
    old, new = "a secret of the tests, long enough", "another secret, as long"
    both = Hops([new, old])
    assert both.verify(signed(), *ASKED, now=NOW) == HOP
    text = both.sign(HOP, *ASKED, now=NOW) or ""
    assert OURS.verify(text, *ASKED, now=NOW) == "forged"
    assert Hops([old, new]).verify(text, *ASKED, now=NOW) == HOP


@pytest.mark.parametrize(
    ("late", "believed"),
    [(-WINDOW - 1, False), (-WINDOW, True), (WINDOW, True), (WINDOW + 1, False)],
)
def test_it_holds_for_a_minute(late: int, believed: bool) -> None:
    found = OURS.verify(signed(), *ASKED, now=NOW + late)
    assert isinstance(found, Hop)
    assert found.believed == believed


def test_too_much_is_not_signed() -> None:
    for fields in ((("via", "x" * 8000),), (("via", "x"),) * 65):
        hop = Hop(
            origin="a", target="b", scheme="http", host="h", client=None, port=0, fields=fields
        )
        assert OURS.sign(hop, *ASKED, now=NOW) is None


def test_which_fields_go_on() -> None:
    given = [
        (b"connection", b"close, X-Mine ,cookie"), (b"x-mine", b"1"), (b"cookie", b"a=1"),
        (b"te", b"trailers"), (b"upgrade", b"h2c"), (b"x-other", b"1"), (b"x-other", b"2"),
    ]  # fmt: skip
    assert end_to_end(given) == [(b"cookie", b"a=1"), (b"x-other", b"1"), (b"x-other", b"2")]


def test_cookies_of_http_2_become_one_line() -> None:
    given = [(b"cookie", b"a=1"), (b"x", b"y"), (b"cookie", b"b=2")]
    assert one_cookie(given) == [(b"x", b"y"), (b"cookie", b"a=1; b=2")]
    assert one_cookie(given[:2]) == given[:2]


@pytest.mark.parametrize(
    ("values", "count"),
    [
        ([""], 0),
        (["regionware"], 1),
        (["other, regionware;v=1", "regionware"], 2),
        (["regionwares"], 0),
    ],
)
def test_loops_are_counted(values: list[str], count: int) -> None:
    assert loops(values) == count


def test_a_target_can_be_written() -> None:
    assert request_target(b"/a%2F", b"") == b"/a%2F"
    assert request_target(b"/\xff b", b"q=\x01") == b"/%FF%20b?q=%01"


def test_a_gate_closes_and_lets_one_try() -> None:
    gate = Gate()
    assert [gate.failed(0.0) for _ in range(FAILURES)] == [False] * (FAILURES - 1) + [True]
    assert not gate.admits(SHORTEST - 0.01)
    assert [gate.admits(SHORTEST) for _ in range(3)] == [True, False, False]
    assert not gate.failed(SHORTEST)
    assert not gate.admits(2.9 * SHORTEST)
    assert gate.admits(3 * SHORTEST)
    gate.passed()
    assert all(gate.admits(0.0) for _ in range(3))


def test_a_gate_that_stays_closed_tries_seldom() -> None:
    gate, now = Gate(), 0.0
    for _ in range(20):
        gate.failed(now)
        now = max(now, gate.until)
    assert gate.until - now <= LONGEST
    gate.failed(now)
    assert gate.until == now + LONGEST
