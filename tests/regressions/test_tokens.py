"""A committed write is never forgotten, whatever becomes of the request's answer."""

import pytest

from regionware import PrimaryUnavailable
from regionware.errors import Unavailable
from tests.conformance.harness import until
from tests.sessions.conftest import Open, Replay
from tests.sessions.shop import Customer, Shop, Work


class Unlucky(Shop):
    """After the commit something else of the request cannot be had."""

    def __init__(self, error: Unavailable) -> None:
        super().__init__()
        self.error = error

    async def _awork(self, work: Work) -> object:
        row = await super()._awork(work)
        self._after(work)
        return row

    def _work(self, work: Work) -> object:
        row = super()._work(work)
        self._after(work)
        return row

    def _after(self, work: Work) -> None:
        if len(work.values) == 2:  # a write
            raise self.error


@pytest.mark.parametrize("kind", ["items", "plain", "lag"])
def test_our_own_503_after_a_commit(open_shop: Open, item: int, replay: Replay, kind: str) -> None:
    """A request that commits and is then answered by us tells its session of the write."""
    shop = Unlucky(PrimaryUnavailable("the second connection"))
    site, path = open_shop(shop=shop), f"/{kind}/{item}"
    customer = Customer(site)
    assert customer.see(path) == 0
    replay.pause()
    answer = customer.ask("PUT", path, "value=7")
    assert answer.status == 503
    assert answer["set-cookie"]
    assert "no-store" in answer["cache-control"]
    assert customer.see(path) == 7
    replay.resume()
    until(lambda: customer.see(path) == 7)
