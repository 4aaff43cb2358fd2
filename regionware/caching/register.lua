#!lua flags=allow-oom
-- A worker says how far it has followed the log.
-- KEYS: workers (hash), clock, fences (hash). ARGV: the worker's name, the stamp of the latest
-- event it has applied.
-- Returns the server's clock, the stamp of the latest purge, and the epoch (see snapshot.lua).
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local heard = string.format('%08x%08x', math.floor(now / 4294967296), now % 4294967296)
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. heard)
return {heard, redis.call('GET', KEYS[2]) or '0', redis.call('HGET', KEYS[3], '#') or ''}
