"""Connects a thread to Redis, all steps of it within one deadline.

redis-py grants its timeouts to each address of a host, to each step of a handshake and to each
piece of a reply. Here one moment ends them all: the three-way handshake, that of TLS, and what is
sent to log in, which goes out together. The one step that cannot be bounded from here is the
resolver of the system, where the URL names a host that is not an address.

redis-py reads the URL and makes the TLS context.
"""

import socket
from collections.abc import Callable
from functools import lru_cache
from time import monotonic
from typing import Any

import redis
from redis.connection import SSLConnection, UnixDomainSocketConnection
from redis.exceptions import RedisError

from regionware.caching.replies import pack
from regionware.errors import ConfigurationError
from regionware.redis_url import read_redis_url

#: Makes connections that have not been connected.
Maker = Callable[[], Any]


def _introduction() -> dict[str, Any]:
    """What connections say of their library, where redis-py takes it (7.2 and later).

    It would read its own version from the disk for each connection, on an event loop too.
    """
    try:
        from redis.driver_info import DriverInfo  # noqa: PLC0415 - older ones have none
    except ImportError:
        return {}
    return {"driver_info": DriverInfo()}


#: Options of every connection: the protocol that the scripts' replies are read in.
PROTOCOL: dict[str, Any] = {"protocol": 2, **_introduction()}


def maker(url: str) -> Maker:
    """What makes the connections of a URL.

    Raises:
        ValueError: redis-py cannot read it.
    """
    pool = _pool(url)
    return lambda: pool.connection_class(**pool.connection_kwargs)


@lru_cache(maxsize=32)
def _pool(url: str) -> Any:
    """What redis-py reads from a URL; a worker asks for it several times, and after a fork."""
    return redis.ConnectionPool.from_url(url, **PROTOCOL)


def check_url(url: str, region: str) -> None:
    """Refuse options that redis-py does not know, or reads in an unexpected way.

    Raises:
        ConfigurationError: naming the region, without the URL, which may hold a password.
    """
    try:
        read = read_redis_url(url)
        urls = [read.node(seed) for seed in read.seeds] or [url]
        urls += [read.sentinel(seed) for seed in read.seeds if read.kind == "sentinel"]
        for each in urls:
            maker(each)()
    except (ValueError, TypeError, RedisError) as error:
        raise ConfigurationError(f"region {region}: redis: {error}") from error


def remaining(end: float) -> float:
    """Seconds until a moment of the monotonic clock.

    Raises:
        TimeoutError: it has passed.
    """
    left = end - monotonic()
    if left <= 0:
        raise TimeoutError("the deadline has passed")
    return left


def dial(connection: Any, end: float) -> socket.socket:
    """Connect a socket before `end`; the greeting is yet to be sent.

    Raises:
        OSError: nobody answers there, or not in time.
    """
    if isinstance(connection, UnixDomainSocketConnection):
        return _connected(socket.AF_UNIX, socket.SOCK_STREAM, 0, connection.path, end)
    dialed = _dial_tcp(connection, end)
    if not _is_secure(connection):
        return dialed
    try:
        dialed.settimeout(remaining(end))  # holds for the whole handshake
        # There is no public way to a TLS socket as redis-py's URLs describe it.
        wrap: Callable[[socket.socket], socket.socket] = connection._wrap_socket_with_ssl  # noqa: SLF001
        secured = wrap(dialed)
    except BaseException:
        dialed.close()
        raise
    return secured


def _is_secure(connection: Any) -> bool:
    return isinstance(connection, SSLConnection)


def greeting(connection: Any) -> list[bytes]:
    """What a new connection says first: who it is, and which database it means."""
    commands: list[tuple[Any, ...]] = []
    if connection.username or connection.password:
        names = (connection.username,) if connection.username else ()
        commands.append(("AUTH", *names, connection.password or ""))
    if connection.client_name:
        commands.append(("CLIENT", "SETNAME", connection.client_name))
    if connection.db:
        commands.append(("SELECT", connection.db))
    return [pack(command) for command in commands]


def _dial_tcp(connection: Any, end: float) -> socket.socket:
    last: OSError = OSError("the host has no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(
        connection.host, connection.port, type=socket.SOCK_STREAM
    ):
        try:
            dialed = _connected(family, kind, protocol, address, end)
        except OSError as error:
            last = error
            continue
        dialed.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if connection.socket_keepalive:
            dialed.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return dialed
    raise last


def _connected(family: int, kind: int, protocol: int, address: Any, end: float) -> socket.socket:
    made = socket.socket(family, kind, protocol)
    try:
        made.settimeout(remaining(end))
        made.connect(address)
    except BaseException:
        made.close()
        raise
    return made
