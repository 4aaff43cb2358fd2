"""The report is what the drills noted, in their order."""

from tests.faults.drills.report import BEGIN, END, PAGE, table, written

ROWS = [
    {"drill": "F10", "form": "asgi short", "what": "p99", "value": "3 ms", "target": "5 ms"},
    {"drill": "F2 and F3 killed", "form": "wsgi long", "what": "p50", "value": "1", "target": ""},
    {"drill": "F2 and F3 killed", "form": "wsgi long", "what": "p99", "value": "2", "target": ""},
    {"drill": "other", "form": "", "what": "calls", "value": "1", "target": "1"},
]


def test_a_table() -> None:
    assert table(reversed(ROWS)).splitlines()[2:] == [
        "| F2 and F3 killed | wsgi long | p99 | 2 |  |",
        "|  |  | p50 | 1 |  |",
        "| F10 | asgi short | p99 | 3 ms | 5 ms |",
        "| other |  | calls | 1 | 1 |",
    ]


def test_it_goes_to_its_place_in_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    once = written(page, "told")
    assert once.count(BEGIN) == once.count(END) == 1
    assert written(once, "told") == once
    assert once.partition(BEGIN)[0] == page.partition(BEGIN)[0]
    assert once.partition(END)[2] == page.partition(END)[2]
