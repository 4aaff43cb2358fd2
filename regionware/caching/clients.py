"""Clients of a Redis for what runs in the background, where nobody waits for a reply.

All that one of these clients asks for is in one slot: that of the namespace. So one server is
enough, whatever the URL. Of a cluster it is the one that a redirection names; of several that
sentinels know it is the master, which is asked for again after each failure.
"""

from collections.abc import Callable
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import AskError, MovedError, ReadOnlyError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from regionware.caching.dialing import PROTOCOL
from regionware.caching.places import Master
from regionware.redis_url import Address, RedisUrl, read_redis_url

#: Redirections of one call: to where the slot is said to be, and to where it has gone since.
_REDIRECTIONS = 3


def background(url: str, deadline: float) -> redis.Redis:
    """A client that never retries at the same server; nothing is connected yet.

    Args:
        url: the region's Redis; any URL that `regionware.redis_url` reads.
        deadline: seconds for a call, and for each step of connecting.
    """
    read = read_redis_url(url)
    if read.kind == "sentinel":
        return _FoundClient(read, deadline)
    if read.kind == "cluster":
        return _SlotClient(read, deadline)
    return redis.Redis.from_url(url, **_options(deadline))


def _options(deadline: float) -> dict[str, Any]:
    return {
        "retry": Retry(NoBackoff(), 0),
        "socket_timeout": deadline,
        "socket_connect_timeout": deadline,
        "decode_responses": False,
        **PROTOCOL,
    }


class _ElsewhereClient(redis.Redis):
    """A client whose server changes. One thread uses it."""

    def _execute(self, *args: Any, **options: Any) -> Any:
        """Send a command to the server that is known."""
        send: Callable[..., Any] = super().execute_command  # untyped there
        return send(*args, **options)

    def __init__(self, url: RedisUrl, deadline: float) -> None:
        """Point nowhere in particular yet."""
        pool = redis.ConnectionPool.from_url(url.node(url.seeds[0]), **_options(deadline))
        super().__init__(connection_pool=pool)
        # As with `from_url`: the pool is nobody else's.
        self.auto_close_connection_pool = True
        self._url = url

    def _go(self, address: Address) -> None:
        """Connect there, from now on."""
        host, port = address
        self.connection_pool.connection_kwargs.update(host=host, port=port)
        self.connection_pool.disconnect()
        self.connection_pool.reset()  # a connection would go back to where it was made for


class _FoundClient(_ElsewhereClient):
    """Asks the sentinels for the master before the first call, and after each that has failed."""

    _known = False

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command to the master."""
        if not self._known:
            self._find()
        try:
            return self._execute(*args, **options)
        except (RedisConnectionError, RedisTimeoutError, ReadOnlyError, OSError):
            self._known = False
            self.connection_pool.disconnect()
            raise

    def _find(self) -> None:
        master = Master(self._url)
        try:
            master.learn()
        finally:
            master.close()
        address = master.at("")
        if address is None:
            raise RedisConnectionError("no sentinel names a master")
        self._go(address)
        self._known = True


class _SlotClient(_ElsewhereClient):
    """Follows a cluster's redirections; after a failure another of the named nodes is asked."""

    _turn = 0

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command to the node that has its keys."""
        for _ in range(_REDIRECTIONS):
            try:
                return self._execute(*args, **options)
            except MovedError as error:
                self._go(self._named(error))
            except AskError as error:
                return self._ask(error, *args, **options)
            except (RedisConnectionError, RedisTimeoutError, OSError):
                self._turn += 1
                self._go(self._url.seeds[self._turn % len(self._url.seeds)])
                raise
        raise RedisConnectionError("the cluster's redirections lead nowhere")

    def _named(self, error: AskError) -> Address:
        return error.host or self.connection_pool.connection_kwargs["host"], error.port

    def _ask(self, error: AskError, *args: Any, **options: Any) -> Any:
        """Once, at a node that is about to get the slot."""
        there = self._url.node(self._named(error))
        timeout = self.connection_pool.connection_kwargs["socket_timeout"]
        with redis.Redis.from_url(there, single_connection_client=True, **_options(timeout)) as one:
            send: Callable[..., Any] = one.execute_command
            send("ASKING")
            return send(*args, **options)
