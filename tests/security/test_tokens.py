"""T1 and T2: a token is the session's own, or it is none; and what it promises is kept."""

import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.harness import Answer, Site
from tests.sessions.conftest import Open, Replay, stranger
from tests.sessions.shop import Customer

COOKIE = "regionware-session"


def _flipped(text: str, place: int) -> str:
    raw = bytearray(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    raw[place] ^= 1
    return urlsafe_b64encode(bytes(raw)).decode().rstrip("=")


#: What an attacker makes of a token.
TAMPERED: dict[str, Callable[[str], str]] = {
    "a bit of the version": lambda text: _flipped(text, 0),
    "a bit of the key's name": lambda text: _flipped(text, 2),
    "a bit of the position": lambda text: _flipped(text, 12),
    "a bit of the signature": lambda text: _flipped(text, -1),
    "no signature": lambda text: text[:-22],
    "one character less": lambda text: text[:-1],
    "one more": lambda text: text + "A",
    "nothing of it": lambda _: "A" * 80,
    "one character": lambda _: "A",
    "long": lambda text: text * 100,
    "other letters": lambda text: text[:-1] + "\xe9",
    "not base64": lambda text: "%" + text[1:],
}


def refused(site: Site) -> int:
    """How many tokens were not believed."""
    counts = site.rw.counts().items()
    return sum(n for name, n in counts if name.partition(":")[0] == "token-refused")


def written(open_shop: Open, item: int, **options: Any) -> tuple[Site, Customer]:
    """Somebody who has written 1, while everybody else is shown the entry with 0."""
    site = open_shop(**options)
    assert stranger(site).see(f"/items/{item}") == 0
    customer = Customer(site)
    customer.put(f"/items/{item}", 1)
    return site, customer


def asked(site: Site, item: int, text: str) -> Answer:
    return site.get(f"/items/{item}", headers={"Cookie": f"{COOKIE}={text}"})


@pytest.mark.parametrize("way", TAMPERED)
def test_t1_a_token_that_somebody_has_changed_is_absent(
    open_shop: Open, item: int, way: str
) -> None:
    site, customer = written(open_shop, item)
    before = refused(site)
    answer = asked(site, item, TAMPERED[way](customer.cookies[COOKIE]))
    assert answer.status == 200
    assert answer.hit, "whoever has no token is answered from the cache, as this one is"
    assert b'"value": 0' in answer.body
    assert refused(site) == before + 1
    # The benign one: the token as it was given.
    assert b'"value": 1' in asked(site, item, customer.cookies[COOKIE]).body
    assert refused(site) == before + 1


def test_t1_an_expired_token_is_absent(open_shop: Open, item: int) -> None:
    _, customer = written(open_shop, item)
    later = open_shop(wall=lambda: time.time() + 10_000_000)
    answer = asked(later, item, customer.cookies[COOKIE])
    assert answer.status == 200
    assert later.rw.counts()["token-refused:expired"] == 1


def test_t1_without_the_protection(
    open_shop: Open, item: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regionware.database.token.hmac.compare_digest", lambda *_: True)
    site, customer = written(open_shop, item)
    answer = asked(site, item, TAMPERED["a bit of the signature"](customer.cookies[COOKIE]))
    assert refused(site) == 0
    assert b'"value": 1' in answer.body


#: Reads after each write.
READS = 100


def seen(site: Site, customer: Customer, item: int) -> list[int]:
    return [customer.at(site).see(f"/items/{item}") for _ in range(READS)]


def test_t2_a_hundred_reads_see_the_write(open_shop: Open, item: int, replay: Replay) -> None:
    """The replica stands still; the cache holds the old answer."""
    site = open_shop()
    assert stranger(site).see(f"/items/{item}") == 0
    replay.pause()
    customer = Customer(site)
    customer.put(f"/items/{item}", 1)
    assert seen(site, customer, item) == [1] * READS
    # The benign one: after the first, they were hits.
    assert customer.look(f"/items/{item}")[2]


def test_t2_without_a_token_they_do_not(open_shop: Open, item: int, replay: Replay) -> None:
    site = open_shop()
    assert stranger(site).see(f"/items/{item}") == 0
    replay.pause()
    stranger(site).put(f"/items/{item}", 1)
    assert 0 in seen(site, stranger(site), item)
