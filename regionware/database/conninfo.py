"""What regionware adds to a database's URL."""

from typing import Final

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from regionware.policies.database import Access

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
    params["options"] = " ".join(filter(None, options)) or None
    params["application_name"] = application
    params.setdefault("connect_timeout", 2)
    # A line that is cut without a word is noticed after seconds, not after a quarter of an hour.
    params.setdefault("tcp_user_timeout", 1000 if probing else 10_000)
    return make_conninfo("", **params)
