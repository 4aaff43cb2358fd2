"""Which servers a Redis URL speaks of.

```
redis://[user:password@]host[:6379][/database]
rediss://…                                               the same over TLS
unix://[user:password@]/path/of/the.sock[?db=0]
redis+sentinel://[user:password@]host[:26379],…/master[/database]
redis+cluster://[user:password@]host[:6379],…
```

`rediss+sentinel://` and `rediss+cluster://` speak TLS to every server. Options follow a `?`, named
as redis-py names them: `db`, `client_name`, `socket_keepalive`, `ssl_…`; for the sentinels' own
account `sentinel_username` and `sentinel_password`. Timeouts, retries and the protocol are not the
URL's to say: each call has a deadline of its own.

Nothing is resolved or connected here. No message and no `repr` shows a URL: it may hold passwords.
"""

import re
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

Address = tuple[str, int]

Kind = Literal["one", "sentinel", "cluster"]

_KINDS: Final[dict[str, tuple[Kind, int]]] = {
    "redis": ("one", 6379),
    "rediss": ("one", 6379),
    "unix": ("one", 0),
    "redis+sentinel": ("sentinel", 26379),
    "rediss+sentinel": ("sentinel", 26379),
    "redis+cluster": ("cluster", 6379),
    "rediss+cluster": ("cluster", 6379),
}
_OPTIONS: Final = ("db", "client_name", "socket_keepalive")
_SENTINELS: Final = ("sentinel_username", "sentinel_password")
#: The same names that Sentinel accepts, which go into its commands.
_MASTER: Final = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """A URL, read.

    Attributes:
        kind: one server, the master that sentinels name, or a cluster.
        seeds: where to ask first: the sentinels, or some nodes of the cluster.
        master: the name by which the sentinels know the master.
        text: the URL of the one server.
    """

    kind: Kind
    seeds: tuple[Address, ...] = field(default=(), repr=False)
    master: str = ""
    text: str = field(default="", repr=False)
    _secure: bool = False
    _account: str = field(default="", repr=False)
    _options: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def node(self, address: Address) -> str:
        """The URL of one server that holds data."""
        options = [(name, value) for name, value in self._options if name not in _SENTINELS]
        return self._url(address, self._account, options)

    def sentinel(self, address: Address) -> str:
        """The URL of one sentinel, with the account for sentinels."""
        given = dict(self._options)
        user, password = (quote(given.get(name, ""), safe="") for name in _SENTINELS)
        account = f"{user}:{password}@" if user or password else ""
        secure = [(name, value) for name, value in self._options if name.startswith("ssl_")]
        return self._url(address, account, secure)

    def _url(self, address: Address, account: str, options: list[tuple[str, str]]) -> str:
        host, port = address
        host = f"[{host}]" if ":" in host else host
        scheme = "rediss" if self._secure else "redis"
        return f"{scheme}://{account}{host}:{port}?{urlencode(options)}"


def read_redis_url(url: str) -> RedisUrl:
    """Read a URL.

    Raises:
        ValueError: it cannot be used; the message says why, without the URL.
    """
    scheme, mark, rest = url.partition("://")
    if not mark or scheme not in _KINDS:
        raise ValueError(
            "must be a redis://, rediss:// or unix:// URL, or one of redis+sentinel://, "
            "rediss+sentinel://, redis+cluster://, rediss+cluster://"
        )
    kind, port = _KINDS[scheme]
    options = _read_options(rest.partition("?")[2], kind)
    if "#" in rest.partition("?")[0]:
        raise ValueError("is not a URL: # begins a fragment; a password writes it as %23")
    if kind == "one":
        _check_one(url, options)
        return RedisUrl("one", text=url)
    where, _, path = rest.partition("?")[0].partition("/")
    account, at, hosts = where.rpartition("@")
    seeds = tuple(_address(each, port) for each in hosts.split(","))
    master, database = _read_path(path, kind)
    named = [(name, value) for name, value in options if name != "db"]
    databases = {value for name, value in options if name == "db"} | {database or "0"} - {"0"}
    number = _database(databases, kind)
    return RedisUrl(
        kind,
        seeds,
        master,
        "",
        scheme.startswith("rediss"),
        account + at,
        (*named, *([("db", number)] if number != "0" else [])),
    )


def _read_options(query: str, kind: Kind) -> list[tuple[str, str]]:
    options = parse_qsl(query.partition("#")[0], keep_blank_values=True)
    for name, _ in options:
        if name in _SENTINELS and kind == "sentinel":
            continue
        if name not in _OPTIONS and not name.startswith("ssl_"):
            # Behind an unescaped "?" a password goes on: then nothing of it is shown.
            shown = "" if "@" in query or not name.isidentifier() else f": {name[:40]!r}"
            raise ValueError(
                f"has an option that is not one of {', '.join(_OPTIONS)} and ssl_…{shown}"
            )
    return options


def _check_one(url: str, options: list[tuple[str, str]]) -> None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        # From nothing: the original message quotes a part of the URL.
        raise ValueError("is not a URL") from None
    if parts.scheme == "unix":
        if not parts.path:
            raise ValueError("unix:// needs the path of the socket")
    elif not unquote(parts.path).strip("/").isdecimal() and parts.path.strip("/"):
        raise ValueError("has a path that is not a database's number")
    if any(name == "db" and not value.isdecimal() for name, value in options):
        raise ValueError("has an option db that is not a database's number")


def _address(text: str, port: int) -> Address:
    try:
        parts = urlsplit(f"//{text}")
        host, given = parts.hostname, parts.port
    except ValueError:
        raise ValueError("is not a URL: its hosts are host:port,host:port") from None
    if not host or "@" in text:
        raise ValueError("needs hosts: host:port,host:port")
    return host, given or port


def _read_path(path: str, kind: Kind) -> tuple[str, str]:
    """The name of the master, and the database's number or nothing."""
    if kind == "cluster":
        return "", path.strip("/")
    master, _, database = path.partition("/")
    if not _MASTER.fullmatch(unquote(master)):
        raise ValueError(
            "needs the name by which the sentinels know the master: …/name, of letters, digits, "
            "dots, hyphens and underscores"
        )
    return unquote(master), database.strip("/")


def _database(databases: set[str], kind: Kind) -> str:
    if len(databases) > 1 or not all(value.isdecimal() for value in databases):
        raise ValueError("needs one number for the database")
    number = databases.pop() if databases else "0"
    if kind == "cluster" and int(number):
        raise ValueError("names a database: a cluster has none but 0")
    return str(int(number))
