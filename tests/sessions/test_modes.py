"""The kill switch: with a database too, `off` and `observe` leave an application as it was."""

import pytest

from regionware.policies import Cdn, Route
from regionware.policies.route import Mode
from tests.conformance.harness import Answer
from tests.sessions.conftest import Open, Replay, stranger
from tests.sessions.shop import ROUTES, Customer, Shop

SWITCHED: list[Mode] = ["off", "observe"]
WITH_EDGE = [*ROUTES, Route("/edge/{id}", cdn=Cdn(max_age=60))]


def untouched(answer: Answer) -> None:
    """The head is the application's own."""
    assert list(answer.headers) == [("content-type", "application/json"), ("x-own", "1")]


def own() -> Shop:
    shop = Shop()
    shop.fields.append(("x-own", "1"))
    return shop


@pytest.mark.parametrize("mode", SWITCHED)
@pytest.mark.parametrize("kind", ["items", "lag", "plain", "strong", "fail", "edge"])
def test_reads_and_writes_go_to_the_primary_and_leave_no_trace(
    open_shop: Open, item: int, mode: Mode, kind: str
) -> None:
    site, path = open_shop(shop=own(), mode=mode, routes=WITH_EDGE), f"/{kind}/{item}"
    customer = Customer(site)
    for value in (1, 2):
        untouched(customer.put(path, value))
        answer = customer.ask("GET", path)
        untouched(answer)
        assert answer.body == b'{"value": %d, "replica": false}' % value
    assert customer.cookies == {}


@pytest.mark.parametrize("kind", ["items", "edge", "plain"])
def test_on_they_leave_some(open_shop: Open, item: int, kind: str) -> None:
    """The positive control."""
    site, path = open_shop(shop=own(), routes=WITH_EDGE), f"/{kind}/{item}"
    customer = Customer(site)
    answer = customer.ask("GET", path)
    assert customer.look(path)[1] is True
    assert ("set-cookie" in dict(customer.put(path, 1).headers)) is True
    if kind != "plain":
        assert len(answer.headers) > 2


@pytest.mark.parametrize("mode", SWITCHED)
def test_a_purge_works_in_every_mode(open_shop: Open, item: int, mode: Mode) -> None:
    site, path = open_shop(mode=mode), f"/items/{item}"
    stranger(site).put(path, 1, "&purge=inside")
    stranger(site).put(path, 2, "&purge=after")
    assert stranger(site).see(path) == 2


@pytest.mark.parametrize("mode", SWITCHED)
def test_the_switch_at_run_time(open_shop: Open, item: int, replay: Replay, mode: Mode) -> None:
    site, path = open_shop(shop=own()), f"/items/{item}"
    customer = Customer(site)
    assert customer.look(path)[::2] == (0, False)
    assert customer.look(path)[::2] == (0, True)
    replay.pause()
    site.rw.mode = mode
    customer.put(path, 1)
    answer = customer.ask("GET", path)
    untouched(answer)
    assert b'"value": 1' in answer.body
    assert customer.cookies == {}
    site.rw.mode = "on"
    customer.put(path, 2)
    assert customer.see(path) == 2


@pytest.mark.parametrize("mode", SWITCHED)
def test_one_route_alone(open_shop: Open, item: int, mode: Mode) -> None:
    routes = [Route("/quiet/{id}", mode=mode), *ROUTES]
    site = open_shop(shop=own(), routes=routes)
    customer = Customer(site)
    untouched(customer.put(f"/quiet/{item}", 1))
    answer = customer.ask("GET", f"/quiet/{item}")
    untouched(answer)
    assert customer.cookies == {}
    # The positive control: its neighbour is on.
    customer.put(f"/plain/{item}", 2)
    assert customer.cookies
