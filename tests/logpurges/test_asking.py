"""Whom a process asks for purges."""

import pytest

from regionware.database.health import Prober
from regionware.database.survey import Answer, Survey

NAMES = ["iad/primary", "fra/replica-1", "nrt/replica-1"]


@pytest.fixture
def survey() -> Survey:
    return Survey(NAMES, "fra")


def prober(survey: Survey) -> Prober:
    return Prober([], survey, interval=0.1)


def answer(*, recovering: bool, timeline: int = 1, instance: str = "1") -> Answer:
    line = f"{timeline:08x}"
    return Answer(
        1.0, 0.001, ["t" if recovering else "f", "0/5000", "" if recovering else "0/5000", line,
                     str(timeline), ""], instance, 0.0,
    )  # fmt: skip


def roles(survey: Survey, system: str = "77") -> list[str | None]:
    found = prober(survey)
    return [found._role(name, system) for name in NAMES]


def test_the_primary_and_the_replicas_that_are_read_from_here(survey: Survey) -> None:
    assert roles(survey) == ["primary", "replica", None]


def test_after_a_promotion_by_what_the_servers_say(survey: Survey) -> None:
    survey.told("iad/primary", "77", answer(recovering=False))
    survey.told("fra/replica-1", "77", answer(recovering=False, timeline=2, instance="2"))
    assert roles(survey)[1] == "primary"
    assert survey.known.timelines.current == 2


def test_nobody_of_another_cluster(survey: Survey) -> None:
    survey.told("iad/primary", "77", answer(recovering=False))
    assert roles(survey, "78") == [None, None, None]
    assert roles(survey, "77")[:2] == ["primary", "replica"]
