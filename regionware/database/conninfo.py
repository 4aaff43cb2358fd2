"""The databases' URLs: which there are, and what regionware adds to them."""

from typing import Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from regionware.errors import ConfigurationError
from regionware.policies.database import Access
from regionware.topology import Topology

_ROLES: Final = {"read-write": "primary", "read-only": "standby"}


def connection_string(url: str, *, application: str, access: Access, probing: bool = False) -> str:
    """The URL with what regionware adds to it.

    Args:
        url: libpq's connection string in either form.
        application: for `application_name`, as administrators see it.
        access: a `read` connection is read-only.
        probing: for the prober, whose every statement takes a second at most.
    """
    params = conninfo_to_dict(url)
    options = [str(params.get("options") or "")]
    if access == "read":
        options.append("-c default_transaction_read_only=on")
        # To libpq no server would be "read-write" with that; these two ask for the role instead.
        wanted = str(params.get("target_session_attrs") or "")
        params["target_session_attrs"] = _ROLES.get(wanted, wanted) or None
    if probing:
        options.append("-c statement_timeout=1000")
        params["client_encoding"] = "utf8"
    params["options"] = " ".join(filter(None, options)) or None
    params["application_name"] = application
    params.setdefault("connect_timeout", 2)
    # A line that is cut without a word is noticed after seconds, not after a quarter of an hour.
    params.setdefault("tcp_user_timeout", 1000 if probing else 10_000)
    return make_conninfo("", **params)


def urls_of(topology: Topology) -> dict[str, str]:
    """Every server's URL by its name, the declared primary first, then those of this region.

    Raises:
        ConfigurationError: the topology has no database, or libpq cannot read a URL.
    """
    primary = topology.primary
    if primary.database is None:
        raise ConfigurationError("Databases: the topology has no database")
    found = {f"{primary.name}/primary": primary.database}
    others = [region for region in topology.regions if region.name != topology.here.name]
    for region in (topology.here, *others):
        for number, url in enumerate(region.replicas, 1):
            found[f"{region.name}/replica-{number}"] = url
    for name, url in found.items():
        _check(name.partition("/")[0], url)
    return found


def _check(region: str, url: str) -> None:
    """Refuse what libpq cannot read; the message must not show it, since it may hold a password."""
    try:
        conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise ConfigurationError(f"region {region}: libpq cannot read a database's URL") from None
