"""Who is the primary: a table, and properties of every arrangement."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionware.database.hosts import REMEMBERED, Arrangement, Sight, arrange
from regionware.database.selector import Host

A, B, C = NAMES = ("iad/primary", "fra/replica-1", "nrt/replica-1")
START = Arrangement(Host(A, "primary"))


def sight(name: str, timeline: int = 1, *, writable: bool = True, when: float = 0.0) -> Sight:
    return Sight(when=when, writable=writable, instance=f"of {name}", timeline=timeline)


def found(
    sights: dict[str, Sight],
    answering: set[str] | None = None,
    *,
    last: Arrangement = START,
    current: int = 1,
    now: float = 1.0,
) -> Arrangement:
    alive = set(sights) if answering is None else answering
    return arrange(NAMES, sights, alive, last=last, current=current, now=now)


def standby(name: str, timeline: int = 1) -> Sight:
    return sight(name, timeline, writable=False)


@pytest.mark.parametrize(
    ("sights", "answering", "primary"),
    [
        # As declared; also while nobody has answered, and while it is only unreachable.
        ({A: sight(A), B: standby(B)}, None, A),
        ({}, None, A),
        ({B: standby(B)}, None, A),
        ({A: sight(A), B: standby(B)}, {B}, A),
        # Promoted, whichever list names it.
        ({A: sight(A), B: sight(B, 2)}, {B}, B),
        ({A: sight(A), C: sight(C, 2)}, None, C),
        ({A: standby(A), B: sight(B, 2)}, None, B),
        # The declared one is demoted, and nobody is promoted yet.
        ({A: standby(A), B: standby(B)}, None, None),
        # Two of one timeline: nobody can tell.
        ({A: sight(A), B: sight(B)}, None, None),
        ({B: sight(B, 2), C: sight(C, 2), A: sight(A)}, None, None),
        # Of a lower one: it was left behind.
        ({A: sight(A, 2), B: sight(B)}, None, A),
    ],
)
def test_the_table(
    sights: dict[str, Sight], answering: set[str] | None, primary: str | None
) -> None:
    arrangement = found(sights, answering)
    assert (arrangement.primary and arrangement.primary.name) == primary
    assert bool(arrangement.why) is (primary is None)
    others = {host.name for host in arrangement.replicas(NAMES)}
    assert others == set(NAMES) - {primary}


def test_a_server_left_behind_is_not_used_while_the_primary_is_away() -> None:
    """It took writes on the first timeline; the second one's primary is only unreachable."""
    promoted = found({A: sight(A), B: sight(B, 2)})
    assert promoted.primary == Host(B, "primary")
    away = found({A: sight(A), B: sight(B, 2)}, {A}, last=promoted, current=2)
    assert away.primary == Host(B, "primary")
    # The positive control: had nobody seen the second timeline, it would be the primary.
    assert found({A: sight(A)}).primary == Host(A, "primary")


def test_rivals_stay_fenced_while_one_is_out_of_sight_for_a_moment() -> None:
    both = {A: sight(A), B: sight(B)}
    rivals = found(both)
    assert rivals.rivals == {A, B}
    assert A in rivals.why
    assert B in rivals.why
    assert found(both, {A}, last=rivals, now=REMEMBERED - 1).primary is None
    # Then one has given in, or was ended.
    assert found(both, {A}, last=rivals, now=REMEMBERED + 1).primary == Host(A, "primary")
    assert found(both | {B: standby(B)}, last=rivals).primary == Host(A, "primary")
    assert found(both | {B: sight(B, 2)}, last=rivals).primary == Host(B, "primary")


def test_two_names_of_one_server_are_no_rivals() -> None:
    one = sight(A)
    arrangement = found({A: one, B: one})
    assert arrangement.primary == Host(A, "primary")
    # The one that was known stays, whichever comes first.
    last = Arrangement(Host(B, "primary"))
    assert found({A: one, B: one}, last=last).primary == Host(B, "primary")
    # The positive control: another start of a server is another server.
    assert found({A: one, B: replace(one, instance="another")}).primary is None


sights = st.dictionaries(
    st.sampled_from(NAMES),
    st.builds(
        Sight,
        when=st.floats(0, 10),
        writable=st.booleans(),
        instance=st.sampled_from("xyz"),
        timeline=st.integers(1, 3),
    ),
)


@given(
    st.lists(st.tuples(sights, st.sets(st.sampled_from(NAMES))), min_size=1, max_size=4),
    st.integers(0, 2),
)
def test_what_every_arrangement_keeps(
    steps: list[tuple[dict[str, Sight], set[str]]], current: int
) -> None:
    last, known = START, dict[str, Sight]()
    for step, (seen, answering) in enumerate(steps):
        known |= seen
        alive = answering & set(known)
        last = arrange(NAMES, known, alive, last=last, current=current, now=10.0 + step)
        writing = {n for n in alive if known[n].writable}
        if last.primary is None:
            assert last.why
            continue
        chosen = known.get(last.primary.name)
        # Nobody is the primary who says that it is none, or that was left behind.
        assert chosen is None or (chosen.writable and chosen.timeline >= current)
        for name in writing:
            assert chosen is None or known[name].timeline <= chosen.timeline
            if chosen is not None and known[name].timeline == chosen.timeline:
                assert known[name].instance == chosen.instance or last.primary.name not in alive
        current = max(current, chosen.timeline if chosen is not None else 0)
