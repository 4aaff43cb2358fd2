"""Nobody is told that an edge has a purge that it has refused."""

import json

import httpx
import pytest

from regionware import PurgeError, Region, Regionware, Topology
from regionware.adapters.edges import Nginx
from tests.edge_purges.test_purge_courier import Trial
from tests.edge_purges.test_purge_words import soon
from tests.edge_purges.vendor import Asked, Vendor, fastly
from tests.purging.site import purge as purge_by
from tests.rig import Rig

SLOW = 40.0


def picky(asked: Asked) -> tuple[int, dict[str, str], bytes]:
    return (400, {}, b"{}") if "bad" in json.loads(asked.body)["surrogate_keys"] else (200, {}, b"")


def worker(rig: Rig, redis_url: str | None, vendor: Vendor) -> Regionware:
    here = Region("here", primary=True, redis=redis_url)
    return rig.worker(Topology(here="here", regions=[here]), edges=[fastly(vendor.url)])


def test_a_refused_purge_is_not_said_to_be_done(
    rig: Rig, redis_url: str, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon(monkeypatch)
    vendor.answer = picky
    rw = worker(rig, redis_url, vendor)
    purge_by(rig, rw, tags=["good"], wait="edges", timeout=SLOW)
    with pytest.raises(PurgeError, match=r"given up.*edge:fastly") as caught:
        purge_by(rig, rw, tags=["bad"], wait="edges", timeout=SLOW)
    assert caught.value.queued == {"edge:fastly": "given up"}
    purged = purge_by(rig, rw, tags=["good"], wait="edges", timeout=SLOW)
    assert purged.edges == {"fastly": "purged"}
    assert vendor.count("good") == 2


def test_nor_is_one_from_memory(rig: Rig, vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    soon(monkeypatch)
    vendor.answer = picky
    rw = worker(rig, None, vendor)
    with pytest.raises(PurgeError, match="not confirmed"):
        purge_by(rig, rw, tags=["bad"], wait="edges", timeout=1.0)
    purge_by(rig, rw, tags=["good"], wait="edges", timeout=SLOW)


def test_a_page_that_nginx_may_not_keep_is_in_nobodys_way() -> None:
    """The 404 of something deleted: what is purged with it, and later, is purged now."""
    edge = Nginx("http://nginx.test", fields={"X-Refresh": "secret"}, hosts=["a.test"])
    trial = Trial(edge, [200])
    gone: list[bool] = []
    urls = [f"hu/{number}" for number in range(5)]

    def answered(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/3":
            return httpx.Response(404, headers={"Cache-Control": "private, no-store"})
        return httpx.Response(200, headers={"Cache-Control": "max-age=60"})

    trial.script = [answered]
    assert trial.courier.deliver(urls, trial.wait, lost=lambda: gone.append(True))
    assert (trial.waits, gone, trial.count("edge-purge-dead")) == ([], [True], 1)
