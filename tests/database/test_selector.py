"""The decision: a table of what is known and wanted, and properties of every decision."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionware.database.position import Position
from regionware.database.selector import (
    UNASKED,
    Demand,
    Host,
    Mark,
    Mode,
    Reason,
    Selection,
    Verify,
    demand,
    select,
)
from regionware.errors import ConfigurationError, ConsistencyUnavailable, PrimaryUnavailable
from regionware.policies.database import SCALE, Access, Consistency, Database, Unmet

NOW = 1000.0
PRIMARY = Host("iad/primary", "primary")
ONE, TWO = Host("fra/replica-1", "replica"), Host("fra/replica-2", "replica")
AT = Position(1, 500)


def mark(lsn: int | None = 500, *, age: float = 0.2, reachable: bool = True) -> Mark:
    position = None if lsn is None else Position(1, lsn)
    return Mark(when=NOW - 0.1, reachable=reachable, position=position, fresh=NOW - age, lag=age)


def read(policy: Database | None = None, need: Position | None = None) -> Demand:
    return Demand(access="read", policy=policy or Database.session(), need=need)


DOWN = Mark(when=NOW, reachable=False)
BOUNDED = Database.replica(max_lag=5)

TABLE: list[tuple[str, Demand, list[Mark], Host, Reason]] = [
    ("a read without obligations", read(), [mark()], ONE, Reason.CAUGHT_UP),
    ("exactly what is needed", read(need=AT), [mark()], ONE, Reason.CAUGHT_UP),
    ("a bounded read", read(BOUNDED), [mark()], ONE, Reason.CAUGHT_UP),
    ("a bounded read owes fences too", read(BOUNDED, AT), [mark()], ONE, Reason.CAUGHT_UP),
    ("the second one has it", read(need=AT), [mark(499), mark()], TWO, Reason.CAUGHT_UP),
    ("the first one is down", read(), [DOWN, mark()], TWO, Reason.CAUGHT_UP),
    ("the first one lags", read(BOUNDED), [mark(age=5.1), mark()], TWO, Reason.CAUGHT_UP),
    ("strong", read(Database.primary()), [mark()], PRIMARY, Reason.STRONG),
    ("no replica here", read(), [], PRIMARY, Reason.NO_REPLICA),
    ("all down", read(), [DOWN, DOWN], PRIMARY, Reason.UNREACHABLE),
    ("all lag", read(BOUNDED), [mark(age=5.1)], PRIMARY, Reason.LAGGING),
    ("lag unknown", read(BOUNDED), [UNASKED], PRIMARY, Reason.LAGGING),
    (
        "a write",
        Demand(access="write", policy=Database.session()),
        [mark()],
        PRIMARY,
        Reason.WRITE,
    ),
    (
        "an unknown outcome",
        Demand(access="read", policy=Database.session(), lost=True),
        [mark()],
        PRIMARY,
        Reason.OUTCOME_UNKNOWN,
    ),
    (
        "off",
        Demand(access="read", policy=Database.session(), mode="off"),
        [mark()],
        PRIMARY,
        Reason.OFF,
    ),
    (
        "observed",
        Demand(access="read", policy=Database.session(), mode="observe"),
        [mark()],
        PRIMARY,
        Reason.OBSERVE,
    ),
    (
        "stale is allowed",
        read(Database.replica(max_lag=5, unmet="stale")),
        [mark(400, age=9), mark(450, age=9)],
        TWO,
        Reason.STALE,
    ),
    (
        "stale is allowed, and nobody answers",
        read(Database.replica(max_lag=5, unmet="stale")),
        [DOWN],
        PRIMARY,
        Reason.UNREACHABLE,
    ),
]


@pytest.mark.parametrize(
    ("wanted", "marks", "host", "reason"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_the_table(wanted: Demand, marks: list[Mark], host: Host, reason: Reason) -> None:
    known = list(zip((ONE, TWO), marks, strict=False))
    choice = select(wanted, PRIMARY, known, now=NOW)
    assert isinstance(choice, Selection)
    assert (choice.host, choice.reason) == (host, reason)
    if host.role == "replica":
        chosen = dict(known)[host]
        assert (choice.position, choice.lag) == (chosen.position, chosen.lag)
    else:
        assert choice.position is None


@pytest.mark.parametrize(
    ("need", "marks", "asked"),
    [
        (AT, [mark(499)], ONE),
        (AT, [mark(300), mark(499)], TWO),
        (AT, [mark(None), mark(1)], TWO),
        (Position(2, 1), [mark()], ONE),
    ],
)
def test_a_replica_whose_mark_does_not_say_is_asked(
    need: Position | None, marks: list[Mark], asked: Host
) -> None:
    known = list(zip((ONE, TWO), marks, strict=False))
    choice = select(read(Database.session(wait=7), need), PRIMARY, known, now=NOW)
    assert isinstance(choice, Verify)
    assert (choice.host, choice.wait) == (asked, 7)


def test_whoever_was_tried_is_not_chosen_again() -> None:
    known = [(ONE, mark(499)), (TWO, mark(498))]
    wanted = read(need=AT)
    assert select(wanted, PRIMARY, known, now=NOW).host is ONE
    tried = {ONE.name: Reason.BEHIND}
    assert select(wanted, PRIMARY, known, now=NOW, tried=tried).host is TWO
    tried[TWO.name] = Reason.FAILED
    assert select(wanted, PRIMARY, known, now=NOW, tried=tried) == Selection(PRIMARY, Reason.BEHIND)
    tried[PRIMARY.name] = Reason.UNREACHABLE
    with pytest.raises(ConsistencyUnavailable, match="iad/primary"):
        select(wanted, PRIMARY, known, now=NOW, tried=tried)


def test_stale_is_who_answered_and_was_behind() -> None:
    wanted = read(Database.session(unmet="stale"), AT)
    tried = {ONE.name: Reason.BEHIND, TWO.name: Reason.FAILED}
    known = [(ONE, mark(400)), (TWO, mark(499))]
    choice = select(wanted, PRIMARY, known, now=NOW, tried=tried)
    assert choice == Selection(ONE, Reason.STALE, Position(1, 400), 0.2)


def test_a_policy_may_say_to_fail() -> None:
    wanted = read(Database.replica(max_lag=5, unmet="fail"))
    with pytest.raises(ConsistencyUnavailable, match="lagging"):
        select(wanted, PRIMARY, [(ONE, mark(age=6))], now=NOW)


@pytest.mark.parametrize("access", ["read", "write"])
def test_without_its_primary_there_is_no_strong_work(access: Access) -> None:
    wanted = Demand(access=access, policy=Database.primary(unmet="stale"))
    tried = {PRIMARY.name: Reason.UNREACHABLE}
    with pytest.raises(PrimaryUnavailable, match="iad/primary"):
        select(wanted, PRIMARY, [(ONE, mark())], now=NOW, tried=tried)


positions = st.none() | st.builds(Position, st.integers(1, 2), st.integers(0, 5))
marks = st.just(UNASKED) | st.builds(
    Mark,
    when=st.just(NOW),
    reachable=st.booleans(),
    position=positions,
    fresh=st.none() | st.floats(NOW - 10, NOW),
    lag=st.none() | st.just(0.0),
)
demands = st.builds(
    Demand,
    access=st.sampled_from(["read", "write"]),
    policy=st.builds(
        Database,
        consistency=st.sampled_from(SCALE),
        max_lag=st.none() | st.just(5.0),
        unmet=st.sampled_from(["primary", "fail", "stale"]),
    ),
    need=positions,
    lost=st.booleans(),
    mode=st.sampled_from(["on", "on", "off", "observe"]),
)


@given(demands, st.lists(marks, max_size=2), st.dictionaries(
    st.sampled_from([PRIMARY.name, ONE.name, TWO.name]),
    st.sampled_from([Reason.BEHIND, Reason.FAILED, Reason.UNREACHABLE]),
))  # fmt: skip
def test_what_every_decision_keeps(
    wanted: Demand, found: list[Mark], tried: dict[str, Reason]
) -> None:
    known = list(zip((ONE, TWO), found, strict=False))
    try:
        choice = select(wanted, PRIMARY, known, now=NOW, tried=tried)
    except (PrimaryUnavailable, ConsistencyUnavailable):
        assert PRIMARY.name in tried or wanted.policy.unmet == "fail"
        return
    assert choice.host.name not in tried or (
        isinstance(choice, Selection) and choice.reason is Reason.STALE
    )
    if wanted.access == "write" or wanted.lost or wanted.mode != "on":
        assert choice.host is PRIMARY
    if choice.host is PRIMARY or (isinstance(choice, Selection) and choice.reason is Reason.STALE):
        return
    chosen = dict(known)[choice.host]
    assert chosen.reachable
    if wanted.policy.max_lag is not None:
        assert chosen.fresh is not None
        assert NOW - chosen.fresh <= wanted.policy.max_lag
    if isinstance(choice, Selection) and wanted.need is not None:
        assert choice.position is not None
        assert choice.position.reached(wanted.need)


@pytest.mark.parametrize("route", SCALE)
@pytest.mark.parametrize("word", SCALE)
def test_words_only_strengthen(route: Consistency, word: Consistency) -> None:
    policy = Database(consistency=route, max_lag=3.0)
    if SCALE.index(word) > SCALE.index(route):
        with pytest.raises(ConfigurationError, match="weaker"):
            demand(policy, route="read", consistency=word)
    else:
        wanted = demand(policy, route="read", consistency=word)
        assert wanted.policy == Database(consistency=word, max_lag=3.0)


@pytest.mark.parametrize("route", ["read", "write"])
@pytest.mark.parametrize("word", [None, "read", "write"])
def test_access_may_be_said_either_way(route: Access, word: Access | None) -> None:
    assert demand(Database.session(), route=route, access=word).access == (word or route)


@pytest.mark.parametrize("words", [{"access": "admin"}, {"consistency": "hopeful"}])
def test_unknown_words_are_refused(words: dict[str, Consistency]) -> None:
    with pytest.raises(ConfigurationError):
        demand(Database.session(), route="read", **words)  # type: ignore[arg-type] # on purpose


@pytest.mark.parametrize("mode", ["on", "off", "observe"])
@pytest.mark.parametrize("unmet", ["primary", "fail", "stale"])
def test_what_the_request_knows_is_passed_on(mode: Mode, unmet: Unmet) -> None:
    policy = Database.session(unmet=unmet)
    wanted = demand(policy, route="write", need=AT, lost=True, mode=mode)
    assert wanted == Demand(access="write", policy=policy, need=AT, lost=True, mode=mode)
