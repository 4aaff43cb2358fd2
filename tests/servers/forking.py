"""A process that uses a `Regionware`, forks, and goes on; run by `test_fork.py`.

`python -m tests.servers.forking asgi|wsgi used|unused REDIS PRIMARY REPLICA`. Ends with 0 if
parent and children were answered alike.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable

from regionware import Region, Regionware, Topology
from regionware.policies import Cache, Route
from tests.conformance.harness import Flavour, Loop, Site, until
from tests.sessions.shop import SECRET, Customer, Shop

CHILDREN = 2


def _regionware(redis: str, primary: str, replica: str) -> Regionware:
    return Regionware(
        topology=Topology(
            here="fra",
            regions=[
                Region("iad", primary=True, database=primary),
                Region("fra", replicas=[replica], redis=redis),
            ],
        ),
        routes=[Route("/items/{id}", cache=Cache(ttl=300, tags=["item:{id}"]))],
        secret=SECRET,
    )


def _visit(flavour: Flavour, shop: Shop, item: int) -> None:
    """Every kind of request once, in this process."""
    loop = Loop()
    site = Site(flavour, shop.layer, shop, loop)
    customer, path = Customer(site), f"/items/{item}"
    customer.see(path)
    until(lambda: customer.look(path)[2])
    for value in range(3):
        customer.put(path, value, "&purge=inside")
        assert customer.see(path) == value
        assert customer.see(f"/plain/{item}") == value
    shop.layer.purge(tags=["anything"])
    site.close()
    asyncio.run_coroutine_threadsafe(shop.layer.aclose(), loop.loop).result(20)
    loop.stop()


def _child(work: Callable[[], None]) -> int:
    """Fork, and do the work there; the child's number."""
    number = os.fork()
    if number:
        return number
    status = 1
    try:
        work()
        status = 0
    finally:
        sys.stderr.flush()
        os._exit(status)


def _heard_from_a_child(flavour: Flavour, shop: Shop) -> None:
    """What a child purges, the parent no longer serves: its threads are still its own."""
    loop = Loop()
    site = Site(flavour, shop.layer, shop, loop)
    customer = Customer(site)
    customer.see("/items/99")
    until(lambda: customer.look("/items/99")[2])
    child = _child(lambda: _purge_in_child(shop))
    until(lambda: not customer.look("/items/99")[2])
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    site.close()
    loop.stop()


def _purge_in_child(shop: Shop) -> None:
    shop.layer.purge(tags=["item:99"])


def main(flavour: Flavour, used: str, redis: str, primary: str, replica: str) -> int:
    """Fork with a `Regionware` that was used before, or was not."""
    shop = Shop()
    shop.rw = _regionware(redis, primary, replica)
    if used == "used":
        with shop.rw:
            _visit(flavour, shop, 1)
            shop.rw.start()
            _heard_from_a_child(flavour, shop)
            began = time.monotonic()
            children = [_child(lambda n=n: _visit(flavour, shop, n)) for n in range(2, 4)]  # type: ignore[misc] # bound here
            _visit(flavour, shop, 1)
            assert time.monotonic() - began < 60
    else:
        children = [_child(lambda n=n: _visit(flavour, shop, n)) for n in range(2, 4)]  # type: ignore[misc] # bound here
    ends = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    if used == "unused":
        _visit(flavour, shop, 1)
    return int(any(ends))


if __name__ == "__main__":
    flavour, *rest = sys.argv[1:]
    sys.exit(main("asgi" if flavour == "asgi" else "wsgi", *rest))
