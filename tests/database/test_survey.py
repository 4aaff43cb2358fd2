"""What may be concluded about timelines from answers between which much may have happened."""

import pytest

from regionware.database.position import Position
from regionware.database.survey import Answer, StrangerError, Survey
from regionware.database.timelines import Place, Switch, Timelines

A, B, C = "iad/primary", "fra/replica-1", "nrt/replica-1"


def says(
    when: float, lsn: int, timeline: int = 1, *, writes: bool = False, replayed: int = 0,
    start: str = "",
) -> Answer:  # fmt: skip
    """An answer; one that writes and was promoted says where its replay stands still."""
    text, line = f"0/{lsn:X}", f"{timeline:08x}"
    row = [
        "f" if writes else "t", text, text if writes else "", line, str(timeline),
        f"0/{replayed:X}" if replayed else "",
    ]  # fmt: skip
    return Answer(when, 0.001, row, start or "one", 0.6)


def primary(survey: Survey) -> str:
    """The name of the primary, if there is one."""
    return survey.known.primary.name if survey.known.primary is not None else ""


@pytest.fixture
def survey() -> Survey:
    """Two standbys have replayed up to 1000 what the primary wrote."""
    made = Survey([A, B, C], "fra")
    made.told(A, "7", says(1.0, 0x1000, writes=True, start="a"))
    made.told(B, "7", says(1.0, 0x1000, start="b"))
    made.told(C, "7", says(1.0, 0x1000, start="c"))
    return made


def test_one_promotion(survey: Survey) -> None:
    survey.told(C, "7", says(2.0, 0x2800, 2, writes=True, replayed=0x2000, start="c"))
    history = survey.known.timelines
    assert history == Timelines(2, {2: Switch(1, 0x2000)})
    assert history.place(Position(1, 0x2000)) is Place.HERE
    assert history.place(Position(1, 0x2001)) is Place.LOST


def test_two_promotions_between_two_questions(survey: Survey) -> None:
    """B took over at 2000, C follows it, and takes over at 5000: what A wrote past 2000 is lost."""
    survey.told(C, "7", says(2.0, 0x5800, 3, writes=True, replayed=0x5000, start="c"))
    assert primary(survey) == C
    history = survey.known.timelines
    assert history.place(Position(1, 0x1000)) is Place.HERE
    for lost in (0x2001, 0x5000):
        assert history.place(Position(1, lost)) is Place.UNKNOWN
        assert not history.keeps(Position(1, 1), Position(1, lost))
    assert history.place(Position(2, 0x5000)) is Place.UNKNOWN
    # The positive control: to believe that the third left the first would show lost writes.
    assert Timelines(3, {3: Switch(1, 0x5000)}).place(Position(1, 0x2001)) is Place.HERE


def test_two_promotions_of_which_the_first_was_seen(survey: Survey) -> None:
    survey.told(B, "7", says(2.0, 0x2800, 2, writes=True, replayed=0x2000, start="b"))
    survey.told(C, "7", says(2.0, 0x2800, 2, start="c"))
    survey.told(C, "7", says(3.0, 0x5800, 3, writes=True, replayed=0x5000, start="c"))
    history = survey.known.timelines
    assert history == Timelines(3, {2: Switch(1, 0x2000), 3: Switch(2, 0x5000)})
    assert history.place(Position(1, 0x2001)) is Place.LOST


def test_a_server_that_was_started_again_may_be_another(survey: Survey) -> None:
    """C is made anew from a backup, and promoted: what it had replayed before says nothing."""
    survey.told(C, "7", says(2.0, 0x900, 3, writes=True, start="another"))
    history = survey.known.timelines
    assert history.current == 3
    assert history.place(Position(1, 0x1000)) is Place.UNKNOWN
    # The positive control: of the same start it is certain.
    assert Timelines(3, {3: Switch(1, 0x1000, exact=False)}).place(Position(1, 0x1000)) is (
        Place.HERE
    )


def test_a_primary_restored_to_an_older_timeline_is_not_used(survey: Survey) -> None:
    survey.told(C, "7", says(2.0, 0x2800, 2, writes=True, replayed=0x2000, start="c"))
    with pytest.raises(StrangerError, match=r"left behind|not the primary"):
        survey.told(C, "7", says(3.0, 0x1800, 1, writes=True, start="restored"))
    survey.condemn(C, 3.0)
    assert primary(survey) == ""
    assert "timeline 1" in survey.known.why
    # Nor is one that follows it.
    with pytest.raises(StrangerError, match="timeline 1"):
        survey.told(B, "7", says(3.0, 0x1800, start="b"))
    assert survey.known.timelines.current == 2
    # A restore that begins a timeline of its own is a failover.
    survey.told(C, "7", says(4.0, 0x1800, 3, writes=True, start="restored again"))
    assert primary(survey) == C
    assert survey.known.timelines.place(Position(2, 0x2800)) is Place.UNKNOWN
