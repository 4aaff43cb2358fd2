"""A server may fork its workers after the application was made, and even after it was used."""

import subprocess
import sys
from pathlib import Path

import pytest

from regionware.parts.postgres import Cluster

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def stock(postgres: Cluster) -> Cluster:
    """The servers, with the table of the shop."""
    postgres.primary.query(
        "CREATE TABLE IF NOT EXISTS goods (id int PRIMARY KEY, value int NOT NULL)"
    )
    for number in (1, 2, 3, 99):
        postgres.primary.query(
            f"INSERT INTO goods VALUES ({number}, 0) ON CONFLICT (id) DO NOTHING"
        )
    postgres.settle()
    return postgres


@pytest.mark.parametrize("flavour", ["asgi", "wsgi"])
@pytest.mark.parametrize("used", ["used", "unused"])
def test_children_work_and_so_does_their_parent(
    stock: Cluster, redis_url: str, flavour: str, used: str
) -> None:
    argv = [sys.executable, "-m", "tests.servers.forking", flavour, used, redis_url]
    argv += [stock.url, stock.replicas["fra"].url]
    done = subprocess.run(argv, check=False, timeout=100, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
