"""Which databases a process reads and writes: their names, and where they are."""

from collections.abc import Sequence
from typing import NamedTuple

import psycopg
from psycopg.conninfo import conninfo_to_dict

from regionware.database.selector import Host
from regionware.errors import ConfigurationError
from regionware.topology import Topology


class Hosts(NamedTuple):
    """The primary, the replicas of the region that is here, and the URL of each by its name."""

    primary: Host
    replicas: tuple[Host, ...]
    urls: dict[str, str]


def hosts_of(topology: Topology) -> Hosts:
    """Name the hosts.

    Raises:
        ConfigurationError: the topology has no database, or libpq cannot read a URL.
    """
    here, database = topology.here, topology.primary.database
    if database is None:
        raise ConfigurationError("Databases: the topology has no database")
    _check(topology.primary.name, [database])
    _check(here.name, here.replicas)
    primary = Host(f"{topology.primary.name}/primary", "primary")
    replicas = tuple(
        Host(f"{here.name}/replica-{number}", "replica")
        for number, _ in enumerate(here.replicas, 1)
    )
    names = [host.name for host in (primary, *replicas)]
    return Hosts(primary, replicas, dict(zip(names, (database, *here.replicas), strict=True)))


def _check(region: str, urls: Sequence[str]) -> None:
    """Refuse what libpq cannot read; the message must not show it, since it may hold a password."""
    for url in urls:
        try:
            conninfo_to_dict(url)
        except psycopg.ProgrammingError:
            raise ConfigurationError(
                f"region {region}: libpq cannot read a database's URL"
            ) from None
