"""A write goes to the region that holds the primary now, whatever was declared."""

from collections.abc import Iterator

import pytest

from regionware import Region
from regionware.parts.postgres import Cluster
from tests.clusters import fresh
from tests.conformance.harness import until
from tests.writes.served import App, Worlds


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A cluster of its own: a primary, and a replica in each of two regions."""
    with fresh() as made:
        made.replica("fra")
        made.replica("nrt")
        made.settle()
        yield made


@pytest.mark.parametrize("promoted", ["nrt", "fra"])
def test_after_a_failover(worlds: Worlds, cluster: Cluster, promoted: str) -> None:
    apps = {"iad": App(), "nrt": App()}
    urls = {name: f"http://127.0.0.1:{worlds.bare(app).port}" for name, app in apps.items()}
    replicas = {name: [cluster.replicas[name].url] for name in ("fra", "nrt")}
    regions = [
        Region("iad", primary=True, database=cluster.url, url=urls["iad"]),
        Region("fra", replicas=replicas["fra"], url="http://fra.invalid"),
        Region("nrt", replicas=replicas["nrt"], url=urls["nrt"]),
    ]
    far = worlds.place("fra", regions)
    apps["fra"] = far.app

    def executions() -> dict[str, int]:
        return {name: len(app.seen) for name, app in apps.items()}

    assert far.ask(body=b"x").status == 200
    assert executions() == {"iad": 1, "nrt": 0, "fra": 0}
    cluster.primary.kill()
    cluster.replicas[promoted].promote()
    databases = far.rw._parts.databases
    assert databases is not None

    def taken_over() -> bool:
        primary = databases.known.primary
        return primary is not None and primary.name == f"{promoted}/replica-1"

    until(taken_over)
    assert far.ask(body=b"x").status == 200
    assert executions() == {"iad": 1, "nrt": 0, "fra": 0} | {promoted: 1}
    said = far.rw.explain("POST", "/things")["write"]
    assert (said["region"], said["decision"]) == (
        promoted, "direct" if promoted == "fra" else "forward",
    )  # fmt: skip
