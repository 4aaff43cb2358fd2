"""Nobody gets an answer that was made for another, or that no edge should have had: counted.

Each row of the table is asked for by several people, again and again, in an order by a seed. The
application's answer says for whom it was made and which of its answers it is.
"""

import itertools
import random

import pytest

from regionware import Regionware
from regionware.policies import Cache, Cdn, Route
from tests.conformance.application import Handler, Response, Seen
from tests.edges.conftest import Kind
from tests.edges.rig import parts_of_edges
from tests.edges.served import Answer, Browser, Origin, new_path
from tests.edges.test_table import ROWS, Row

pytestmark = parts_of_edges

#: Who asks, by the fields of their requests. What stands behind each is one person.
PEOPLE = {
    "anybody": {},
    "alice": {"Cookie": "login=alice"},
    "bob": {"Authorization": "Bearer bob"},
    "carol": {"Cookie": "_ga=GA1.2.3; login=carol"},
}
ROUNDS = 2

ROUTES = {
    "cache-and-cdn": Route(
        "/{path:path}", cache=Cache(ttl=60, consistency="eventual"), cdn=Cdn(max_age=60)
    ),
    "stale-windows": Route(
        "/{path:path}",
        cache=Cache(ttl=60, stale_while_revalidate=60, consistency="eventual"),
        cdn=Cdn(max_age=30, shared_max_age=60, stale_while_revalidate=60, stale_if_error=60),
    ),
    "private": Route("/{path:path}", cdn=Cdn.private(max_age=60)),
    "no-store": Route("/{path:path}", cdn=Cdn.no_store()),
}


def whoever(headers: dict[str, str]) -> str:
    """The person that an application knows its client by."""
    for name, fields in PEOPLE.items():
        wanted = {key.lower(): value for key, value in fields.items()}
        if wanted and wanted.items() <= headers.items():
            return name
    return "anybody"


def personal(row: Row) -> Handler:
    """An application that greets whom it knows, and counts its answers."""
    numbers = itertools.count()

    def handler(seen: Seen) -> Response:
        body = f"{whoever(seen.headers)} {next(numbers)}"
        return Response([body.encode()], row.status, [*row.fields, ("X-For", "somebody")])

    return handler


class Judge:
    """Counts answers, and the wrong ones among them."""

    def __init__(self) -> None:
        self.checked = 0
        self.wrong: list[str] = []

    def look(self, row: Row, person: str, answer: Answer, *, of_edge: bool) -> None:
        """Judge one answer; what no edge may keep must not have been made by one."""
        made_for, number = answer.text.split()
        self.checked += 1
        if made_for != person:
            self.wrong.append(f"{row.name}: {person} got what was made for {made_for}")
        elif row.forbids and of_edge:
            self.wrong.append(f"{row.name}: {person} got answer {number} from the edge")


def ask_all(browser: Browser, origin: Origin, route: Route | None) -> Judge:
    """Everybody asks for every row."""
    judge, dice = Judge(), random.Random(0)
    for row in ROWS:
        rw = Regionware(routes=[route], trusted=["127.0.0.1/32"]) if route is not None else None
        site, path = origin.mount(personal(row), rw), new_path()
        order = [*PEOPLE] * ROUNDS
        dice.shuffle(order)
        for person in order:
            before = site.asked
            answer = browser.ask(site, path, **PEOPLE[person])
            judge.look(row, person, answer, of_edge=site.asked == before)
    return judge


@pytest.mark.parametrize("name", ROUTES)
def test_no_answer_is_wrong(name: str, origin: Origin, configured: Browser) -> None:
    judge = ask_all(configured, origin, ROUTES[name])
    assert judge.wrong == []
    assert judge.checked == len(ROWS) * len(PEOPLE) * ROUNDS


def test_wrong_answers_would_be_counted(kind: Kind, origin: Origin, careless: Browser) -> None:
    """The bare application behind an edge that looks at no cookie."""
    wrong = ask_all(careless, origin, None).wrong
    assert [line for line in wrong if "made for" in line]
    assert [line for line in wrong if "from the edge" in line]


def test_an_edge_that_looks_at_no_cookie_is_not_enough(
    kind: Kind, origin: Origin, careless: Browser
) -> None:
    """Why `cdn-config` exists: what is public is given to those who would have got their own."""
    wrong = ask_all(careless, origin, ROUTES["cache-and-cdn"]).wrong
    assert wrong
    assert not [line for line in wrong if "made for anybody" not in line]
