"""What may be said, what is refused before anything is done, and what is told of it."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py

from regionware import ConfigurationError, Region, Regionware, Topology
from regionware.adapters.edges import Bunny, Capabilities, Cloudflare, Fastly, wiring
from regionware.adapters.edges.outbox import Lag
from regionware.adapters.edges.wiring import lag_of, tells_edges
from regionware.policies import Cache, Cdn, Database, Route
from tests.conformance.application import Application, text
from tests.conformance.harness import until
from tests.edge_purges.test_purge_requests import SERVICE, ZONE
from tests.edge_purges.vendor import TOKEN, Elsewhere, Vendor, fastly
from tests.purging.site import purge as purge_by
from tests.rig import Rig

ALONE = Topology(here="here", regions=[Region("here", primary=True)])
SLOW = 40.0
FASTLY, CLOUDFLARE = Fastly(service=SERVICE, token=TOKEN), Cloudflare(zone=ZONE, token=TOKEN)
PUBLIC = Route(
    "/p/{id}",
    cache=Cache(ttl=60, tags=["product:{id}"], consistency="eventual"),
    cdn=Cdn(max_age=60, vendor="fastly"),
)


def soon(monkeypatch: pytest.MonkeyPatch, least: float = 1e6) -> None:
    lag = Lag(least=least, most=least, reached=bool)
    monkeypatch.setattr(wiring, "lag_of", lambda *_: lag)


def test_without_redis_it_comes_from_this_process(
    rig: Rig, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon(monkeypatch, 1.0)
    rw = rig.worker(ALONE, edges=[fastly(vendor.url)])
    purged = purge_by(rig, rw, tags=["a"])
    assert purged.edges == {"fastly": "queued in this process"}
    assert rw.edges[0].waiting in (0, 1)
    until(lambda: vendor.count("a") == 2, SLOW)
    until(lambda: rw.counts().get("edge-repeated:fastly") == 1)
    assert rw.counts()["edge-purged:fastly"] == 1


def test_many_go_together(rig: Rig, vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    soon(monkeypatch)
    rw = rig.worker(ALONE, edges=[fastly(vendor.url)])
    for number in range(400):
        rw.purge(tags=[f"t{number % 200}"])
    purge_by(rig, rw, tags=["last"], wait="edges", timeout=SLOW)
    assert len(vendor.asked) < 40
    assert {tag for tags in vendor.tags() for tag in tags} == {
        "last",
        *(f"t{n}" for n in range(200)),
    }


def test_of_very_many_everything_is_purged(
    rig: Rig, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon(monkeypatch)
    rw = rig.worker(ALONE, edges=[fastly(vendor.url)])
    purge_by(rig, rw, tags=[f"t{n}" for n in range(10_001)], wait="edges", timeout=SLOW)
    assert [one.path for one in vendor.asked] == [f"/service/{SERVICE}/purge_all"]


def test_it_waits_for_the_edge(rig: Rig, vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    soon(monkeypatch)
    rw = rig.worker(ALONE, edges=[fastly(vendor.url)])
    purged = purge_by(rig, rw, tags=["a"], wait="edges", timeout=SLOW)
    assert purged.edges == {"fastly": "purged"}
    assert vendor.tags() == [["a"]]


def test_closing_delivers_first(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    soon(monkeypatch)
    with Regionware(topology=ALONE, edges=[fastly(vendor.url)]) as rw:
        rw.purge(tags=["a"])
    assert vendor.tags() == [["a"]]


REFUSED: list[tuple[Any, dict[str, Any], str]] = [
    (CLOUDFLARE, {"tags": ["a"], "soft": True}, "soft purges of tags"),
    (CLOUDFLARE, {"urls": ["https://a.example/x"]}, "URLs"),
    (FASTLY, {"urls": ["/x"]}, "URLs without a host"),
    (FASTLY, {"everything": True, "soft": True}, "soft purges of everything"),
    (FASTLY, {"urls": ["https://a.example/" + "x" * 300]}, "URLs of more than 255 characters, or"),
]


@pytest.mark.parametrize(("edge", "words", "what"), REFUSED)
def test_what_an_edge_cannot_do_is_refused_before_anything_is_done(
    rig: Rig, vendor: Vendor, edge: Any, words: dict[str, Any], what: str
) -> None:
    rw = rig.worker(ALONE, edges=[Elsewhere(edge, vendor.url)])
    with pytest.raises(ConfigurationError, match=f"edge {edge.name} cannot purge {what}"):
        purge_by(rig, rw, **{"tags": (), **words})
    assert rw.counts() == {}
    assert vendor.asked == []


def test_a_soft_purge_may_be_hard_if_that_is_said(
    rig: Rig, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon(monkeypatch)
    edge = Elsewhere(Bunny(zone=1, key=TOKEN, soft_as_hard=True), vendor.url)
    rw = rig.worker(ALONE, edges=[edge])
    purge_by(rig, rw, tags=["a"], soft=True, wait="edges", timeout=SLOW)
    assert [one.body for one in vendor.asked] == [b'{"CacheTag": "a"}']


@pytest.mark.parametrize("soft", [True, False])
def test_soft_is_soft_and_hard_is_hard(
    rig: Rig, vendor: Vendor, monkeypatch: pytest.MonkeyPatch, soft: bool
) -> None:
    soon(monkeypatch)
    rw = rig.worker(ALONE, edges=[fastly(vendor.url)])
    purge_by(rig, rw, tags=["a"], soft=soft, wait="edges", timeout=SLOW)
    assert [one.fields.get("Fastly-Soft-Purge") for one in vendor.asked] == ["1" if soft else None]


def test_nobody_can_wait_for_an_edge_that_is_not_there(rig: Rig) -> None:
    with pytest.raises(ConfigurationError, match="no edge is configured"):
        purge_by(rig, rig.worker(ALONE), tags=["a"], wait="edges")


class Strange:
    """An edge of no vendor that there is."""

    name, vendor = "strange", "nobody"
    capabilities = Capabilities(tags=1)

    def requests(self, purge: Any, wall: float) -> Any: ...
    def judge(self, answer: Any) -> Any: ...


@pytest.mark.parametrize(
    ("edges", "words"),
    [
        ([FASTLY, FASTLY], "two are called fastly"),
        ([Strange()], "nobody"),
        ([TOKEN], r"edges\[0\] is an edge"),
        (FASTLY, "edges is a list"),
        ({FASTLY}, "a set has no order"),
    ],
)
def test_edges_that_cannot_work(edges: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        Regionware(topology=ALONE, edges=edges)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("vendor", [None, "cloudflare", "nginx", ["cloudflare", "netlify"]])
def test_a_route_whose_tags_no_edge_reads(vendor: Any) -> None:
    """To purge by them would do nothing, in silence."""
    route = replace(PUBLIC, cdn=Cdn(max_age=60, vendor=vendor))
    with pytest.raises(ConfigurationError, match=r"/p/\{id\}.*which fastly does not read"):
        Regionware(topology=ALONE, routes=[route], edges=[FASTLY])


@pytest.mark.parametrize(
    ("cdn", "edges"),
    [
        (Cdn(max_age=60, vendor=["cloudflare", "fastly"]), [FASTLY]),
        (Cdn(max_age=60, vendor="fastly"), [CLOUDFLARE, FASTLY]),
        (Cdn(max_age=60), [CLOUDFLARE]),
        (Cdn(max_age=60, tags=[]), [FASTLY]),
        (Cdn.private(), [FASTLY]),
    ],
)
def test_a_route_whose_tags_an_edge_reads(cdn: Cdn, edges: list[Any]) -> None:
    Regionware(topology=ALONE, routes=[replace(PUBLIC, cdn=cdn)], edges=edges)


def test_an_edge_that_is_not_told_of_tags_is_named(caplog: pytest.LogCaptureFixture) -> None:
    """It may stand before other routes, so this is no error."""
    Regionware(topology=ALONE, routes=[PUBLIC], edges=[CLOUDFLARE, FASTLY])
    assert "/p/{id}: cloudflare is not told its tags" in caplog.text
    caplog.clear()
    route = replace(PUBLIC, cdn=Cdn(max_age=60, vendor=["cloudflare", "fastly"]))
    Regionware(topology=ALONE, routes=[route], edges=[CLOUDFLARE, FASTLY])
    assert "is not told" not in caplog.text


def test_without_httpx_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "regionware.adapters.edges.transport", None)
    with pytest.raises(ConfigurationError, match=r"install .regionware\[purge\]"):
        Regionware(topology=ALONE, edges=[FASTLY])


def test_without_edges_httpx_is_not_imported() -> None:
    code = "import regionware, sys; regionware.Regionware(); assert 'httpx' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_said_of_it(rig: Rig, vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    soon(monkeypatch)
    rw = rig.worker(ALONE, PUBLIC, edges=[fastly(vendor.url)])
    assert rw.explain("GET", "/p/7")["edges"] == {
        "fastly": {"tags": ["product:7"], "waiting": 0, "oldest": 0.0}
    }
    assert rw.explain("GET", "/other")["edges"]["fastly"]["tags"] == []
    assert [row["edges"] for row in rw.inventory()] == [["fastly"], []]


HIDDEN = Route("/q/{id}", cache=Cache(ttl=60))


def test_what_an_unsafe_request_ends_is_purged_where_it_may_be_kept(
    rig: Rig, vendor: Vendor, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon(monkeypatch)
    for url in (None, redis_url):
        vendor.asked.clear()
        topology = Topology(here="here", regions=[Region("here", primary=True, redis=url)])
        rw = rig.worker(topology, PUBLIC, HIDDEN, edges=[fastly(vendor.url)])
        site = rig.site(rw, Application(lambda _: text("done")))
        for path in ("/q/1", "/p/1", "/other"):
            assert site.get(path, method="POST").status == 200
        purge_by(rig, rw, tags=["last"], wait="edges", timeout=SLOW)
        paths = [one.path for one in vendor.asked]
        assert sorted(set(paths)) == ["/purge/site.test/p/1", f"/service/{SERVICE}/purge"]


def test_what_no_edge_keeps_goes_to_the_other_regions_all_the_same(
    rig: Rig, vendor: Vendor, redis_url: str, second_redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon(monkeypatch)
    here = Region("here", primary=True, redis=redis_url)
    topology = Topology(here="here", regions=[here, Region("there", redis=second_redis_url)])
    rw = rig.worker(topology, PUBLIC, HIDDEN, edges=[fastly(vendor.url)])
    site = rig.site(rw, Application(lambda _: text("done")))
    site.get("/q/1", method="POST")
    purge_by(rig, rw, tags=["last"], wait="edges", timeout=SLOW)
    assert [one.path for one in vendor.asked] == [f"/service/{SERVICE}/purge"]
    with redis_py.Redis.from_url(second_redis_url, protocol=2) as client:
        assert client.hexists("{regionware}:fences", "huhttp://site.test/q/1")


def test_the_command_line_waits_for_the_edge(
    vendor: Vendor, redis_url: str, tmp_path: Path
) -> None:
    (tmp_path / "purged.py").write_text(
        "from regionware import Region, Regionware, Topology\n"
        "from tests.edge_purges.vendor import fastly\n"
        f"here = Region('here', primary=True, redis={redis_url!r})\n"
        "topology = Topology(here='here', regions=[here])\n"
        f"rw = Regionware(topology=topology, edges=[fastly({vendor.url!r})])\n"
    )
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from regionware.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [
        sys.executable, "-c", code,
        "purge", "purged:rw", "--tag", "a", "--timeout", "40",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "purged: 1 fences in here, edge fastly\n")
    assert vendor.tags() == [["a"]]


def places(**redis: str | None) -> list[Region]:
    def made(name: str, url: str | None) -> Region:
        primary = name == "iad"
        return Region(
            name, primary=primary, redis=url, replicas=[f"postgresql://{name}/y"],
            database="postgresql://x/y" if primary else None,
        )  # fmt: skip

    return [made(name, url) for name, url in redis.items()]


@pytest.mark.parametrize(
    ("redis", "tells"),
    [
        ({"fra": "redis://f/0", "iad": "redis://i/0"}, "iad"),
        ({"fra": "redis://f/0", "iad": None}, "fra"),
        ({"fra": None, "iad": None}, "iad"),
    ],
)
def test_one_region_tells_the_edges_of_the_log(redis: dict[str, str | None], tells: str) -> None:
    regions = places(**redis)
    chosen = [name for name in redis if tells_edges(Topology(here=name, regions=regions))]
    assert chosen == [tells]


@pytest.mark.parametrize(
    ("database", "lag"),
    [(Database.replica(max_lag=7), 7.0), (None, 300.0), (Database.replica(max_lag=300), 300.0)],
)
def test_the_lag_that_a_public_route_admits(database: Database | None, lag: float) -> None:
    topology = Topology(here="iad", regions=places(fra="redis://f/0", iad="redis://i/0"))
    routes = [
        replace(PUBLIC, database=database),
        Route("/x", database=Database.replica(max_lag=99)),
    ]
    rw = Regionware(topology=topology, routes=routes, secret="a secret long enough", edges=[FASTLY])
    found = lag_of(FASTLY.capabilities, rw._parts.prepared, bool)
    assert found.least == 5.0 + FASTLY.capabilities.propagation
    assert found.most == found.least + lag


def test_without_replicas_nothing_lags() -> None:
    rw = Regionware(topology=ALONE, routes=[PUBLIC], edges=[FASTLY])
    found = lag_of(FASTLY.capabilities, rw._parts.prepared, bool)
    assert found.least == found.most
