"""Which of several replicas is asked, which are out of use, and what the primary takes over."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionware.database.allowance import BURST, Allowance
from regionware.database.finding import View
from regionware.database.known import Known as KnownHosts
from regionware.database.latency import WINDOW, Known, distance, farther, prefer, smooth
from regionware.database.position import Position
from regionware.database.selector import UNASKED, Demand, Host, Mark, Reason, select
from regionware.database.survey import Answer, StrangerError, Survey
from regionware.database.timelines import Timelines
from regionware.database.vitals import DOWN, FAILURES, RETURN, SLOW_START, SUSPECT, Vitals
from regionware.errors import ConsistencyUnavailable, PrimaryUnavailable
from regionware.policies.database import Database

NEAR = [Host(f"fra/replica-{number}", "replica") for number in (1, 2, 3)]
PRIMARY = Host("iad/primary", "primary")
FAR = [Host("ams/replica-1", "replica"), Host("nrt/replica-1", "replica")]


def mark(rtt: float | None = 0.001, *, suspect: bool = False, share: float = 1.0) -> Mark:
    return Mark(when=1.0, reachable=True, fresh=1.0, lag=0.0, rtt=rtt, suspect=suspect, share=share)


def idle(_: str) -> int:
    return 0


def first(known: list[Known], busy: dict[str, int] | None = None, times: int = 600) -> Counter[str]:
    """How often each of them came first."""
    draw, found = random.Random(1).random, Counter[str]()
    for _ in range(times):
        found[prefer(known, lambda name: (busy or {}).get(name, 0), draw)[0][0].name] += 1
    return found


def test_equals_share_the_reads() -> None:
    found = first([(host, mark()) for host in NEAR])
    assert min(found[host.name] for host in NEAR) > 150


def test_the_busier_of_two_is_not_taken() -> None:
    known = [(host, mark()) for host in NEAR]
    found = first(known, {NEAR[0].name: 9})
    assert found[NEAR[0].name] == 0
    assert min(found[host.name] for host in NEAR[1:]) > 150
    # The positive control: it is the handles that count.
    assert first(known)[NEAR[0].name] > 150


def test_beyond_the_window_is_second_choice() -> None:
    within, beyond = mark(0.001 + WINDOW / 2), mark(0.002 + WINDOW)
    found = first(list(zip(NEAR, [mark(), within, beyond], strict=True)))
    assert found[NEAR[2].name] == 0
    assert found[NEAR[1].name] > 200


def test_suspects_come_last_and_those_who_came_back_slowly() -> None:
    marks = [mark(suspect=True), mark(share=0.125), mark()]
    known = list(zip(NEAR, marks, strict=True))
    found = first(known)
    assert found[NEAR[0].name] == 0
    assert 10 < found[NEAR[1].name] < 150
    assert prefer(known, idle, lambda: 0.99)[-1][0] == NEAR[0]


@given(
    st.lists(
        st.builds(
            mark,
            st.none() | st.floats(0, 0.1),
            suspect=st.booleans(),
            share=st.floats(0.1, 1),
        ),
        max_size=3,
    ),
    st.integers(0),
)
def test_an_order_leaves_nobody_out(marks: list[Mark], seed: int) -> None:
    known = list(zip(NEAR, marks, strict=False))
    ordered = prefer(known, idle, random.Random(seed).random)
    assert sorted(host.name for host, _ in ordered) == [host.name for host, _ in known]


def test_other_regions_count_where_they_are_nearer_than_the_primary() -> None:
    marks = {
        PRIMARY.name: mark(0.080),
        FAR[0].name: mark(0.010),
        FAR[1].name: mark(0.080 - WINDOW / 2),
    }
    places = {FAR[0].name: 0.5, FAR[1].name: 0.1}

    def found(
        known: dict[str, Mark], primary: Host | None = PRIMARY, here: str = "fra"
    ) -> tuple[Host, ...]:
        return farther(FAR, known, primary, here=here, distances=places)

    assert found(marks) == (FAR[0],)
    # Without a primary that answers, every replica is nearer.
    assert found(marks, None) == tuple(FAR)
    assert found(marks | {PRIMARY.name: Mark(when=1.0, reachable=False, rtt=0.08)}) == tuple(FAR)
    # A primary that stands here is not far, nor is a replica that is down or was never asked near.
    assert found(marks, here="iad") == ()
    assert found(marks | {FAR[0].name: Mark(when=1.0, reachable=False, rtt=0.01)}) == ()
    assert found(marks | {FAR[0].name: UNASKED}) == ()
    assert found(marks | {FAR[1].name: mark(0.010)}) == (FAR[1], FAR[0])


def test_distance_is_an_angle() -> None:
    frankfurt, amsterdam, tokyo = (50.0, 8.6), (52.4, 4.9), (35.7, 139.7)
    assert distance(frankfurt, frankfurt) == pytest.approx(0.0, abs=1e-6)
    assert distance(frankfurt, amsterdam) < distance(frankfurt, tokyo) < 3.2
    assert distance(None, tokyo) == float("inf")


def test_the_round_trip_is_smoothed() -> None:
    assert smooth(None, 0.3) == 0.3
    assert smooth(0.1, 0.2) == pytest.approx(0.12)


def test_one_missed_answer_is_a_hiccup() -> None:
    vitals = Vitals()
    states = []
    for _ in range(DOWN):
        vitals.missed()
        states.append(vitals.state)
    assert states == ["up", "suspect", "down"]
    assert (SUSPECT, DOWN) == (2, 3)
    silent = Vitals()
    silent.missed(answers=4)
    assert silent.state == "down"
    hiccup = Vitals()
    hiccup.missed()
    hiccup.good(1.0, level=True)
    hiccup.missed()
    assert hiccup.state == "up"


def state(vitals: Vitals) -> str:
    return vitals.state


def test_connections_that_fail_make_a_suspect() -> None:
    vitals = Vitals()
    for number in range(FAILURES):
        assert state(vitals) == "up"
        vitals.failed(number * 0.1)
    assert state(vitals) == "suspect"
    vitals.good(0.5, level=True)
    assert state(vitals) == "suspect"
    vitals.good(2.0, level=True)
    assert state(vitals) == "up"
    slow = Vitals()
    for number in range(FAILURES):
        slow.failed(float(number))
    assert state(slow) == "up"


def test_who_was_down_must_prove_itself_and_starts_slowly() -> None:
    vitals = Vitals()
    vitals.missed(DOWN)
    for number in range(RETURN - 1):
        vitals.good(float(number), level=True)
        assert state(vitals) == "down"
    vitals.good(10.0, level=False)
    assert state(vitals) == "down", "it lags too much"
    vitals.good(10.0, level=True)
    assert state(vitals) == "up"
    assert vitals.share(10.0) == 0.125
    assert 0.4 < vitals.share(10.0 + SLOW_START / 2) < 0.6
    assert vitals.share(10.0 + SLOW_START) == 1.0
    # Where nobody could take its place, once is enough; and who was never down has its share.
    only = Vitals()
    only.missed(DOWN)
    only.good(1.0, level=True, at_once=True)
    assert (state(only), Vitals().share(0.0)) == ("up", 1.0)


def test_the_primary_is_not_buried() -> None:
    allowance = Allowance(10.0)
    burst = [allowance.take(100.0) for _ in range(50)]
    assert sum(burst) == 10 * BURST
    # A second later there is room for a second's worth.
    assert 9 <= sum(allowance.take(101.0) for _ in range(50)) <= 11
    assert all(Allowance(float("inf")).take(0.0) for _ in range(1000))


def test_what_is_usual_raises_the_allowance() -> None:
    allowance, now = Allowance(10.0), 0.0
    for _ in range(18 * 120):
        now += 1 / 18
        allowance.take(now)
    # Twice what was let through lately; what is steady and under the bound is never refused.
    assert allowance.rate > 20
    assert all(allowance.take(now + number / 18) for number in range(1, 200))


@pytest.mark.parametrize(
    ("policy", "replicas", "answer"),
    [
        (Database.session(), [Mark(when=1, reachable=False)], None),
        (Database.session(unmet="stale"), [Mark(when=1, reachable=False)], None),
        (
            Database.replica(max_lag=1, unmet="stale"),
            [Mark(when=1, reachable=True, fresh=-9, lag=9)],
            Reason.STALE,
        ),
        # Never refused: what is no fallback.
        (Database.session(), [], Reason.NO_REPLICA),
        (Database.primary(), [Mark(when=1, reachable=False)], Reason.STRONG),
    ],
)
def test_beyond_the_allowance_the_policy_decides(
    policy: Database, replicas: list[Mark], answer: Reason | None
) -> None:
    wanted = Demand(access="read", policy=policy)
    known = list(zip(NEAR, replicas, strict=False))

    def choose(*, afford: bool) -> Reason:
        choice = select(wanted, PRIMARY, known, now=1.0, afford=lambda: afford)
        return choice.reason  # type: ignore[union-attr] # nobody needs to be asked here

    if answer is None:
        with pytest.raises(ConsistencyUnavailable, match="takes over no more reads"):
            choose(afford=False)
        # The positive control: with an allowance the primary takes it.
        assert choose(afford=True) is Reason.UNREACHABLE
    else:
        assert choose(afford=False) is answer
    write = Demand(access="write", policy=policy)
    assert select(write, PRIMARY, known, now=1.0, afford=lambda: False).host is PRIMARY


def test_who_was_told_of_a_newer_timeline_does_not_trust_the_old_primary() -> None:
    """Its token or a fence came from a worker that has noticed a failover before this one."""
    known = KnownHosts({PRIMARY.name: mark()}, PRIMARY, timelines=Timelines(1))
    failed: list[str] = []
    view = View(known, lambda: known, idle, failed=failed.append)
    for access in ("read", "write"):
        wanted = Demand(access=access, policy=Database.session(), need=Position(2, 1))
        with pytest.raises(PrimaryUnavailable, match="timeline 2 was not found yet"):
            view.choose(wanted, {})
    assert failed == [PRIMARY.name] * 2, "the prober is told to look"
    # The positive control: it is the timeline that matters.
    wanted = Demand(access="write", policy=Database.session(), need=Position(1, 1))
    assert view.choose(wanted, {}).host is PRIMARY


def survey_of(*names: str) -> Survey:
    return Survey([PRIMARY.name, *names], "fra")


def answer(when: float, *, writable: bool, instance: str = "a", timeline: int = 1) -> Answer:
    row = ["f" if writable else "t", "0/64", "0/64", f"{timeline:08x}", str(timeline), ""]
    return Answer(when, 0.001, row, instance, 0.6)


def primary(made: Survey) -> Host | None:
    return made.known.primary


def test_another_cluster_behind_the_same_names() -> None:
    one = NEAR[0].name
    made = survey_of(one)
    made.told(PRIMARY.name, "7", answer(1.0, writable=True))
    made.told(one, "7", answer(1.0, writable=False, instance="b"))
    made.told(one, "7", answer(2.0, writable=True, instance="b", timeline=2))
    assert primary(made) == Host(one, "primary")
    # The promoted one is replaced by a stranger: it is not the primary any more.
    with pytest.raises(StrangerError, match="cluster"):
        made.told(one, "8", answer(3.0, writable=True, instance="c", timeline=9))
    made.condemn(one, 3.0)
    assert primary(made) is None
    # The declared one may be replaced for good, once nobody of the old cluster takes writes.
    made.told(PRIMARY.name, "9", answer(4.0, writable=True, instance="d"))
    assert (primary(made), made.system) == (PRIMARY, "9")
    assert made.known.timelines == Timelines(1)


def test_a_failover_is_not_overtaken_by_the_declared_name() -> None:
    one = NEAR[0].name
    made = survey_of(one)
    made.told(PRIMARY.name, "7", answer(1.0, writable=True))
    made.told(one, "7", answer(1.0, writable=True, instance="b", timeline=2))
    with pytest.raises(StrangerError, match="cluster"):
        made.told(PRIMARY.name, "9", answer(4.0, writable=True, instance="d"))
    made.condemn(PRIMARY.name, 4.0)
    assert made.known.primary == Host(one, "primary")
