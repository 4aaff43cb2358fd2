"""Tokens: what is signed comes back, and nothing else is ever believed."""

import re
import string
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from regionware.database.position import Position
from regionware.database.token import Refusal, Signer, Token, cluster_name
from regionware.errors import ConfigurationError

NOW = 1_790_000_000
SIGNER = Signer("the first secret")
CLUSTER = cluster_name("7711138853238117903")
WRITTEN = Token(cluster=CLUSTER, write=Position(1, 0x3001148), issued=NOW)

positions = st.builds(Position, st.integers(1, 2**32 - 1), st.integers(0, 2**64 - 1))
tokens = st.builds(
    Token,
    cluster=st.just("") | st.integers(0, 2**64).map(str).map(cluster_name),
    write=st.none() | positions,
    seen=st.none() | positions,
    pin=st.text(max_size=60),
    lost=st.booleans(),
    issued=st.integers(0, 2**40),
)


def verify(text: str, *, now: float = NOW, cluster: str | None = None) -> Token | Refusal:
    return SIGNER.verify(text, now=now, max_age=60, cluster=cluster)


@given(tokens)
def test_what_was_signed_comes_back(token: Token) -> None:
    text = SIGNER.sign(token)
    assert verify(text, now=token.issued, cluster=token.cluster) == token
    # RFC 6265, section 4.1.1: a cookie's value; and nothing that any parser would quote.
    assert re.fullmatch(r"[A-Za-z0-9_-]+", text)
    assert len(text) < 1024


def test_a_usual_token_is_short() -> None:
    assert len(SIGNER.sign(WRITTEN)) <= 120


@given(st.text() | st.text(string.ascii_letters + string.digits + "-_=."))
@example("é" * 100)
@example("A" * 65_536)
@example("=" * 65_536)
@example("\x00")
@example("A" * 83)
def test_no_text_raises_or_is_believed(text: str) -> None:
    assert isinstance(verify(text), Refusal)


@pytest.mark.parametrize("thing", [None, b"AQ", 7, ["AQ"]])
def test_what_is_not_even_text_is_malformed(thing: str) -> None:
    assert verify(thing) is Refusal.MALFORMED


@given(tokens, st.data())
def test_no_changed_character_goes_unnoticed(token: Token, data: st.DataObject) -> None:
    text = SIGNER.sign(token)
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from(string.ascii_letters + string.digits + "-_=.é"))
    changed = text[:at] + other + text[at + 1 :]
    if changed != text:
        assert verify(changed, now=token.issued) in {Refusal.FORGED, Refusal.MALFORMED}


@given(tokens, st.integers(0, 400))
def test_no_part_of_a_token_is_believed(token: Token, end: int) -> None:
    text = SIGNER.sign(token)
    if end < len(text):
        assert isinstance(verify(text[:end], now=token.issued), Refusal)
    assert isinstance(verify(text + "A", now=token.issued), Refusal)
    assert isinstance(verify(text + "=", now=token.issued), Refusal)


def test_another_secret_is_a_forgery() -> None:
    assert verify(Signer("another").sign(WRITTEN)) is Refusal.FORGED


def test_secrets_are_rotated() -> None:
    old, new = Signer("old"), Signer(["new", "old"])
    assert new.verify(old.sign(WRITTEN), now=NOW, max_age=60) == WRITTEN
    assert old.verify(new.sign(WRITTEN), now=NOW, max_age=60) is Refusal.FORGED
    assert Signer([b"new"]).verify(new.sign(WRITTEN), now=NOW, max_age=60) == WRITTEN


def test_a_token_of_another_cluster_is_foreign() -> None:
    text = SIGNER.sign(WRITTEN)
    assert verify(text, cluster=cluster_name("1")) is Refusal.FOREIGN
    assert verify(text, cluster=CLUSTER) == WRITTEN
    assert verify(text, cluster=None) == WRITTEN


def test_a_token_lives_for_its_time() -> None:
    text = SIGNER.sign(WRITTEN)
    assert verify(text, now=NOW + 60) == WRITTEN
    assert verify(text, now=NOW + 60.1) is Refusal.EXPIRED
    # A worker whose clock is ahead has signed it: the session must not lose its guarantee.
    assert verify(text, now=NOW - 5) == WRITTEN


def test_another_version_is_malformed() -> None:
    text = SIGNER.sign(WRITTEN)
    raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    assert raw[0] == 1
    later = urlsafe_b64encode(b"\x02" + raw[1:]).rstrip(b"=").decode()
    assert verify(later) is Refusal.MALFORMED


@pytest.mark.parametrize("secrets", ["", b"", [], ["good", ""]])
def test_an_empty_secret_is_refused(secrets: str) -> None:
    with pytest.raises(ConfigurationError, match="secret"):
        Signer(secrets)


@pytest.mark.parametrize(
    "token", [Token(issued=-1), Token(pin="x" * 256), Token(cluster="x" * 256)]
)
def test_what_cannot_be_written_is_refused(token: Token) -> None:
    with pytest.raises(ValueError, match="not a token"):
        SIGNER.sign(token)


def test_a_signed_body_whose_lengths_lie_is_malformed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def lying(body: Callable[..., bytes], cut: int) -> Callable[..., bytes]:
        return lambda *args: body(*args)[:-1] + bytes([cut])

    module = __import__("regionware.database.token", fromlist=["_pack"])
    monkeypatch.setattr(module, "_pack", lying(module._pack, 9))
    assert verify(SIGNER.sign(WRITTEN)) is Refusal.MALFORMED
    monkeypatch.setattr(module, "_pack", lambda *_: module._HEAD.pack(
        1, SIGNER._signing[0], 0, NOW, 0, 0, 0, 0) + b"\xff\x00")  # fmt: skip
    assert verify(SIGNER.sign(WRITTEN)) is Refusal.MALFORMED
