"""Clients of a Redis for what runs in the background, where nobody waits for a reply."""

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry


def background(url: str, deadline: float) -> redis.Redis:
    """A client that never retries; nothing is connected yet.

    Args:
        url: the region's Redis.
        deadline: seconds for a call, and for each step of connecting.
    """
    return redis.Redis.from_url(
        url,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=deadline,
        socket_connect_timeout=deadline,
        decode_responses=False,
        protocol=2,
    )
