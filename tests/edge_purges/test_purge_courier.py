"""Limits, retries, what is given up, and that nobody reads a secret; all by a clock of our own."""

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionware.adapters.edges import Bunny, Cloudflare, EdgePurger, Fastly
from regionware.adapters.edges import courier as courier_module
from regionware.adapters.edges.courier import OLDEST, Courier
from regionware.adapters.edges.transport import HttpxTransport
from regionware.observe import Event
from tests.edge_purges.test_purge_requests import CLOUDFRONT, KEYS, SERVICE, ZONE
from tests.edge_purges.vendor import TOKEN

FASTLY = Fastly(service=SERVICE, token=TOKEN)
TAGS = ["hta", "htb"]


@dataclass
class Trial:
    """A courier whose vendor follows a script, and whose time passes only while it waits.

    Attributes:
        script: what is answered in turn, the last of it for ever: a status, a response, an error.
        sent: when each request came, and its content.
        waits: how long was waited each time.
        limit: it is told to stop when so much has been waited.
    """

    edge: EdgePurger
    script: list[Any]
    limit: float = 1e9
    now: float = 1000.0
    sent: list[tuple[float, bytes]] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.courier = Courier(
            self.edge,
            lambda: HttpxTransport(httpx.MockTransport(self._answer)),
            tell=self.events.append,
            clock=lambda: self.now,
            wall=lambda: 1_440_938_160.0 + self.now,
            random=lambda: 0.5,
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.sent.append((self.now, request.read()))
        told = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        told = told(request) if callable(told) else told
        if isinstance(told, Exception):
            raise told
        return httpx.Response(told, json={"success": True}) if isinstance(told, int) else told

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now += seconds
        return sum(self.waits) < self.limit

    def deliver(self, names: Iterable[str] = TAGS, *, age: float = 0.0) -> bool:
        done = self.courier.deliver(names, self.wait, age=age)
        self.courier.close()
        return done

    def count(self, name: str) -> int:
        return sum(event.name == name for event in self.events)


def test_one_request_and_no_wait() -> None:
    trial = Trial(FASTLY, [200])
    assert trial.deliver()
    assert [json.loads(body) for _, body in trial.sent] == [{"surrogate_keys": ["a", "b"]}]
    assert (trial.waits, trial.events) == ([], [])


@pytest.mark.parametrize("trouble", [429, 500, 503, 403, httpx.ReadTimeout("x"), OSError("y")])
def test_trouble_that_passes(trouble: Any) -> None:
    trial = Trial(FASTLY, [trouble, trouble, trouble, 200])
    assert trial.deliver()
    assert len(trial.sent) == 4
    assert trial.waits == [0.625, 1.25, 2.5]
    assert trial.count("edge-purge-failed") == 3
    assert trial.events[-1].seconds == pytest.approx(0.625 + 1.25)
    assert trial.count("edge-purge-dead") == 0


def test_pauses_grow_no_further_than_a_minute_and_a_half() -> None:
    trial = Trial(FASTLY, [*[500] * 30, 200])
    assert trial.deliver()
    assert max(trial.waits) <= 90
    assert trial.waits == sorted(trial.waits)


@pytest.mark.parametrize(("asked", "waited"), [("7", 8.75), ("0", 0.625), ("86400", 375.0)])
def test_retry_after_is_honoured_and_capped(asked: str, waited: float) -> None:
    slow = httpx.Response(429, headers={"Retry-After": asked})
    trial = Trial(FASTLY, [slow, 200])
    assert trial.deliver()
    assert trial.waits == [waited]


def test_without_jitter_all_would_come_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    dice = iter([0.0, 0.9])
    waits = []
    for _ in range(2):
        trial = Trial(FASTLY, [500, 200])
        trial.courier._random = lambda: next(dice)
        assert trial.deliver()
        waits += trial.waits
    assert waits[0] != waits[1]


def test_it_is_told_to_stop() -> None:
    """Nothing is given up: whoever comes next delivers all of it."""
    trial = Trial(FASTLY, [500], limit=5.0)
    assert not trial.deliver()
    assert trial.count("edge-purge-dead") == 0


def test_what_is_refused_is_found_and_the_rest_is_taken() -> None:
    def picky(request: httpx.Request) -> int:
        return 400 if b"bad" in request.content else 200

    trial = Trial(FASTLY, [picky])
    names = [f"ht{n}" for n in range(9)] + ["htbad"]
    assert trial.deliver(names)
    taken = {
        tag
        for _, body in trial.sent
        if b"bad" not in body
        for tag in json.loads(body)["surrogate_keys"]
    }
    assert taken == {str(n) for n in range(9)}
    assert trial.count("edge-purge-dead") == 1
    assert trial.waits == []


def test_what_is_too_old_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    trial = Trial(FASTLY, [500])
    assert trial.deliver(age=OLDEST - 100)
    assert trial.count("edge-purge-dead") == 1
    assert 100 <= sum(trial.waits) < 300
    assert "given up at edge fastly: status 500: ['a', 'b']" in caplog.text


def test_without_a_limit_it_would_be_tried_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """The positive control."""
    monkeypatch.setattr(courier_module, "OLDEST", 1e9)
    trial = Trial(FASTLY, [500], limit=10_000)
    assert not trial.deliver(age=OLDEST - 100)


@pytest.mark.parametrize(
    ("edge", "names"),
    [
        (Cloudflare(zone=ZONE, token=TOKEN), ["hu/x"]),
        (FASTLY, ["hu/x"]),  # of which host?
        (FASTLY, ["hu" + "0" * 40]),
    ],
)
def test_what_cannot_be_done_is_said(edge: EdgePurger, names: list[str]) -> None:
    """Where nobody can be told any more: it is an event, and the rest is done."""
    trial = Trial(edge, [200])
    assert trial.deliver([*names, "hta"])
    assert trial.count("edge-purge-dead") == 1
    assert len(trial.sent) == 1


def test_a_soft_purge_that_nobody_can_refuse_is_hard() -> None:
    trial = Trial(Bunny(zone=1, key=TOKEN), [200])
    assert trial.deliver(["sta"])
    assert [body for _, body in trial.sent] == [b'{"CacheTag": "a"}']
    assert trial.count("edge-purge-dead") == 0


@pytest.mark.parametrize(
    "edge", [FASTLY, Bunny(zone=1, key=TOKEN), Cloudflare(zone=ZONE, token=TOKEN)]
)
def test_no_faster_than_the_vendor_allows(edge: EdgePurger) -> None:
    trial = Trial(edge, [200])
    rate = edge.capabilities.rate
    count = (rate.burst + 40) * edge.capabilities.tags
    assert trial.deliver([f"ht{n}" for n in range(count)])
    times = [at for at, _ in trial.sent]
    assert len(times) > rate.burst
    for begin in range(len(times)):
        within = times[begin] + 1.0
        count = sum(times[begin] <= at <= within for at in times[begin:])
        assert count <= rate.burst + rate.a_second * 1.0 + 1


def test_without_a_bucket_it_would_be_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """The positive control."""
    monkeypatch.setattr(Courier, "_take", lambda _: 0.0)
    with pytest.raises(AssertionError):
        test_no_faster_than_the_vendor_allows(Bunny(zone=1, key=TOKEN))


def test_a_node_that_has_answered_is_not_asked_again() -> None:
    """A batch of several requests: what is done is done."""
    trial = Trial(Bunny(zone=1, key=TOKEN), [200])
    object.__setattr__(trial.edge, "capabilities", replace(trial.edge.capabilities, tags=3))
    trial.script = [200, 500, 200, 200]
    assert trial.deliver(["hta", "htb", "htc"])
    assert [json.loads(body)["CacheTag"] for _, body in trial.sent] == ["a", "b", "c", "b"]


def test_a_signature_is_made_for_each_try() -> None:
    trial = Trial(CLOUDFRONT, [503, 201])
    assert trial.deliver()
    first, second = (body for _, body in trial.sent)
    assert first != second


def test_a_secret_that_cannot_be_had_is_waited_for() -> None:
    given = iter([None, "good"])

    def token() -> str:
        if (told := next(given)) is not None:
            return told
        raise OSError("the vault says: " + TOKEN)

    trial = Trial(Fastly(service=SERVICE, token=token), [200])
    assert trial.deliver()
    assert (len(trial.sent), trial.count("edge-purge-failed")) == (1, 1)


@given(body=st.binary(max_size=300), status=st.integers(200, 599))
def test_an_answer_may_hold_anything(body: bytes, status: int) -> None:
    for edge in (FASTLY, Cloudflare(zone=ZONE, token=TOKEN), Bunny(zone=1, key=TOKEN), CLOUDFRONT):
        trial = Trial(edge, [httpx.Response(status, content=body)], limit=2.0)
        trial.deliver()
        assert len(trial.sent) >= 1


@pytest.mark.parametrize(
    "trouble",
    [
        429, 403, 400, 302, 200, httpx.ReadTimeout(f"with {TOKEN}"), OSError(TOKEN),
        httpx.Response(500, text=f"you sent {TOKEN} {KEYS.secret_key}"),
        httpx.Response(200, content=b"{"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "edge",
    [
        FASTLY, Fastly(service=SERVICE, token=lambda: TOKEN + "\n"), Bunny(zone=1, key=TOKEN),
        Cloudflare(zone=ZONE, token=TOKEN), CLOUDFRONT,
    ],
    ids=lambda edge: edge.name,
)  # fmt: skip
def test_secrets_are_in_no_log(
    edge: EdgePurger, trouble: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in those of httpx either, whatever the level."""
    with caplog.at_level(logging.DEBUG):
        trial = Trial(edge, [trouble], limit=3.0)
        trial.deliver()
        trial.deliver(age=OLDEST)
    told = caplog.text + repr(trial.events) + repr(trial.courier)
    assert caplog.records or trouble == 200
    for secret in (TOKEN, KEYS.secret_key):
        assert secret not in told


def test_a_secret_in_a_log_would_be_noticed(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The positive control: errors that say what libraries say."""

    def loud(self: HttpxTransport, request: Any) -> Any:
        raise courier_module.TransportError(repr(request.fields))

    monkeypatch.setattr(HttpxTransport, "send", loud)
    with pytest.raises(AssertionError):
        test_secrets_are_in_no_log(FASTLY, 500, caplog)
