"""Which route a request finds, and what is remembered of that."""

import pytest

from regionware.policies.route import Route
from regionware.policies.table import Table

ASKED = [
    (method, host, path)
    for method in ("GET", "PUT")
    for host in ("a.test", "b.test")
    for path in ("/x", "/y")
]
RULES = {
    "path": ([Route("/x")], str),
    "method": ([Route("/x", methods=["PUT"])], tuple),
    "host": ([Route("/x", hosts=["a.test"])], tuple),
    "both": ([Route("/x", methods=["PUT"], hosts=["a.test"]), Route("/{p:path}")], tuple),
}


def check(table: Table) -> None:
    for _ in range(2):  # as found, and as remembered
        for asked in ASKED:
            found = [route for route in table.routes if route.matches(*asked)]
            assert table.match(*asked) is (found or [table.fallback])[0]


@pytest.mark.parametrize("rule", RULES)
def test_what_is_remembered_is_what_would_be_found(rule: str) -> None:
    routes, kind = RULES[rule]
    table = Table(routes)
    check(table)
    assert {type(asked) for asked in table._memo} == {kind}


@pytest.mark.parametrize("rule", ["method", "host", "both"])
def test_a_memo_by_path_alone_would_be_noticed(rule: str) -> None:
    """Positive control: where a route names methods or hosts, the path does not decide."""
    table = Table(RULES[rule][0])
    table._by_path = True
    with pytest.raises(AssertionError):
        check(table)
